import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tomoseg_tui.core.metrics import THRESHOLDS, Confusion, ScoreHistogram, confusion
from tomoseg_tui.errors import ShapeError

masks = hnp.arrays(np.bool_, (4, 6))
probabilities = hnp.arrays(np.float64, (4, 6), elements=st.one_of(st.floats(0, 1), st.sampled_from(list(THRESHOLDS))))
confusions = st.builds(Confusion, st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))


def test_scores_of_a_worked_example() -> None:
    """Tp 3, fp 1, fn 2: Dice 6 / 9, IoU 3 / 6, precision 3 / 4, recall 3 / 5."""
    scored = Confusion(tp=3, fp=1, fn=2)
    assert (scored.dice, scored.iou, scored.precision, scored.recall) == pytest.approx((2 / 3, 0.5, 0.75, 0.6))


@given(confusions)
def test_every_score_lies_between_0_and_1(scored: Confusion) -> None:
    assert all(0 <= score <= 1 for score in (scored.dice, scored.iou, scored.precision, scored.recall))


@given(masks, masks)
def test_dice_and_iou_are_symmetric(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> None:
    forth, back = confusion(one, other), confusion(other, one)
    assert (forth.dice, forth.iou, forth.precision) == (back.dice, back.iou, back.recall)


@given(masks)
def test_a_mask_agrees_fully_with_itself(one: NDArray[np.bool_]) -> None:
    same = confusion(one, one)
    assert (same.dice, same.iou, same.precision, same.recall) == (1, 1, 1, 1)


def test_nothing_predicted_of_something_true_scores_0() -> None:
    missed = Confusion(0, 0, 5)
    assert (missed.dice, missed.iou, missed.precision, missed.recall) == (0, 0, 0, 0)


def test_something_predicted_where_nothing_is_true_scores_0() -> None:
    invented = Confusion(0, 5, 0)
    assert (invented.dice, invented.iou, invented.precision, invented.recall) == (0, 0, 0, 0)


@given(masks, masks, masks)
def test_confusions_of_two_parts_add_up_to_the_whole(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], part: NDArray[np.bool_]
) -> None:
    parts = confusion(predicted, truth, part) + confusion(predicted, truth, ~part)
    assert parts == confusion(predicted, truth)


@given(probabilities, masks, masks)
def test_the_histogram_scores_every_threshold_exactly(
    p: NDArray[np.float64], truth: NDArray[np.bool_], mask: NDArray[np.bool_]
) -> None:
    scored = ScoreHistogram.empty().add(p, truth, mask).confusions()
    assert scored == [confusion(p > threshold, truth, mask) for threshold in THRESHOLDS]


@given(probabilities, masks)
def test_tiles_added_one_by_one_count_as_pooled_pixels(p: NDArray[np.float64], truth: NDArray[np.bool_]) -> None:
    pooled = ScoreHistogram.empty().add(p, truth)
    one_by_one = ScoreHistogram.empty()
    for values, true in zip(p, truth, strict=True):
        one_by_one = one_by_one.add(values, true)
    halves = ScoreHistogram.empty().add(p[:2], truth[:2]) + ScoreHistogram.empty().add(p[2:], truth[2:])
    assert pooled.confusions() == one_by_one.confusions() == halves.confusions()


def test_single_precision_probabilities_are_compared_as_they_are() -> None:
    p = np.array([0.2, 0.9], np.float32)
    scored = ScoreHistogram.empty().add(p, np.array([False, True])).confusions()
    assert scored == [confusion(p > threshold, np.array([False, True])) for threshold in THRESHOLDS]


def test_arrays_of_different_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(2,\).*\(3,\)"):
        confusion(np.zeros(2, bool), np.zeros(3, bool))
    with pytest.raises(ShapeError, match="the mask"):
        ScoreHistogram.empty().add(np.zeros(2), np.zeros(2, bool), np.zeros(4, bool))
