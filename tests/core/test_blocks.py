import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from tomoseg_tui.core.blocks import (
    MIN_REDUCTION,
    Block,
    Zyx,
    read_overhead,
    smaller_edge,
    split_into_blocks,
    write_block,
)
from tomoseg_tui.errors import ShapeError, UsageError


@st.composite
def plans(draw: st.DrawFn) -> tuple[Zyx, Zyx, int, list[Block]]:
    """Draw a volume's shape, a halo, a stride, and blocks for them."""
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 40), st.integers(1, 40)))
    halo = draw(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 4)))
    stride = draw(st.sampled_from([1, 2, 4]))
    edge = draw(st.integers(8 + 2 * stride, 48))
    slab = draw(st.integers(1, 12))
    return shape, halo, stride, split_into_blocks(shape, slab=slab, edge=edge, halo_zyx=halo, stride=stride)


@given(plans())
def test_insides_cover_every_voxel_exactly_once(plan: tuple[Zyx, Zyx, int, list[Block]]) -> None:
    shape, _, _, cuts = plan
    covered = np.zeros(shape, int)
    for piece in cuts:
        covered[piece.inside_window] += 1
    assert (covered == 1).all()


@given(plans())
def test_all_blocks_of_a_volume_have_one_shape_and_lie_within_it(plan: tuple[Zyx, Zyx, int, list[Block]]) -> None:
    shape, _, _, cuts = plan
    assert len({piece.read_shape_zyx for piece in cuts}) == 1
    for piece in cuts:
        ends = np.add(piece.read_corner_zyx, piece.read_shape_zyx)
        assert min(piece.read_corner_zyx) >= 0
        assert (ends <= shape).all()


@given(plans())
def test_blocks_begin_on_the_stride_and_end_like_the_volume(plan: tuple[Zyx, Zyx, int, list[Block]]) -> None:
    shape, _, stride, cuts = plan
    for piece in cuts:
        assert all(corner % stride == 0 for corner in piece.read_corner_zyx[1:])
        assert all((n - length) % stride == 0 for n, length in zip(shape[1:], piece.read_shape_zyx[1:], strict=True))


@settings(deadline=None)
@given(plans(), st.integers(0, 2**32 - 1))
def test_a_local_function_of_the_blocks_equals_that_of_the_whole(
    plan: tuple[Zyx, Zyx, int, list[Block]], seed: int
) -> None:
    shape, halo, _, cuts = plan
    volume = np.random.default_rng(seed).integers(0, 99, shape)
    size = tuple(2 * reach + 1 for reach in halo)

    def local(values: NDArray[np.int64]) -> NDArray[np.int64]:
        found: NDArray[np.int64] = ndimage.maximum_filter(values, size=size, mode="constant", cval=-1)
        return found

    out = np.full(shape, -5)
    for piece in cuts:
        write_block(out, piece, local(volume[piece.read_window]))
    np.testing.assert_array_equal(out, local(volume))


