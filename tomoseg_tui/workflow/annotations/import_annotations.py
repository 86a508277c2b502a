"""Import annotations from a label volume or a stack of masks, set the state of one tile, and list annotations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, Layer, layer_from_labels, layer_from_mask
from tomoseg_tui.core.grid import SAME_SIZE_TOLERANCE, differs_in_size
from tomoseg_tui.core.image_matching import VOLUME_ORIENTATIONS, Turn
from tomoseg_tui.core.label_map import LabelMap, MatchedLabels, match_labels
from tomoseg_tui.core.mask_decoding import ValueTally, foreground_mask
from tomoseg_tui.core.names import check_feature_name
from tomoseg_tui.core.outline_fit import better_orientation, outline_contrasts, rims_of
from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.errors import ProjectError, ShapeError, UsageError
from tomoseg_tui.io.formats import open_stack, open_volume
from tomoseg_tui.io.turned_volume import TurnedVolume
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import LayerReplacements, read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.changes import change_files
from tomoseg_tui.project.file_state import open_tomogram
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.paint_locks import read_paint_lock_owner, require_not_painted
from tomoseg_tui.project.records import Damage, LayerSource, StateRecord, TomogramRecord, now, read_each, read_states
from tomoseg_tui.workflow.annotations.paint_session import PaintSession

DIRECTION_SLICES = 12
"""Slices in which the direction of a volume is checked, beside those with tiles."""


@dataclass
class AnnotationResult:
    """Result of importing annotations."""

    annotated: int = 0
    """Number of layers that have the feature, or were wanted."""
    none_here: int = 0
    """Number of tiles newly marked as holding none of the feature."""
    skipped: list[str] = field(default_factory=list)
    """Tiles that were not changed, with the reason."""
    new_features: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    interpretations: list[str] = field(default_factory=list)
    """Which values of a file were taken for which feature."""


def import_label_volume(
    project: Project,
    path: Path,
    tomogram: str,
    labels: LabelMap,
    *,
    replace: bool = False,
    on_progress: Callable[[float], None] = lambda _done: None,
    turn: Turn | None = None,
) -> AnnotationResult:
    """Annotate the tiles of a tomogram from a label volume.

    Every tile is then fully labelled for every mapped feature; other values count as not feature. A tile that is marked
    "none here" but has labelled pixels is not changed but listed; if an import has marked it, `replace` changes it.

    Parameters
    ----------
    path : Path
        Volume of integers on the tomogram's grid.
    tomogram : str
        Name of the tomogram; tiles that it shares with other versions are annotated too.
    labels : LabelMap
        The numbers of each feature.
    replace : bool
        Replace painted layers; the old ones are moved to the trash.
    on_progress : callable
        Called with the share done, from 0 to 1.
    turn : Turn or None
        Undoes the flips that the user knows of; None if the user has not said anything.

    Raises
    ------
    ShapeError
        If the volume's shape differs from the tomogram's, or it fits the densities much better flipped.
    ProjectError
        If the tomogram is unknown or has no tiles.
    UsageError
        If a mapped number is nowhere in the volume; nothing is written then.
    """
    project.require_current_format()
    record = catalog.load_tomogram(project.layout, tomogram)
    tiles = _tiles_to_annotate(project, tomogram)
    result, tally = AnnotationResult(), ValueTally()
    with TurnedVolume(open_volume(path), turn or Turn()) as volume:
        check_grid(path, volume, tomogram, record, result)
        if turn is None:
            require_direction(project, tomogram, record, volume)
        tally.add_slices(volume)
        matched = match_labels(labels, tally, path.name)
        layers = [
            TileLayer(tile.location, feature, layer)
            for tile in tiles
            for feature, layer in layers_from_numbers(matched, *read_tile_values(volume, tile.location)).items()
        ]
    result.interpretations.append(matched.summary)
    for feature in matched.features:
        if not any((found.layer == FEATURE).any() for found in layers if found.feature == feature):
            result.remarks.append(f"None of the {matched.voxels[feature]:,} voxels of {feature} lies in a tile.")
    return store_layers(project, layers, path.name, replace=replace, result=result, on_progress=on_progress)


def layers_from_numbers(
    matched: MatchedLabels, values: NDArray[np.generic], inside: NDArray[np.bool_]
) -> dict[str, Layer]:
    """Return the layer of each feature on a tile from the values of a file; 0 where `inside` is False."""
    numbers = np.rint(np.nan_to_num(values.astype(np.float64))).astype(np.int64)
    return {
        feature: layer_from_labels(numbers, held, matched.ignored, inside) for feature, held in matched.features.items()
    }


def require_direction(project: Project, tomogram: str, record: TomogramRecord, volume: VolumeReader) -> None:
    """Raise ShapeError if the outlines in a volume of masks fit the densities much better flipped or turned."""
    depth, height, width = record.shape_zyx
    even = {(2 * index + 1) * depth // (2 * DIRECTION_SLICES) for index in range(min(depth, DIRECTION_SLICES))}
    tile_slices = sorted({tile.location.z for tile in catalog.tiles_of(project.layout, tomogram)})[:DIRECTION_SLICES]
    contrasts: dict[str, list[float]] = {
        name: [] for name, turn in VOLUME_ORIENTATIONS.items() if height == width or not turn.is_transposed
    }
    with open_tomogram(project.layout, tomogram, record) as densities:
        for z in sorted(even | {z for z in tile_slices if 0 <= z < depth}):
            values = volume.read_slices(z, z + 1)[0]
            rims = np.stack(rims_of(values != min(0, values.min())))  # (2, y, x); signed bytes may have -128 for 0
            if not rims[0].any():
                continue
            planes = {at: densities.read_slices(at, at + 1)[0] for at in {z, depth - 1 - z}}
            for name, cells in contrasts.items():
                turn = VOLUME_ORIENTATIONS[name]
                is_reversed = turn.steps_zyx[0] < 0
                inside, outside = turn.undo(rims)[:: -1 if is_reversed else 1]
                plane = planes[depth - 1 - z if is_reversed else z]
                cells.extend(outline_contrasts(plane, inside, outside) / record.sigma)
    better = better_orientation(contrasts)
    if better is not None:
        name, contrast, present = better
        flips = " ".join(f"--flip {flip}" for flip in VOLUME_ORIENTATIONS[name].flips)
        raise ShapeError(
            f"{volume.path.name} fits the densities of {tomogram} much better {name}: they change by {contrast:.2f} "
            f"sigma at its outlines, as it is by {present:.2f}.",
            f"Say how it is: {flips}, or --flip none to take it as it is.",
        )


def import_masks(
    project: Project,
    path: Path,
    feature: str,
    locations: Sequence[TileLocation],
    *,
    replace: bool = False,
    command: str = "",
    turn: Turn = Turn(),  # noqa: B008  # frozen
) -> AnnotationResult:
    """Import a stack of masks, one per tile, in the order of the tiles.

    `core.mask_decoding` decides on the meaning of the values; `command` is the user's command, for its messages; `turn`
    undoes the flips that the user knows of.

    Raises
    ------
    AmbiguousMaskError
        If the file has several values and none is known to be the feature.
    UsageError
        If no pixel is marked.
    ShapeError
        If the stack and the list of tiles differ in length, or its images do not have the tiles' size.
    """
    project.require_current_format()
    check_feature_name(feature)
    tiles, stack = read_mask_stack(project, path, locations)
    stack = turn.undo(stack)
    masks, remark = foreground_mask(stack, name=path.name, command=command)
    if not masks.any():
        raise empty_mask_error(path, remark, feature)
    layers = [TileLayer(tile.location, feature, layer_from_mask(mask)) for tile, mask in zip(tiles, masks, strict=True)]
    result = store_layers(project, layers, path.name, replace=replace)
    if remark:
        result.remarks.insert(0, remark)
    return result


def empty_mask_error(path: Path, remark: str, feature: str) -> UsageError:
    """Return the error for a file that marks no pixel: all its tiles would become negative."""
    return UsageError(
        remark or f"{path.name} marks no pixel of {feature}.",
        f"For a tile without it: tomoseg annotations set ID --feature {feature} --none",
    )


def read_mask_stack(
    project: Project, path: Path, locations: Sequence[TileLocation], *, colours: bool = False
) -> tuple[list[Tile], NDArray[Any]]:
    """Read a stack of masks, one per tile; return the tiles in the order of `tiles list`, and the stack (n, y, x).

    Raises
    ------
    ShapeError
        If the stack and the list of tiles differ in length.
    ProjectError
        If a tile is unknown.
    """
    tiles_by_place = {
        tile.location: tile for tile in (catalog.require_tile(project.layout, location) for location in locations)
    }
    tiles = [tiles_by_place[location] for location in sorted(tiles_by_place)]  # not in the order of the arguments
    stack = open_stack(path, colours=colours)  # (n, y, x)
    if len(stack) != len(tiles):
        raise ShapeError(
            f"{path.name} contains {len(stack)} masks, but there are {len(tiles)} tiles.",
            "Give one mask per tile, in the order of `tomoseg tiles list`.",
        )
    return tiles, stack


@dataclass(frozen=True, eq=False)
class TileLayer:
    """An imported layer of one feature on one tile."""

    location: TileLocation
    feature: str
    layer: Layer
    """Shape (size, size): 0 unlabelled, 1 not feature, 2 feature, 3 ignore."""


def store_layers(
    project: Project,
    layers: Sequence[TileLayer],
    file_name: str,
    *,
    replace: bool = False,
    result: AnnotationResult | None = None,
    on_progress: Callable[[float], None] = lambda _done: None,
) -> AnnotationResult:
    """Write layers of tiles and the resulting states, all or none.

    As in every import, new features are added; a tile without a state becomes annotated if it has the feature, else
    none here; tiles marked "none here" that have the feature, and painted layers without `replace`, are not changed
    but listed.

    Parameters
    ----------
    layers : sequence of TileLayer
        In any order; a location may be on another version on the tile's grid.
    file_name : str
        Source of the layers, for the records.
    replace : bool
        Replace painted layers; the old ones are moved to the trash.
    result : AnnotationResult or None
        What is known of the import so far; it is extended and returned.
    on_progress : callable
        Called with the share done, from 0 to 1.

    Raises
    ------
    ProjectError
        If a tile is unknown or the name of a feature is invalid; nothing is written then.
    ShapeError
        If a layer does not have its tile's size; nothing is written then.
    """
    project.require_current_format()
    tiles = {
        location: catalog.require_tile(project.layout, location)
        for location in {tile_layer.location for tile_layer in layers}
    }
    for tile_layer in layers:
        check_feature_name(tile_layer.feature)
        if tile_layer.layer.shape != (tile_layer.location.size, tile_layer.location.size):
            raise ShapeError(
                f"The masks of {file_name} have shape {tile_layer.layer.shape}, "
                f"{tile_layer.location.id} is {tile_layer.location.size} wide.",
                "Give masks of the tiles' size.",
            )
    result = result or AnnotationResult()
    layout, source = project.layout, LayerSource("imported", file_name, now())
    folders = {layout.tile_folder(tile.location) for tile in tiles.values()}
    with change_files(layout, tile_folders=folders) as change:
        result.new_features += catalog.stage_features(layout, change, (found.feature for found in layers))
        replacements = LayerReplacements(layout, change, project.new_trash_folder())
        unique = {(tiles[found.location].location, found.feature): found for found in layers}
        for index, ((location, feature), found) in enumerate(unique.items()):
            painter = read_paint_lock_owner(layout, location)
            if painter is not None:
                result.skipped.append(f"{location.id} is being painted by {painter}: left as it is.")
            else:
                current = TileLayer(location, feature, found.layer)
                _store_layer(layout, current, source, result, replacements, replace=replace)
            on_progress((index + 1) / len(unique))
    return result


def _tiles_to_annotate(project: Project, tomogram: str) -> list[Tile]:
    tiles = catalog.tiles_of(project.layout, tomogram)
    if not tiles:
        raise ProjectError(
            f"{tomogram} has no tiles to annotate.", f"Place some: tomoseg tiles add {tomogram} --at X,Y,Z --feature F"
        )
    return tiles


def check_grid(path: Path, volume: VolumeReader, name: str, record: TomogramRecord, result: AnnotationResult) -> None:
    """Raise ShapeError for a volume of another shape than the tomogram's; add remarks on other differences."""
    grid = volume.grid
    if grid.shape_zyx != record.shape_zyx:
        raise ShapeError(
            f"{path.name} has shape {grid.shape_zyx}, the tomogram {name} has {record.shape_zyx} (z, y, x).",
            "Give labels on the tomogram's own grid.",
        )
    if not np.issubdtype(volume.dtype, np.integer):
        result.remarks.append(f"{path.name} contains {volume.dtype} values; they are rounded to integer labels.")
    if differs_in_size(grid.voxel_size_angstrom, record.voxel_size_angstrom, tolerance=SAME_SIZE_TOLERANCE):
        result.remarks.append(
            f"{path.name} has {grid.voxel_size_angstrom:g} Å/voxel, {name} has {record.voxel_size_angstrom:g}; "
            "labels are assigned voxel by voxel."
        )
    if not np.allclose(grid.origin_xyz_angstrom, record.origin_xyz_angstrom, atol=0.01 * record.voxel_size_angstrom):
        result.remarks.append(
            f"{path.name} has its origin at {grid.origin_xyz_angstrom} Å, {name} at {record.origin_xyz_angstrom}; "
            "labels are assigned voxel by voxel."
        )


