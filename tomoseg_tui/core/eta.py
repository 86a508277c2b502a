"""How long a job still takes, learned from what it has done; and what it has shown of its pace. Clocks are handed in.

Work goes in laps: from one word of progress to the next. Laps that are long ago weigh less, since machines get busy
and idle. A training rests after each epoch to judge the held-out tiles: such rests are counted apart.
"""

from dataclasses import dataclass, field
from math import floor
from typing import final

HALF_LIFE_UPDATES, HALF_LIFE_SECONDS = 2.0, 20.0
"""After so many laps a lap weighs half as much, or after so many seconds where that takes longer."""
RECENT_PAUSES = 3
"""The shortest of them is taken: the first one compiles, and any may be disturbed."""
_TOLERANCE = 1e-6
"""Shares that differ by less are the same."""


@dataclass(frozen=True)
class DurationForecast:
    """What is known of a job before it has done anything."""

    start_seconds: float
    """Until the first unit is begun."""
    work_seconds: float
    """All units."""
    pause_seconds: float = 0.0
    """After each round."""
    closing_seconds: float = 0.0
    """After the last."""


@dataclass
class ProgressHistory:
    """What was seen of the work."""

    count: int = 0
    share: float = 0.0
    """Of all work, that the laps have brought."""
    seconds: float = 0.0
    """Those of the laps, without rests."""
    pauses: list[float] = field(default_factory=list)
    """Seconds after each round."""


@final
class EtaEstimator:
    """Learns from each word of progress.

    Parameters
    ----------
    began : float
        When the job was begun, on the clock that all times are of, s.
    rounds : int
        Equal parts of the work after each of which there is a rest; 1 where there is none.
    forecast : Forecast or None
        What is known before.
    done : float
        Share of the work that an earlier life of the job has done.
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
        """Learn that this share of the work, 0 to 1, is done.

        What has happened before the first word of something done is start-up and no lap.
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
        """Return how long the rest takes; None where nothing is known yet."""
        total_seconds = self._total_seconds()
        if total_seconds is None:
            return None
        forecast = self._forecast or DurationForecast(0.0, 0.0)
        pause = self._pause_seconds(forecast)
        if self._first_done is None:
            current = forecast.start_seconds
        elif self._remaining_share == 0:
            current = pause + forecast.closing_seconds
        else:  # what is being done takes at least as long as it has
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
        """Return the seconds that all of the work takes."""
        if self._recent_share > 0:
            return self._recent_seconds / self._recent_share
        return None if self._forecast is None else self._forecast.work_seconds

    def _pause_seconds(self, forecast: DurationForecast) -> float:
        if self._rounds == 1:
            return 0.0
        has_pauses = len(self.history.pauses) > (0 if self._forecast is None else 1)
        return min(self.history.pauses[-RECENT_PAUSES:]) if has_pauses else forecast.pause_seconds

    def _is_pausing(self) -> bool:
        """Tell whether a round has just ended."""
        rounds = self._done * self._rounds
        return self._rounds > 1 and self._first_done is not None and abs(rounds - round(rounds)) < _TOLERANCE

    def _remaining_pauses(self) -> int:
        return self._rounds - floor(self._done * self._rounds + _TOLERANCE) + self._is_pausing()
