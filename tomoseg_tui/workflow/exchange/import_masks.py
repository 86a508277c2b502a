"""Import masks and labels from any file: exported files by their manifest, others by their shape and options."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomoseg_tui.core.annotation import FEATURE, UNLABELLED, layer_from_mask
from tomoseg_tui.core.image_matching import Turn
from tomoseg_tui.core.label_map import LabelMap, match_labels
from tomoseg_tui.core.mask_decoding import AmbiguousMaskError, ValueTally, format_value_counts
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.io.formats import is_png, open_stack, open_volume
from tomoseg_tui.io.turned_volume import TurnedVolume
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import (
    AnnotationResult,
    TileLayer,
    check_grid,
    empty_mask_error,
    import_label_volume,
    import_masks,
    layers_from_numbers,
    read_mask_stack,
    read_tile_values,
    require_direction,
    store_layers,
)
from tomoseg_tui.workflow.exchange.import_tiles import TileImportRequest, find_manifest, import_exported_tiles

Progress = Callable[[float], None]


@dataclass(frozen=True)
class MaskImportRequest:
    """A file of masks or labels, and the user's options."""

    path: Path
    tomogram: str | None = None
    """Tomogram whose tiles are annotated."""
    places: tuple[TileLocation, ...] = ()
    """Tiles of a stack, instead of all tiles of a tomogram."""
    feature: str | None = None
    labels: LabelMap | None = None
    """The feature of each value; None for masks of one feature in any program's values."""
    manifest: Path | None = None
    image: Path | None = None
    """Densities that were returned with the masks."""
    replace: bool = False
    flip: tuple[str, ...] = ()
    """``y``, ``x``, ``z``, ``transpose``: how the file is flipped, as the user says; ``none`` if it is not."""

    @property
    def turn(self) -> Turn:
        """How to undo the flips.

        Raises
        ------
        UsageError
            If ``none`` and flips are given together.
        """
        if "none" in self.flip and set(self.flip) != {"none"}:
            raise UsageError("--flip none and other flips are given together.", "Leave one of them out.")
        z, y, x = (-1 if axis in self.flip else 1 for axis in "zyx")
        return Turn("transpose" in self.flip, (z, y, x))

    @property
    def command(self) -> str:
        """The equivalent command, to be completed by the user."""
        options = ["--tomogram", self.tomogram] if self.tomogram else []
        options += ["--tiles", *(location.id for location in self.places)] if self.places else []
        return shlex.join(["tomoseg", "annotations", "import", str(self.path), *options])


def import_masks_from_file(
    project: Project, request: MaskImportRequest, on_progress: Progress = lambda _done: None
) -> AnnotationResult:
    """Import a file of masks or labels.

    Without tiles or a tomogram a manifest is needed. With a tomogram, a file on its grid is a volume, and any other
    file a stack of masks in the order of its tiles.

    Raises
    ------
    UsageError
        If tiles or features are not given; AmbiguousMaskError if the file has several values.
    ShapeError
        If shape, length, order or orientation differ.
    """
    project.require_current_format()
    if not request.tomogram and not request.places:
        return _import_by_manifest(project, request)
    if request.manifest is not None:
        raise UsageError("The manifest names the tiles.", "Leave --tiles and --tomogram out.")
    if request.feature is None and request.labels is None:
        raise _missing_meaning_error(request)
    if request.tomogram is not None and not request.places and _is_volume_on(project, request.path, request.tomogram):
        if request.labels is not None:
            return import_label_volume(
                project,
                request.path,
                request.tomogram,
                request.labels,
                replace=request.replace,
                on_progress=on_progress,
                turn=request.turn if request.flip else None,
            )
        return _import_mask_volume(project, request, request.tomogram, request.feature or "")
    locations = request.places or tuple(
        tile.location for tile in catalog.tiles_of(project.layout, request.tomogram or "")
    )
    if request.labels is None:
        feature = request.feature or ""
        return import_masks(
            project,
            request.path,
            feature,
            locations,
            replace=request.replace,
            command=request.command,
            turn=request.turn,
        )
    return _import_label_stack(project, request, request.labels, locations)


