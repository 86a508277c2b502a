"""Divide a volume into blocks with a halo, and write back the results of their insides.

Arrays only. The computation on a block, and how much halo it needs, is left to the caller.
"""

from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

from numpy.typing import NDArray

from tomoseg_tui.errors import ShapeError, UsageError

Zyx = tuple[int, int, int]
"""A corner or a shape along z, y and x, voxels."""
MIN_REDUCTION = 0.2
"""Least share of its pixels that a block loses when smaller blocks are requested, so that few steps suffice."""
_Span = tuple[int, int]
"""Start and end (exclusive) on an axis."""


@dataclass(frozen=True)
class Block:
    """A box to read, and the inside box for which the result is valid; both lie within the volume."""

    read_corner_zyx: Zyx
    """First voxel to read."""
    read_shape_zyx: Zyx
    """Voxels to read: the inside and its halo."""
    inside_corner_zyx: Zyx
    """First voxel of the inside, in the volume."""
    inside_shape_zyx: Zyx
    """Voxels of the inside."""

    @property
    def read_window(self) -> tuple[slice, slice, slice]:
        """The box to read, as an index into the volume."""
        return _window(self.read_corner_zyx, self.read_shape_zyx)

    @property
    def inside_window(self) -> tuple[slice, slice, slice]:
        """The inside, as an index into the volume."""
        return _window(self.inside_corner_zyx, self.inside_shape_zyx)

    @property
    def inside_in_read(self) -> tuple[slice, slice, slice]:
        """The inside, as an index into the box that was read."""
        z, y, x = (
            inside_start - read_start
            for inside_start, read_start in zip(self.inside_corner_zyx, self.read_corner_zyx, strict=True)
        )
        return _window((z, y, x), self.inside_shape_zyx)


def _window(corner_zyx: Zyx, shape_zyx: Zyx) -> tuple[slice, slice, slice]:
    z, y, x = (slice(corner, corner + length) for corner, length in zip(corner_zyx, shape_zyx, strict=True))
    return z, y, x


def split_into_blocks(shape_zyx: Zyx, *, slab: int, edge: int, halo_zyx: Zyx, stride: int = 1) -> list[Block]:
    """Return blocks whose insides cover a volume, each voxel once.

    Parameters
    ----------
    shape_zyx : tuple of int
        Voxels of the volume along z, y and x.
    slab : int
        Slices per block: insides begin at 0, slab, 2 slab, ...; the last slab may have fewer.
    edge : int
        Most voxels to read along y and along x, with the halo. A slice that fits is not divided; a larger one
        is divided into as few blocks as possible, no larger than that number requires.
    halo_zyx : tuple of int
        Reach of the computation along z, y and x: half the receptive field.
    stride : int
        Boxes to read begin at multiples of this along y and x, so that the coarser grids of a network lie on the
        same voxels in every block.

    Returns
    -------
    list of Block
        Slab by slab, then by y and x. All boxes to read have one shape: at the end of an axis they are
        shifted inwards instead of made smaller.

    Raises
    ------
    UsageError
        If the edge leaves no inside between its halos, or a size is not positive.

    Notes
    -----
    Along an axis whose length is no multiple of the stride, the read length has the same remainder as the axis, so
    that a network pads all blocks at the end by the same amount.

    Examples
    --------
    >>> [block.inside_corner_zyx for block in split_into_blocks((4, 64, 64), slab=2, edge=64, halo_zyx=(1, 8, 8))]
    [(0, 0, 0), (2, 0, 0)]
    """
    if min(*shape_zyx, slab, edge, stride) < 1 or min(halo_zyx) < 0:
        raise UsageError(
            f"A volume of {shape_zyx} cannot be divided into blocks of {slab} slices, edge {edge} and stride {stride}.",
            "Use positive sizes and a halo of 0 or more.",
        )
    along_z = _slab_spans(shape_zyx[0], slab, halo_zyx[0])
    along_y = _overlapping_spans(shape_zyx[1], edge, halo_zyx[1], stride)
    along_x = _overlapping_spans(shape_zyx[2], edge, halo_zyx[2], stride)
    return [_make_block(*spans) for spans in product(along_z, along_y, along_x)]


def _make_block(z: tuple[_Span, _Span], y: tuple[_Span, _Span], x: tuple[_Span, _Span]) -> Block:
    """Return the block with these (read, inside) spans along each axis."""
    (read_z, inside_z), (read_y, inside_y), (read_x, inside_x) = z, y, x
    return Block(
        (read_z[0], read_y[0], read_x[0]),
        (read_z[1] - read_z[0], read_y[1] - read_y[0], read_x[1] - read_x[0]),
        (inside_z[0], inside_y[0], inside_x[0]),
        (inside_z[1] - inside_z[0], inside_y[1] - inside_y[0], inside_x[1] - inside_x[0]),
    )