def read_tile_values(volume: VolumeReader, location: TileLocation) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Return a volume's values within a tile, 0 outside, and which pixels are inside; each of shape (size, size)."""
    _, ny, nx = volume.grid.shape_zyx
    z, top, left = location.corner_zyx
    y0, y1, x0, x1 = max(top, 0), min(top + location.size, ny), max(left, 0), min(left + location.size, nx)
    values = np.zeros((location.size, location.size), volume.dtype)
    inside = np.zeros((location.size, location.size), np.bool_)
    window = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    values[window] = volume.read_region((z, y0, x0), (1, y1 - y0, x1 - x0))[0]
    inside[window] = True
    return values, inside


def _store_layer(
    layout: ProjectLayout,
    found: TileLayer,
    source: LayerSource,
    result: AnnotationResult,
    replacements: LayerReplacements,
    *,
    replace: bool,
) -> None:
    """Write one layer and the resulting state, or record why not."""
    location, feature, layer = found.location, found.feature, found.layer
    tile = catalog.tile_at(layout, location)
    if not tile.states:
        raise ProjectError(f"There is no tile {location.id} any more.", "List the tiles: tomoseg tiles list")
    count = int((layer == FEATURE).sum())
    state, own = tile.state_of(feature), read_states(layout, location).get(feature)
    imported_from = own.imported_from if own is not None else None
    may_change = replace and imported_from is not None
    if state is FeatureState.NONE_HERE and not may_change:
        if count and imported_from is not None:
            result.skipped.append(
                f"{location.id} was marked as holding no {feature} by the import of {imported_from}, but {count} "
                "of its pixels are labelled: left as it is without --replace."
            )
        elif count:
            result.skipped.append(
                f"{location.id} is marked as holding no {feature}, but {count} of its pixels are labelled: "
                "left as it is."
            )
        return
    # A state that no person has set follows from the file.
    decides = state is None or may_change
    file = source.file if decides else imported_from
    if decides and not count:
        replacements.add(location, feature, StateRecord(FeatureState.NONE_HERE, now(), None, file), None)
        result.none_here += 1
        return
    if own is not None and own.layer is not None and own.layer.kind == "painted" and not replace:
        stored_layer = read_layer(layout, location, feature)
        if stored_layer is not None and np.array_equal(stored_layer, layer):  # equal, so it stays a painted layer
            result.annotated += 1
            return
        result.skipped.append(f"{location.id} has {feature} painted by a person: left as it is without --replace.")
        return
    replacements.add(location, feature, StateRecord(FeatureState.ANNOTATED, now(), source, file), layer)
    if not count:
        result.remarks.append(f"{location.id} is wanted for {feature}, but none of its pixels is {feature}.")
    result.annotated += 1


