"""Find where the tiles of EMAN2's stacks lie, by their headers and always by what they show.

A header names a tomogram and a voxel; whether the tile is what that tomogram shows there is looked at, since
files get replaced, filtered again and flipped under their name. Tiles without a place in their header are
compared with the tomogram at every box. What fits nowhere is left, with what differs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.image_matching import AS_IT_WAS, TURNS, likeness
from tomoseg_tui.core.tiles import Place
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.io.formats import open_stack
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.workflow.annotations.import_annotations import cut_slice
from tomoseg_tui.workflow.eman2.box_coordinates import (
    PlacedBox,
    StackTile,
    Zyx,
    base_of_stack,
    lies_in,
    same_grid,
    tile_edge,
)
from tomoseg_tui.workflow.eman2.project import EmanProject, EmanStack, EmanTomogram

SAME = 0.97
"""Likeness from which two images are taken for the same densities: bit reduction to 4 bits leaves 0.99 and more,
another filter or a shift by one pixel less than this in all but the smoothest tomograms."""
_LISTED = 6
"""Tiles that a sentence names by their number."""


@dataclass(frozen=True)
class SureTile:
    """A tile whose place is certain."""

    tile: StackTile
    place: Place
    set_names: tuple[str, ...]


@dataclass(frozen=True)
class FoundTiles:
    """What came of one stack."""

    sure: tuple[SureTile, ...]
    left: tuple[str, ...]
    """Tiles that fit nowhere, in sentences."""


@dataclass(frozen=True, eq=False)
class _Window:
    """What a tomogram shows at a place, cut like a tile of a stack."""

    densities: NDArray[np.generic]
    inside: NDArray[np.bool_]


def inner(edge: int, size: int) -> slice:
    """Return where the pixels of a box lie in the tile that holds it: both begin half their edge before the centre."""
    start = edge // 2 - size // 2
    return slice(start, start + size)


def find_tiles(
    found: EmanProject,
    stack: EmanStack,
    tiles: Sequence[StackTile],
    boxes: Sequence[PlacedBox],
    open_version: Callable[[EmanTomogram], VolumeReader],
) -> FoundTiles:
    """Find the places of the tiles of one stack.

    Parameters
    ----------
    found : EmanProject
        Where the tomograms lie.
    stack : EmanStack
        The stack; its images are read.
    tiles : sequence of StackTile
        Those of its tiles that are wanted.
    boxes : sequence of PlacedBox
        All boxes of the project; those of the tile's tomogram are tried where a header says no place.
    open_version : callable
        Opens the densities with which tiles are compared.
    """
    try:
        images = open_stack(stack.path)  # (n, y, x)
    except TomosegError as fault:
        return FoundTiles((), (f"{_shown(stack)}: {fault.fault}",))
    near = [box for box in boxes if box.version.base == base_of_stack(found, stack)]
    with _Finder(found, stack, images, near, open_version) as finder:
        sure: list[SureTile] = []
        reasons: dict[str, list[int]] = {}
        for tile in tiles:
            answer = finder.place(tile)
            if isinstance(answer, SureTile):
                sure.append(answer)
            else:
                reasons.setdefault(answer, []).append(tile.index)
    return FoundTiles(tuple(sure), tuple(_sentence(stack, numbers, words) for words, numbers in reasons.items()))


def _shown(stack: EmanStack) -> str:
    return f"{stack.path.parent.name}/{stack.path.name}"


def _sentence(stack: EmanStack, numbers: Sequence[int], words: str) -> str:
    listed = ", ".join(str(number) for number in numbers[:_LISTED]) + (" ..." if len(numbers) > _LISTED else "")
    which = f"image {listed}" if len(numbers) == 1 else f"images {listed}"
    return f"{_shown(stack)}: {len(numbers)} of {len(stack.headers)} tiles ({which}) left: {words}."


class _Finder:
    """Compares tiles with tomograms, each opened once.

    Parameters
    ----------
    found, stack, boxes, open_version
        As `find_tiles` takes them, the boxes of the stack's tomogram only.
    images : ndarray, shape (n, y, x)
        The tiles.
    """

    def __init__(
        self,
        found: EmanProject,
        stack: EmanStack,
        images: NDArray[np.generic],
        boxes: Sequence[PlacedBox],
        open_version: Callable[[EmanTomogram], VolumeReader],
    ) -> None:
        self._found, self._stack, self._images, self._boxes = found, stack, images, boxes
        self._open = open_version
        self._edge = tile_edge(stack.size)
        self._volumes: dict[str, VolumeReader] = {}
        self._windows: dict[tuple[str, Zyx], _Window] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        for volume in self._volumes.values():
            volume.close()

    def place(self, tile: StackTile) -> SureTile | str:
        """Return the tile with its place, or why it has none."""
        if tile.index >= len(self._images) or self._images.shape[1:] != (self._stack.size, self._stack.size):
            return "the file holds other images than its headers say"
        header = self._stack.headers[tile.index]
        if tile.version is None and header.source is not None:
            return f"the tomogram {header.source} is not there"
        if tile.version is None or tile.centre_zyx is None:
            return self._by_content(tile)
        return self._by_header(tile, tile.version, tile.centre_zyx)

    def _by_header(self, tile: StackTile, version: EmanTomogram, centre: Zyx) -> SureTile | str:
        if not lies_in(centre, version.grid.shape_zyx):
            return f"their places lie outside of {version.name}"
        image = self._images[tile.index]
        kin = [other for other in self._found.versions(version.base) if same_grid(other.grid, version.grid)]
        for other in sorted(kin, key=lambda one: one is not version):
            if self._likeness(image, other, centre) >= SAME:
                return SureTile(tile, self._place(version, centre), tile.set_names)
        return f"they are not what {version.name} shows there{self._difference(image, version, centre)}"

    def _difference(self, image: NDArray[np.generic], version: EmanTomogram, centre: Zyx) -> str:
        turned = _turn_between(image, self._window(version, centre).densities)
        if turned is not None:
            return f", but {turned}"
        return f" (correlation {self._likeness(image, version, centre):.1f}): cut before it was filtered or made again?"

    def _by_content(self, tile: StackTile) -> SureTile | str:
        """Try every box of the tomogram; a box that is like enough is the place."""
        image = self._images[tile.index]
        if not self._boxes:
            return "no header says where they were cut, and no box is there to compare them with"
        alike = [(self._likeness(image, box.version, box.centre_zyx), box) for box in self._boxes]
        best, box = max(alike, key=lambda pair: pair[0])
        if best < SAME:
            turned = next(filter(None, (self._turn(image, box) for _, box in alike)), None)
            differs = f"they are those of boxes, but {turned}" if turned else "no box shows the same"
            return f"no header says where they were cut, and {differs}"
        names = dict.fromkeys(other.set_name for a, other in alike if a >= SAME and other.centre_zyx == box.centre_zyx)
        sets = tile.set_names if set(tile.set_names) & set(names) else tuple(names)
        return SureTile(tile, self._place(box.version, box.centre_zyx), sets)

    def _turn(self, image: NDArray[np.generic], box: PlacedBox) -> str | None:
        return _turn_between(image, self._window(box.version, box.centre_zyx).densities)

    def _place(self, version: EmanTomogram, centre: Zyx) -> Place:
        return Place(version.name, *centre, self._edge)

    def _likeness(self, image: NDArray[np.generic], version: EmanTomogram, centre: Zyx) -> float:
        window = self._window(version, centre)
        return _alike(image[window.inside], window.densities[window.inside])

    def _window(self, version: EmanTomogram, centre: Zyx) -> _Window:
        key = (version.name, centre)
        if key not in self._windows:
            if version.name not in self._volumes:
                self._volumes[version.name] = self._open(version)
            part = inner(self._edge, self._stack.size)
            values, inside = cut_slice(self._volumes[version.name], self._place(version, centre))
            self._windows[key] = _Window(values[part, part], inside[part, part])
        return self._windows[key]


def _alike(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """Return how alike pixels are; two flat images are alike, a flat one and another are not."""
    value = likeness(one, other) if one.size else 0.0
    if np.isnan(value):
        return float(bool((one == one[0]).all() and (other == other[0]).all()))
    return value


def _turn_between(image: NDArray[np.generic], shown: NDArray[np.generic]) -> str | None:
    """Return in words how an image is turned against what is shown, None if no turn makes them alike."""
    turns = {words: turn for words, turn in TURNS.items() if words != AS_IT_WAS}
    turned = {words: turn(image[np.newaxis].astype(np.float32))[0] for words, turn in turns.items()}
    alike = {words: _alike(one.ravel(), shown.ravel()) for words, one in turned.items()}
    best = max(alike, key=lambda words: alike[words])
    return best if alike[best] >= SAME else None


def by_stack(tiles: Sequence[StackTile]) -> Iterator[tuple[EmanStack, list[StackTile]]]:
    """Yield the tiles of each stack together."""
    stacks: Mapping[str, EmanStack] = {str(tile.stack.path): tile.stack for tile in tiles}
    for stack in stacks.values():
        yield stack, [tile for tile in tiles if tile.stack is stack]
