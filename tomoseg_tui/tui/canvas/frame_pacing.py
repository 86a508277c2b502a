"""When the next frame may go: no more than a few are on their way, and the picture is coarser where the way is slow.

After each frame the terminal is asked where its cursor is; its answer says that the frame has arrived. Three frames
may be on their way. Without that, frames pile up in pipes on a slow line, and the screen lags seconds behind the keys.

Textual's `CursorPosition` event carries the answer; `PacedApp` hands it on.
"""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, final
from weakref import WeakKeyDictionary

from textual.app import App
from textual.events import CursorPosition

from tomoseg_tui.tui.canvas.partial_updates import SparingScreen

ASK = "\x1b[6n"
"""Where is the cursor? Every terminal answers, after all that was sent before."""
CREDITS = 3
"""Frames that may be on their way: one leaves a compressed line idle, more only add to the lag."""
LOST_SECONDS = 1.0
"""After which nobody waits for an answer any more."""
DEAF_AFTER = 3
"""Answers lost before the first has come, after which the terminal is taken to give none."""
SETTLE_SECONDS = 0.15
"""Rest after the last key until the picture is drawn at its best."""
SLOW_SECONDS, FAST_SECONDS = 0.08, 0.04
"""A frame that takes longer, shorter on its way makes the next coarser, finer."""
FAST_IN_A_ROW = 12
"""Fast frames before the next is finer."""
COARSEST = 2
"""The steps: 0 as fine as it goes, 1 sixteen greys, 2 also half the resolution."""


@final
class Pacer:
    """Counts frames on their way to one terminal and tells how fine the next may be.

    Parameters
    ----------
    clock : callable
        Seconds from any start, never going back.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._sent: deque[float] = deque()
        self._waiting: list[Callable[[], None]] = []
        self._undisplayed: list[Callable[[], None]] = []
        self._lost, self._heard, self._fast = 0, False, 0
        self.coarseness = 0
        """How coarse frames in motion are, 0 to 2."""

    def may_send(self, *, spare: int = 0) -> bool:
        """Tell whether one more frame may go; what is not urgent leaves some of the way spare."""
        self._forget_lost()
        return self._is_deaf or len(self._sent) < CREDITS - spare

    def when_free(self, call: Callable[[], None]) -> None:
        """Call once, as soon as a frame may go; asking twice is one call."""
        if call not in self._waiting:
            self._waiting.append(call)

    def sent(self) -> bool:
        """Count a frame that goes now; tell whether the terminal is to be asked for an answer."""
        if self._is_deaf:
            return False
        self._sent.append(self._clock())
        return True

    def answered(self) -> None:
        """Take an answer. One that nobody waits for is a key (F3 with shift looks the same) and is passed over."""
        self._heard = self._heard or bool(self._sent or self._lost)
        if not self._sent:
            return
        self._adapt(self._clock() - self._sent.popleft())
        self.wake()

    def wake(self) -> None:
        """Call those who wait, if a frame may go; called also by a timer, for answers that are lost."""
        if self.may_send():
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                call()

    def when_displayed(self, call: Callable[[], None]) -> None:
        """Call once, as soon as what is being drawn is on its way."""
        self._undisplayed.append(call)

    def displayed(self) -> None:
        """Take note that what was drawn is on its way."""
        calls, self._undisplayed = self._undisplayed, []
        for call in calls:
            call()

    @property
    def _is_deaf(self) -> bool:
        return not self._heard and self._lost >= DEAF_AFTER

    def _forget_lost(self) -> None:
        while self._sent and self._clock() - self._sent[0] >= LOST_SECONDS:
            self._sent.popleft()
            self._lost += 1

    def _adapt(self, seconds: float) -> None:
        if seconds > SLOW_SECONDS:
            self.coarseness, self._fast = min(self.coarseness + 1, COARSEST), 0
        elif seconds < FAST_SECONDS:
            self._fast += 1
            if self._fast >= FAST_IN_A_ROW:
                self.coarseness, self._fast = max(self.coarseness - 1, 0), 0
        else:
            self._fast = 0


_pacers: WeakKeyDictionary[App[Any], Pacer] = WeakKeyDictionary()


def pacer_of(app: App[Any]) -> Pacer:
    """Return the pacer of an app: all its canvases share one way to the terminal."""
    return _pacers.setdefault(app, Pacer())


class PacedApp(App[None]):
    """An app whose canvases know when a frame has gone and when it has come."""

    def get_default_screen(self) -> SparingScreen:
        """Return a screen that sends only what has changed."""
        return SparingScreen(id="_default")

    def on_cursor_position(self, _event: CursorPosition) -> None:
        """Take the terminal's answer."""
        pacer_of(self).answered()

    def post_display_hook(self) -> None:
        """Tell the canvases that the screen was drawn; Textual calls it each time."""
        pacer_of(self).displayed()


def write_to_terminal(app: App[Any], text: str) -> None:
    """Write to the terminal, past Textual; headless, nowhere. Call it when the screen has been drawn."""
    driver = app._driver  # noqa: SLF001  # Textual has no other way to what it writes to
    if driver is not None and not app.is_headless:
        driver.write(text)
        driver.flush()
