"""The contents of a file of masks or labels: read by a thread before the import."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.tiles import ANNOTATIONS_IMPORT, FLIPS
from tomoseg_tui.core.label_map import parse_label_map
from tomoseg_tui.core.mask_decoding import MAX_LABELS, AmbiguousMaskError, ValueTally
from tomoseg_tui.core.names import IGNORE, check_feature_name
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.io.formats import STACK_SUFFIXES, SUPPORTED_SUFFIXES, is_png, open_stack, open_volume
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import AnnotationResult
from tomoseg_tui.workflow.volume_names import find_volume

if TYPE_CHECKING:
    from tomoseg_tui.workflow.exchange.import_masks import MaskImportRequest

__all__ = [
    "IGNORE",
    "MAX_LABELS",
    "STACK_SUFFIXES",
    "SUPPORTED_SUFFIXES",
    "ExportedFileInfo",
    "MaskFileInfo",
    "MaskImportChoice",
    "inspect_mask_file",
]


@dataclass(frozen=True)
class ExportedFileInfo:
    """An exported file, as its manifest describes it."""

    tiles: int
    features: tuple[str, ...]
    """The exported features."""
    feature: str | None
    """The feature of its masks; None if its name does not tell."""
    files: int
    """Number of mask files that are imported together."""


@dataclass(frozen=True)
class MaskFileInfo:
    """A readable file and its contents."""

    path: Path
    shape_zyx: tuple[int, int, int]
    """Of the volume, or (number of masks, y, x)."""
    kind: str
    """Data type as text."""
    voxels: Mapping[int, int] = field(default_factory=dict)
    """Number of voxels with each value except 0; empty if not counted, or too many to name each."""
    numbers: int = 0
    """Number of different values above 0."""
    mask_remark: str | None = None
    """What a mask of one feature is taken for; None if the values are labels, densities, or not counted."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Features of the values, if the file is a label volume written by tomoseg."""
    exported: ExportedFileInfo | None = None
    """Set for an export."""


@dataclass(frozen=True)
class MaskImportChoice:
    """What to import: a label volume or stack if `labels` is not empty, else masks of one feature."""

    path: Path
    tomogram: str | None
    """The tomogram whose tiles are annotated; None for `places`, or if a manifest lists the tiles."""
    places: tuple[TileLocation, ...] = ()
    labels: tuple[str, ...] = ()
    """Mappings such as ``1=microtubule``."""
    feature: str = ""
    """Feature of all masks; may be empty if a manifest has it."""
    replace: bool = False
    is_export: bool = False
    """A manifest lists the tiles."""
    flip: tuple[str, ...] = ()
    """Values of the option ``--flip``."""

    def argv(self) -> list[str]:
        """Return the arguments of the equivalent command."""
        tiles = () if self.tomogram else [location.id for location in self.places]
        feature = None if self.labels else self.feature or None
        return to_argv(ANNOTATIONS_IMPORT, self, tiles=tiles, feature=feature)

    def check(self) -> None:
        """Raise `UsageError` or `ProjectError` for an invalid choice."""
        unknown = set(self.flip) - set(FLIPS)
        if unknown:
            raise UsageError(f"{', '.join(sorted(unknown))} is no flip.", f"Write some of: {', '.join(FLIPS)}.")
        if self.labels:
            parse_label_map(self.labels)
        elif self.feature or not self.is_export:
            check_feature_name(self.feature)

    def request(self) -> "MaskImportRequest":
        """Return the request that the command makes too."""
        from tomoseg_tui.workflow.exchange.import_masks import MaskImportRequest  # noqa: PLC0415  # wakes every format

        labels = parse_label_map(self.labels) if self.labels else None
        return MaskImportRequest(
            self.path,
            self.tomogram,
            self.places,
            self.feature or None,
            labels=labels,
            replace=self.replace,
            flip=self.flip,
        )

    def run_import(self, project: Project) -> AnnotationResult:
        """Import; slow, so only threads call it."""
        from tomoseg_tui.workflow.exchange.import_masks import import_masks_from_file  # noqa: PLC0415  # as above

        return import_masks_from_file(project, self.request())


def inspect_mask_file(
    path: Path, volume_shapes: Collection[tuple[int, int, int]], is_cancelled: Callable[[], bool] = lambda: False
) -> MaskFileInfo:
    """Open and describe a file; count the labels if it is on the grid of a tomogram or is a stack of tiles.

    Parameters
    ----------
    path : Path
        MRC, EMAN2 HDF5, TIFF, PNG or a folder of PNGs; a volume or a stack of images; or the manifest of an export.
    volume_shapes : collection of (z, y, x)
        Shapes of the tomograms that it may belong to.
    is_cancelled : callable
        Polled; if it returns true, counting stops.

    Raises
    ------
    TomosegError
        If the file cannot be read.
    """
    exported = _inspect_export(path)
    if exported is not None:
        return exported
    if is_png(path):
        return _inspect_stack(path)
    try:
        volume = open_volume(path, flat=True)
    except TomosegError:
        return _inspect_stack(path)  # a stack of images in an HDF5 file is not a volume
    with volume:
        shape = volume.grid.shape_zyx
        tally = ValueTally()
        if shape in volume_shapes or _may_be_tiles(shape):
            tally.add_slices(volume, is_cancelled)
        if is_cancelled():
            tally = ValueTally()
    label_names = find_volume(None, str(path)).labels
    value_names = (
        {int(number): entry.feature for number, entry in label_names.labels.items()} if label_names is not None else {}
    )
    return _describe(path, shape, volume.kind, tally, value_names)


def _inspect_export(path: Path) -> MaskFileInfo | None:
    from tomoseg_tui.workflow.exchange.import_tiles import find_manifest  # noqa: PLC0415  # wakes every format

    files = find_manifest(path)
    if files is None:
        return None
    manifest = files.manifest
    exported = ExportedFileInfo(len(manifest.tiles), manifest.features, files.files[0][0], len(files.files))
    return MaskFileInfo(path, manifest.shape, manifest.form, exported=exported)


def _inspect_stack(path: Path) -> MaskFileInfo:
    masks, tally = open_stack(path), ValueTally()
    tally.add(masks)
    count, height, width = masks.shape
    kind = "PNG" if is_png(path) else str(masks.dtype)
    return _describe(path, (count, height, width), kind, tally)


def _describe(
    path: Path,
    shape_zyx: tuple[int, int, int],
    kind: str,
    tally: ValueTally,
    names: Mapping[int, str] = MappingProxyType({}),
) -> MaskFileInfo:
    try:
        remark: str | None = tally.rule("It").remark
    except AmbiguousMaskError:
        remark = None
    numbers = sum(number > tally.zero for number in tally.numbers)
    return MaskFileInfo(path, shape_zyx, kind, tally.labels, numbers, remark, names)


def _may_be_tiles(shape_zyx: tuple[int, int, int]) -> bool:
    """Return whether images can be tiles: square, with an edge that is a multiple of 16 and not that of a tomogram."""
    return shape_zyx[1] == shape_zyx[2] and shape_zyx[1] % 16 == 0 and shape_zyx[1] <= 256
