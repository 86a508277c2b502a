"""Masks of all programs are decoded alike; ambiguous files are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tomoseg_tui.core.mask_decoding import (
    COLOUR_OFFSET,
    MAX_LABELS,
    AmbiguousMaskError,
    ValueTally,
    foreground_mask,
    format_mask_value,
    painted_mask,
    parse_mask_value,
)

MASKS = arrays(np.bool_, st.tuples(*[st.integers(1, 5)] * 3))


def truth() -> NDArray[np.bool_]:
    mask = np.zeros((2, 8, 8), np.bool_)
    mask[0, 2:4, 3:7] = True
    return mask


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (0, 1, "u1"),
        (0, 1, "?"),
        (0, 255, "u1"),
        (0, 255, "i2"),
        (0, 100, "f4"),
        (0, -1, "i1"),
        (-128, -127, "i1"),
        (-128, 127, "i1"),
        (-128, -127, "i2"),
        (0, 65535, "u2"),
        (0, 0.25, "f4"),
    ],
)
def test_the_feature_is_distinguished_from_the_background(low: float, high: float, dtype: str) -> None:
    mask, remark = foreground_mask(np.where(truth(), high, low).astype(dtype), name="m.mrc")
    np.testing.assert_array_equal(mask, truth())
    assert bool(remark) == (high not in {1, 255})
    assert not remark or remark.startswith("m.mrc: ")


@given(MASKS, st.sampled_from([(0, 1), (0, 255), (0, 100), (-128, -127)]))
def test_any_mask_with_both_values_is_understood(mask: NDArray[np.bool_], values: tuple[int, int]) -> None:
    if mask.any() and not mask.all():
        np.testing.assert_array_equal(foreground_mask(np.where(mask, values[1], values[0]))[0], mask)


@given(MASKS)
def test_an_empty_file_has_no_feature_whatever_its_zero(mask: NDArray[np.bool_]) -> None:
    for zero in (0, -128):
        found, remark = foreground_mask(np.full(mask.shape, zero, np.int8))
        assert not found.any()
        assert "empty" in remark


def test_fractions_from_0_to_1_are_probabilities() -> None:
    mask, remark = foreground_mask(np.array([0.0, 0.2, 0.499, 0.5, 0.9, 1.0, np.nan], np.float32))
    assert mask.tolist() == [False, False, False, True, True, True, False]
    assert "probabilities" in remark


def test_pixels_painted_in_eman2_are_found_among_densities() -> None:
    values = np.random.default_rng(7).normal(0, 1, (2, 8, 8)).astype(np.float32)
    values[truth()] = 100.0
    values[1, 0, 0] = 80.0  # the soft rim of a pen
    mask, remark = foreground_mask(values, name="ts__good.hdf")
    np.testing.assert_array_equal(mask, truth())
    assert "as in EMAN2" in remark
    np.testing.assert_array_equal(painted_mask(values), truth())


def test_densities_that_reach_99_are_not_taken_as_painted() -> None:
    values = np.random.default_rng(7).normal(60, 30, (2, 8, 8)).astype(np.float32)
    with pytest.raises(AmbiguousMaskError, match="neither masks nor probabilities"):
        foreground_mask(values)
    with pytest.raises(AmbiguousMaskError, match="themselves reach 99"):
        painted_mask(values)


def test_several_values_are_listed_with_the_command_to_type() -> None:
    values = np.zeros((2, 8, 8), np.uint8)
    values[0, 0, :3], values[1] = 1, 7
    with pytest.raises(AmbiguousMaskError) as caught:
        foreground_mask(values, name="l.tif", command="tomoseg annotations import l.tif --tomogram a")
    assert caught.value.fault == "l.tif contains 2 values besides 0: 1 (3), 7 (64)."
    assert caught.value.fix.endswith("import l.tif --tomogram a --map 1=FEATURE --map 7=FEATURE")


def test_signed_bytes_and_colours_are_named_so_that_they_can_be_typed() -> None:
    with pytest.raises(AmbiguousMaskError) as caught:
        foreground_mask(np.array([-128, -127, -126], np.int8))
    assert "2 values besides -128" in caught.value.fault
    assert "--map=-127=FEATURE --map=-126=FEATURE" in caught.value.fix
    with pytest.raises(AmbiguousMaskError) as caught:
        foreground_mask(np.array([0, COLOUR_OFFSET + 0xFF0000, COLOUR_OFFSET + 0x0000FF]))
    assert "#0000ff (1), #ff0000 (1)" in caught.value.fault
    assert "--map '#ff0000=FEATURE'" in caught.value.fix


@given(st.integers(-200, 2 * COLOUR_OFFSET - 1))
def test_a_label_survives_being_typed(value: int) -> None:
    assert parse_mask_value(format_mask_value(value)) == value


@given(st.lists(st.integers(0, 255), min_size=1, max_size=40), st.integers(0, 40))
def test_counting_in_parts_equals_counting_at_once(numbers: list[int], cut: int) -> None:
    values = np.array(numbers, np.uint8)
    tally = ValueTally()
    tally.add(values[:cut])
    tally.add(values[cut:].astype(np.float32))
    assert dict(tally.labels) == {n: numbers.count(n) for n in sorted(set(numbers)) if n}


def test_up_to_255_labels_are_counted_and_more_are_no_labels() -> None:
    tally = ValueTally()
    tally.add(np.arange(256, dtype=np.uint8))
    assert len(tally.labels) == MAX_LABELS
    tally.add(np.array([256], np.uint16))
    assert not tally.labels
