"""How long a job still takes, learned from what it has done; and what it has shown of its pace. Clocks are handed in.

Work goes in laps: from one word of progress to the next. Laps that are long ago weigh less, since machines get busy
and idle. A training rests after each epoch to judge the held-out tiles: such rests are counted apart.
"""

from dataclasses import dataclass, field
from math import floor
from typing import final

HALF_LAPS, HALF_SECONDS = 2.0, 20.0
"""After so many laps a lap weighs half as much, or after so many seconds where that takes longer."""
RECENT_RESTS = 3
"""The shortest of them is taken: the first one compiles, and any may be disturbed."""
_TOUCHES = 1e-6
"""Shares that differ by less are the same."""


@dataclass(frozen=True)
class Forecast:
    """What is known of a job before it has done anything."""

    start_seconds: float
    """Until the first unit is begun."""
    work_seconds: float
    """All units."""
    rest_seconds: float = 0.0
    """After each round."""
    closing_seconds: float = 0.0
    """After the last."""


@dataclass
class Laps:
    """What was seen of the work."""

    count: int = 0
    share: float = 0.0
    """Of all work, that the laps have brought."""
    seconds: float = 0.0
    """Those of the laps, without rests."""
    rests: list[float] = field(default_factory=list)
    """Seconds after each round."""


@final
class TimeLeft:
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

    def __init__(self, began: float, *, rounds: int = 1, forecast: Forecast | None = None, done: float = 0.0) -> None:
        self.laps = Laps()
        self._began, self._rounds, self._forecast = began, rounds, forecast
        self._at, self._done = began, done
        self._first: float | None = None
        self._unit = 0.0
        self._recent_seconds = self._recent_share = 0.0

    def tell(self, at: float, done: float) -> None:
        """Learn that this share of the work, 0 to 1, is done.

        What has happened before the first word of something done is start-up and no lap.
        """
        if done == self._done:
            return
        lap, gained = at - self._at, done - self._done
        if self._first is None:
            self._first = done
        elif gained > 0:
            self._count(lap, gained)
            self._unit = gained
        self._at, self._done = at, done

    def _count(self, lap: float, gained: float) -> None:
        pace = self._pace()
        if self._rests_now() and self.laps.count and pace is not None:
            self.laps.rests.append(max(0.0, lap - pace * gained))
            lap = min(lap, pace * gained)
        else:
            keep = 0.5 ** min(1 / HALF_LAPS, lap / HALF_SECONDS)
            self._recent_seconds = keep * self._recent_seconds + lap
            self._recent_share = keep * self._recent_share + gained
        self.laps.count += 1
        self.laps.share += gained
        self.laps.seconds += lap

    def seconds(self, at: float) -> float | None:
        """Return how long the rest takes; None where nothing is known yet."""
        pace = self._pace()
        if pace is None:
            return None
        known = self._forecast or Forecast(0.0, 0.0)
        rest = self._rest(known)
        if self._first is None:
            now = known.start_seconds
        elif self._left == 0:
            now = rest + known.closing_seconds
        else:  # what is being done takes at least as long as it has
            now = pace * min(self._unit or self._left, self._left) + (rest if self._rests_now() else 0.0)
        ahead = pace * self._left + rest * self._rests_left() + known.closing_seconds
        if self._first is None:
            ahead += known.start_seconds
        return max(0.0, ahead - min(now, max(0.0, at - self._at)))

    @property
    def _left(self) -> float:
        return max(0.0, 1.0 - self._done)

    def _pace(self) -> float | None:
        """Return the seconds that all of the work takes."""
        if self._recent_share > 0:
            return self._recent_seconds / self._recent_share
        return None if self._forecast is None else self._forecast.work_seconds

    def _rest(self, known: Forecast) -> float:
        if self._rounds == 1:
            return 0.0
        enough = len(self.laps.rests) > (0 if self._forecast is None else 1)
        return min(self.laps.rests[-RECENT_RESTS:]) if enough else known.rest_seconds

    def _rests_now(self) -> bool:
        """Tell whether a round has just ended."""
        rounds = self._done * self._rounds
        return self._rounds > 1 and self._first is not None and abs(rounds - round(rounds)) < _TOUCHES

    def _rests_left(self) -> int:
        return self._rounds - floor(self._done * self._rounds + _TOUCHES) + self._rests_now()
