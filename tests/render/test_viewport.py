import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from tomoseg_tui.render.viewport import CELL_HEIGHT, Viewport, resample, upright

pictures = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20))
sides = st.integers(1, 2000)
viewports = st.builds(
    Viewport,
    image_shape_yx=st.tuples(sides, sides),
    cells_xy=st.tuples(st.integers(1, 200), st.integers(1, 80)),
    pixels_per_cell_xy=st.sampled_from([(1, 1), (1, 2), (2, 4), (10, 20)]),
    zoom=st.floats(1 / 100, 32),
    centre_yx=st.tuples(st.floats(0, 2000), st.floats(0, 2000)),
)
positions = st.floats(-300, 300)


@given(viewports, positions, positions)
def test_converting_a_cell_to_a_pixel_and_back_gives_the_same_cell(view: Viewport, column: float, row: float) -> None:
    assert view.cell_at_pixel(*view.pixel_at_cell(column, row)) == pytest.approx((column, row), abs=1e-6)


@given(viewports, positions, positions, st.floats(0.05, 20))
def test_the_position_under_the_cursor_stays_there_when_zooming(
    view: Viewport, column: float, row: float, factor: float
) -> None:
    before = view.pixel_at_cell(column, row)
    after = view.zoom_about(column, row, factor).pixel_at_cell(column, row)
    assert after == pytest.approx(before, rel=1e-6, abs=1e-3)


@given(viewports)
def test_a_fitted_view_shows_the_whole_picture_and_touches_two_edges(view: Viewport) -> None:
    fitted = Viewport.fit(view.image_shape_yx, view.cells_xy, view.pixels_per_cell_xy)
    height, width = fitted.image_shape_yx
    left, bottom = fitted.cell_at_pixel(0, 0)
    right, top = fitted.cell_at_pixel(height, width)
    columns, rows = fitted.cells_xy
    assert min(left, top) >= -1e-6
    assert (right <= columns + 1e-6, bottom <= rows + 1e-6) == (True, True)
    assert min(left, top) == pytest.approx(0, abs=1e-6)


def test_y_points_up_and_a_cell_is_twice_as_high_as_wide() -> None:
    view = Viewport.fit((64, 64), (64, 32), (1, 2))
    assert view.pixel_at_cell(0, 0) == (64.0, 0.0)
    assert view.pixel_at_cell(1, 1) == (64.0 - CELL_HEIGHT, 1.0)


def test_panning_down_shows_smaller_y_and_stops_at_the_edge() -> None:
    view = Viewport.fit((64, 64), (64, 32), (1, 2))
    assert view.pan(3, 4).centre_yx == (32.0 - 8.0, 35.0)
    assert view.pan(1000, 1000).centre_yx == (0.0, 64.0)


def test_zooming_stops_before_a_pixel_fills_the_screen() -> None:
    view = Viewport.fit((64, 64), (64, 32), (1, 2))
    assert view.zoom_about(0, 0, 1e9).zoom == 64.0


@given(pictures)
def test_upright_twice_is_the_picture(picture: NDArray[np.uint8]) -> None:
    assert (upright(upright(picture)) == picture).all()
    assert (upright(picture)[0] == picture[-1]).all()


@given(pictures, st.booleans())
def test_a_picture_resampled_to_its_own_shape_is_unchanged(picture: NDArray[np.uint8], labels: bool) -> None:  # noqa: FBT001
    height, width = picture.shape
    assert (resample(picture, (height, width), labels=labels) == picture).all()


@given(pictures, st.integers(1, 4), st.booleans())
def test_a_picture_enlarged_by_a_whole_factor_repeats_its_pixels(
    picture: NDArray[np.uint8],
    factor: int,
    labels: bool,  # noqa: FBT001
) -> None:
    shape = (picture.shape[0] * factor, picture.shape[1] * factor)
    expected = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    assert (resample(picture, shape, labels=labels) == expected).all()


@given(pictures, st.floats(0, 1), st.floats(0, 1))
def test_shrunk_greys_keep_their_mean(picture: NDArray[np.uint8], share_y: float, share_x: float) -> None:
    shape = (max(1, int(picture.shape[0] * share_y)), max(1, int(picture.shape[1] * share_x)))
    assert resample(picture, shape).mean() == pytest.approx(picture.mean(), abs=1.01)


