"""The snapshot of a project: read by a thread, drawn by handlers, never changed."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from tomoseg_tui.core.tiles import Tile
from tomoseg_tui.errors import ProjectError, TomosegError
from tomoseg_tui.jobs.job_list import CachedJob, JobListCache
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import Damage, LabelSidecar, MapSidecar, NetworkCard, TomogramRecord, read_each

SETTLED_NS = 2_000_000_000
"""Time after a change from which the next change has another time for sure, ns."""
Value = TypeVar("Value")
Sidecar = TypeVar("Sidecar", MapSidecar, LabelSidecar)


@dataclass(frozen=True)
class TomogramSnapshot:
    """A tomogram and what was derived from it."""

    name: str
    record: TomogramRecord
    tiles: tuple[Tile, ...]
    """Its tiles, and those of versions on the same grid; by z, y, x."""
    maps: tuple[MapSidecar, ...]
    labels: tuple[LabelSidecar, ...]
    change: str = ""
    """What is wrong with its file, such as that it has changed since its import; empty if nothing is."""


@dataclass(frozen=True)
class ProjectSnapshot:
    """The state of a project at one time."""

    project: Project
    tomograms: tuple[TomogramSnapshot, ...]
    """By name."""
    networks: tuple[NetworkCard, ...]
    """By name; runs without a finished epoch are left out."""
    jobs: tuple[Mapping[str, Any], ...]
    """As `jobs --json` prints them, newest first."""
    requested_features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By run: the requested features of a training without a network yet."""
    epochs: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By job id of a training: its current or last epoch, and the number of epochs."""
    has_slurm: bool = False
    """Whether this machine can submit jobs to Slurm."""
    damage: tuple[ProjectError, ...] = field(default=(), compare=False)
    """Errors of damaged files, whose items are left out."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the project's order."""
        return self.project.settings.features

    @property
    def running_count(self) -> int:
        """Number of jobs that are queued or running."""
        return sum(job["state"] in {"queued", "running"} for job in self.jobs)

    @property
    def waiting_count(self) -> int:
        """Number of those that wait for their device or another job."""
        return sum(bool(job["waits_for"]) for job in self.jobs)

    def tomogram(self, name: str | None) -> TomogramSnapshot | None:
        """Return a tomogram by its name; None if there is none."""
        return next((tomogram for tomogram in self.tomograms if tomogram.name == name), None)

    def network(self, name: str | None) -> NetworkCard | None:
        """Return a network by the name of its run; None if there is none."""
        return next((network for network in self.networks if network.name == name), None)

    def job(self, job_id: str | None) -> Mapping[str, Any] | None:
        """Return a job by its id; None if there is none."""
        return next((job for job in self.jobs if job["id"] == job_id), None)

    @cached_property
    def all_tiles(self) -> tuple[Tile, ...]:
        """Every tile once, by tomogram, then z, y, x."""
        return tuple(
            tile for tomogram in self.tomograms for tile in tomogram.tiles if tile.location.tomogram == tomogram.name
        )


