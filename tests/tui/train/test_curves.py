"""Curves of a training show the reported values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoseg_tui.tui.train.curves import column_spans, dice_plot, draw_lines, draw_plot, loss_plot
from tomoseg_tui.tui.train.runs import Epoch


def some_epochs(count: int) -> list[Epoch]:
    return [
        Epoch(
            epoch,
            1.0 / epoch,
            1.2 / epoch,
            {"microtubule": epoch / (epoch + 3), "membrane": epoch / (epoch + 9)},
            best=epoch in {1, 4},
        )
        for epoch in range(1, count + 1)
    ]


def words_of(*, count: int = 10, total: int = 20, columns: int = 40, rows: int = 8, plain: bool = False) -> list[str]:
    return [line.plain for line in draw_plot(loss_plot(some_epochs(count), total), columns, rows, ascii_only=plain)]


@given(
    losses=st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=400),
    columns=st.integers(12, 90),
    rows=st.integers(3, 20),
)
@settings(max_examples=60, deadline=None)
def test_a_plot_fills_its_area_exactly_for_any_values(losses: list[float], columns: int, rows: int) -> None:
    epochs = [Epoch(number, loss, loss / 2) for number, loss in enumerate(losses, start=1)]
    lines = draw_plot(loss_plot(epochs, len(losses)), columns, rows)
    assert [line.cell_len for line in lines] == [columns] * rows


@given(losses=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=300), columns=st.integers(4, 60))
@settings(max_examples=60, deadline=None)
def test_every_epoch_is_within_the_dots_of_its_column(losses: list[float], columns: int) -> None:
    epochs = [Epoch(number, loss) for number, loss in enumerate(losses, start=1)]
    plot = loss_plot(epochs, len(losses))
    height, width = 32, 2 * columns
    found, highest, lowest = column_spans(plot.lines[0], plot, (height, width))
    low, high = plot.y_range
    for number, loss in enumerate(losses):
        at = int(np.clip(np.rint(number / max(len(losses) - 1, 1) * (width - 1)), 0, width - 1)) - int(found[0])
        share = np.log(loss / low) / np.log(high / low)
        row = (1 - np.clip(share, 0, 1)) * (height - 1)
        assert highest[at] - 0.51 <= row <= lowest[at] + 0.51


def test_a_falling_loss_starts_at_the_top_and_ends_below() -> None:
    characters, owners = draw_lines(loss_plot(some_epochs(20), 20), (6, 30), ascii_only=True)
    first, last = np.flatnonzero(owners[:, 0] >= 0), np.flatnonzero(owners[:, -1] >= 0)
    assert first.min() == 0
    assert last.max() == 5
    assert {"T", "V"} <= set(characters.ravel())


def test_a_negative_loss_is_drawn_on_a_linear_scale() -> None:
    plot = loss_plot([Epoch(1, -2.5, -2.7), Epoch(2, -2.8, -2.9)], 2)
    assert not plot.is_log
    assert plot.y_range == (-2.9, -2.5)


def test_letters_are_at_the_ends_of_lines_and_in_the_legend() -> None:
    lines = words_of()
    assert lines[0].startswith("loss  T training 0.1  V validation 0.12")
    assert any("V" in line for line in lines[1:-1])
    assert any("T" in line for line in lines[1:-1])


def test_a_narrow_legend_drops_names_before_values() -> None:
    assert words_of(columns=23)[0].split() == ["loss", "T", "0.1", "V", "0.12"]


def test_the_best_epoch_is_marked_at_its_place() -> None:
    axis = words_of(columns=45)[-1]
    assert "▲best 4" in axis
    assert axis.index("▲") == 6 + round(3 / 19 * 38)
    assert axis.endswith("20")


def test_a_best_epoch_at_the_end_is_marked_to_the_left() -> None:
    axis = draw_plot(loss_plot([Epoch(1, 1.0), Epoch(2, 0.5, best=True)], 2), 30, 5)[-1].plain
    assert axis.endswith("best 2▲")


def test_without_braille_only_ascii_is_used() -> None:
    assert all(line.isascii() for line in words_of(plain=True))


def test_dice_has_a_line_per_feature_from_zero_to_one_with_the_projects_letters() -> None:
    plot = dice_plot(some_epochs(5), 5, ["ribosome", "microtubule", "membrane"])
    assert [(line.letter, line.name) for line in plot.lines] == [("M", "microtubule"), ("E", "membrane")]
    assert plot.y_range == (0.0, 1.0)


def test_epochs_without_a_score_are_left_out() -> None:
    plot = dice_plot([Epoch(1, held_out_dice={"a": None}), Epoch(2, held_out_dice={"a": 0.5})], 2, ["a"])
    assert plot.lines[0].points == ((2.0, 0.5),)


@pytest.mark.parametrize("count", [1, 100_000])
def test_one_epoch_and_very_many_are_drawn(count: int) -> None:
    assert len(draw_plot(loss_plot(some_epochs(count), count), 60, 8)) == 8
