"""Find the positions of the tiles in EMAN2's stacks from their headers, and compare the densities in every case.

A header names a tomogram and a voxel, but the file may have been replaced, filtered again or flipped since. Tiles
without a position in the header are compared with the tomogram at every box. A tile that agrees nowhere is skipped, and
the difference reported.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.image_matching import AS_EXPORTED, ORIENTATIONS, correlation
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.io.formats import open_stack
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.workflow.annotations.import_annotations import read_tile_values
from tomoseg_tui.workflow.eman2.box_coordinates import (
    PlacedBox,
    StackTile,
    Zyx,
    base_of_stack,
    lies_in,
    same_grid,
    tile_edge,
)
from tomoseg_tui.workflow.eman2.project import Eman2Project, Eman2Stack, Eman2Tomogram

MIN_CORRELATION = 0.97
"""Correlation above which two images count as the same densities. Bit reduction to 4 bits leaves 0.99 or more; another
filter or a shift by one pixel gives less than this in all but the smoothest tomograms."""
_LISTED = 6
"""Number of tiles that a message lists."""


@dataclass(frozen=True)
class LocatedTile:
    """A tile whose position is certain."""

    tile: StackTile
    location: TileLocation
    set_names: tuple[str, ...]


@dataclass(frozen=True)
class LocateResult:
    """The result for one stack."""

    located: tuple[LocatedTile, ...]
    skipped: tuple[str, ...]
    """Sentences on tiles that agree nowhere."""


@dataclass(frozen=True, eq=False)
class _Window:
    """The densities of a tomogram at a position, of the size of a stack's tile."""

    densities: NDArray[np.generic]
    inside: NDArray[np.bool_]


def inner_slice(edge: int, size: int) -> slice:
    """Return the pixels of a box inside its tile; both begin half their edge before the centre."""
    start = edge // 2 - size // 2
    return slice(start, start + size)


def locate_tiles(
    eman2_project: Eman2Project,
    stack: Eman2Stack,
    tiles: Sequence[StackTile],
    boxes: Sequence[PlacedBox],
    open_version: Callable[[Eman2Tomogram], VolumeReader],
) -> LocateResult:
    """Find the positions of the tiles of one stack.

    Parameters
    ----------
    stack : Eman2Stack
        The stack; its images are read.
    boxes : sequence of PlacedBox
        All boxes of the project; those on the tile's tomogram are tried if the header has no position.

    Returns
    -------
    LocateResult
        The tiles that were found, and messages on the others.
    """
    try:
        images = open_stack(stack.path)  # (n, y, x)
    except TomosegError as fault:
        return LocateResult((), (f"{_stack_name(stack)}: {fault.fault}",))
    stack_boxes = [box for box in boxes if box.version.base == base_of_stack(eman2_project, stack)]
    with _TileLocator(eman2_project, stack, images, stack_boxes, open_version) as locator:
        located: list[LocatedTile] = []
        indices_by_reason: dict[str, list[int]] = {}
        for tile in tiles:
            result = locator.locate(tile)
            if isinstance(result, LocatedTile):
                located.append(result)
            else:
                indices_by_reason.setdefault(result, []).append(tile.index)
    return LocateResult(
        tuple(located), tuple(_skipped_message(stack, indices, reason) for reason, indices in indices_by_reason.items())
    )


def _stack_name(stack: Eman2Stack) -> str:
    return f"{stack.path.parent.name}/{stack.path.name}"


def _skipped_message(stack: Eman2Stack, numbers: Sequence[int], reason: str) -> str:
    numbers_text = ", ".join(str(number) for number in numbers[:_LISTED]) + (" ..." if len(numbers) > _LISTED else "")
    images_text = f"image {numbers_text}" if len(numbers) == 1 else f"images {numbers_text}"
    return f"{_stack_name(stack)}: {len(numbers)} of {len(stack.headers)} tiles ({images_text}) skipped: {reason}."


