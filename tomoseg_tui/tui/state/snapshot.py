"""What a screen knows of the project: read by a thread, drawn by handlers, never changed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tomoseg_tui.core.names import base_of
from tomoseg_tui.core.tiles import Tile
from tomoseg_tui.errors import ProjectError, TomosegError
from tomoseg_tui.jobs.job_list import JobsSeen, SeenJob
from tomoseg_tui.jobs.slurm.commands import is_here
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import LabelSidecar, MapSidecar, NetworkCard, TomogramRecord


@dataclass(frozen=True)
class TomogramFacts:
    """One tomogram and what was made of it."""

    name: str
    record: TomogramRecord
    tiles: tuple[Tile, ...]
    """Tiles that are seen on it, those of versions of the same grid among them; by z, y, x."""
    maps: tuple[MapSidecar, ...]
    labels: tuple[LabelSidecar, ...]


@dataclass(frozen=True)
class Facts:
    """One look at a project."""

    project: Project
    tomograms: tuple[TomogramFacts, ...]
    """By name."""
    networks: tuple[NetworkCard, ...]
    """By name; runs without a finished epoch are not among them."""
    jobs: tuple[Mapping[str, Any], ...]
    """As `jobs --json` prints them, newest first."""
    learning: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By run: the features that a training without a network yet was asked to learn."""
    has_slurm: bool = False
    """Whether jobs can be handed to Slurm on this machine."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the project's order."""
        return self.project.settings.features

    @property
    def running(self) -> int:
        """Jobs that are queued or running."""
        return sum(job["state"] in {"queued", "running"} for job in self.jobs)

    @property
    def waiting(self) -> int:
        """Those of them that wait for their device or another job."""
        return sum(bool(job["waits_for"]) for job in self.jobs)

    def tomogram(self, name: str | None) -> TomogramFacts | None:
        """Return a tomogram by its name, None if there is none."""
        return next((tomogram for tomogram in self.tomograms if tomogram.name == name), None)

    def network(self, name: str | None) -> NetworkCard | None:
        """Return a network by the name of its run, None if there is none."""
        return next((network for network in self.networks if network.name == name), None)

    def job(self, job_id: str | None) -> Mapping[str, Any] | None:
        """Return a job by its id, None if there is none."""
        return next((job for job in self.jobs if job["id"] == job_id), None)

    @property
    def all_tiles(self) -> tuple[Tile, ...]:
        """Every tile once, by tomogram, then z, y, x."""
        return tuple(
            tile for tomogram in self.tomograms for tile in tomogram.tiles if tile.place.tomogram == tomogram.name
        )


def read_facts(project: Project, known: JobsSeen | None = None) -> Facts:
    """Look at a project; takes a moment, so only threads call it.

    Parameters
    ----------
    project : Project
    known : JobsSeen, optional
        Of whoever looks again and again: jobs that are over are not read anew.

    Notes
    -----
    What another process removes while it is being read is passed over: the next look is right.
    """
    fresh = Project.open(project.layout.root)
    layout = fresh.layout
    records: dict[str, TomogramRecord] = {}
    for name in catalog.tomogram_names(layout):
        try:
            records[name] = catalog.tomogram(layout, name)
        except ProjectError:
            continue
    placed = {name: catalog.tiles_on(layout, name) for name in records}
    tomograms = []
    for name, record in records.items():
        family = [
            other
            for other, known in records.items()
            if base_of(other) == base_of(name) and (other == name or record.shares_tiles_with(known))
        ]
        tiles = sorted((tile for other in family for tile in placed[other]), key=lambda tile: tile.place)
        maps = tuple(made for _, made in catalog.maps_of(layout, name))
        labels = tuple(made for _, made in catalog.labels_of(layout, name))
        tomograms.append(TomogramFacts(name, record, tuple(tiles), maps, labels))
    networks = tuple(catalog.network(layout, run) for run in catalog.network_names(layout))
    seen = (known or JobsSeen(layout)).look()
    jobs = tuple(job.listing for job in seen)
    learning = _features_being_learned(layout, seen, {card.name for card in networks})
    return Facts(fresh, tuple(tomograms), networks, jobs, learning, is_here())


def _features_being_learned(
    layout: ProjectLayout, jobs: Sequence[SeenJob], known: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Return what the trainings were asked to learn whose runs have no card that tells."""
    found: dict[str, tuple[str, ...]] = {}
    for job in jobs:  # newest first
        name = job.listing["name"]
        if job.listing["kind"] == "train" and name not in known and name not in found:
            found[name] = _asked_features(layout, job.asked)
    return found


def _asked_features(layout: ProjectLayout, asked: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        if asked.get("trainset") is None:
            return tuple(asked.get("features", ()))
        from tomoseg_tui.io.trainset_file import read_summary  # noqa: PLC0415  # h5py is not woken before it is needed

        return read_summary(layout.trainset(asked["trainset"])).features
    except (TomosegError, OSError):
        return ()


def fingerprint(facts: Facts) -> bytes:
    """Return what differs whenever something that is drawn differs."""
    return msgspec.json.encode(
        [
            facts.project.settings.features,
            [
                (t.name, t.record, [(tile.place.id, dict(tile.states)) for tile in t.tiles], t.maps, t.labels)
                for t in facts.tomograms
            ],
            facts.networks,
            facts.jobs,
        ]
    )