class SnapshotCache:
    """What earlier reads of a project found, by path; only what has changed since is read again.

    All files of a project are replaced whole, so that the stamp of a folder shows whether one of its files has changed.
    """

    def __init__(self, layout: ProjectLayout) -> None:
        self.jobs = JobListCache(layout)
        self.damage: Damage = []
        """Errors of damaged files in this read."""
        self._found: dict[str, tuple[tuple[int, ...], object]] = {}
        self._previous: dict[str, tuple[tuple[int, ...], object]] = {}

    def begin_read(self) -> None:
        """Begin a read; what the one before it did not ask for is dropped."""
        self._previous, self._found, self.damage = self._found, {}, []

    def get(self, path: str, read: Callable[..., Value], *arguments: object) -> Value:
        """Return `read(*arguments)`, which depends on a file or folder; from the previous read if that is as it was.

        A value with damaged files is read each time, and so is one whose path has changed so recently that its next
        change may have the same time.
        """
        try:
            status = os.stat(path)  # noqa: PTH116  # ten thousand Paths take longer than the calls
            stamp = (status.st_ctime_ns, status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            stamp = (0, 0, 0, 0)  # there is none
        known = self._previous.get(path)
        if known is None or known[0] != stamp:
            is_settled, damage_before = time.time_ns() - stamp[0] > SETTLED_NS, len(self.damage)
            known = (stamp, read(*arguments))
            if not is_settled or len(self.damage) > damage_before:
                return known[1]
        self._found[path] = known
        return cast("Value", known[1])


def read_snapshot(project: Project, cache: SnapshotCache | None = None) -> ProjectSnapshot:
    """Read the state of a project; takes a moment, so only threads call it.

    Parameters
    ----------
    cache : SnapshotCache, optional
        Kept between repeated reads, so that only what has changed is read again.

    Notes
    -----
    Files that another process removes during the read are skipped; the next read is correct.
    """
    current = Project.open(project.layout.root)
    layout = current.layout
    cache = cache or SnapshotCache(layout)
    cache.begin_read()
    tomograms = tuple(_read_tomograms(layout, cache))
    runs = catalog.network_names(layout)
    networks = tuple(
        card for _, card in read_each(runs, lambda run: catalog.load_network_card(layout, run), cache.damage)
    )
    cached_jobs = cache.jobs.poll()
    jobs = tuple(job.listing for job in cached_jobs)
    requested_features = _requested_features_by_run(layout, cached_jobs, {card.name for card in networks})
    epochs = {
        job.listing["id"]: (job.progress.epoch, job.progress.epochs)
        for job in cached_jobs
        if job.progress.epoch is not None and job.progress.epochs is not None
    }
    return ProjectSnapshot(
        current,
        tomograms,
        networks,
        jobs,
        requested_features,
        epochs,
        shutil.which("sbatch") is not None,
        (*cache.damage, *cache.jobs.damage),
    )


def _read_tomograms(layout: ProjectLayout, cache: SnapshotCache) -> Iterator[TomogramSnapshot]:
    all_paths = cache.get(str(layout.tomograms), _tomogram_paths, layout)
    found = read_each(
        all_paths, lambda name: cache.get(all_paths[name].record, _load_record, layout, name), cache.damage
    )
    records = {name: record for name, record in found if record is not None}
    placed = {name: _read_tiles(layout, name, all_paths[name].tiles, cache) for name in records}
    tiles = catalog.share_tiles(records, placed)
    for name, record in records.items():
        paths = all_paths[name]
        maps = cache.get(paths.maps, _sidecars, catalog.maps_of, layout, name, cache.damage)
        labels = cache.get(paths.labels, _sidecars, catalog.labels_of, layout, name, cache.damage)
        change = _find_change(layout, name, record, paths.folder)
        yield TomogramSnapshot(name, record, tiles[name], maps, labels, change)


class _TomogramPaths(NamedTuple):
    """Paths of one tomogram as text: to make thousands of paths takes longer than to see that nothing has changed."""

    folder: str
    record: str
    tiles: str
    maps: str
    labels: str


def _tomogram_paths(layout: ProjectLayout) -> dict[str, _TomogramPaths]:
    """Return the paths for each folder of a tomogram, also of one that is being imported."""
    folders = sorted(layout.tomograms.glob("[!.]*"))
    parts = (layout.tiles, layout.maps, layout.labels)
    return {
        folder.name: _TomogramPaths(
            str(folder), str(layout.tomogram_record(folder.name)), *(str(part / folder.name) for part in parts)
        )
        for folder in folders
    }


def _load_record(layout: ProjectLayout, name: str) -> TomogramRecord | None:
    return catalog.load_tomogram(layout, name) if layout.tomogram_record(name).is_file() else None


def _read_tiles(layout: ProjectLayout, name: str, folder: str, cache: SnapshotCache) -> list[Tile]:
    locations = cache.get(folder, catalog.tile_locations, layout, name)
    tiles = (
        cache.get(f"{folder}/{location.folder_name}", catalog.tile_at, layout, location, cache.damage)
        for location in locations
    )
    return [tile for tile in tiles if tile.states]


def _sidecars(
    read: Callable[..., Iterator[tuple[Path, Sidecar]]], layout: ProjectLayout, name: str, damage: Damage
) -> tuple[Sidecar, ...]:
    return tuple(sidecar for _, sidecar in read(layout, name, damage))


def _requested_features_by_run(
    layout: ProjectLayout, jobs: Sequence[CachedJob], trained_runs: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Return the requested features of trainings whose runs have no card yet."""
    by_run: dict[str, tuple[str, ...]] = {}
    for job in jobs:  # newest first
        name = job.listing["name"]
        if job.listing["kind"] == "train" and name not in trained_runs and name not in by_run:
            by_run[name] = _requested_features(layout, job.request)
    return by_run


def _requested_features(layout: ProjectLayout, request: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        if request.get("trainset") is None:
            return tuple(request.get("features", ()))
        from tomoseg_tui.io.trainset_file import read_summary  # noqa: PLC0415  # h5py is not woken before it is needed

        return read_summary(layout.trainset(request["trainset"])).features
    except (TomosegError, OSError):
        return ()


def _find_change(layout: ProjectLayout, name: str, record: TomogramRecord, folder: str) -> str:
    state, path = record.file_state, os.path.join(folder, record.file)  # noqa: PTH118  # as in SnapshotCache.get
    with contextlib.suppress(OSError):
        if state is not None and state.matches(os.stat(path)):  # noqa: PTH116
            return ""
    from tomoseg_tui.project.file_state import find_tomogram_change  # noqa: PLC0415  # imports numpy

    try:
        return find_tomogram_change(layout, name, record)[1]
    except TomosegError as error:
        return f"{error.fault} {error.fix}"
