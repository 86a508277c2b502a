import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tomoseg_tui.core.merge import claims, merge_block
from tomoseg_tui.errors import ShapeError, TomogramError, UsageError

Maps = list[NDArray[np.uint8]]


@st.composite
def competitions(draw: st.DrawFn) -> tuple[Maps, list[float]]:
    """Draw maps of the same 60 voxels and a threshold for each, often one of the k / 127."""
    count = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    maps = [rng.integers(0, 128, (3, 4, 5)).astype(np.uint8) for _ in range(count)]
    grid = st.integers(0, 127).map(lambda k: k / 127)
    thresholds = draw(st.lists(st.one_of(st.floats(0, 1), grid), min_size=count, max_size=count))
    return maps, thresholds


def winner_by_hand(values: list[int], thresholds: list[float]) -> tuple[int, list[int]]:
    """Return the label of one voxel and the labels that were above their threshold."""
    claimed = {}
    for label, (value, threshold) in enumerate(zip(values, thresholds, strict=True), start=1):
        probability = value / 127
        if probability > threshold:
            claimed[label] = (probability - threshold) / (1 - threshold)
    if not claimed:
        return 0, []
    greatest = max(claimed.values())
    return min(label for label, claim in claimed.items() if greatest - claim < 1e-9), list(claimed)


@given(competitions())
def test_merging_equals_the_rule_written_out_for_every_voxel(competition: tuple[Maps, list[float]]) -> None:
    maps, thresholds = competition
    merged = merge_block(maps, thresholds)
    conflicts = np.zeros((len(maps), len(maps)), int)
    expected = np.zeros(maps[0].shape, int)
    for place in np.ndindex(maps[0].shape):
        label, above = winner_by_hand([int(one[place]) for one in maps], thresholds)
        expected[place] = label
        for loser in set(above) - {label}:
            conflicts[label - 1, loser - 1] += 1
    np.testing.assert_array_equal(merged.labels, expected)
    np.testing.assert_array_equal(merged.conflicts, conflicts)
    assert merged.voxels.tolist() == [int((expected == label).sum()) for label in range(1, len(maps) + 1)]
    assert merged.labels.dtype == np.int8


@given(competitions(), st.randoms(use_true_random=False))
def test_another_order_of_maps_gives_the_same_winners_except_for_ties(
    competition: tuple[Maps, list[float]], chance: object
) -> None:
    maps, thresholds = competition
    order = list(range(len(maps)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    first = merge_block(maps, thresholds).labels
    second = merge_block([maps[i] for i in order], [thresholds[i] for i in order]).labels
    renamed = np.array([0, *(i + 1 for i in order)])[second]
    tables = np.sort(np.array([claims(t)[one] for one, t in zip(maps, thresholds, strict=True)]), axis=0)
    tied = (tables[-1] - tables[-2] < 1e-9) if len(maps) > 1 else np.zeros(first.shape, bool)
    np.testing.assert_array_equal(first[~tied], renamed[~tied])
    np.testing.assert_array_equal(first == 0, renamed == 0)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_a_single_map_is_thresholded(seed: int, threshold: float) -> None:
    one = np.random.default_rng(seed).integers(0, 128, (2, 5, 5)).astype(np.int8)
    merged = merge_block([one], [threshold])
    np.testing.assert_array_equal(merged.labels, (one / 127 > threshold).astype(np.int8))
    assert merged.conflicts.tolist() == [[0]]


def test_claims_of_a_worked_example() -> None:
    """127 with t = 0.5 claims 1; 108 with t = 0.7 claims (0.850394 - 0.7) / 0.3 = 0.501312."""
    maps = [np.array([127, 96, 0, 64], np.uint8), np.array([108, 108, 108, 88], np.uint8)]
    merged = merge_block(maps, [0.5, 0.7])
    assert claims(0.7)[108] == pytest.approx(0.501312, abs=1e-6)
    assert merged.labels.tolist() == [1, 1, 2, 1]  # 96 claims 0.511811; 88 / 127 = 0.693 claims nothing
    assert merged.conflicts.tolist() == [[0, 2], [0, 0]]
    assert merged.voxels.tolist() == [3, 1]


def test_equal_claims_go_to_the_earlier_map() -> None:
    one = np.full(3, 100, np.uint8)
    merged = merge_block([one, one, one], [0.5, 0.5, 0.5])
    assert merged.labels.tolist() == [1, 1, 1]
    assert merged.conflicts.tolist() == [[0, 3, 3], [0, 0, 0], [0, 0, 0]]


def test_claims_that_differ_only_by_rounding_are_a_tie() -> None:
    """The claims of 127 * 0.9 and of thresholds 1e-10 apart differ by less than 1e-9."""
    one = np.full(1, 100, np.uint8)
    assert merge_block([one, one], [0.5, 0.5 - 1e-10]).labels.tolist() == [1]
    assert merge_block([one, one], [0.5, 0.5 - 1e-7]).labels.tolist() == [2]


def test_a_threshold_of_one_claims_nothing() -> None:
    merged = merge_block([np.full(4, 127, np.uint8), np.full(4, 1, np.uint8)], [1.0, 0.0])
    assert merged.labels.tolist() == [2] * 4
    assert merged.conflicts.sum() == 0


def test_a_block_larger_than_a_chunk_is_merged_whole() -> None:
    rng = np.random.default_rng(7)
    maps = [rng.integers(0, 128, (3, 700, 700)).astype(np.uint8) for _ in range(2)]
    merged = merge_block(maps, [0.3, 0.6])
    assert merged.voxels.sum() == np.count_nonzero(merged.labels)
    tail = merge_block([one[2:] for one in maps], [0.3, 0.6])
    np.testing.assert_array_equal(merged.labels[2:], tail.labels)


def test_a_hundred_and_twenty_seven_maps_can_be_merged() -> None:
    maps = [np.full(1, value, np.uint8) for value in range(1, 128)]
    assert merge_block(maps, [0.0] * 127).labels.tolist() == [127]


def test_maps_are_left_unchanged() -> None:
    one = np.arange(128, dtype=np.uint8)
    merge_block([one], [0.5])
    np.testing.assert_array_equal(one, np.arange(128))


def test_maps_of_different_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"Map 2 has shape \(3,\), map 1 has \(2,\)"):
        merge_block([np.zeros(2, np.uint8), np.zeros(3, np.uint8)], [0.5, 0.5])


def test_a_missing_threshold_is_refused() -> None:
    with pytest.raises(ShapeError, match="2 maps have 1 thresholds"):
        merge_block([np.zeros(2, np.uint8)] * 2, [0.5])


@pytest.mark.parametrize("count", [0, 128])
def test_too_many_maps_or_none_are_refused(count: int) -> None:
    with pytest.raises(UsageError, match=f"{count} maps"):
        merge_block([np.zeros(2, np.uint8)] * count, [0.5] * count)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_0_to_1_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="from 0 to 1"):
        claims(threshold)


@pytest.mark.parametrize("values", [np.array([-1], np.int8), np.array([128], np.uint8)])
def test_a_map_with_values_outside_0_to_127_is_refused(values: NDArray[np.int8]) -> None:
    with pytest.raises(TomogramError, match="a map contains 0 to 127"):
        merge_block([values], [0.5])
