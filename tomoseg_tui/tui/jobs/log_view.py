"""The log of a job, followed while it grows. A thread reads; the end stays visible unless the user scrolls."""

import re
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Log

from tomoseg_tui.jobs.job import LOG_TIME
from tomoseg_tui.tui.state.file_tail import FileTailer, LinesAppended

MAX_LINES = 5000
"""Older lines are dropped; `tomoseg jobs log` prints them all."""


class LogView(Log):
    """The end of a text file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False, id="log.down"),
        Binding("k", "scroll_up", "Up", show=False, id="log.up"),
        Binding("h", "scroll_left", "Left", show=False, id="log.left"),
        Binding("l", "scroll_right", "Right", show=False, id="log.right"),
        Binding("g", "scroll_home", "Top", show=False, id="log.top"),
        Binding("G", "scroll_end", "End", show=False, id="log.end"),
        Binding("ctrl+d", "page_down", "Page down", show=False, id="log.page_down"),
        Binding("ctrl+u", "page_up", "Page up", show=False, id="log.page_up"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, max_lines=MAX_LINES)
        self._file_tailer = FileTailer(self.post_message)

    def follow(self, path: Path | None, *, is_live: bool) -> None:
        """Show a file, and new lines while it is live; None shows nothing."""
        if self._file_tailer.follow(path, is_live=is_live):
            self.clear()

    def on_unmount(self) -> None:
        self._file_tailer.stop()

    @on(LinesAppended)
    def append_lines(self, event: LinesAppended) -> None:
        """Show new lines."""
        event.stop()
        if event.path != self._file_tailer.path:
            return
        if event.is_reset:
            self.clear()
        at_end = event.is_reset or self.is_vertical_scroll_end
        self.write(LOG_TIME.sub(_local_time, event.text.decode(errors="replace")), scroll_end=at_end)
        if event.is_reset:
            self.call_after_refresh(self.scroll_end, animate=False, x_axis=False)


def _local_time(match: re.Match[str]) -> str:
    """Return the time of a line as local time."""
    return f"{datetime.fromisoformat(match[1]).astimezone():%H:%M:%S} "
