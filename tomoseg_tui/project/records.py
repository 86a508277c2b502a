"""Contents of the JSON files of a project: tomograms, tiles, networks, maps and labels.

Unknown keys are ignored, so that files of newer versions can be read.
"""

import os
import platform
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tomoseg_tui import __version__
from tomoseg_tui.core.grid import ByteSign, DensityScale, VoxelGrid
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.files.atomic import write_atomically
from tomoseg_tui.files.structured import MalformedError, read_json
from tomoseg_tui.project.layout import ProjectLayout

_PACKAGES = ("numpy", "scipy", "tensorflow", "keras", "h5py", "mrcfile")

Record = TypeVar("Record", bound=msgspec.Struct)


def now() -> str:
    """Return the time as ISO 8601, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class FilterStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """Filters of one run of `preprocess`; a network requires the same filters of a tomogram."""

    lowpass: float = 0.0
    """Cycles/voxel, 0 for none."""
    highpass: float = 0.0
    """Pixels of nx, 0 for none."""
    clamp: float = 0.0
    """Sigmas, 0 for none."""

    def as_options(self) -> str:
        """Return the options of `tomoseg preprocess` for these filters."""
        return f"--lowpass {self.lowpass:g} --highpass {self.highpass:g} --clamp {self.clamp:g}"


FilterHistory = tuple[FilterStep, ...]
"""All filters applied since the recording, in order; empty for none."""


def format_filter_chain(chain: FilterHistory) -> str:
    """Return a filter chain as text."""
    if not chain:
        return "no filter"
    return ", then ".join(f"low-pass {s.lowpass:g}, high-pass {s.highpass:g}, clamp {s.clamp:g}" for s in chain)


class FileState(msgspec.Struct, frozen=True):
    """What a volume file was when its record was written; see `project.file_state`."""

    size: int
    """Bytes."""
    modified_ns: int
    """Time of the last change, ns since 1970."""
    shape_zyx: tuple[int, int, int]
    """From its header, as the two below; voxels along z, y, x."""
    voxel_size_angstrom: float
    origin_xyz_angstrom: tuple[float, float, float]
    digest: str
    """Of a sample of its densities."""

    def matches(self, status: os.stat_result) -> bool:
        """Return whether a file has the recorded size and time."""
        return (status.st_size, status.st_mtime_ns) == (self.size, self.modified_ns)


class TomogramRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One tomogram of the project; its name is that of its folder."""

    file: str
    """Name of the volume in the tomogram's folder, or the absolute path of a linked one."""
    linked: bool = False
    """True if the volume is outside the project."""
    shape_zyx: tuple[int, int, int]
    """Voxels along z, y, x."""
    voxel_size_angstrom: float
    """Å/voxel, from the header or the user."""
    origin_xyz_angstrom: tuple[float, float, float]
    """Å, from the header."""
    nstart_xyz: tuple[int, int, int]
    """From the header."""
    polarity: str
    """`dark` or `bright`: the appearance of protein, declared by the user."""
    type: str
    """Format of the file as text."""
    byte_sign: ByteSign | None = None
    """How the bytes of MRC mode 0 are read, as decided at the import; None in older records if the user did not say."""
    mean: float
    """Mean density, from a sample of slices for large volumes."""
    sigma: float
    """Standard deviation of the densities; 1 for a flat volume."""
    chain: FilterHistory = ()
    """Filters applied since the recording."""
    chain_angstrom: tuple[dict[str, float | None], ...] = ()
    """The same as lengths in Å, for people."""
    made_from: str | None = None
    """Name of the version or of the file from which it was made."""
    binned: int = 1
    """Binning relative to that."""
    imported: str
    """Time of the import."""
    file_state: FileState | None = None
    """The file at that time; None in records of version 0.2 and older."""

    @property
    def grid(self) -> VoxelGrid:
        """Grid with this record's voxel size."""
        return VoxelGrid(self.shape_zyx, self.voxel_size_angstrom, self.origin_xyz_angstrom, self.nstart_xyz)

    @property
    def scale(self) -> DensityScale:
        """Normalisation of the densities."""
        return DensityScale(self.mean, self.sigma)

    def shares_tiles_with(self, other: "TomogramRecord") -> bool:
        """Return whether tiles have the same positions on both versions."""
        same_voxel_size = abs(self.voxel_size_angstrom - other.voxel_size_angstrom) <= 1e-3 * other.voxel_size_angstrom
        return self.shape_zyx == other.shape_zyx and same_voxel_size


class LayerSource(msgspec.Struct, frozen=True):
    """Origin of a layer."""

    kind: str
    """`imported` or `painted`."""
    file: str | None = None
    """Name of the imported file."""
    at: str = ""
    """Time of the import or of the first stroke."""


class StateRecord(msgspec.Struct, frozen=True):
    """State of one feature on one tile."""

    state: FeatureState
    at: str
    """Time at which it was set."""
    layer: LayerSource | None = None
    """Origin of the annotation, if there is one."""
    imported_from: str | None = None
    """File whose import has set the state; None if a person has. A later import may change it."""