def set_none_here(project: Project, location: TileLocation, feature: str) -> None:
    """Mark a tile as holding none of a feature; an existing layer is moved to the trash."""
    project.require_current_format()
    catalog.require_feature(project, feature)
    layout, location = project.layout, catalog.require_tile(project.layout, location).location
    with change_files(layout, tile_folders=[layout.tile_folder(location)]) as change:
        catalog.require_tile(layout, location)
        require_not_painted(layout, location)
        replacements = LayerReplacements(layout, change, project.new_trash_folder())
        replacements.add(location, feature, StateRecord(FeatureState.NONE_HERE, now()), None)


def set_done(project: Project, location: TileLocation, feature: str) -> int:
    """Mark a tile as annotated, with unlabelled pixels as not feature; return the number of feature pixels."""
    catalog.require_feature(project, feature)
    with PaintSession.open(project, location, features=[feature]) as session:
        session.mark_done(feature)
        session.save()
        return int((session.layers[feature] == FEATURE).sum())


def annotation_listing(project: Project, damage: Damage | None = None) -> list[dict[str, object]]:
    """Return tile, feature, state, pixels of each value and source of every layer of the project."""
    layout = project.layout
    layers = (
        (location, feature, record)
        for name in catalog.tomogram_names(layout)
        for location in catalog.tile_locations(layout, name)
        for feature, record in sorted(read_states(layout, location, damage).items())
    )
    return [row for _, row in read_each(layers, lambda layer: _layer_listing(layout, *layer), damage)]


def _layer_listing(
    layout: ProjectLayout, location: TileLocation, feature: str, record: StateRecord
) -> dict[str, object]:
    layer = read_layer(layout, location, feature) if feature != "*" else None
    counts = np.bincount(layer.ravel(), minlength=4).tolist() if layer is not None else None
    return {
        "tile": location.id,
        "feature": feature,
        "state": str(record.state),
        "pixels": None if counts is None else dict(zip(("unseen", "not", "feature", "ignore"), counts, strict=True)),
        "source": None if record.layer is None else (record.layer.file or record.layer.kind),
    }
