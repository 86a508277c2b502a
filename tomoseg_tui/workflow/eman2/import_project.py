"""Bring an EMAN2 project in: tomograms one by one, then tiles, then annotations.

A tomogram is in the project whole or not at all, and what is there already is passed over, so that a second
run goes on where the first ended. Densities are read from EMAN2's own files; nothing is written there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import NOT_LOOKED_AT, Layer, empty_layer, layer_of_mask
from tomoseg_tui.core.mask_decoding import foreground
from tomoseg_tui.core.names import base_of
from tomoseg_tui.core.tiles import Place
from tomoseg_tui.errors import ProjectError, TomogramError, TomosegError, UnreadableTomogramError
from tomoseg_tui.io.formats import open_stack
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import TileLayer, take_layers
from tomoseg_tui.workflow.eman2.box_coordinates import tile_edge
from tomoseg_tui.workflow.eman2.box_sets import Meaning
from tomoseg_tui.workflow.eman2.import_plan import EmanPlan, size_remarks
from tomoseg_tui.workflow.eman2.project import EmanStack, EmanTomogram
from tomoseg_tui.workflow.eman2.tile_stacks import SureTile, by_stack, find_tiles, inner
from tomoseg_tui.workflow.tiles.placing import Wish, place_tiles, wish
from tomoseg_tui.workflow.tomograms.import_tomograms import (
    Imported,
    ImportRequest,
    Progress,
    import_volumes,
    is_believed,
)
from tomoseg_tui.workflow.volume_names import find_volume

_LISTED = 6
"""Boxes that are named one by one."""
_TILES_SHARE = 0.1
"""Share of the progress that tiles and masks are given."""


@dataclass
class Brought:
    """What came in, also of an import that met a fault."""

    tomograms: list[Imported] = field(default_factory=list)
    tiles: int = 0
    """Tiles that are new, one for each feature."""
    known: int = 0
    """Those that were there already."""
    annotated: int = 0
    """Annotations that are new."""
    new_features: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def has_changed(self) -> bool:
        """True if anything was written."""
        return bool(self.tomograms or self.tiles or self.annotated)

    @property
    def words(self) -> str:
        """What came in, as a sentence."""
        known = f", {self.known} were there already" if self.known else ""
        return (
            f"{_count(len(self.tomograms), 'tomogram')} came in, {_count(self.tiles, 'tile')} placed{known}, "
            f"{_count(self.annotated, 'annotation')} taken."
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def bring(
    project: Project, plan: EmanPlan, on_progress: Progress = lambda _done: None, *, done: Brought | None = None
) -> Brought:
    """Carry out a plan.

    Parameters
    ----------
    project : Project
        Where to.
    plan : EmanPlan
        What.
    on_progress : callable
        Told how much is done.
    done : Brought, optional
        Filled in on the way, so that after a fault one knows what is in the project.

    Raises
    ------
    TomosegError
        If a tomogram cannot be copied or a state not be written; those before it are in the project, which is said.
    """
    done = Brought() if done is None else done
    done.remarks += [*plan.remarks, *size_remarks(plan.boxes)]
    done.left += plan.left
    _bring_tomograms(project, plan, done, lambda part: on_progress((1 - _TILES_SHARE) * part))
    _bring_tiles(project, plan, done, lambda part: on_progress(1 - _TILES_SHARE * (1 - part)))
    return done


def _bring_tomograms(project: Project, plan: EmanPlan, done: Brought, on_progress: Progress) -> None:
    whole = sum(tomogram.byte_count for tomogram in plan.new) or 1
    before = 0
    for tomogram in plan.new:
        share, start = tomogram.byte_count / whole, before / whole
        try:
            done.tomograms += import_volumes(
                project, [tomogram.path], _request(plan, tomogram), _part(on_progress, start, share)
            )
        except TomosegError as fault:
            if not _is_of_one_file(fault):
                names = ", ".join(one.name for one in done.tomograms) or "none"
                raise ProjectError(
                    f"{tomogram.path.name}: {fault.fault} Tomograms that came in before: {names}.",
                    f"{fault.fix} The same command goes on from there.",
                ) from fault
            done.left.append(f"tomograms/{tomogram.path.name}: {fault.fault}")
        before += tomogram.byte_count
    for one in done.tomograms:
        done.remarks += one.remarks


def _is_of_one_file(fault: TomosegError) -> bool:
    """Tell whether a fault lies in the tomogram itself; a disk that fails would fail for the next one too."""
    if isinstance(fault, UnreadableTomogramError):
        return True
    return isinstance(fault, TomogramError) and not isinstance(fault.__cause__, OSError)


def _part(on_progress: Progress, start: float, share: float) -> Progress:
    return lambda part: on_progress(start + share * part)


def _request(plan: EmanPlan, tomogram: EmanTomogram) -> ImportRequest:
    said = is_believed(tomogram.grid.voxel_size_angstrom)
    return ImportRequest(
        name=tomogram.name,
        link=plan.request.link,
        voxel_size_angstrom=None if said else plan.request.voxel_size_angstrom,
        polarity=plan.polarity(tomogram),
        chain=tomogram.filtering.chain,
    )


# Tiles


def _bring_tiles(project: Project, plan: EmanPlan, done: Brought, on_progress: Progress) -> None:
    plan = _without_missing(project, plan, done)
    sure = _sure_tiles(project, plan, done, _part(on_progress, 0.0, 0.4))
    wishes = [*_wishes_of_tiles(plan, sure), *_wishes_of_boxes(plan, sure)]
    _place(project, _without_contradictions(project, wishes, done), done, _part(on_progress, 0.4, 0.4))
    stacks = list(dict.fromkeys(tile.tile.stack for tile in sure if tile.tile.stack.masks is not None))
    for number, stack in enumerate(stacks):
        _bring_masks(project, plan, stack, [tile for tile in sure if tile.tile.stack is stack], done)
        on_progress(0.8 + 0.2 * (number + 1) / len(stacks))
    on_progress(1.0)


def _sure_tiles(project: Project, plan: EmanPlan, done: Brought, on_progress: Progress) -> list[SureTile]:
    """Return the tiles of all stacks whose place is certain."""
    sure: list[SureTile] = []
    stacks = list(by_stack(plan.tiles))
    for number, (stack, tiles) in enumerate(stacks):
        there = find_tiles(plan.found, stack, tiles, plan.boxes, lambda version: _open(project, version))
        sure += there.sure
        done.left += there.left
        on_progress((number + 1) / len(stacks))
    return sure


def _place(project: Project, wishes: Sequence[Wish], done: Brought, on_progress: Progress) -> None:
    """Place tiles, those of one tomogram together."""
    families: dict[str, list[Wish]] = {}
    for wanted in wishes:
        families.setdefault(base_of(wanted.place.tomogram), []).append(wanted)
    sticking = 0
    for number, family in enumerate(families.values()):
        placed = place_tiles(project, family)
        done.tiles += placed.added
        done.known += placed.known
        done.new_features += placed.new_features
        sticking += len(placed.remarks)
        on_progress((number + 1) / len(families))
    words = f"{_count(sticking, 'tile')} stick{'s' if sticking == 1 else ''} out of the volume"
    done.remarks += [f"{words}; what lies outside teaches nothing."] if sticking else []


def _without_missing(project: Project, plan: EmanPlan, done: Brought) -> EmanPlan:
    """Return the plan without boxes and tiles on tomograms that could not come in."""
    names = set(catalog.tomogram_names(project.layout))
    boxes = tuple(box for box in plan.boxes if box.version.name in names)
    tiles = tuple(tile for tile in plan.tiles if tile.version is None or tile.version.name in names)
    lost = len(plan.boxes) - len(boxes), len(plan.tiles) - len(tiles)
    done.left += [f"{lost[0]} boxes and {lost[1]} tiles on tomograms that could not come in."] if any(lost) else []
    found = replace(plan.found, tomograms=tuple(t for t in plan.found.tomograms if t.name in names))
    return replace(plan, found=found, boxes=boxes, tiles=tiles)


def _open(project: Project, version: EmanTomogram) -> VolumeReader:
    """Open a tomogram as the project has it: that is what annotations are trained on."""
    return find_volume(project, version.name).open()


def _wishes_of_tiles(plan: EmanPlan, sure: Sequence[SureTile]) -> list[Wish]:
    return [
        _wish(tile.place, plan.meanings[name], f"{tile.tile.stack.path.name}, image {tile.tile.index}")
        for tile in sure
        for name in tile.set_names
        if not plan.meanings[name].is_left
    ]


def _wishes_of_boxes(plan: EmanPlan, sure: Sequence[SureTile]) -> list[Wish]:
    """Return the boxes as wishes; where a tile was cut at the same place, its size counts."""
    sizes = {(base_of(tile.place.tomogram), *_centre(tile.place)): tile.place.size for tile in sure}
    wishes = []
    for box in plan.boxes:
        size = sizes.get((base_of(box.version.name), *box.centre_zyx), tile_edge(box.size))
        wishes.append(_wish(Place(box.version.name, *box.centre_zyx, size), plan.meanings[box.set_name], box.where))
    return wishes


def _centre(place: Place) -> tuple[int, int, int]:
    return place.z, place.y, place.x


def _wish(place: Place, meaning: Meaning, where: str) -> Wish:
    return wish(place, meaning.feature, negative=meaning.negative, where=where)


def _without_contradictions(project: Project, wishes: Sequence[Wish], done: Brought) -> list[Wish]:
    """Return wishes that agree with each other and with the project; the others are left and listed."""
    said: dict[tuple[object, ...], set[bool]] = {}
    for wanted in wishes:
        said.setdefault(_key(wanted), set()).add(wanted.state.is_positive)
    torn = [wanted for wanted in wishes if len(said[_key(wanted)]) > 1]
    agreed = [wanted for wanted in wishes if len(said[_key(wanted)]) == 1]
    denied = [wanted for wanted in agreed if _is_denied(project, wanted)]
    done.left += _listed(torn, "the feature is said to be both present and absent there")
    done.left += _listed(denied, "the project says the opposite there")
    refused = {_key(wanted) for wanted in denied}
    once = {(wanted.place, wanted.feature): wanted for wanted in agreed if _key(wanted) not in refused}
    return list(once.values())


def _listed(wishes: Sequence[Wish], words: str) -> list[str]:
    """Say why wishes are left, one by one as long as they are few."""
    lines = [f"{wanted.where}, {wanted.feature}: {words}." for wanted in wishes[:_LISTED]]
    return lines + ([f"{len(wishes) - _LISTED} more: {words}."] if len(wishes) > _LISTED else [])


def _key(wanted: Wish) -> tuple[object, ...]:
    return (base_of(wanted.place.tomogram), *_centre(wanted.place), wanted.feature)


def _is_denied(project: Project, wanted: Wish) -> bool:
    tile = catalog.find_tile(project.layout, wanted.place)
    state = None if tile is None else tile.states.get(wanted.feature)
    return state is not None and state.is_positive != wanted.state.is_positive


# Masks


def _bring_masks(project: Project, plan: EmanPlan, stack: EmanStack, tiles: Sequence[SureTile], done: Brought) -> None:
    """Take the masks of a stack as annotations of its tiles."""
    layers = _layers(stack, tiles, plan.meanings, done)
    news = [layer for layer in layers if _is_placed(project, layer) and not _is_known(project, layer)]
    taken = take_layers(project, news, stack.masks.name if stack.masks is not None else "")
    done.annotated += taken.annotated
    done.new_features += taken.new_features
    done.remarks += taken.remarks
    done.left += taken.left


def _layers(
    stack: EmanStack, tiles: Sequence[SureTile], meanings: Mapping[str, Meaning], done: Brought
) -> list[TileLayer]:
    if stack.masks is None:
        return []
    shown = f"{stack.masks.parent.name}/{stack.masks.name}"
    try:
        values = open_stack(stack.masks)  # (n, y, x)
        masks, remark = foreground(values, name=shown)
    except TomosegError as fault:
        done.left.append(fault.fault if shown in fault.fault else f"{shown}: {fault.fault}")
        return []
    expected = (len(stack.headers), stack.size, stack.size)
    if masks.shape != expected:
        done.left.append(f"{shown}: its masks have shape {masks.shape}, the tiles {expected} (n, y, x).")
        return []
    done.remarks += [remark] if remark else []
    return [
        TileLayer(tile.place, meanings[name].feature, _layer(masks[tile.tile.index], tile.place.size))
        for tile in tiles
        for name in tile.set_names
        if not (meanings[name].is_left or meanings[name].negative)
    ]


def _layer(mask: NDArray[np.bool_], edge: int) -> Layer:
    """Return a mask as the layer of a tile, which may be larger: nobody has looked at the rest."""
    layer = empty_layer(edge, NOT_LOOKED_AT)
    part = inner(edge, len(mask))
    layer[part, part] = layer_of_mask(mask)
    return layer


def _is_placed(project: Project, wanted: TileLayer) -> bool:
    """Tell whether the tile is there for the feature; a box that was left is not."""
    tile = catalog.find_tile(project.layout, wanted.place)
    state = None if tile is None else tile.states.get(wanted.feature)
    return state is not None and state.is_positive


def _is_known(project: Project, wanted: TileLayer) -> bool:
    """Tell whether an annotation is there already, as an earlier run has left it."""
    tile = catalog.find_tile(project.layout, wanted.place)
    known = None if tile is None else read_layer(project.layout, tile.place, wanted.feature)
    return known is not None and np.array_equal(known, wanted.layer)
