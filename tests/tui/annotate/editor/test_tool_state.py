"""The state of the tools: the pixels they paint, with keys and mouse, without widgets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, UNLABELLED
from tomoseg_tui.core.paint_tools import FREEHAND_TOOLS, Tool, brush_mask, filament_mask, polyline_mask, rectangle_mask
from tomoseg_tui.tui.annotate.editor.tool_state import ToolInput, ToolOutput, ToolState

SIZE = 32
SHAPE = (SIZE, SIZE)


def ground(layer: NDArray[np.uint8] | None = None, opinion: NDArray[np.float32] | None = None) -> ToolInput:
    """Return a flat tile with a bright square of 8 pixels at its lower left corner."""
    densities = np.zeros(SHAPE, np.float32)
    densities[:8, :8] = 5
    return ToolInput(np.zeros(SHAPE, np.uint8) if layer is None else layer, densities, opinion)


def held(tool: Tool, width: int | None = None) -> ToolState:
    hand = ToolState(SIZE)
    hand.select_tool(tool)
    if width is not None:
        hand.adjust_setting(-40)
        hand.adjust_setting(width - 1)
    return hand


def mask_of(paint: ToolOutput | None) -> NDArray[np.bool_]:
    assert paint is not None
    return paint.mask


@settings(deadline=None)  # the first use of the wand imports SciPy
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("move"), st.integers(-40, 40), st.integers(-40, 40)),
            st.tuples(st.just("drag"), st.integers(-99, 99), st.integers(-99, 99)),
            st.tuples(st.just("hold"), st.integers(-99, 99), st.integers(-99, 99)),
            st.tuples(st.sampled_from(["press", "finish", "release", "toggle_pen", "cancel"]), st.just(0), st.just(0)),
            st.tuples(st.just("tool"), st.integers(0, len(Tool) - 1), st.just(0)),
        ),
        max_size=30,
    )
)
def test_the_cursor_stays_on_the_tile_and_paint_fits_it_after_any_actions(moves: list[tuple[str, int, int]]) -> None:
    hand, here, given_away = ToolState(SIZE), ground(), []
    for name, first, second in moves:
        if name == "move":
            hand.move(first, second)
        elif name == "drag":
            hand.drag(first, second)
        elif name == "hold":
            given_away.append(hand.start_drag(first, second, here, erase=first % 2 == 0))
        elif name == "tool":
            given_away.append(hand.select_tool(list(Tool)[first]))
        elif name == "press":
            given_away.append(hand.press(here))
        else:
            answer = getattr(hand, name)()
            given_away.append(answer if isinstance(answer, ToolOutput) else None)
        assert all(0 <= at < SIZE for at in hand.cursor_yx)
        assert hand.footprint.shape == SHAPE
        tentative = hand.preview(here)
        assert tentative is None or tentative.mask.shape == SHAPE
    assert all(paint.mask.shape == SHAPE for paint in given_away if paint is not None)


def test_space_paints_a_dab_of_the_brush() -> None:
    hand = held(Tool.BRUSH, 5)
    paint = hand.press(ground())
    assert paint is not None
    assert (paint.value, paint.tool) == (FEATURE, "brush")
    assert np.array_equal(paint.mask, brush_mask(SHAPE, (16, 16), 5))


def test_the_eraser_paints_unlabelled() -> None:
    paint = held(Tool.ERASER).press(ground())
    assert paint is not None
    assert paint.value == UNLABELLED


def test_with_the_pen_down_moving_paints_one_stroke() -> None:
    hand = held(Tool.BRUSH, 1)
    assert hand.toggle_pen() is None
    hand.move(0, 8)
    hand.move(4, 0)
    assert hand.pending_output is not None
    assert np.array_equal(mask_of(hand.toggle_pen()), polyline_mask(SHAPE, [(16, 16), (16, 24), (20, 24)], 1))
    assert hand.pending_output is None
    hand.move(0, 1)
    assert hand.pending_output is None


def test_a_resting_pen_returns_its_stroke_and_stays_down() -> None:
    hand = held(Tool.BRUSH, 1)
    hand.toggle_pen()
    hand.move(0, 3)
    assert mask_of(hand.end_stroke(stay_down=True)).sum() == 4
    hand.move(0, 1)
    assert mask_of(hand.end_stroke()).sum() == 2


def test_selecting_another_tool_returns_the_unfinished_stroke() -> None:
    hand = held(Tool.BRUSH, 1)
    hand.toggle_pen()
    hand.move(0, 2)
    assert mask_of(hand.select_tool(Tool.LINE)).sum() == 3
    assert not hand.pen_down


def test_with_a_shape_tool_the_pen_selects_the_brush() -> None:
    hand = held(Tool.BOX)
    hand.toggle_pen()
    assert hand.tool is Tool.BRUSH
    assert hand.pen_down


def test_a_line_goes_through_its_points_with_its_width() -> None:
    hand = held(Tool.LINE, 3)
    assert hand.press(ground()) is None
    hand.move(0, 8)
    assert hand.press(ground()) is None
    hand.move(5, 0)
    tentative = mask_of(hand.preview(ground()))
    painted = mask_of(hand.finish())
    assert np.array_equal(painted, polyline_mask(SHAPE, [(16, 16), (16, 24), (21, 24)], 3))
    assert np.array_equal(painted, tentative)
    assert not hand.is_open


def test_a_repeated_point_ends_a_line() -> None:
    hand = held(Tool.LINE, 1)
    hand.press(ground())
    hand.move(0, 4)
    hand.press(ground())
    assert mask_of(hand.press(ground())).sum() == 5


def test_two_points_make_a_filament_from_border_to_border() -> None:
    hand = held(Tool.FILAMENT, 7)
    hand.press(ground())
    hand.move(8, 3)
    painted = mask_of(hand.press(ground()))
    assert np.array_equal(painted, filament_mask(SHAPE, (16, 16), (24, 19), 7))
    assert painted[0].any()
    assert painted[-1].any()


def test_enter_ends_a_filament_too() -> None:
    hand = held(Tool.FILAMENT, 1)
    hand.press(ground())
    hand.move(0, 3)
    assert mask_of(hand.finish())[16].all()


def test_a_box_lies_between_two_corners() -> None:
    hand = held(Tool.BOX)
    hand.press(ground())
    hand.move(3, 5)
    assert np.array_equal(mask_of(hand.press(ground())), rectangle_mask(SHAPE, (16, 16), (19, 21)))


def test_an_area_is_filled_up_to_the_cursor() -> None:
    hand = held(Tool.AREA)
    for up, right in ((0, 0), (8, 0), (0, 8)):
        hand.move(up, right)
        hand.press(ground())
    hand.move(-8, 0)
    assert mask_of(hand.finish()).sum() == 81


def test_the_wand_finds_pixels_of_equal_grey() -> None:
    hand = held(Tool.WAND)
    hand.go_to(3, 3)
    found = mask_of(hand.press(ground()))
    assert 30 <= found.sum() <= 64
    assert not found[12:, 12:].any()


def test_a_higher_tolerance_finds_more_and_a_smaller_radius_less() -> None:
    hand = held(Tool.WAND)
    few = mask_of(hand.preview(ground())).sum()
    hand.adjust_setting(60)
    many = mask_of(hand.preview(ground())).sum()
    hand.adjust_radius(-9)
    assert many >= few > mask_of(hand.preview(ground())).sum() > 0


def test_fill_selects_the_inside_of_an_outline() -> None:
    layer = np.where(
        rectangle_mask(SHAPE, (10, 10), (20, 20)) & ~rectangle_mask(SHAPE, (11, 11), (19, 19)), FEATURE, 0
    ).astype(np.uint8)
    hand = held(Tool.FILL)
    assert mask_of(hand.press(ground(layer))).sum() == 81
    hand.go_to(0, 0)
    assert not mask_of(hand.press(ground(layer))).any()


def test_the_network_tool_selects_all_pixels_above_a_threshold() -> None:
    opinion = np.linspace(0, 1, SIZE * SIZE, dtype=np.float32).reshape(SHAPE)
    hand = held(Tool.NETWORK)
    hand.adjust_setting(5)
    paint = hand.press(ground(opinion=opinion))
    assert paint is not None
    assert paint.replaces_feature
    assert np.array_equal(paint.mask, opinion > 0.75)
    assert held(Tool.NETWORK).press(ground()) is None


def test_values_cycle_and_are_painted() -> None:
    hand, seen = held(Tool.BRUSH), []
    for _ in range(4):
        paint = hand.press(ground())
        assert paint is not None
        seen.append(paint.value)
        hand.next_value()
    assert seen == [FEATURE, NOT_FEATURE, IGNORED, FEATURE]


@pytest.mark.parametrize("tool", FREEHAND_TOOLS)
def test_a_drag_is_one_stroke_despite_lost_move_events(tool: Tool) -> None:
    hand = held(tool, 1)
    assert hand.start_drag(2, 2, ground()) is None
    hand.drag(2, 20)
    hand.drag(10, 20)
    assert np.array_equal(mask_of(hand.release()), polyline_mask(SHAPE, [(2, 2), (2, 20), (10, 20)], 1))


def test_the_right_button_erases_with_the_brush_until_it_is_released() -> None:
    hand = held(Tool.BRUSH)
    hand.start_drag(2, 2, ground(), erase=True)
    assert hand.paint_value == UNLABELLED
    paint = hand.release()
    assert paint is not None
    assert paint.value == UNLABELLED
    assert hand.paint_value == FEATURE


@pytest.mark.parametrize("tool", [Tool.LINE, Tool.FILAMENT, Tool.BOX])
def test_a_shape_drawn_in_one_drag_is_painted_on_release(tool: Tool) -> None:
    hand = held(tool)
    assert hand.start_drag(5, 5, ground()) is None
    hand.drag(12, 9)
    assert mask_of(hand.release()).any()
    assert not hand.is_open


def test_clicks_set_the_points_of_a_line() -> None:
    hand = held(Tool.LINE, 1)
    for y, x in ((5, 5), (5, 9), (9, 9)):
        assert hand.start_drag(y, x, ground()) is None
        assert hand.release() is None
    assert mask_of(hand.finish()).sum() == 9


def test_a_freehand_outline_is_closed_and_filled() -> None:
    hand = held(Tool.AREA)
    hand.start_drag(5, 5, ground())
    for y, x in ((5, 15), (15, 15), (15, 5), (5, 5)):
        hand.drag(y, x)
    assert mask_of(hand.release()).sum() == 121


def test_escape_drops_the_open_shape_and_the_unfinished_stroke() -> None:
    hand = held(Tool.LINE)
    hand.press(ground())
    assert hand.cancel()
    assert not hand.cancel()
    hand.toggle_pen()
    assert hand.cancel()
    assert hand.pending_output is None


def test_growing_keeps_ignored_pixels_and_shrinking_leaves_unlabelled_ones() -> None:
    layer = np.where(rectangle_mask(SHAPE, (10, 10), (14, 14)), FEATURE, 0).astype(np.uint8)
    layer[15] = IGNORED
    hand = ToolState(SIZE)
    grown, shrunk = hand.grow(layer, 1), hand.grow(layer, -1)
    assert grown is not None
    assert shrunk is not None
    assert not grown.mask[15].any()
    assert grown.mask.sum() == 15
    assert (shrunk.value, shrunk.mask.sum()) == (UNLABELLED, 16)
    assert hand.grow(np.zeros_like(layer), 1) is None


def test_each_tool_keeps_its_own_width() -> None:
    hand = held(Tool.BRUSH, 1)
    hand.select_tool(Tool.LINE)
    hand.adjust_setting(99)
    assert hand.width == 31
    hand.select_tool(Tool.BRUSH)
    assert (hand.width, hand.setting()) == (1, "1 px")
    hand.adjust_setting(99)
    assert hand.width == 15
