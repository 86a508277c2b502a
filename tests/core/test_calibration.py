"""Calibration of probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.core.calibration import MAX_SHIFT, SCALE_RANGE, choose_threshold, fit_calibration
from tomoseg_tui.core.metrics import Confusion
from tomoseg_tui.errors import ShapeError


def drawn(scale: float, shift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, and a truth that follows them after this change."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, 40_000)
    return logits, rng.random(logits.size) < 1 / (1 + np.exp(-(scale * logits + shift)))


@given(st.floats(0.4, 1.8), st.floats(-1.5, 1.5), st.integers(0, 1000))
def test_a_known_calibration_is_recovered(scale: float, shift: float, seed: int) -> None:
    found = fit_calibration(*drawn(scale, shift, seed), negative_weight=1.0, tiles=1000)
    assert found.scale == pytest.approx(scale, abs=0.12)
    assert found.shift == pytest.approx(shift, abs=0.12)


def test_few_tiles_change_little() -> None:
    few, many = (fit_calibration(*drawn(1.0, -1.0), negative_weight=1.0, tiles=tiles) for tiles in (1, 1000))
    assert many.shift < few.shift - 0.03 < 0


def test_a_pixel_that_is_not_feature_can_stand_for_many() -> None:
    once, thrice = (fit_calibration(*drawn(1.0, 0.0), negative_weight=weight, tiles=1000) for weight in (1.0, 3.0))
    assert thrice.shift == pytest.approx(once.shift - np.log(3), abs=0.1)


@given(st.integers(0, 1000), st.booleans())
def test_a_perfect_or_hopeless_network_stays_within_bounds(seed: int, hopeless: bool) -> None:  # noqa: FBT001
    logits = np.random.default_rng(seed).normal(0, 3, 500)
    found = fit_calibration(logits, (logits > 0) != hopeless, negative_weight=1.0, tiles=3)
    assert SCALE_RANGE[0] <= found.scale <= SCALE_RANGE[1]
    assert abs(found.shift) <= MAX_SHIFT


def test_no_pixels_change_nothing() -> None:
    assert fit_calibration(np.zeros(0), np.zeros(0, bool), negative_weight=1.0, tiles=1) == (1.0, 0.0)


def test_infinite_logits_are_clipped() -> None:
    logits = np.array([-np.inf, np.inf] * 50)
    assert np.isfinite(fit_calibration(logits, logits > 0, negative_weight=1.0, tiles=1)).all()


def test_arrays_of_different_shapes_cannot_be_calibrated() -> None:
    with pytest.raises(ShapeError):
        fit_calibration(np.zeros(3), np.zeros(4, bool), negative_weight=1.0, tiles=1)


def test_the_middle_of_equal_thresholds_is_chosen() -> None:
    assert choose_threshold([Confusion(5, 0, 5)] * 128, tiles=1) in (63, 64)


def test_more_tiles_bring_the_threshold_nearer_to_the_best() -> None:
    rising = [Confusion(400 + k, 25, 100) for k in range(128)]
    few, many = (choose_threshold(rising, tiles=tiles) for tiles in (4, 10_000))
    assert few < many


def test_false_positives_count_more_than_missed_pixels() -> None:
    """Below level 40 there are false positives, above it as many misses: the higher thresholds are preferred."""
    confusions = [Confusion(900, 100, 0)] * 40 + [Confusion(900, 0, 100)] * 88
    assert choose_threshold(confusions, tiles=100) >= 40