def _import_by_manifest(project: Project, request: MaskImportRequest) -> AnnotationResult:
    match = find_manifest(request.path, request.manifest)
    if match is not None:
        tile_import = TileImportRequest(
            request.path,
            request.manifest,
            request.image,
            request.feature,
            request.labels,
            request.replace,
            request.turn,
        )
        return import_exported_tiles(project, tile_import, match)
    if request.labels is not None:
        raise UsageError("The tomogram of the label volume is not named.", "Name it: --tomogram T")
    if request.feature is not None:
        raise UsageError("The tiles of the masks are not named.", "Name them: --tiles ID..., or --tomogram T")
    raise _missing_meaning_error(request)


def _missing_meaning_error(request: MaskImportRequest) -> UsageError:
    """Return the error that no feature is named, with the values of the file if it can be read."""
    fix = "Give --tomogram T --map 1=F for a label volume, --feature F --tomogram T (or --tiles ID...) for masks."
    try:
        tally_values(request.path).rule(request.path.name, request.command)
    except AmbiguousMaskError as fault:
        return fault
    except (TomosegError, OSError):
        return UsageError("The feature of the file is not named.", fix)
    return UsageError(f"The feature of {request.path.name} is not named.", f"Name it: {request.command} --feature F")


def tally_values(path: Path, is_cancelled: Callable[[], bool] = lambda: False) -> ValueTally:
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
                tally.add_slices(volume, is_cancelled)
        except TomosegError:
            tally = ValueTally()  # a stack of images in an HDF5 file is not a volume
        else:
            return tally
    tally.add(open_stack(path))
    return tally


def _is_volume_on(project: Project, path: Path, tomogram: str) -> bool:
    """Return whether to read a file as a volume on the tomogram's grid; also if it cannot be a stack of its tiles."""
    record = catalog.load_tomogram(project.layout, tomogram)
    tiles = catalog.tiles_of(project.layout, tomogram)
    if is_png(path):
        return False
    try:
        with open_volume(path, flat=True) as volume:
            shape = volume.grid.shape_zyx
    except TomosegError:
        return not path.is_file()
    edges = {tile.location.size for tile in tiles}
    return shape == record.shape_zyx or shape[1] != shape[2] or shape[1] not in edges


def _import_mask_volume(project: Project, request: MaskImportRequest, tomogram: str, feature: str) -> AnnotationResult:
    """Annotate the tiles of a tomogram from a volume of one feature."""
    record = catalog.load_tomogram(project.layout, tomogram)
    tiles, grid_result = catalog.tiles_of(project.layout, tomogram), AnnotationResult()
    with TurnedVolume(open_volume(request.path), request.turn) as volume:
        check_grid(request.path, volume, tomogram, record, grid_result)
        if not request.flip:
            require_direction(project, tomogram, record, volume)
        tally = tally_values(request.path)
        rule = tally.rule(request.path.name, request.command)
        if rule.is_empty:
            raise empty_mask_error(request.path, rule.remark, feature)
        layers = []
        for tile in tiles:
            values, inside = read_tile_values(volume, tile.location)
            layer = layer_from_mask(rule.to_mask(values))
            layer[~inside] = UNLABELLED
            layers.append(TileLayer(tile.location, feature, layer))
    if not any((tile_layer.layer == FEATURE).any() for tile_layer in layers):
        grid_result.remarks.append(f"None of the voxels of {feature} lies in a tile.")
    result = store_layers(project, layers, request.path.name, replace=request.replace)
    grid_remarks = [remark for remark in grid_result.remarks if "rounded" not in remark]
    if rule.remark:
        return replace(result, remarks=[*grid_remarks, rule.remark, *result.remarks])
    interpretation = f"{request.path.name}: {feature} is {format_value_counts(tally.labels)}."
    return replace(result, remarks=[*grid_remarks, *result.remarks], interpretations=[interpretation])


def _import_label_stack(
    project: Project, request: MaskImportRequest, labels: LabelMap, locations: Sequence[TileLocation]
) -> AnnotationResult:
    """Import a stack with several features, one image per tile."""
    tiles, stack = read_mask_stack(project, request.path, locations, colours=labels.has_colours)
    stack = request.turn.undo(stack)
    tally = ValueTally()
    tally.add(stack)
    matched = match_labels(labels, tally, request.path.name)
    inside = np.ones(stack.shape[1:], np.bool_)
    layers = [
        TileLayer(tile.location, feature, layer)
        for tile, image in zip(tiles, stack, strict=True)
        for feature, layer in layers_from_numbers(matched, image, inside).items()
    ]
    result = store_layers(project, layers, request.path.name, replace=request.replace)
    return replace(result, interpretations=[matched.summary])
