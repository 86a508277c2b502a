"""Import an EMAN2 project: tomograms one by one, then tiles, then annotations.

A tomogram is imported completely or not at all, and existing items are skipped, so that a second run continues the
first. The files of EMAN2 are only read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import UNLABELLED, Layer, empty_layer, layer_from_mask
from tomoseg_tui.core.mask_decoding import foreground_mask
from tomoseg_tui.core.names import base_name
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.errors import ProjectError, TomogramError, TomosegError, UnreadableTomogramError
from tomoseg_tui.io.formats import open_stack
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import TileLayer, store_layers
from tomoseg_tui.workflow.eman2.box_coordinates import tile_edge
from tomoseg_tui.workflow.eman2.box_sets import Meaning
from tomoseg_tui.workflow.eman2.import_plan import Eman2ImportPlan, size_remarks
from tomoseg_tui.workflow.eman2.project import Eman2Stack, Eman2Tomogram
from tomoseg_tui.workflow.eman2.tile_stacks import LocatedTile, group_by_stack, inner_slice, locate_tiles
from tomoseg_tui.workflow.tiles.placing import TilePlacement, place_tiles, tile_placement
from tomoseg_tui.workflow.tomograms.header_checks import is_plausible_voxel_size
from tomoseg_tui.workflow.tomograms.import_tomograms import (
    ImportedTomogram,
    ImportRequest,
    Progress,
    import_volumes,
)
from tomoseg_tui.workflow.volume_names import find_volume

_LISTED = 6
"""Number of boxes that are listed one by one."""
_TILES_SHARE = 0.1
"""Share of the progress for tiles and masks."""


@dataclass
class Eman2ImportResult:
    """What was imported, also by an import that failed."""

    tomograms: list[ImportedTomogram] = field(default_factory=list)
    tiles: int = 0
    """Number of new tiles, counted once per feature."""
    existing_tiles: int = 0
    """Number of tiles that existed before."""
    annotated: int = 0
    """Number of new annotations."""
    new_features: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def has_changed(self) -> bool:
        """True if anything was written."""
        return bool(self.tomograms or self.tiles or self.annotated)

    @property
    def summary(self) -> str:
        """What was imported, as a sentence."""
        existing_text = f", {self.existing_tiles} existed already" if self.existing_tiles else ""
        return (
            f"{_format_count(len(self.tomograms), 'tomogram')} imported, {_format_count(self.tiles, 'tile')} "
            f"placed{existing_text}, {_format_count(self.annotated, 'annotation')} imported."
        )


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def import_eman2_project(
    project: Project,
    plan: Eman2ImportPlan,
    on_progress: Progress = lambda _done: None,
    *,
    result: Eman2ImportResult | None = None,
) -> Eman2ImportResult:
    """Import what a plan contains.

    Parameters
    ----------
    on_progress : callable
        Called with the progress, from 0 to 1.
    result : Eman2ImportResult, optional
        Filled during the import, so that after an error the caller knows what was imported.

    Raises
    ------
    TomosegError
        If a tomogram cannot be copied or a file not be written. The message names the tomograms imported before.
    """
    project = replace(
        project, entry=None
    )  # the caller writes the history, for one of these tomograms is not the import
    result = Eman2ImportResult() if result is None else result
    result.remarks += [*plan.remarks, *size_remarks(plan.boxes)]
    result.skipped += plan.skipped
    _import_tomograms(project, plan, result, lambda part: on_progress((1 - _TILES_SHARE) * part))
    _import_tiles(project, plan, result, lambda part: on_progress(1 - _TILES_SHARE * (1 - part)))
    return result


def _import_tomograms(
    project: Project, plan: Eman2ImportPlan, result: Eman2ImportResult, on_progress: Progress
) -> None:
    total_bytes = sum(tomogram.byte_count for tomogram in plan.new_tomograms) or 1
    bytes_done = 0
    for tomogram in plan.new_tomograms:
        share, start = tomogram.byte_count / total_bytes, bytes_done / total_bytes
        try:
            result.tomograms += import_volumes(
                project, [tomogram.path], _import_request(plan, tomogram), _progress_part(on_progress, start, share)
            )
        except TomosegError as fault:
            if not _is_file_error(fault):
                names = ", ".join(imported.name for imported in result.tomograms) or "none"
                raise ProjectError(
                    f"{tomogram.path.name}: {fault.fault} Tomograms imported before: {names}.",
                    f"{fault.fix} The same command continues from there.",
                ) from fault
            result.skipped.append(f"tomograms/{tomogram.path.name}: {fault.fault}")
        bytes_done += tomogram.byte_count
    for imported in result.tomograms:
        result.remarks += imported.remarks


def _is_file_error(fault: TomosegError) -> bool:
    """Return whether the tomogram itself caused an error; errors of the disk would occur with the next one too."""
    if isinstance(fault, UnreadableTomogramError):
        return True
    return isinstance(fault, TomogramError) and not isinstance(fault.__cause__, OSError)


def _progress_part(on_progress: Progress, start: float, share: float) -> Progress:
    return lambda part: on_progress(start + share * part)


def _import_request(plan: Eman2ImportPlan, tomogram: Eman2Tomogram) -> ImportRequest:
    has_voxel_size = is_plausible_voxel_size(tomogram.grid.voxel_size_angstrom)
    return ImportRequest(
        name=tomogram.name,
        link=plan.request.link,
        voxel_size_angstrom=None if has_voxel_size else plan.request.voxel_size_angstrom,
        polarity=plan.polarity(tomogram),
        chain=tomogram.filtering.chain,
    )


# Tiles


def _import_tiles(project: Project, plan: Eman2ImportPlan, result: Eman2ImportResult, on_progress: Progress) -> None:
    plan = _without_missing(project, plan, result)
    located = _locate_tiles(project, plan, result, _progress_part(on_progress, 0.0, 0.4))
    placements = [*_tile_placements(plan, located), *_box_placements(plan, located)]
    _place_tiles(
        project, _without_contradictions(project, placements, result), result, _progress_part(on_progress, 0.4, 0.4)
    )
    stacks = list(dict.fromkeys(tile.tile.stack for tile in located if tile.tile.stack.masks is not None))
    for number, stack in enumerate(stacks):
        _import_masks(project, plan, stack, [tile for tile in located if tile.tile.stack is stack], result)
        on_progress(0.8 + 0.2 * (number + 1) / len(stacks))
    on_progress(1.0)


def _locate_tiles(
    project: Project, plan: Eman2ImportPlan, result: Eman2ImportResult, on_progress: Progress
) -> list[LocatedTile]:
    """Return the tiles of all stacks whose position is certain."""
    located: list[LocatedTile] = []
    stacks = list(group_by_stack(plan.tiles))
    for number, (stack, tiles) in enumerate(stacks):
        stack_result = locate_tiles(
            plan.eman2_project, stack, tiles, plan.boxes, lambda version: _open_tomogram(project, version)
        )
        located += stack_result.located
        result.skipped += stack_result.skipped
        on_progress((number + 1) / len(stacks))
    return located


def _place_tiles(
    project: Project, placements: Sequence[TilePlacement], result: Eman2ImportResult, on_progress: Progress
) -> None:
    """Place tiles, one tomogram after the other."""
    families: dict[str, list[TilePlacement]] = {}
    for placement in placements:
        families.setdefault(base_name(placement.location.tomogram), []).append(placement)
    outside_count = 0
    for number, family in enumerate(families.values()):
        placed = place_tiles(project, family)
        result.tiles += placed.added
        result.existing_tiles += placed.existing
        result.new_features += placed.new_features
        outside_count += len(placed.remarks)
        on_progress((number + 1) / len(families))
    message = (
        f"{_format_count(outside_count, 'tile')} {'is' if outside_count == 1 else 'are'} partly outside the volume"
    )
    result.remarks += [f"{message}; pixels outside are not trained on."] if outside_count else []


def _without_missing(project: Project, plan: Eman2ImportPlan, result: Eman2ImportResult) -> Eman2ImportPlan:
    """Return the plan without boxes and tiles on tomograms that were not imported."""
    names = set(catalog.tomogram_names(project.layout))
    boxes = tuple(box for box in plan.boxes if box.version.name in names)
    tiles = tuple(tile for tile in plan.tiles if tile.version is None or tile.version.name in names)
    missing = len(plan.boxes) - len(boxes), len(plan.tiles) - len(tiles)
    result.skipped += (
        [f"{missing[0]} boxes and {missing[1]} tiles are on tomograms that were not imported."] if any(missing) else []
    )
    eman2_project = replace(
        plan.eman2_project,
        tomograms=tuple(tomogram for tomogram in plan.eman2_project.tomograms if tomogram.name in names),
    )
    return replace(plan, eman2_project=eman2_project, boxes=boxes, tiles=tiles)


def _open_tomogram(project: Project, version: Eman2Tomogram) -> VolumeReader:
    """Open a tomogram of the project, since annotations are trained on its densities."""
    return find_volume(project, version.name).open()


def _tile_placements(plan: Eman2ImportPlan, located: Sequence[LocatedTile]) -> list[TilePlacement]:
    return [
        _placement(tile.location, plan.meanings[name], f"{tile.tile.stack.path.name}, image {tile.tile.index}")
        for tile in located
        for name in tile.set_names
        if not plan.meanings[name].is_ignored
    ]


def _box_placements(plan: Eman2ImportPlan, located: Sequence[LocatedTile]) -> list[TilePlacement]:
    """Return placements for the boxes; a tile cut at the same position gives its size."""
    sizes = {(base_name(tile.location.tomogram), *_centre(tile.location)): tile.location.size for tile in located}
    placements = []
    for box in plan.boxes:
        size = sizes.get((base_name(box.version.name), *box.centre_zyx), tile_edge(box.size))
        placements.append(
            _placement(TileLocation(box.version.name, *box.centre_zyx, size), plan.meanings[box.set_name], box.source)
        )
    return placements


def _centre(location: TileLocation) -> tuple[int, int, int]:
    return location.z, location.y, location.x


def _placement(location: TileLocation, meaning: Meaning, source: str) -> TilePlacement:
    return tile_placement(location, meaning.feature, negative=meaning.negative, source=source)


def _without_contradictions(
    project: Project, placements: Sequence[TilePlacement], result: Eman2ImportResult
) -> list[TilePlacement]:
    """Return the placements that agree with each other and with the project; report the others."""
    states_by_key: dict[tuple[object, ...], set[bool]] = {}
    for placement in placements:
        states_by_key.setdefault(_placement_key(placement), set()).add(placement.state.is_positive)
    contradictory = [placement for placement in placements if len(states_by_key[_placement_key(placement)]) > 1]
    consistent = [placement for placement in placements if len(states_by_key[_placement_key(placement)]) == 1]
    conflicting = [placement for placement in consistent if _conflicts_with_project(project, placement)]
    result.skipped += _skipped_lines(contradictory, "the boxes there are both positive and negative for the feature")
    result.skipped += _skipped_lines(conflicting, "the tile in the project is marked as the opposite")
    conflicting_keys = {_placement_key(placement) for placement in conflicting}
    unique = {
        (placement.location, placement.feature): placement
        for placement in consistent
        if _placement_key(placement) not in conflicting_keys
    }
    return list(unique.values())


def _skipped_lines(placements: Sequence[TilePlacement], reason: str) -> list[str]:
    """Return messages on placements left out, one by one up to a limit."""
    lines = [f"{placement.source}, {placement.feature}: {reason}." for placement in placements[:_LISTED]]
    return lines + ([f"{len(placements) - _LISTED} more: {reason}."] if len(placements) > _LISTED else [])


def _placement_key(placement: TilePlacement) -> tuple[object, ...]:
    return (base_name(placement.location.tomogram), *_centre(placement.location), placement.feature)


def _conflicts_with_project(project: Project, placement: TilePlacement) -> bool:
    tile = catalog.find_tile(project.layout, placement.location)
    state = None if tile is None else tile.states.get(placement.feature)
    return state is not None and state.is_positive != placement.state.is_positive


# Masks


def _import_masks(
    project: Project, plan: Eman2ImportPlan, stack: Eman2Stack, tiles: Sequence[LocatedTile], result: Eman2ImportResult
) -> None:
    """Store the masks of a stack as annotations of its tiles."""
    layers = _mask_layers(stack, tiles, plan.meanings, result)
    new_layers = [layer for layer in layers if _is_placed(project, layer) and not _is_stored(project, layer)]
    stored = store_layers(project, new_layers, stack.masks.name if stack.masks is not None else "")
    result.annotated += stored.annotated
    result.new_features += stored.new_features
    result.remarks += stored.remarks
    result.skipped += stored.skipped


def _mask_layers(
    stack: Eman2Stack, tiles: Sequence[LocatedTile], meanings: Mapping[str, Meaning], result: Eman2ImportResult
) -> list[TileLayer]:
    if stack.masks is None:
        return []
    display_name = f"{stack.masks.parent.name}/{stack.masks.name}"
    try:
        values = open_stack(stack.masks)  # (n, y, x)
        masks, remark = foreground_mask(values, name=display_name)
    except TomosegError as fault:
        result.skipped.append(fault.fault if display_name in fault.fault else f"{display_name}: {fault.fault}")
        return []
    expected = (len(stack.headers), stack.size, stack.size)
    if masks.shape != expected:
        result.skipped.append(f"{display_name}: its masks have shape {masks.shape}, the tiles {expected} (n, y, x).")
        return []
    result.remarks += [remark] if remark else []
    return [
        TileLayer(tile.location, meanings[name].feature, _tile_layer(masks[tile.tile.index], tile.location.size))
        for tile in tiles
        for name in tile.set_names
        if not (meanings[name].is_ignored or meanings[name].negative)
    ]


def _tile_layer(mask: NDArray[np.bool_], edge: int) -> Layer:
    """Return a mask as a layer of a tile, which may be larger; the rest is unlabelled."""
    layer = empty_layer(edge, UNLABELLED)
    part = inner_slice(edge, len(mask))
    layer[part, part] = layer_from_mask(mask)
    return layer


def _is_placed(project: Project, tile_layer: TileLayer) -> bool:
    """Return whether the tile was placed for the feature; boxes left out were not."""
    tile = catalog.find_tile(project.layout, tile_layer.location)
    state = None if tile is None else tile.states.get(tile_layer.feature)
    return state is not None and state.is_positive


def _is_stored(project: Project, tile_layer: TileLayer) -> bool:
    """Return whether an annotation is already stored with its state, e.g. by an earlier import."""
    tile = catalog.find_tile(project.layout, tile_layer.location)
    if tile is None or tile.state_of(tile_layer.feature) is not FeatureState.ANNOTATED:
        return False
    stored_layer = read_layer(project.layout, tile.location, tile_layer.feature)
    return stored_layer is not None and np.array_equal(stored_layer, tile_layer.layer)