def _slab_spans(length: int, slab: int, halo: int) -> list[tuple[_Span, _Span]]:
    """Return (read, inside) for slabs that begin at multiples of their thickness."""
    read_length = min(length, slab + 2 * halo)
    spans = []
    for start in range(0, length, slab):
        first = min(max(start - halo, 0), length - read_length)
        spans.append(((first, first + read_length), (start, min(start + slab, length))))
    return spans


def _overlapping_spans(length: int, edge: int, halo: int, stride: int) -> list[tuple[_Span, _Span]]:
    """Return (read, inside) for overlapping spans; insides meet in the middle of each overlap."""
    if length <= edge:
        return [((0, length), (0, length))]
    read_length = edge - (edge - length) % stride
    step = (read_length - 2 * halo) // stride * stride
    if step < 1:
        raise UsageError(
            f"Blocks with an edge of {edge} have no inside with a halo of {halo} and stride {stride}.",
            f"Use an edge of at least {2 * halo + 2 * stride}.",
        )
    count = _span_count(length, read_length, step)
    while read_length - stride > 2 * halo and _span_count(length, read_length - stride, step - stride) == count:
        read_length, step = read_length - stride, step - stride
    starts = [*range(0, length - read_length, step), length - read_length]
    boundaries = [(first + read_length + second) // 2 for first, second in pairwise(starts)]
    insides = pairwise([0, *boundaries, length])
    return [((start, start + read_length), inside) for start, inside in zip(starts, insides, strict=True)]


def _span_count(length: int, read_length: int, step: int) -> int:
    """Return how many spans of `read_length` at distance `step` cover a length; `length` without a positive step."""
    return 1 - (read_length - length) // step if step > 0 else length


def smaller_edge(shape_yx: tuple[int, int], edge: int, *, halo: int, stride: int) -> int | None:
    """Return the next smaller edge to try when the blocks of a slice do not fit into memory.

    Parameters
    ----------
    shape_yx : tuple of int
        Pixels of the slice.
    edge : int
        Edge of the blocks that were too large.
    halo : int
        Reach of the computation along y and x.
    stride : int
        As for `split_into_blocks`.

    Returns
    -------
    int or None
        Among the edges whose blocks have at least `MIN_REDUCTION` fewer pixels, the one with the fewest pixels to
        read in all; if there are none, the one with the smallest blocks. None if no edge gives smaller blocks.

    Examples
    --------
    >>> smaller_edge((544, 544), 544, halo=112, stride=8)  # 4 blocks, not the 49 of edge 272
    384
    """
    current_pixels = _coverage(shape_yx, edge, halo, stride)[1]
    coverage = {
        candidate: _coverage(shape_yx, candidate, halo, stride)
        for candidate in range(2 * halo + 2 * stride, min(edge, max(shape_yx)), stride)
    }
    costs = {candidate: count * pixels for candidate, (count, pixels) in coverage.items() if pixels < current_pixels}
    sufficient = [candidate for candidate in costs if coverage[candidate][1] <= (1 - MIN_REDUCTION) * current_pixels]
    if sufficient:
        return min(sufficient, key=lambda candidate: (costs[candidate], candidate))
    return min(costs, key=lambda candidate: coverage[candidate][1], default=None)


def read_overhead(shape_yx: tuple[int, int], edge: int, *, halo: int, stride: int) -> float:
    """Return how often the blocks of a slice read each of its pixels on average; 1 for an undivided slice."""
    count, pixels = _coverage(shape_yx, edge, halo, stride)
    return count * pixels / (shape_yx[0] * shape_yx[1])


def _coverage(shape_yx: tuple[int, int], edge: int, halo: int, stride: int) -> tuple[int, int]:
    """Return how many blocks cover a slice, and the pixels that each of them reads."""
    along_y, along_x = (_overlapping_spans(length, edge, halo, stride) for length in shape_yx)
    (top, bottom), (left, right) = along_y[0][0], along_x[0][0]
    return len(along_y) * len(along_x), (bottom - top) * (right - left)


def write_block(out: NDArray[Any], block: Block, values: NDArray[Any]) -> None:
    """Write the inside of a finished block into the volume.

    Parameters
    ----------
    out : ndarray, shape (z, y, x, ...)
        The volume; changed in place within the block's inside.
    block : Block
        Position of the values.
    values : ndarray, shape (*block.read_shape_zyx, ...)
        The result for the whole box that was read.

    Raises
    ------
    ShapeError
        If the values do not have the shape of the box that was read.
    """
    if values.shape[:3] != block.read_shape_zyx:
        raise ShapeError(
            f"The result of a block of shape {block.read_shape_zyx} has shape {values.shape}.",
            "Return one value for each voxel that the block reads.",
        )
    out[block.inside_window] = values[block.inside_in_read]
