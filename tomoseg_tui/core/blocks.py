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
LEAST_RELIEF = 0.2
"""Share of its pixels that a piece loses at least where smaller ones are asked for, so that few steps lead far."""
_Span = tuple[int, int]
"""Where something begins on an axis, and where it ends (exclusive)."""


@dataclass(frozen=True)
class Piece:
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
    def inside_of_read(self) -> tuple[slice, slice, slice]:
        """The inside, as an index into what was read."""
        z, y, x = (inside - read for inside, read in zip(self.inside_corner_zyx, self.read_corner_zyx, strict=True))
        return _window((z, y, x), self.inside_shape_zyx)


def _window(corner_zyx: Zyx, shape_zyx: Zyx) -> tuple[slice, slice, slice]:
    z, y, x = (slice(corner, corner + length) for corner, length in zip(corner_zyx, shape_zyx, strict=True))
    return z, y, x


def pieces(shape_zyx: Zyx, *, slab: int, edge: int, halo_zyx: Zyx, stride: int = 1) -> list[Piece]:
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
    along_z = _slabs(shape_zyx[0], slab, halo_zyx[0])
    along_y = _overlapping(shape_zyx[1], edge, halo_zyx[1], stride)
    along_x = _overlapping(shape_zyx[2], edge, halo_zyx[2], stride)
    return [_piece(*spans) for spans in product(along_z, along_y, along_x)]


def _piece(z: tuple[_Span, _Span], y: tuple[_Span, _Span], x: tuple[_Span, _Span]) -> Piece:
    """Join (read, inside) along each axis."""
    (rz, iz), (ry, iy), (rx, ix) = z, y, x
    return Piece(
        (rz[0], ry[0], rx[0]),
        (rz[1] - rz[0], ry[1] - ry[0], rx[1] - rx[0]),
        (iz[0], iy[0], ix[0]),
        (iz[1] - iz[0], iy[1] - iy[0], ix[1] - ix[0]),
    )


def _slabs(length: int, slab: int, halo: int) -> list[tuple[_Span, _Span]]:
    """Return (read, inside) of slabs that begin at multiples of their thickness."""
    read = min(length, slab + 2 * halo)
    spans = []
    for start in range(0, length, slab):
        first = min(max(start - halo, 0), length - read)
        spans.append(((first, first + read), (start, min(start + slab, length))))
    return spans


def _overlapping(length: int, edge: int, halo: int, stride: int) -> list[tuple[_Span, _Span]]:
    """Return (read, inside) of overlapping stretches; insides meet in the middle of the overlap."""
    if length <= edge:
        return [((0, length), (0, length))]
    read = edge - (edge - length) % stride
    step = (read - 2 * halo) // stride * stride
    if step < 1:
        raise UsageError(
            f"Pieces with an edge of {edge} leave nothing between halos of {halo} at stride {stride}.",
            f"Use an edge of at least {2 * halo + 2 * stride}.",
        )
    count = _count(length, read, step)
    while read - stride > 2 * halo and _count(length, read - stride, step - stride) == count:  # no more than needed
        read, step = read - stride, step - stride
    starts = [*range(0, length - read, step), length - read]
    meetings = [(first + read + second) // 2 for first, second in pairwise(starts)]
    insides = pairwise([0, *meetings, length])
    return [((start, start + read), inside) for start, inside in zip(starts, insides, strict=True)]


def _count(length: int, read: int, step: int) -> int:
    """Return how many stretches of `read` cover a length, each a step after the other; endless without a step."""
    return 1 - (read - length) // step if step > 0 else length


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
        As for `pieces`.

    Returns
    -------
    int or None
        With it, pieces have fewer pixels by `LEAST_RELIEF` or more, and together read as few as can be then;
        where none are that much smaller, the smallest there are. None if there are no smaller ones.

    Examples
    --------
    >>> smaller_edge((544, 544), 544, halo=112, stride=8)  # 4 pieces, not the 49 of edge 272
    384
    """
    before = _cover(shape_yx, edge, halo, stride)[1]
    covers = {
        smaller: _cover(shape_yx, smaller, halo, stride)
        for smaller in range(2 * halo + 2 * stride, min(edge, max(shape_yx)), stride)
    }
    lighter = {smaller: count * pixels for smaller, (count, pixels) in covers.items() if pixels < before}
    enough = [smaller for smaller in lighter if covers[smaller][1] <= (1 - LEAST_RELIEF) * before]
    if enough:
        return min(enough, key=lambda smaller: (lighter[smaller], smaller))
    return min(lighter, key=lambda smaller: covers[smaller][1], default=None)


def times_read(shape_yx: tuple[int, int], edge: int, *, halo: int, stride: int) -> float:
    """Return how often the pieces of a slice together read each of its pixels, on average; 1 for a whole slice."""
    count, pixels = _cover(shape_yx, edge, halo, stride)
    return count * pixels / (shape_yx[0] * shape_yx[1])


def _cover(shape_yx: tuple[int, int], edge: int, halo: int, stride: int) -> tuple[int, int]:
    """Return how many pieces cover a slice, and the pixels that each of them reads."""
    along_y, along_x = (_overlapping(length, edge, halo, stride) for length in shape_yx)
    (top, bottom), (left, right) = along_y[0][0], along_x[0][0]
    return len(along_y) * len(along_x), (bottom - top) * (right - left)


def cut(volume: NDArray[Any], piece: Piece) -> NDArray[Any]:
    """Return what a piece reads of a volume (z, y, x, ...); a view, no copy."""
    return volume[piece.read_window]


def place(out: NDArray[Any], piece: Piece, values: NDArray[Any]) -> None:
    """Write the inside of a finished piece into the volume that it belongs to.

    Parameters
    ----------
    out : ndarray, shape (z, y, x, ...)
        The volume; changed in place within the piece's inside.
    piece : Piece
        Where the values belong.
    values : ndarray, shape (*piece.read_shape_zyx, ...)
        What was made of all that the piece read.

    Raises
    ------
    ShapeError
        If the values do not have the shape that was read.
    """
    if values.shape[:3] != piece.read_shape_zyx:
        raise ShapeError(
            f"Values of shape {values.shape} came for a piece of shape {piece.read_shape_zyx}.",
            "Return as many voxels as the piece reads.",
        )
    out[piece.inside_window] = values[piece.inside_of_read]
