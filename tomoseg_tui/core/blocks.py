"""Cut a volume into pieces with their surroundings, and put back what was made of their insides.

Knows arrays only. What is done to a piece, and how much of its surroundings that needs, is its
caller's business.
"""

from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

from numpy.typing import NDArray

from tomoseg_tui.errors import ShapeError, UsageError

Zyx = tuple[int, int, int]
"""A corner or a shape along z, y and x, voxels."""
MIN_REDUCTION = 0.2
"""Share of its pixels that a piece loses at least where smaller ones are asked for, so that few steps lead far."""
_Span = tuple[int, int]
"""Where something begins on an axis, and where it ends (exclusive)."""


@dataclass(frozen=True)
class Block:
    """A box to read, and the box within it for which the result holds; both lie within the volume."""

    read_corner_zyx: Zyx
    """First voxel to read."""
    read_shape_zyx: Zyx
    """Voxels to read: the inside and its halo."""
    inside_corner_zyx: Zyx
    """First voxel of the inside, counted in the volume."""
    inside_shape_zyx: Zyx
    """Voxels of the inside."""

    @property
    def read_window(self) -> tuple[slice, slice, slice]:
        """What to read, as an index into the volume."""
        return _window(self.read_corner_zyx, self.read_shape_zyx)

    @property
    def inside_window(self) -> tuple[slice, slice, slice]:
        """The inside, as an index into the volume."""
        return _window(self.inside_corner_zyx, self.inside_shape_zyx)

    @property
    def inside_in_read(self) -> tuple[slice, slice, slice]:
        """The inside, as an index into what was read."""
        z, y, x = (
            inside_start - read_start
            for inside_start, read_start in zip(self.inside_corner_zyx, self.read_corner_zyx, strict=True)
        )
        return _window((z, y, x), self.inside_shape_zyx)


def _window(corner_zyx: Zyx, shape_zyx: Zyx) -> tuple[slice, slice, slice]:
    z, y, x = (slice(corner, corner + length) for corner, length in zip(corner_zyx, shape_zyx, strict=True))
    return z, y, x


def split_into_blocks(shape_zyx: Zyx, *, slab: int, edge: int, halo_zyx: Zyx, stride: int = 1) -> list[Block]:
    """Return pieces whose insides cover a volume, each voxel once.

    Parameters
    ----------
    shape_zyx : tuple of int
        Voxels of the volume along z, y and x.
    slab : int
        Slices finished by one piece: insides begin at 0, slab, 2 slab, ...; the last may hold fewer.
    edge : int
        Most voxels to read along y and along x, halo included. A slice that fits is not divided; one that
        does not is divided into as few pieces as can be, none larger than needed for that.
    halo_zyx : tuple of int
        How far the result at a voxel looks along z, y and x: half the receptive field.
    stride : int
        Reads begin at multiples of it along y and x, so that a network that halves its input puts
        its coarser grid on the same voxels in every piece.

    Returns
    -------
    list of Piece
        Slab by slab, then by y and x. All read boxes have one shape: at the end of an axis they are
        moved inwards instead of being made smaller.

    Raises
    ------
    UsageError
        If the edge leaves no inside between its halos, or a size is not positive.

    Notes
    -----
    Along an axis that is no multiple of the stride, the read length differs from a multiple by as
    much as the axis does: what a network has to pad at the end is then the same for all pieces.

    Examples
    --------
    >>> [piece.inside_corner_zyx for piece in pieces((4, 64, 64), slab=2, edge=64, halo_zyx=(1, 8, 8))]
    [(0, 0, 0), (2, 0, 0)]
    """
    if min(*shape_zyx, slab, edge, stride) < 1 or min(halo_zyx) < 0:
        raise UsageError(
            f"Pieces of {slab} slices and edge {edge} at stride {stride} were asked of a volume {shape_zyx}.",
            "Give positive sizes and a halo of 0 or more.",
        )
    along_z = _slab_spans(shape_zyx[0], slab, halo_zyx[0])
    along_y = _overlapping_spans(shape_zyx[1], edge, halo_zyx[1], stride)
    along_x = _overlapping_spans(shape_zyx[2], edge, halo_zyx[2], stride)
    return [_make_block(*spans) for spans in product(along_z, along_y, along_x)]


