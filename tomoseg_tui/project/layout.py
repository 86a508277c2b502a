"""All paths in a project folder. Other modules take paths from here or as arguments."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tomoseg_tui.core.names import ANY_FEATURE
from tomoseg_tui.core.tiles import TileLocation

FOLDERS = ("tomograms", "tiles", "annotations", "trainsets", "networks", "maps", "labels", "jobs", "trash")
"""The folders of a project."""

_FILE_OF_FEATURE = {ANY_FEATURE: "_any", "claim": "_claim"}
"""File names of features whose own name is not usable: the tile's lock has the name "claim"."""
_FEATURE_OF_FILE = {file: feature for feature, file in _FILE_OF_FEATURE.items()}


@dataclass(frozen=True)
class ProjectLayout:
    """The paths of one project; creates nothing."""

    root: Path
    """The project's folder."""

    def stored_path(self, path: Path) -> str:
        """Return a path as it is stored in the project: relative to its folder, or absolute if it is outside.

        ``root / stored_path(path)`` is the path again, also after the project has moved.
        """
        absolute = path.absolute()
        return str(absolute.relative_to(self.root) if absolute.is_relative_to(self.root) else absolute)

    @property
    def settings(self) -> Path:
        """The file that makes a folder a project."""
        return self.root / "project.toml"

    @property
    def change(self) -> Path:
        """The steps of a change of several files, while it is carried out."""
        return self.root / ".change.json"

    @property
    def change_claim(self) -> Path:
        """Lock for a change of several files."""
        return self.root / ".change.claim.json"

    def writer_mark(self, token: str) -> Path:
        """Names a process that writes; it stays behind if the process is killed, and then its drafts do too."""
        return self.root / f".writer.{token}.json"

    @property
    def crash_log(self) -> Path:
        """Tracebacks of the full-screen program."""
        return self.root / "crash.log"

    @property
    def history(self) -> Path:
        """The commands run, one JSON object per line."""
        return self.root / "history.jsonl"

    @property
    def tomograms(self) -> Path:
        """One folder per tomogram."""
        return self.root / "tomograms"

    @cached_property  # ten thousand paths are made from it
    def tiles(self) -> Path:
        """One folder per tomogram, with one folder per tile."""
        return self.root / "tiles"

    @property
    def annotations(self) -> Path:
        """Folders as in `tiles`, with the layers."""
        return self.root / "annotations"

    @property
    def trainsets(self) -> Path:
        """One HDF5 file per training set."""
        return self.root / "trainsets"

    @property
    def networks(self) -> Path:
        """One folder per run."""
        return self.root / "networks"

    @property
    def audits(self) -> Path:
        """One folder per audit; created with the first one."""
        return self.root / "audits"

    @property
    def maps(self) -> Path:
        """One folder per tomogram."""
        return self.root / "maps"

    @property
    def labels(self) -> Path:
        """One folder per tomogram."""
        return self.root / "labels"

    @property
    def jobs(self) -> Path:
        """One folder per job."""
        return self.root / "jobs"

    @property
    def trash(self) -> Path:
        """Removed and replaced files, one folder per removal."""
        return self.root / "trash"

    def tomogram_folder(self, name: str) -> Path:
        """Folder of one tomogram."""
        return self.tomograms / name

    def tomogram_record(self, name: str) -> Path:
        """Record of one tomogram."""
        return self.tomogram_folder(name) / "tomogram.json"

    def tile_folder(self, location: TileLocation) -> Path:
        """Folder with the states of one tile."""
        return self.tiles.joinpath(location.tomogram, location.folder_name)

    def tile_claim(self, location: TileLocation) -> Path:
        """Lock for changing the tile."""
        return self.tile_folder(location) / "claim.json"

    def painting_claim(self, location: TileLocation) -> Path:
        """Paint lock of an open tile. Hidden, because a feature could have the name "painting"."""
        return self.tile_folder(location) / ".painting.json"

    def tile_state(self, location: TileLocation, feature: str) -> Path:
        """State of one feature on one tile."""
        return self.tile_folder(location) / f"{_FILE_OF_FEATURE.get(feature, feature)}.json"

    def feature_of_state(self, file_name: str) -> str | None:
        """Feature whose state is in this file of a tile's folder; None for locks and drafts."""
        stem = file_name.removesuffix(".json")
        return None if stem == "claim" or file_name.startswith(".") else _FEATURE_OF_FILE.get(stem, stem)

    def annotation_folder(self, location: TileLocation) -> Path:
        """Folder with the layers of one tile."""
        return self.annotations / location.tomogram / location.folder_name

    def annotation(self, location: TileLocation, feature: str) -> Path:
        """Layer of one feature on one tile, a numpy file of uint8, shape (y, x)."""
        return self.annotation_folder(location) / f"{feature}.npy"

    def stroke_log(self, location: TileLocation) -> Path:
        """The strokes painted on one tile, one per line."""
        return self.annotation_folder(location) / "strokes.jsonl"

    def trainset(self, name: str) -> Path:
        """One training set."""
        return self.trainsets / f"{name}.h5"

    def network_folder(self, run: str) -> Path:
        """Folder of one run."""
        return self.networks / run

    def network_card(self, run: str) -> Path:
        """Properties and scores of a network."""
        return self.network_folder(run) / "card.json"

    def network_weights(self, run: str) -> Path:
        """Weights of the best epoch."""
        return self.network_folder(run) / "best.weights.h5"

    def network_metrics(self, run: str) -> Path:
        """Metrics of a run, one line per epoch."""
        return self.network_folder(run) / "metrics.jsonl"

    def network_trainset(self, run: str) -> Path:
        """The training set built by a run."""
        return self.network_folder(run) / "trainset.h5"

    def network_triples(self, run: str) -> Path:
        """Image, annotation and output of the run's tiles."""
        return self.network_folder(run) / "triples.h5"

    def audit_folder(self, name: str) -> Path:
        """Folder of one audit."""
        return self.audits / name

    def audit_report(self, name: str) -> Path:
        """The tiles of an audit, ranked by label-error score."""
        return self.audit_folder(name) / "audit.json"

    def audit_trainset(self, name: str) -> Path:
        """The training set built by an audit."""
        return self.audit_folder(name) / "trainset.h5"

    def audit_triples(self, name: str) -> Path:
        """Image, annotation and output of a network not trained on the tile."""
        return self.audit_folder(name) / "triples.h5"

    def map_file(self, tomogram: str, run: str, feature: str) -> Path:
        """Probability map of one feature by one network."""
        return self.maps / tomogram / f"{run}.{feature}.mrc"

    def label_file(self, tomogram: str, name: str) -> Path:
        """One label volume."""
        return self.labels / tomogram / f"{name}.mrc"

    def job_folder(self, job_id: str) -> Path:
        """Folder of one job."""
        return self.jobs / job_id


def sidecar_of(volume: Path) -> Path:
    """Return the path of the description of a map or label volume: beside it, ``.json`` for ``.mrc``."""
    return volume.with_suffix(".json")


def owner_file_of(folder: Path) -> Path:
    """Return the file in the folder of a run or an audit that names the job which creates it."""
    return folder / "job.txt"


def find_project(start: Path) -> Path | None:
    """Return the nearest project folder: the folder itself or a parent; None if there is none."""
    folder = start.absolute()
    return next(
        (candidate for candidate in (folder, *folder.parents) if ProjectLayout(candidate).settings.is_file()), None
    )