@given(plans(), st.integers(0, 2**32 - 1))
def test_pooling_grids_agree_between_blocks(plan: tuple[Zyx, Zyx, int, list[Block]], seed: int) -> None:
    """With a halo of one stride, the maximum over a stride is the same from every block."""
    shape, _, stride, _ = plan
    volume = np.random.default_rng(seed).integers(0, 99, shape)

    def pooled(values: NDArray[np.int64]) -> NDArray[np.int64]:
        _, ny, nx = values.shape
        padded = np.pad(values, ((0, 0), (0, -ny % stride), (0, -nx % stride)))
        blocks = padded.reshape(len(padded), padded.shape[1] // stride, stride, -1, stride).max(axis=(2, 4))
        spread: NDArray[np.int64] = blocks.repeat(stride, axis=1).repeat(stride, axis=2)[:, :ny, :nx]
        return spread

    out = np.full(shape, -5)
    for piece in split_into_blocks(shape, slab=3, edge=4 * stride + 3, halo_zyx=(0, stride, stride), stride=stride):
        write_block(out, piece, pooled(volume[piece.read_window]))
    np.testing.assert_array_equal(out, pooled(volume))


def test_a_slice_that_fits_is_one_block() -> None:
    assert split_into_blocks((2, 500, 512), slab=2, edge=512, halo_zyx=(1, 40, 40), stride=8) == [
        Block((0, 0, 0), (2, 500, 512), (0, 0, 0), (2, 500, 512))
    ]


def test_slabs_of_a_worked_example() -> None:
    """10 slices in slabs of 4 with halo 1 are read 6 at a time; first and last are shifted inwards."""
    found = split_into_blocks((10, 8, 8), slab=4, edge=8, halo_zyx=(1, 2, 2))
    assert [(piece.read_corner_zyx[0], piece.inside_corner_zyx[0]) for piece in found] == [(0, 0), (3, 4), (4, 8)]
    assert [piece.inside_shape_zyx[0] for piece in found] == [4, 4, 2]
    assert {piece.read_shape_zyx[0] for piece in found} == {6}


def test_channels_are_written_with_their_voxels() -> None:
    volume = np.arange(4 * 6 * 6).reshape(4, 6, 6)
    out = np.zeros((4, 6, 6, 2), int)
    for piece in split_into_blocks(volume.shape, slab=2, edge=4, halo_zyx=(0, 1, 1)):
        write_block(out, piece, np.stack([volume[piece.read_window]] * 2, axis=-1))
    np.testing.assert_array_equal(out[..., 1], volume)


def test_an_edge_without_an_inside_is_refused_with_one_that_works() -> None:
    with pytest.raises(UsageError, match="at least 88"):
        split_into_blocks((1, 512, 512), slab=1, edge=79, halo_zyx=(0, 36, 36), stride=8)
    assert split_into_blocks((1, 513, 511), slab=1, edge=88, halo_zyx=(0, 36, 36), stride=8)


@pytest.mark.parametrize(("slab", "edge", "stride"), [(0, 8, 1), (1, 0, 1), (1, 8, 0)])
def test_sizes_that_are_not_positive_are_refused(slab: int, edge: int, stride: int) -> None:
    with pytest.raises(UsageError, match="positive"):
        split_into_blocks((1, 8, 8), slab=slab, edge=edge, halo_zyx=(0, 0, 0), stride=stride)


def test_values_of_another_shape_are_not_written() -> None:
    (piece,) = split_into_blocks((1, 8, 8), slab=1, edge=8, halo_zyx=(0, 0, 0))
    with pytest.raises(ShapeError, match=r"\(1, 4, 4\)"):
        write_block(np.zeros((1, 8, 8)), piece, np.zeros((1, 4, 4)))


@given(
    length=st.integers(1, 400), edge=st.integers(40, 120), halo=st.integers(0, 12), stride=st.sampled_from([1, 2, 8])
)
def test_blocks_are_no_larger_than_their_number_requires(length: int, edge: int, halo: int, stride: int) -> None:
    found = split_into_blocks((1, 1, length), slab=1, edge=edge, halo_zyx=(0, 0, halo), stride=stride)
    read = found[0].read_shape_zyx[2]
    assert read <= max(edge, min(length, edge))
    if len(found) > 1 and read - stride > 2 * halo + stride:
        smaller = split_into_blocks((1, 1, length), slab=1, edge=read - stride, halo_zyx=(0, 0, halo), stride=stride)
        assert len(smaller) > len(found)


def test_the_blocks_of_a_slice_of_512_with_border_shrink_by_cheap_steps() -> None:
    """Half the edge would be 49 blocks and 12.3 times the pixels."""
    edges: list[int] = [544]
    while (edge := smaller_edge((544, 544), edges[-1], halo=112, stride=8)) is not None:
        edges.append(edge)
    assert edges == [544, 384, 336, 288, 256, 240]
    work = [read_overhead((544, 544), edge, halo=112, stride=8) for edge in edges[:4]]
    assert work == pytest.approx([1, 4 * 384**2 / 544**2, 9 * 336**2 / 544**2, 25 * 288**2 / 544**2])


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)), st.integers(1, 60), st.integers(0, 8), st.sampled_from([1, 2, 4])
)
def test_the_next_smaller_blocks_are_the_cheapest(shape_yx: tuple[int, int], edge: int, halo: int, stride: int) -> None:
    def cover(edge: int) -> tuple[int, int]:
        """Return the pixels of a piece and of all."""
        parts = split_into_blocks((1, *shape_yx), slab=1, edge=edge, halo_zyx=(0, halo, halo), stride=stride)
        pixels = int(np.prod(parts[0].read_shape_zyx))
        return pixels, len(parts) * pixels

    smallest = 2 * halo + 2 * stride
    edge = min(max(edge, smallest), max(*shape_yx, smallest))
    found = smaller_edge(shape_yx, edge, halo=halo, stride=stride)
    smaller = [cover(one) for one in range(smallest, edge, stride)]
    before = cover(edge)[0]
    enough = [work for pixels, work in smaller if pixels <= (1 - MIN_REDUCTION) * before]
    if found is None:
        assert all(pixels >= before for pixels, _ in smaller)
        return
    assert smallest <= found < edge
    assert cover(found)[0] < before
    assert read_overhead(shape_yx, found, halo=halo, stride=stride) == cover(found)[1] / (shape_yx[0] * shape_yx[1])
    if enough:
        assert cover(found)[1] == min(enough)
