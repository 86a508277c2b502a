"""Frame pacing: limits the frames in flight, and draws coarser pictures over a slow connection.

After each frame the cursor position is requested; the reply shows that the frame has arrived. Three frames
may be in flight. Without this limit, frames pile up in pipes on a slow line, and the screen lags seconds behind.

Textual's `CursorPosition` event carries the reply; `FramePacerApp` passes it on.

Only the changed part of a line is sent: Textual redraws spans of lines, but starts each at the left edge of its
widget. Here spans are cropped at both ends. `Compositor` and `ChopsUpdate` are private to Textual and may change;
tests/tui/canvas/test_partial_updates.py pins them.
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
    """An update that sends only its spans."""

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
    """Textual's compositor with updates that are cropped at both ends."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """Return the changes; None if there are none."""
        update = super().render_partial_update()
        return None if update is None else SpansUpdate(update.chops, update.spans, update.chop_ends)


@final
class PartialUpdateScreen(Screen[Any]):
    """A screen that sends only changed cells."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._compositor = PartialUpdateCompositor()


CURSOR_QUERY = "\x1b[6n"
"""Cursor position request. Every terminal replies, after everything that was sent before."""
MAX_FRAMES_IN_FLIGHT = 3
"""Frames in flight: one leaves a compressed line idle, more only add latency."""
ANSWER_TIMEOUT_SECONDS = 1.0
"""Time after which a reply is considered lost, s."""
MAX_LOST_ANSWERS = 3
"""If so many replies are lost before the first one arrives, the terminal is assumed to send none."""
SETTLE_SECONDS = 0.15
"""Pause after the last key until the picture is drawn at full quality, s."""
SLOW_SECONDS, FAST_SECONDS = 0.08, 0.04
"""Frames with a longer round trip make the next one coarser; with a shorter one, finer."""
FAST_FRAMES_TO_REFINE = 12
"""Number of fast frames before the next is finer."""
MAX_COARSENESS = 2
"""Levels: 0 full quality, 1 sixteen grey levels, 2 also half the resolution."""


@final
class FramePacer:
    """Counts the frames in flight to one terminal and sets their quality."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._send_times: deque[float] = deque()
        self._free_callbacks: list[Callable[[], None]] = []
        self._display_callbacks: list[Callable[[], None]] = []
        self._lost_answers, self._has_answered, self._fast_frames = 0, False, 0
        self.coarseness = 0
        """Level of coarseness of frames in motion, 0 to 2."""

    def can_send(self, *, reserve: int = 0) -> bool:
        """Return whether one more frame may be sent; `reserve` keeps slots free for more urgent frames."""
        self._drop_lost()
        return self._is_unresponsive or len(self._send_times) < MAX_FRAMES_IN_FLIGHT - reserve

    def call_when_free(self, callback: Callable[[], None]) -> None:
        """Call once, as soon as a frame may be sent; a repeated request is one call."""
        if callback not in self._free_callbacks:
            self._free_callbacks.append(callback)

    def record_sent(self) -> bool:
        """Count a frame that is sent now; return whether to request a reply from the terminal."""
        if self._is_unresponsive:
            return False
        self._send_times.append(self._clock())
        return True

    def record_answer(self) -> None:
        """Handle a reply. An unexpected one is a key (shift+F3 looks the same) and is ignored."""
        self._has_answered = self._has_answered or bool(self._send_times or self._lost_answers)
        if not self._send_times:
            return
        self._adapt(self._clock() - self._send_times.popleft())
        self.run_callbacks()

    def run_callbacks(self) -> None:
        """Call the waiting callbacks if a frame may be sent; a timer calls this too, in case replies are lost."""
        if self.can_send():
            callbacks, self._free_callbacks = self._free_callbacks, []
            for callback in callbacks:
                callback()

    def call_when_displayed(self, callback: Callable[[], None]) -> None:
        """Call once, as soon as the current drawing has been sent."""
        self._display_callbacks.append(callback)

    def record_displayed(self) -> None:
        """Record that the current drawing has been sent."""
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
    """Return the pacer of an app: all its canvases share one connection to the terminal."""
    return _pacers.setdefault(app, FramePacer())


class FramePacerApp(App[None]):
    """An app that tells its canvases when a frame was sent and when it arrived."""

    def get_default_screen(self) -> PartialUpdateScreen:
        """Return a screen that sends only changed cells."""
        return PartialUpdateScreen(id="_default")

    def on_cursor_position(self, _event: CursorPosition) -> None:
        """Handle the reply of the terminal."""
        pacer_for(self).record_answer()

    def post_display_hook(self) -> None:
        """Tell the canvases that the screen was drawn; Textual calls this after each drawing."""
        pacer_for(self).record_displayed()


def write_to_terminal(app: App[Any], text: str) -> None:
    """Write to the terminal without Textual; nothing if headless. Call this after the screen has been drawn."""
    driver = app._driver  # noqa: SLF001  # Textual has no other way to what it writes to
    if driver is not None and not app.is_headless:
        driver.write(text)
        driver.flush()