class CurvePoint(msgspec.Struct, frozen=True):
    """Scores on validation tiles at one threshold."""

    threshold: float
    dice: float
    precision: float
    recall: float


def format_threshold_curve(curve: tuple[CurvePoint, ...]) -> dict[str, str]:
    """Return rows with thresholds a tenth apart, Dice, precision and recall; empty without a curve."""
    tenths = curve[1::2]
    if not tenths:
        return {}
    rows = {"above": [point.threshold for point in tenths], "Dice": [point.dice for point in tenths]}
    rows |= {"precision": [point.precision for point in tenths], "recall": [point.recall for point in tenths]}
    return {title: "  ".join(f"{number:4.2f}" for number in numbers) for title, numbers in rows.items()}


class FeatureScore(msgspec.Struct, frozen=True):
    """Scores of one feature on the validation tiles; null if nothing was held out."""

    threshold: float = 0.5
    """Probability above which a voxel is the feature."""
    dice: float | None = None
    precision: float | None = None
    recall: float | None = None
    held_out_tiles: int = 0
    curve: tuple[CurvePoint, ...] = ()
    """Scores at thresholds from 0.05 to 0.95; empty in cards of version 0.1.0."""


class TileCounts(msgspec.Struct, frozen=True):
    """Numbers of training and validation tiles."""

    positive: dict[str, int]
    negative: dict[str, int]
    trained: int
    held_out: int


class NetworkCard(msgspec.Struct, frozen=True, kw_only=True, rename={"made_from": "from"}):
    """Properties, origin and scores of a network."""

    name: str
    network: str
    voxel_size_angstrom: float
    polarity: str
    preprocessing: FilterHistory
    features: dict[str, FeatureScore]
    """In the order of the network's outputs."""
    tiles: int
    """All tiles, training and validation."""
    tile_counts: TileCounts
    learning_rate: float
    epochs: int
    """Requested epochs."""
    epochs_done: int = 0
    best_epoch: int = 0
    batch: int
    seed: int
    made_from: str | None = None
    """Run whose weights were the initial ones."""
    tile_size: int
    weights_digest: str = ""
    """SHA-256 of the weights; shows whether a map's network has changed."""
    trainset: str | None = None
    trainset_digest: str = ""
    tomograms: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Notes for the user: what was held out and why, what was inverted."""
    versions: dict[str, str] = {}
    created: str = ""


def describe_network(card: NetworkCard) -> dict[str, str]:
    """Return the card of a network as rows of text, each with a title."""
    counts = card.tile_counts
    rows = {
        "network": card.network,
        "trained on": f"{counts.trained} tiles of {', '.join(card.tomograms)}",
        "held out": f"{counts.held_out} tiles",
        "scale": f"{card.voxel_size_angstrom:g} Å/voxel, protein {card.polarity}",
        "filters": format_filter_chain(card.preprocessing),
        "epochs": f"{card.epochs_done} of {card.epochs}, the best is {card.best_epoch}",
        "learning rate": f"{card.learning_rate:g}" + (f", from {card.made_from}" if card.made_from else ""),
        "batch, seed": f"{card.batch} tiles, {card.seed}",
    }
    for feature, score in card.features.items():
        rows[feature] = _describe_score(score)
        rows |= {f"{feature} {title}": numbers for title, numbers in format_threshold_curve(score.curve).items()}
    return rows


def _describe_score(score: FeatureScore) -> str:
    if score.dice is None:
        return f"nothing held out; threshold {score.threshold:.3f}"
    return (
        f"Dice {score.dice:.3f}, precision {score.precision or 0:.3f}, recall {score.recall or 0:.3f} "
        f"on {score.held_out_tiles} held-out tile{'s' * (score.held_out_tiles != 1)}; threshold {score.threshold:.3f}"
    )


class AuditedTile(msgspec.Struct, frozen=True, kw_only=True):
    """Result of an audit for one tile."""

    tile: str
    """Id of the tile."""
    feature: str
    """The feature with the highest label-error score."""
    sign: int
    """1 placed for the feature, -1 contains none, 0 unknown."""
    suspicion: float
    """Label-error score from 0 (label correct) to 1 (certainly wrong); tiles are ranked by it."""
    reasons: tuple[str, ...]
    """Reasons of all features as sentences, the strongest first."""
    dice: float
    """Dice of annotation and network at a probability of 0.5; 1 if both are empty."""
    fold: int
    """Fold of the tile, from 0: the network that predicted it was trained on the others."""


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """The tiles of a training set, ranked by label-error score."""

    name: str
    features: tuple[str, ...]
    trainset: str | None = None
    """The audited training set; None if the audit built its own."""
    trainset_digest: str = ""
    tiles: tuple[AuditedTile, ...]
    network: str
    epochs: int
    """Epochs of each training."""
    folds: int
    seed: int
    voxel_size_angstrom: float
    tomograms: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = {}
    created: str = ""


class MapSidecar(msgspec.Struct, frozen=True, kw_only=True):
    """Origin of a map; stored beside it."""

    tomogram: str
    run: str
    feature: str
    network: str
    weights_digest: str
    threshold: float
    sign: int
    """-1 if the densities were inverted to the network's polarity."""
    mean: float
    sigma: float
    chain: FilterHistory
    voxel_size_angstrom: float
    slices: list[tuple[int, int]]
    """Ranges of z that are filled, the end excluded."""
    settings: dict[str, Any] = {}
    versions: dict[str, str] = {}
    created: str = ""
    file_state: FileState | None = None
    """The map when it was made; None in sidecars of version 0.2 and older."""

    def has_same_inputs(self, other: "MapSidecar") -> bool:
        """Return whether two maps have the same network, densities and settings."""
        fields = ("tomogram", "run", "feature", "weights_digest", "sign", "mean", "sigma", "settings")
        return all(getattr(self, field) == getattr(other, field) for field in fields)