def _make_block(z: tuple[_Span, _Span], y: tuple[_Span, _Span], x: tuple[_Span, _Span]) -> Block:
    """Join (read, inside) along each axis."""
    (read_z, inside_z), (read_y, inside_y), (read_x, inside_x) = z, y, x
    return Block(
        (read_z[0], read_y[0], read_x[0]),
        (read_z[1] - read_z[0], read_y[1] - read_y[0], read_x[1] - read_x[0]),
        (inside_z[0], inside_y[0], inside_x[0]),
        (inside_z[1] - inside_z[0], inside_y[1] - inside_y[0], inside_x[1] - inside_x[0]),
    )


def _slab_spans(length: int, slab: int, halo: int) -> list[tuple[_Span, _Span]]:
    """Return (read, inside) of slabs that begin at multiples of their thickness."""
    read_length = min(length, slab + 2 * halo)
    spans = []
    for start in range(0, length, slab):
        first = min(max(start - halo, 0), length - read_length)
        spans.append(((first, first + read_length), (start, min(start + slab, length))))
    return spans


def _overlapping_spans(length: int, edge: int, halo: int, stride: int) -> list[tuple[_Span, _Span]]:
    """Return (read, inside) of overlapping stretches; insides meet in the middle of the overlap."""
    if length <= edge:
        return [((0, length), (0, length))]
    read_length = edge - (edge - length) % stride
    step = (read_length - 2 * halo) // stride * stride
    if step < 1:
        raise UsageError(
            f"Pieces with an edge of {edge} leave nothing between halos of {halo} at stride {stride}.",
            f"Use an edge of at least {2 * halo + 2 * stride}.",
        )
    count = _span_count(length, read_length, step)
    while (
        read_length - stride > 2 * halo and _span_count(length, read_length - stride, step - stride) == count
    ):  # no more than needed
        read_length, step = read_length - stride, step - stride
    starts = [*range(0, length - read_length, step), length - read_length]
    boundaries = [(first + read_length + second) // 2 for first, second in pairwise(starts)]
    insides = pairwise([0, *boundaries, length])
    return [((start, start + read_length), inside) for start, inside in zip(starts, insides, strict=True)]


def _span_count(length: int, read_length: int, step: int) -> int:
    """Return how many stretches of `read_length` cover a length, each one step further; endless without a step."""
    return 1 - (read_length - length) // step if step > 0 else length


def smaller_edge(shape_yx: tuple[int, int], edge: int, *, halo: int, stride: int) -> int | None:
    """Return the edge to go on with where memory does not suffice for the pieces of a slice.

    Parameters
    ----------
    shape_yx : tuple of int
        Pixels of the slice.
    edge : int
        With which pieces were too large.
    halo : int
        How far a result looks along y and x.
    stride : int
        As for `split_into_blocks`.

    Returns
    -------
    int or None
        With it, pieces have fewer pixels by `MIN_REDUCTION` or more, and together read as few as can be then;
        where none are that much smaller, the smallest there are. None if there are no smaller ones.

    Examples
    --------
    >>> smaller_edge((544, 544), 544, halo=112, stride=8)  # 4 pieces, not the 49 of edge 272
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
    """Return how often the pieces of a slice together read each of its pixels, on average; 1 for a whole slice."""
    count, pixels = _coverage(shape_yx, edge, halo, stride)
    return count * pixels / (shape_yx[0] * shape_yx[1])


def _coverage(shape_yx: tuple[int, int], edge: int, halo: int, stride: int) -> tuple[int, int]:
    """Return how many pieces cover a slice, and the pixels that each of them reads."""
    along_y, along_x = (_overlapping_spans(length, edge, halo, stride) for length in shape_yx)
    (top, bottom), (left, right) = along_y[0][0], along_x[0][0]
    return len(along_y) * len(along_x), (bottom - top) * (right - left)


def read_block(volume: NDArray[Any], block: Block) -> NDArray[Any]:
    """Return what a piece reads of a volume (z, y, x, ...); a view, no copy."""
    return volume[block.read_window]


def write_block(out: NDArray[Any], block: Block, values: NDArray[Any]) -> None:
    """Write the inside of a finished piece into the volume that it belongs to.

    Parameters
    ----------
    out : ndarray, shape (z, y, x, ...)
        The volume; changed in place within the piece's inside.
    block : Piece
        Where the values belong.
    values : ndarray, shape (*piece.read_shape_zyx, ...)
        What was made of all that the piece read.

    Raises
    ------
    ShapeError
        If the values do not have the shape that was read.
    """
    if values.shape[:3] != block.read_shape_zyx:
        raise ShapeError(
            f"Values of shape {values.shape} came for a piece of shape {block.read_shape_zyx}.",
            "Return as many voxels as the piece reads.",
        )
    out[block.inside_window] = values[block.inside_in_read]
