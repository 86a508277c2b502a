"""What a file of masks or labels is: read by a thread before anything is imported from it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tomoseg_tui.core.mask_decoding import MOST_LABELS, ValueTally
from tomoseg_tui.core.names import IGNORE, check_feature_name
from tomoseg_tui.core.tiles import Place
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.io.formats import KNOWN_SUFFIXES, STACK_SUFFIXES, is_png, open_stack, open_volume
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import Annotated, label_map
from tomoseg_tui.workflow.volume_names import find_volume

__all__ = [
    "IGNORE",
    "KNOWN_SUFFIXES",
    "MOST_LABELS",
    "STACK_SUFFIXES",
    "LentFile",
    "MaskFile",
    "MasksWish",
    "look_at_masks",
]


@dataclass(frozen=True)
class LentFile:
    """A file that was exported, by its manifest."""

    tiles: int
    features: tuple[str, ...]
    """Those that were exported."""
    feature: str | None
    """Whose masks it holds; None where its name does not say."""
    files: int
    """How many files of masks come back at once."""


@dataclass(frozen=True)
class MaskFile:
    """A file that can be read, and what is in it."""

    path: Path
    shape_zyx: tuple[int, int, int]
    """Of the volume, or number of masks, y, x."""
    kind: str
    """Type of its values, in words."""
    voxels: Mapping[int, int] = field(default_factory=dict)
    """How many voxels have each value but 0; empty where nobody has counted."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Features of the values, where a label volume of ours tells them."""
    lent: LentFile | None = None
    """Set for what was exported and came back."""


@dataclass(frozen=True)
class MasksWish:
    """What is to be imported: a label volume or stack if `labels` has words, else masks of one feature."""

    path: Path
    tomogram: str | None
    """The tomogram whose tiles are annotated; None for `places`, or where a manifest tells the tiles."""
    places: tuple[Place, ...] = ()
    labels: tuple[str, ...] = ()
    """Words like ``1=microtubule``."""
    feature: str = ""
    """Of all masks; may be empty where a manifest tells it."""
    replace: bool = False
    lent: bool = False
    """A manifest tells the tiles."""

    def words(self) -> list[str]:
        """Return the arguments of the command that does the same."""
        what = [part for word in self.labels for part in _map_words(word)]
        what = what or (["--feature", self.feature] if self.feature else [])
        tiles = ["--tiles", *(place.id for place in self.places)] if self.places else []
        where = ["--tomogram", self.tomogram] if self.tomogram else tiles
        return ["annotations", "import", str(self.path), *where, *what, *(["--replace"] if self.replace else [])]

    def check(self) -> None:
        """Refuse what could not be carried out: raise `UsageError` or `ProjectError`."""
        if self.labels:
            label_map(self.labels)
        elif self.feature or not self.lent:
            check_feature_name(self.feature)

    def carry_out(self, project: Project) -> Annotated:
        """Import; takes a while, so only threads call it."""
        from tomoseg_tui.workflow.exchange.import_masks import MaskImport, take_masks  # noqa: PLC0415  # wakes every format

        labels = label_map(self.labels) if self.labels else None
        wish = MaskImport(
            self.path, self.tomogram, self.places, self.feature or None, labels=labels, replace=self.replace
        )
        return take_masks(project, wish)


def _map_words(word: str) -> list[str]:
    """Return the option of a label; one below 0 would be taken for an option of its own."""
    return [f"--map={word}"] if word.startswith("-") else ["--map", word]


def look_at_masks(
    path: Path, volume_shapes: Collection[tuple[int, int, int]], is_over: Callable[[], bool] = lambda: False
) -> MaskFile:
    """Open a file and tell what it is; count the labels if it lies on a tomogram's grid, or is a stack of tiles.

    Parameters
    ----------
    path : Path
        MRC, EMAN2 HDF5, TIFF, PNG or a folder of PNGs; a volume or a stack of images; or the manifest of an export.
    volume_shapes : collection of (z, y, x)
        Shapes of the tomograms that it could belong to.
    is_over : callable
        Asked now and then whether nobody wants the answer any more.

    Raises
    ------
    TomosegError
        If the file cannot be read.
    """
    lent = _look_at_lent(path)
    if lent is not None:
        return lent
    if is_png(path):
        return _look_at_stack(path)
    try:
        volume = open_volume(path, flat=True)
    except TomosegError:
        return _look_at_stack(path)  # a stack of images in an HDF5 file is no volume
    with volume:
        shape = volume.grid.shape_zyx
        tally = _tally(volume, is_over) if shape in volume_shapes or _may_be_tiles(shape) else ValueTally()
    names = find_volume(None, str(path)).labels
    known = {int(number): entry.feature for number, entry in names.labels.items()} if names is not None else {}
    return MaskFile(path, shape, volume.kind, tally.labels, known)


def _look_at_lent(path: Path) -> MaskFile | None:
    from tomoseg_tui.workflow.exchange.import_tiles import find_manifest  # noqa: PLC0415  # wakes every format

    found = find_manifest(path)
    if found is None:
        return None
    manifest = found.manifest
    lent = LentFile(len(manifest.tiles), manifest.features, found.files[0][0], len(found.files))
    return MaskFile(path, manifest.shape, manifest.form, lent=lent)


def _look_at_stack(path: Path) -> MaskFile:
    masks, tally = open_stack(path), ValueTally()
    tally.add(masks)
    count, height, width = masks.shape
    kind = "PNG" if is_png(path) else str(masks.dtype)
    return MaskFile(path, (count, height, width), kind, tally.labels)


def _may_be_tiles(shape_zyx: tuple[int, int, int]) -> bool:
    """Tell whether images can be tiles: square, their edge a multiple of 16 and not that of a tomogram."""
    return shape_zyx[1] == shape_zyx[2] and shape_zyx[1] % 16 == 0 and shape_zyx[1] <= 256


def _tally(volume: VolumeReader, is_over: Callable[[], bool]) -> ValueTally:
    """Count the values; nothing if nobody waits any more."""
    tally = ValueTally()
    for z in range(volume.grid.shape_zyx[0]):
        if is_over():
            return ValueTally()
        tally.add(volume.read_slices(z, z + 1))
        if tally.is_dense:
            break
    return tally