class LabelEntry(msgspec.Struct, frozen=True):
    """One label of a label volume."""

    feature: str
    run: str
    threshold: float
    voxels: int = 0


class Conflict(msgspec.Struct, frozen=True):
    """Number of voxels that one label won and another also claimed."""

    winner: int
    loser: int
    voxels: int


class LabelSidecar(msgspec.Struct, frozen=True, kw_only=True):
    """Origin of a label volume; stored beside it."""

    tomogram: str
    name: str
    labels: dict[str, LabelEntry]
    conflicts: list[Conflict]
    maps: dict[str, str] = {}
    """Digest of the network weights of each map."""
    slices: list[tuple[int, int]] = []
    """Ranges of z that all maps fill; elsewhere fewer maps were merged."""
    versions: dict[str, str] = {}
    created: str = ""
    file_state: FileState | None = None
    """The label volume when it was made; None in sidecars of version 0.2 and older."""


def describe_values(sidecar: MapSidecar | LabelSidecar) -> tuple[str, ...]:
    """Return what the numbers of a map or label volume mean, as lines of text."""
    if isinstance(sidecar, MapSidecar):
        return (
            f"tomoseg map of {sidecar.tomogram}: probability of {sidecar.feature} by the network {sidecar.run}",
            f"0 to 127 is probability 0 to 1; threshold {sidecar.threshold:.3f}",
        )
    labels = (
        f"{number} = {entry.feature} ({entry.run}, threshold {entry.threshold:.3f})"
        for number, entry in sidecar.labels.items()
    )
    return (f"tomoseg label volume {sidecar.name} of {sidecar.tomogram}", "0 = none of these", *labels)


def read_record(path: Path | str, kind: type[Record]) -> Record:
    """Read one JSON file.

    Raises
    ------
    ProjectError
        If the file is missing, damaged, or has other contents.
    """
    try:
        return read_json(path, kind)
    except (OSError, MalformedError) as fault:
        raise ProjectError(
            f"{path} cannot be read: {fault}.",
            "Restore it from a backup or the trash, or remove the item that it describes.",
        ) from fault


Damage = list[ProjectError]
"""Errors of damaged files. A function that is given such a list adds to it, and leaves out what cannot be read."""
Item = TypeVar("Item")
Value = TypeVar("Value")


def read_each(
    items: Iterable[Item], read: Callable[[Item], Value], damage: Damage | None
) -> Iterator[tuple[Item, Value]]:
    """Yield each item with what `read` returns for it; one that cannot be read goes to `damage`, if that is given."""
    for item in items:
        try:
            value = read(item)
        except ProjectError as fault:
            if damage is None:
                raise
            if fault.fault not in {known.fault for known in damage}:
                damage.append(fault)
        else:
            yield item, value


def read_states(layout: ProjectLayout, location: TileLocation, damage: Damage | None = None) -> dict[str, StateRecord]:
    """Return the state records of a tile by feature, ``*`` included; empty if there is no tile."""
    folder = str(layout.tile_folder(location))
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  # for ten thousand tiles, Paths take longer than the reads
    except (FileNotFoundError, NotADirectoryError):
        return {}
    features = {
        f"{folder}/{name}": feature
        for name in names
        if name.endswith(".json") and (feature := layout.feature_of_state(name)) is not None
    }
    records = read_each(features, lambda path: read_record(path, StateRecord), damage)
    return {features[path]: record for path, record in records}


def encode_record(record: msgspec.Struct | dict[str, Any]) -> bytes:
    """Return the content of a JSON file, indented for people."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def write_record(path: Path, record: msgspec.Struct | dict[str, Any]) -> None:
    """Replace one JSON file."""
    write_atomically(path, encode_record(record))


def library_versions() -> dict[str, str]:
    """Return the versions of tomoseg, Python and the libraries that affect results."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  # slow to import

    versions = {"tomoseg": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
