"""Estimate the remaining time of a job from its progress. Reads no clock; callers pass timestamps.

Progress is measured in intervals between two progress reports. Older intervals weigh less, because the load of a
machine changes. A training pauses after each epoch to evaluate the validation tiles; these pauses are counted apart.
"""

from dataclasses import dataclass, field
from math import floor
from typing import final

HALF_LIFE_UPDATES, HALF_LIFE_SECONDS = 2.0, 20.0
"""The weight of an interval halves after this many intervals or this many seconds, whichever takes longer."""
RECENT_PAUSES = 3
"""The shortest of the last pauses is used: the first one includes compiling, and any may be disturbed."""
_TOLERANCE = 1e-6
"""Shares of work that differ by less are equal."""


@dataclass(frozen=True)
class DurationForecast:
    """Durations expected before a job has done any work."""

    start_seconds: float
    """Time until the first unit of work starts."""
    work_seconds: float
    """Time of all units of work."""
    pause_seconds: float = 0.0
    """Time of the pause after each round."""
    closing_seconds: float = 0.0
    """Time after the last round."""


@dataclass
class ProgressHistory:
    """Measured progress of a job."""

    count: int = 0
    share: float = 0.0
    """Share of all work done within the measured intervals."""
    seconds: float = 0.0
    """Time of the measured intervals, without pauses."""
    pauses: list[float] = field(default_factory=list)
    """Time of each pause, s."""


@final
class EtaEstimator:
    """Estimates the remaining time from reported progress.

    Parameters
    ----------
    start_time : float
        Start of the job, s, on the clock of all timestamps.
    rounds : int
        Equal parts of the work with a pause after each; 1 if there are no pauses.
    forecast : DurationForecast or None
        Expected durations, used until enough is measured.
    done : float
        Share of the work already done before the job was resumed.
    """

    def __init__(
        self, start_time: float, *, rounds: int = 1, forecast: DurationForecast | None = None, done: float = 0.0
    ) -> None:
        self.history = ProgressHistory()
        self._start_time, self._rounds, self._forecast = start_time, rounds, forecast
        self._last_time, self._done = start_time, done
        self._first_done: float | None = None
        self._last_increment = 0.0
        self._recent_seconds = self._recent_share = 0.0

    def update(self, timestamp: float, done: float) -> None:
        """Record that this share of the work, 0 to 1, is done.

        Time before the first report is start-up and not counted as an interval.
        """
        if done == self._done:
            return
        elapsed, increment = timestamp - self._last_time, done - self._done
        if self._first_done is None:
            self._first_done = done
        elif increment > 0:
            self._add_interval(elapsed, increment)
            self._last_increment = increment
        self._last_time, self._done = timestamp, done

    def _add_interval(self, elapsed: float, increment: float) -> None:
        total_seconds = self._total_seconds()
        if self._is_pausing() and self.history.count and total_seconds is not None:
            self.history.pauses.append(max(0.0, elapsed - total_seconds * increment))
            elapsed = min(elapsed, total_seconds * increment)
        else:
            decay = 0.5 ** min(1 / HALF_LIFE_UPDATES, elapsed / HALF_LIFE_SECONDS)
            self._recent_seconds = decay * self._recent_seconds + elapsed
            self._recent_share = decay * self._recent_share + increment
        self.history.count += 1
        self.history.share += increment
        self.history.seconds += elapsed

    def remaining_seconds(self, timestamp: float) -> float | None:
        """Return the remaining time; None if nothing was measured and there is no forecast."""
        total_seconds = self._total_seconds()
        if total_seconds is None:
            return None
        forecast = self._forecast or DurationForecast(0.0, 0.0)
        pause = self._pause_seconds(forecast)
        if self._first_done is None:
            current = forecast.start_seconds
        elif self._remaining_share == 0:
            current = pause + forecast.closing_seconds
        else:  # the current unit takes at least as long as it has taken so far
            current = total_seconds * min(self._last_increment or self._remaining_share, self._remaining_share) + (
                pause if self._is_pausing() else 0.0
            )
        remaining = total_seconds * self._remaining_share + pause * self._remaining_pauses() + forecast.closing_seconds
        if self._first_done is None:
            remaining += forecast.start_seconds
        return max(0.0, remaining - min(current, max(0.0, timestamp - self._last_time)))

    @property
    def _remaining_share(self) -> float:
        return max(0.0, 1.0 - self._done)

    def _total_seconds(self) -> float | None:
        """Return the estimated time of all work."""
        if self._recent_share > 0:
            return self._recent_seconds / self._recent_share
        return None if self._forecast is None else self._forecast.work_seconds

    def _pause_seconds(self, forecast: DurationForecast) -> float:
        if self._rounds == 1:
            return 0.0
        has_pauses = len(self.history.pauses) > (0 if self._forecast is None else 1)
        return min(self.history.pauses[-RECENT_PAUSES:]) if has_pauses else forecast.pause_seconds

    def _is_pausing(self) -> bool:
        """Return whether a round has just ended."""
        rounds = self._done * self._rounds
        return self._rounds > 1 and self._first_done is not None and abs(rounds - round(rounds)) < _TOLERANCE

    def _remaining_pauses(self) -> int:
        return self._rounds - floor(self._done * self._rounds + _TOLERANCE) + self._is_pausing()


def format_duration(seconds: float) -> str:
    """Return a duration as roughly as an estimate is known.

    Examples
    --------
    >>> format_duration(12), format_duration(400), format_duration(9000)
    ('12 s', '7 min', '2.5 h')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