def test_a_pixel_across_an_edge_counts_by_its_area() -> None:
    picture = np.array([[0, 90, 240]] * 3, dtype=np.uint8)
    assert resample(picture, (1, 2)).tolist() == [[30, 190]]  # (0 + 90/2) / 1.5 and (90/2 + 240) / 1.5


def areas(length: int, points: int, *, start: float, end: float) -> NDArray[np.float64]:
    """Return the length of each pixel within each point, shape (points, length)."""
    edges = np.linspace(start, end, points + 1)
    pixels = np.arange(length)
    overlaps = np.minimum(edges[1:, np.newaxis], pixels + 1) - np.maximum(edges[:-1, np.newaxis], pixels)
    return np.asarray(overlaps.clip(0))


@given(pictures, st.floats(0.1, 0.95), st.floats(-3, 3), st.floats(-3, 3))
def test_a_shrunk_raster_is_the_mean_by_area_also_at_the_edge(
    picture: NDArray[np.uint8], zoom: float, shift_y: float, shift_x: float
) -> None:
    height, width = picture.shape
    view = Viewport((height, width), (7, 3), (1, 2), zoom, (height / 2 + shift_y, width / 2 + shift_x))
    (top, left), (bottom, right) = view.pixel_at_cell(0, 0), view.pixel_at_cell(7, 3)
    along_y, along_x = areas(height, 6, start=bottom, end=top), areas(width, 7, start=left, end=right)
    covered = along_y.sum(axis=1)[:, np.newaxis] * along_x.sum(axis=1)
    means = (along_y @ picture @ along_x.T) / np.maximum(covered, 1e-9)
    raster = view.raster(picture)[::-1]
    assert np.abs(np.where(raster > 0, means - raster, 0)).max() <= 1.01  # rounded once along each axis


@given(pictures, st.integers(1, 30), st.integers(1, 30))
def test_labels_are_never_averaged(picture: NDArray[np.uint8], height: int, width: int) -> None:
    resampled = resample(picture, (height, width), labels=True)
    assert resampled.shape == (height, width)
    assert set(resampled.ravel().tolist()) <= set(picture.ravel().tolist())


@given(arrays(np.uint8, (8, 8)))
def test_a_raster_at_zoom_one_is_the_upright_picture(picture: NDArray[np.uint8]) -> None:
    view = Viewport.fit((8, 8), (8, 4), (1, 2))
    assert (view.raster(picture) == upright(picture)).all()
    assert (view.raster(picture, labels=True) == upright(picture)).all()


@given(viewports.filter(lambda view: view.cells_xy[0] * view.cells_xy[1] * view.pixels_per_cell_xy[0] < 4000))
def test_a_raster_fills_all_points_of_its_cells(view: Viewport) -> None:
    raster = view.raster(np.full(view.image_shape_yx, 9, dtype=np.uint8))
    assert raster.shape == (
        view.cells_xy[1] * view.pixels_per_cell_xy[1],
        view.cells_xy[0] * view.pixels_per_cell_xy[0],
    )
    assert set(raster.ravel().tolist()) <= {0, 9}


def test_a_raster_is_black_outside_the_picture() -> None:
    view = Viewport.fit((4, 4), (8, 2), (1, 2))
    raster = view.raster(np.full((4, 4), 200, dtype=np.uint8))
    assert raster.tolist() == [[0, 0, 200, 200, 200, 200, 0, 0]] * 4


@given(st.integers(0, 63), st.integers(0, 63), st.sampled_from([1.0, 2.0, 4.0]))
def test_a_raster_shows_a_pixel_in_its_computed_cell(y: int, x: int, factor: float) -> None:
    picture = np.zeros((64, 64), dtype=np.uint8)
    picture[y, x] = 255
    view = Viewport.fit((64, 64), (64, 32), (1, 2)).zoom_about(20, 10, factor)
    column, row = view.cell_at_pixel(y + 0.5, x + 0.5)
    assume(0 <= column < 64 and 0 <= row < 32)
    assert view.raster(picture)[int(row * 2), int(column)] == 255
