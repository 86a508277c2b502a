"""The snapshot of a project: read by a thread, drawn by handlers, never changed."""

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tomoseg_tui.core.names import base_name
from tomoseg_tui.core.tiles import Tile
from tomoseg_tui.errors import ProjectError, TomosegError
from tomoseg_tui.jobs.job_list import CachedJob, JobListCache
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import Damage, LabelSidecar, MapSidecar, NetworkCard, TomogramRecord, read_each


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
    damage: tuple[ProjectError, ...] = ()
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

    @property
    def all_tiles(self) -> tuple[Tile, ...]:
        """Every tile once, by tomogram, then z, y, x."""
        return tuple(
            tile for tomogram in self.tomograms for tile in tomogram.tiles if tile.location.tomogram == tomogram.name
        )


def read_snapshot(project: Project, job_cache: JobListCache | None = None) -> ProjectSnapshot:
    """Read the state of a project; takes a moment, so only threads call it.

    Parameters
    ----------
    job_cache : JobListCache, optional
        Kept between repeated reads, so that finished jobs are not read again.

    Notes
    -----
    Files that another process removes during the read are skipped; the next read is correct.
    """
    current = Project.open(project.layout.root)
    layout = current.layout
    damage: Damage = []
    names = catalog.tomogram_names(layout)
    records = dict(read_each(names, lambda name: catalog.load_tomogram(layout, name), damage))
    tiles_by_tomogram = {name: catalog.tiles_on(layout, name, damage) for name in records}
    tomograms = []
    for name, record in records.items():
        same_grid_names = [
            other_name
            for other_name, other in records.items()
            if base_name(other_name) == base_name(name) and (other_name == name or record.shares_tiles_with(other))
        ]
        tiles = sorted(
            (tile for other_name in same_grid_names for tile in tiles_by_tomogram[other_name]),
            key=lambda tile: tile.location,
        )
        maps = tuple(sidecar for _, sidecar in catalog.maps_of(layout, name, damage))
        labels = tuple(sidecar for _, sidecar in catalog.labels_of(layout, name, damage))
        change = _find_change(layout, name, record)
        tomograms.append(TomogramSnapshot(name, record, tuple(tiles), maps, labels, change))
    runs = catalog.network_names(layout)
    networks = tuple(card for _, card in read_each(runs, lambda run: catalog.load_network_card(layout, run), damage))
    job_cache = job_cache or JobListCache(layout)
    cached_jobs = job_cache.poll()
    jobs = tuple(job.listing for job in cached_jobs)
    requested_features = _requested_features_by_run(layout, cached_jobs, {card.name for card in networks})
    epochs = {
        job.listing["id"]: (job.progress.epoch, job.progress.epochs)
        for job in cached_jobs
        if job.progress.epoch is not None and job.progress.epochs is not None
    }
    return ProjectSnapshot(
        current,
        tuple(tomograms),
        networks,
        jobs,
        requested_features,
        epochs,
        shutil.which("sbatch") is not None,
        (*damage, *job_cache.damage),
    )


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


def _find_change(layout: ProjectLayout, name: str, record: TomogramRecord) -> str:
    from tomoseg_tui.project.file_state import find_tomogram_change  # noqa: PLC0415  # imports numpy

    try:
        return find_tomogram_change(layout, name, record)
    except TomosegError as error:
        return f"{error.fault} {error.fix}"


def fingerprint(snapshot: ProjectSnapshot) -> bytes:
    """Return a value that differs whenever something on the screen differs."""
    return msgspec.json.encode(
        [
            snapshot.project.settings.features,
            [
                (
                    tomogram.name,
                    tomogram.record,
                    [(tile.location.id, dict(tile.states)) for tile in tomogram.tiles],
                    tomogram.maps,
                    tomogram.labels,
                    tomogram.change,
                )
                for tomogram in snapshot.tomograms
            ],
            snapshot.networks,
            snapshot.jobs,
            snapshot.epochs,
        ]
    )
