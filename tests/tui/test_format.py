"""Times, sizes and states as text."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.tui.format import (
    ellipsize,
    format_clock,
    format_progress_bar,
    format_time,
)

NOW = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(None, ""), (0, "00:00"), (170, "02:50"), (3770.4, "1:02:50"), (-3, "00:00")]
)
def test_durations_look_like_clock_times(seconds: float | None, expected: str) -> None:
    assert format_clock(seconds) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-22T09:40:00Z", "09:40"),
        ("2026-11-21T09:40:00Z", "21 Nov"),
        ("2025-11-21T09:40:00Z", "2025"),
        ("", ""),
        (None, ""),
    ],
)
def test_times_are_as_short_as_unambiguous(at: str | None, expected: str) -> None:
    assert format_time(at, now=NOW) == expected


@given(st.text("abcdefgh", max_size=30), st.integers(1, 30))
def test_a_shortened_text_fits_and_keeps_its_ends(text: str, width: int) -> None:
    short = ellipsize(text, width)
    assert len(short) <= width
    assert short == text or "…" in short


@given(st.floats(-1, 2), st.integers(1, 20))
def test_a_bar_has_the_requested_width(done: float, width: int) -> None:
    assert len(format_progress_bar(done, width)) == width


def test_a_bar_is_empty_half_and_full() -> None:
    assert [format_progress_bar(done, 4) for done in (0, 0.5, 1)] == ["░░░░", "██░░", "████"]
