"""When the next frame may go: no more than a few are on their way, and the picture is coarser where the way is slow.

After each frame the terminal is asked where its cursor is; its answer says that the frame has arrived. Three frames
may be on their way. Without that, frames pile up in pipes on a slow line, and the screen lags seconds behind the keys.

Textual's `CursorPosition` event carries the answer; `FramePacerApp` hands it on.

No more of a line is sent than has changed: Textual finds what is to be drawn again as spans of lines, but begins each
at the left edge of its widget. Here the span is cut at both ends. `Compositor` and `ChopsUpdate` are Textual's own and
may change; tests/tui/canvas/test_partial_updates.py pins them.
"""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, final
from weakref import WeakKeyDictionary

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor
from textual.app import App
from textual.events import CursorPosition
from textual.screen import Screen


@final
class SpansUpdate(ChopsUpdate):
    """An update of which nothing beside the spans is sent."""

    def render_segments(self, console: Console) -> str:
        """Return the escape sequences of the spans."""
        parts: list[str] = []
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                start, stop = max(x, first), min(end, last)
                if strip is not None and start < stop:
                    parts += (Control.move_to(start, y).segment.text, strip.crop(start - x, stop - x).render(console))
        return "".join(parts)


@final
class PartialUpdateCompositor(Compositor):
    """Textual's compositor with updates that are cut at both ends."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """Return what has changed, None if nothing has."""
        update = super().render_partial_update()
        return None if update is None else SpansUpdate(update.chops, update.spans, update.chop_ends)


@final
class PartialUpdateScreen(Screen[Any]):
    """A screen that sends what has changed and nothing else."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._compositor = PartialUpdateCompositor()


CURSOR_QUERY = "\x1b[6n"
"""Where is the cursor? Every terminal answers, after all that was sent before."""
MAX_FRAMES_IN_FLIGHT = 3
"""Frames that may be on their way: one leaves a compressed line idle, more only add to the lag."""
ANSWER_TIMEOUT_SECONDS = 1.0
"""After which nobody waits for an answer any more."""
MAX_LOST_ANSWERS = 3
"""Answers lost before the first has come, after which the terminal is taken to give none."""
SETTLE_SECONDS = 0.15
"""Rest after the last key until the picture is drawn at its best."""
SLOW_SECONDS, FAST_SECONDS = 0.08, 0.04
"""A frame that takes longer, shorter on its way makes the next coarser, finer."""
FAST_FRAMES_TO_REFINE = 12
"""Fast frames before the next is finer."""
MAX_COARSENESS = 2
"""The steps: 0 as fine as it goes, 1 sixteen greys, 2 also half the resolution."""


@final
class FramePacer:
    """Counts frames on their way to one terminal and tells how fine the next may be.

    Parameters
    ----------
    clock : callable
        Seconds from any start, never going back.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._send_times: deque[float] = deque()
        self._free_callbacks: list[Callable[[], None]] = []
        self._display_callbacks: list[Callable[[], None]] = []
        self._lost_answers, self._has_answered, self._fast_frames = 0, False, 0
        self.coarseness = 0
        """How coarse frames in motion are, 0 to 2."""

    def can_send(self, *, reserve: int = 0) -> bool:
        """Tell whether one more frame may go; what is not urgent leaves some of the way spare."""
        self._drop_lost()
        return self._is_unresponsive or len(self._send_times) < MAX_FRAMES_IN_FLIGHT - reserve

    def call_when_free(self, callback: Callable[[], None]) -> None:
        """Call once, as soon as a frame may go; asking twice is one call."""
        if callback not in self._free_callbacks:
            self._free_callbacks.append(callback)

    def record_sent(self) -> bool:
        """Count a frame that goes now; tell whether the terminal is to be asked for an answer."""
        if self._is_unresponsive:
            return False
        self._send_times.append(self._clock())
        return True

    def record_answer(self) -> None:
        """Take an answer. One that nobody waits for is a key (F3 with shift looks the same) and is passed over."""
        self._has_answered = self._has_answered or bool(self._send_times or self._lost_answers)
        if not self._send_times:
            return
        self._adapt(self._clock() - self._send_times.popleft())
        self.run_callbacks()

    def run_callbacks(self) -> None:
        """Call those who wait, if a frame may go; called also by a timer, for answers that are lost."""
        if self.can_send():
            callbacks, self._free_callbacks = self._free_callbacks, []
            for callback in callbacks:
                callback()

    def call_when_displayed(self, callback: Callable[[], None]) -> None:
        """Call once, as soon as what is being drawn is on its way."""
        self._display_callbacks.append(callback)

    def record_displayed(self) -> None:
        """Take note that what was drawn is on its way."""
        callbacks, self._display_callbacks = self._display_callbacks, []
        for callback in callbacks:
            callback()

    @property
    def _is_unresponsive(self) -> bool:
        return not self._has_answered and self._lost_answers >= MAX_LOST_ANSWERS

    def _drop_lost(self) -> None:
        while self._send_times and self._clock() - self._send_times[0] >= ANSWER_TIMEOUT_SECONDS:
            self._send_times.popleft()
            self._lost_answers += 1

    def _adapt(self, seconds: float) -> None:
        if seconds > SLOW_SECONDS:
            self.coarseness, self._fast_frames = min(self.coarseness + 1, MAX_COARSENESS), 0
        elif seconds < FAST_SECONDS:
            self._fast_frames += 1
            if self._fast_frames >= FAST_FRAMES_TO_REFINE:
                self.coarseness, self._fast_frames = max(self.coarseness - 1, 0), 0
        else:
            self._fast_frames = 0


_pacers: WeakKeyDictionary[App[Any], FramePacer] = WeakKeyDictionary()


def pacer_for(app: App[Any]) -> FramePacer:
    """Return the pacer of an app: all its canvases share one way to the terminal."""
    return _pacers.setdefault(app, FramePacer())


class FramePacerApp(App[None]):
    """An app whose canvases know when a frame has gone and when it has come."""

    def get_default_screen(self) -> PartialUpdateScreen:
        """Return a screen that sends only what has changed."""
        return PartialUpdateScreen(id="_default")

    def on_cursor_position(self, _event: CursorPosition) -> None:
        """Take the terminal's answer."""
        pacer_for(self).record_answer()

    def post_display_hook(self) -> None:
        """Tell the canvases that the screen was drawn; Textual calls it each time."""
        pacer_for(self).record_displayed()


def write_to_terminal(app: App[Any], text: str) -> None:
    """Write to the terminal, past Textual; headless, nowhere. Call it when the screen has been drawn."""
    driver = app._driver  # noqa: SLF001  # Textual has no other way to what it writes to
    if driver is not None and not app.is_headless:
        driver.write(text)
        driver.flush()
