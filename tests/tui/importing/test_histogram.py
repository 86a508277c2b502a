"""The histogram in block characters."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.tui.importing.histogram import compute_histogram, histogram_rows


def test_the_tallest_column_fills_the_height() -> None:
    assert histogram_rows(np.array([0, 4, 8]), columns=3, rows=2) == ["  █", " ██"]


def test_a_nonempty_column_is_visible() -> None:
    assert histogram_rows(np.array([1, 100_000]), columns=2, rows=1) == ["▁█"]


@given(st.integers(1, 120), st.integers(1, 8), st.integers(0, 9))
def test_rows_have_the_requested_width(columns: int, rows: int, seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 1000, 480)
    drawn = histogram_rows(counts, columns, rows)
    assert len(drawn) == rows
    assert {len(row) for row in drawn} == {columns}


def test_a_sample_is_counted_between_its_percentiles() -> None:
    spread = compute_histogram(np.append(np.arange(1000, dtype=np.float32), np.nan))
    assert spread is not None
    assert (round(spread.low), round(spread.high)) == (1, 998)
    assert spread.counts.sum() in range(995, 1000)


def test_flat_and_empty_samples_are_no_error() -> None:
    flat = compute_histogram(np.full((8, 8), 3, np.int8))
    assert flat is not None
    assert flat.low < 3 < flat.high
    assert compute_histogram(np.full(4, np.nan, np.float32)) is None
