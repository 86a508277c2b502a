"""Take masks and labels from any file: one that was exported goes by its manifest, others by shape and by words."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import NOT_LOOKED_AT, layer_of_labels, layer_of_mask
from tomoseg_tui.core.mask_decoding import COLOUR, AmbiguousMaskError, ValueTally
from tomoseg_tui.core.tiles import Place
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.io.formats import is_png, open_stack, open_volume
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import (
    Annotated,
    LabelMap,
    TileLayer,
    check_grid,
    cut_slice,
    import_label_volume,
    import_masks,
    read_stack_for,
    take_layers,
)
from tomoseg_tui.workflow.exchange.import_tiles import ReturnWish, find_manifest, take_back

Progress = Callable[[float], None]


@dataclass(frozen=True)
class MaskImport:
    """A file, and what the user has said of it."""

    path: Path
    tomogram: str | None = None
    """Whose tiles are meant."""
    places: tuple[Place, ...] = ()
    """Tiles of a stack, instead of a tomogram's."""
    feature: str | None = None
    labels: LabelMap | None = None
    """Which value means what; None: it is one feature, and the numbers speak for themselves."""
    manifest: Path | None = None
    image: Path | None = None
    """Densities that came back with the masks."""
    replace: bool = False

    @property
    def command(self) -> str:
        """The command so far, to which the user may add what is missing."""
        where = ["--tomogram", self.tomogram] if self.tomogram else []
        where += ["--tiles", *(place.id for place in self.places)] if self.places else []
        return shlex.join(["tomoseg", "annotations", "import", str(self.path), *where])


def take_masks(project: Project, wish: MaskImport, on_progress: Progress = lambda _done: None) -> Annotated:
    """Take what a file says of tiles.

    Without tiles or a tomogram a manifest must tell them. With a tomogram, a file on its grid is a volume, anything
    else a stack of masks in the order of its tiles.

    Raises
    ------
    UsageError
        If it is not said what the file shows, which its values then are; AmbiguousMaskError among them.
    ShapeError
        If shape, length, order or direction differ.
    """
    project.refuse_newer()
    if not wish.tomogram and not wish.places:
        return _by_manifest(project, wish)
    if wish.manifest is not None:
        raise UsageError("The manifest says which tiles there are.", "Leave --tiles and --tomogram away.")
    if wish.feature is None and wish.labels is None:
        raise _not_said(wish)
    if wish.tomogram is not None and not wish.places and _lies_on(project, wish.path, wish.tomogram):
        if wish.labels is not None:
            return import_label_volume(
                project, wish.path, wish.tomogram, wish.labels, replace=wish.replace, on_progress=on_progress
            )
        return _import_mask_volume(project, wish, wish.tomogram, wish.feature or "")
    places = wish.places or tuple(tile.place for tile in catalog.tiles_of(project.layout, wish.tomogram or ""))
    if wish.labels is None:
        feature = wish.feature or ""
        return import_masks(project, wish.path, feature, places, replace=wish.replace, command=wish.command)
    return _import_label_stack(project, wish, wish.labels, places)


def _by_manifest(project: Project, wish: MaskImport) -> Annotated:
    found = find_manifest(wish.path, wish.manifest)
    if found is not None:
        back = ReturnWish(wish.path, wish.manifest, wish.image, wish.feature, wish.labels, wish.replace)
        return take_back(project, back, found)
    if wish.labels is not None:
        raise UsageError("The tomogram of the label volume is not named.", "Name it: --tomogram T")
    if wish.feature is not None:
        raise UsageError("The tiles of the masks are not named.", "Name --tiles ID... or --tomogram T, one of them.")
    raise _not_said(wish)


def _not_said(wish: MaskImport) -> UsageError:
    """Say that the feature is not named; where the file can be read, with the values that want a name."""
    fix = "A label volume: --tomogram T --map 1=F; a stack of masks: --feature F --tomogram T, or --tiles ID..."
    try:
        tally_of(wish.path).rule(wish.path.name, wish.command)
    except AmbiguousMaskError as fault:
        return fault
    except (TomosegError, OSError):
        return UsageError("It is not said what the file shows.", fix)
    return UsageError(f"It is not said what {wish.path.name} shows.", f"Say it: {wish.command} --feature F")


def tally_of(path: Path, is_over: Callable[[], bool] = lambda: False) -> ValueTally:
    """Count the values of a volume or a stack of masks, slice by slice.

    Raises
    ------
    TomosegError
        If the file cannot be read.
    """
    tally = ValueTally()
    if not is_png(path):
        try:
            with open_volume(path, flat=True) as volume:
                _tally_slices(tally, volume, is_over)
        except TomosegError:
            tally = ValueTally()  # a stack of images in an HDF5 file is no volume
        else:
            return tally
    tally.add(open_stack(path))
    return tally


def _tally_slices(tally: ValueTally, volume: VolumeReader, is_over: Callable[[], bool]) -> None:
    for z in range(volume.grid.shape_zyx[0]):
        if is_over():
            return
        tally.add(volume.read_slices(z, z + 1))


def _lies_on(project: Project, path: Path, tomogram: str) -> bool:
    """Tell whether a file is to be taken as a volume on the grid of a tomogram; one that is no stack either is."""
    record = catalog.tomogram(project.layout, tomogram)
    tiles = catalog.tiles_of(project.layout, tomogram)
    if is_png(path):
        return False
    try:
        with open_volume(path, flat=True) as volume:
            shape = volume.grid.shape_zyx
    except TomosegError:
        return not path.is_file()
    edges = {tile.place.size for tile in tiles}
    return shape == record.shape_zyx or shape[1] != shape[2] or shape[1] not in edges


def _import_mask_volume(project: Project, wish: MaskImport, tomogram: str, feature: str) -> Annotated:
    """Cut a volume that holds one feature at the tiles of its tomogram."""
    record = catalog.tomogram(project.layout, tomogram)
    tiles, remarks = catalog.tiles_of(project.layout, tomogram), Annotated()
    with open_volume(wish.path) as volume:
        check_grid(wish.path, volume, tomogram, record, remarks)
        rule = tally_of(wish.path).rule(wish.path.name, wish.command)
        layers = []
        for tile in tiles:
            values, inside = cut_slice(volume, tile.place)
            layer = layer_of_mask(rule.takes(values))
            layer[~inside] = NOT_LOOKED_AT
            layers.append(TileLayer(tile.place, feature, layer))
    done = take_layers(project, layers, wish.path.name, replace=wish.replace)
    said = [remark for remark in remarks.remarks if "rounded" not in remark]
    return replace(done, remarks=[*said, *([rule.remark] if rule.remark else []), *done.remarks])


def _import_label_stack(project: Project, wish: MaskImport, labels: LabelMap, places: Sequence[Place]) -> Annotated:
    """Take a stack whose values are several features, one image a tile."""
    coloured = any(value >= COLOUR for value in labels.values)
    tiles, stack = read_stack_for(project, wish.path, places, colours=coloured)
    whole: NDArray[Any] = np.rint(np.nan_to_num(stack.astype(np.float64))).astype(np.int64)
    ignored, inside = np.array(labels.ignored, np.int64), np.ones(stack.shape[1:], np.bool_)
    layers = [
        TileLayer(tile.place, feature, layer_of_labels(image, np.array(wanted, np.int64), ignored, inside))
        for feature, wanted in labels.features.items()
        for tile, image in zip(tiles, whole, strict=True)
    ]
    return take_layers(project, layers, wish.path.name, replace=wish.replace)