class _TileLocator:
    """Compare tiles with tomograms, each opened once."""

    def __init__(
        self,
        eman2_project: Eman2Project,
        stack: Eman2Stack,
        images: NDArray[np.generic],
        boxes: Sequence[PlacedBox],
        open_version: Callable[[Eman2Tomogram], VolumeReader],
    ) -> None:
        self._eman2_project, self._stack, self._images, self._boxes = eman2_project, stack, images, boxes
        self._open = open_version
        self._edge = tile_edge(stack.size)
        self._volumes: dict[str, VolumeReader] = {}
        self._windows: dict[tuple[str, Zyx], _Window] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        for volume in self._volumes.values():
            volume.close()

    def locate(self, tile: StackTile) -> LocatedTile | str:
        """Return the tile with its position, or the reason why it has none."""
        if tile.index >= len(self._images) or self._images.shape[1:] != (self._stack.size, self._stack.size):
            return "the images of the file do not agree with its headers"
        header = self._stack.headers[tile.index]
        if tile.version is None and header.source is not None:
            return f"the tomogram {header.source} does not exist"
        if tile.version is None or tile.centre_zyx is None:
            return self._locate_by_content(tile)
        return self._locate_by_header(tile, tile.version, tile.centre_zyx)

    def _locate_by_header(self, tile: StackTile, version: Eman2Tomogram, centre: Zyx) -> LocatedTile | str:
        if not lies_in(centre, version.grid.shape_zyx):
            return f"their positions are outside {version.name}"
        image = self._images[tile.index]
        same_grid_versions = [
            other for other in self._eman2_project.versions(version.base) if same_grid(other.grid, version.grid)
        ]
        for other in sorted(same_grid_versions, key=lambda candidate: candidate is not version):
            if self._correlation(image, other, centre) >= MIN_CORRELATION:
                return LocatedTile(tile, self._place(version, centre), tile.set_names)
        return f"they differ from {version.name} at their position{self._describe_difference(image, version, centre)}"

    def _describe_difference(self, image: NDArray[np.generic], version: Eman2Tomogram, centre: Zyx) -> str:
        orientation = _find_orientation(image, self._window(version, centre).densities)
        if orientation is not None:
            return f", unless {orientation}"
        return (
            f" (correlation {self._correlation(image, version, centre):.1f}); was it filtered or reconstructed again?"
        )

    def _locate_by_content(self, tile: StackTile) -> LocatedTile | str:
        """Compare a tile with every box of the tomogram; the best box is its position if the correlation is high."""
        image = self._images[tile.index]
        if not self._boxes:
            return "their headers have no positions, and there is no box to compare them with"
        correlations = [(self._correlation(image, box.version, box.centre_zyx), box) for box in self._boxes]
        best_correlation, box = max(correlations, key=lambda item: item[0])
        if best_correlation < MIN_CORRELATION:
            orientation = next(filter(None, (self._orientation(image, box) for _, box in correlations)), None)
            difference = f"they match boxes only {orientation}" if orientation else "they match no box"
            return f"their headers have no positions, and {difference}"
        names = dict.fromkeys(
            other.set_name
            for value, other in correlations
            if value >= MIN_CORRELATION and other.centre_zyx == box.centre_zyx
        )
        sets = tile.set_names if set(tile.set_names) & set(names) else tuple(names)
        return LocatedTile(tile, self._place(box.version, box.centre_zyx), sets)

    def _orientation(self, image: NDArray[np.generic], box: PlacedBox) -> str | None:
        return _find_orientation(image, self._window(box.version, box.centre_zyx).densities)

    def _place(self, version: Eman2Tomogram, centre: Zyx) -> TileLocation:
        return TileLocation(version.name, *centre, self._edge)

    def _correlation(self, image: NDArray[np.generic], version: Eman2Tomogram, centre: Zyx) -> float:
        window = self._window(version, centre)
        return _pixel_correlation(image[window.inside], window.densities[window.inside])

    def _window(self, version: Eman2Tomogram, centre: Zyx) -> _Window:
        key = (version.name, centre)
        if key not in self._windows:
            if version.name not in self._volumes:
                self._volumes[version.name] = self._open(version)
            part = inner_slice(self._edge, self._stack.size)
            values, inside = read_tile_values(self._volumes[version.name], self._place(version, centre))
            self._windows[key] = _Window(values[part, part], inside[part, part])
        return self._windows[key]


def _pixel_correlation(first: NDArray[np.generic], second: NDArray[np.generic]) -> float:
    """Return the correlation of pixels; 1 for two flat images, 0 for a flat and another image."""
    value = correlation(first, second) if first.size else 0.0
    if np.isnan(value):
        return float(bool((first == first[0]).all() and (second == second[0]).all()))
    return value


def _find_orientation(image: NDArray[np.generic], reference: NDArray[np.generic]) -> str | None:
    """Return the name of the orientation in which an image agrees with the reference; None if there is none."""
    turns = {name: turn for name, turn in ORIENTATIONS.items() if name != AS_EXPORTED}
    candidates = {name: turn.undo(image[np.newaxis].astype(np.float32))[0] for name, turn in turns.items()}
    correlations = {
        name: _pixel_correlation(candidate.ravel(), reference.ravel()) for name, candidate in candidates.items()
    }
    best = max(correlations, key=lambda name: correlations[name])
    return best if correlations[best] >= MIN_CORRELATION else None


def group_by_stack(tiles: Sequence[StackTile]) -> Iterator[tuple[Eman2Stack, list[StackTile]]]:
    """Yield each stack with its tiles."""
    stacks: Mapping[str, Eman2Stack] = {str(tile.stack.path): tile.stack for tile in tiles}
    for stack in stacks.values():
        yield stack, [tile for tile in tiles if tile.stack is stack]
