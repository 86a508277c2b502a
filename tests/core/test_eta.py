"""Estimates of the remaining time of a job."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.core.eta import HALF_LIFE_UPDATES, DurationForecast, EtaEstimator

paces = st.floats(0.01, 1000.0)
units = st.integers(4, 60)
starts = st.floats(0.0, 500.0)
foretold = st.sampled_from([None, DurationForecast(3.0, 20.0, 1.0, 2.0)])


def ends(pace: float, *, start: float, count: int, rounds: int = 1, rest: float = 0.0) -> Iterator[tuple[float, float]]:
    """Yield the end of each unit and the share then done; `count` units per round."""
    at = start
    for number in range(1, count * rounds + 1):
        at += pace
        yield at, number / (count * rounds)
        if number % count == 0:
            at += rest


@given(pace=paces, start=starts, count=units, data=st.data())
def test_a_constant_speed_gives_the_exact_time_after_any_start(
    pace: float, start: float, count: int, data: st.DataObject
) -> None:
    left, seen = EtaEstimator(0.0), data.draw(st.integers(2, count))
    progress = list(ends(pace, start=start, count=count))
    for at, done in progress[:seen]:
        left.update(at, done)
    at = progress[seen - 1][0]
    assert left.remaining_seconds(at) == pytest.approx(progress[-1][0] - at, abs=1e-6)


@given(pace=paces, later=paces, start=starts, before=st.integers(2, 20), after=st.integers(1, 20))
def test_the_estimate_moves_halfway_to_a_new_speed_with_every_two_units(
    pace: float, later: float, start: float, before: int, after: int
) -> None:
    pace, later = 10 + pace, 10 + later  # short intervals are followed within seconds, not within two of them
    count, at, left = before + after + 10, start, EtaEstimator(0.0)
    for number in range(1, before + after + 1):
        at += pace if number <= before else later
        left.update(at, number / count)
    estimate = left.remaining_seconds(at)
    assert estimate is not None
    assert (
        abs(estimate - 10 * later) <= 0.5 ** (after / HALF_LIFE_UPDATES) * abs(10 * pace - 10 * later) + 1e-6 * estimate
    )


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), max_size=30), st.integers(1, 5), foretold, starts)
def test_the_remaining_time_is_never_negative(
    progress: list[tuple[float, float]], rounds: int, forecast: DurationForecast | None, later: float
) -> None:
    left = EtaEstimator(0.0, rounds=rounds, forecast=forecast)
    at = 0.0
    for lap, done in progress:
        at += lap
        left.update(at, done)
        assert (left.remaining_seconds(at + later) or 0.0) >= 0


@given(pace=paces, rest=paces, start=starts, count=units, rounds=st.integers(3, 6), data=st.data())
def test_pauses_after_each_round_are_counted(
    pace: float, rest: float, start: float, count: int, rounds: int, data: st.DataObject
) -> None:
    left, seen = EtaEstimator(0.0, rounds=rounds), data.draw(st.integers(count + 1, count * rounds))
    progress = list(ends(pace, start=start, count=count, rounds=rounds, rest=rest))
    for at, done in progress[:seen]:
        left.update(at, done)
    at = progress[seen - 1][0]
    assert left.remaining_seconds(at) == pytest.approx(progress[-1][0] + rest - at, rel=1e-6)
    assert left.history.pauses == pytest.approx([rest] * ((seen - 1) // count), rel=1e-3)


def test_there_is_no_estimate_before_anything_is_known() -> None:
    left = EtaEstimator(0.0)
    left.update(1.0, 0.0)
    left.update(20.0, 0.1)
    assert left.remaining_seconds(20.0) is None
    left.update(21.0, 0.2)
    assert left.remaining_seconds(21.0) == pytest.approx(8.0)


def test_the_forecast_is_used_until_the_second_unit_is_done() -> None:
    left = EtaEstimator(0.0, rounds=2, forecast=DurationForecast(10.0, 60.0, pause_seconds=5.0, closing_seconds=7.0))
    assert left.remaining_seconds(0.0) == 87.0
    assert left.remaining_seconds(4.0) == 83.0
    assert left.remaining_seconds(50.0) == 77.0, "the work is still to be done, however long the start takes"
    left.update(60.0, 0.25)
    assert left.remaining_seconds(60.0) == 45.0 + 10.0 + 7.0
    left.update(120.0, 0.5)
    assert left.remaining_seconds(120.0) == 120.0 + 10.0 + 7.0


def test_a_resumed_job_has_less_work_left() -> None:
    left = EtaEstimator(0.0, forecast=DurationForecast(10.0, 60.0), done=0.5)
    assert left.remaining_seconds(0.0) == 40.0
    left.update(20.0, 0.75)
    assert left.remaining_seconds(20.0) == 15.0


def test_the_estimate_decreases_within_a_unit_and_a_slow_unit_adds_to_it() -> None:
    left = EtaEstimator(0.0)
    for at, done in ends(10.0, start=0.0, count=10):
        left.update(at, done)
        if done == 0.5:
            break
    assert [left.remaining_seconds(50.0 + more) for more in (0, 4, 10, 30)] == pytest.approx([50, 46, 40, 40])
