"""Show a long report that does not fit into a notification."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from tomoseg_tui.tui.dialogs.base import Dialog


class ReportDialog(Dialog[None]):
    """A title, a summary and lines to scroll through; enter or escape closes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Close", id="told.close", tooltip="Close"),
        Binding("j,down", "scroll(1)", "Down", show=False, id="told.down", tooltip="Scroll down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="told.up", tooltip="Scroll up"),
    ]

    def __init__(self, title: str, summary: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._title, self._summary, self._lines = title, summary, tuple(lines)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide"):
            yield Static(Text(self._title), classes="dialog-title")
            yield Static(Text(self._summary), classes="dialog-text")
            with VerticalScroll(id="told-lines"):
                yield Static(Text("\n".join(f"- {line}" for line in self._lines)))
            yield Static("j k scroll   esc closes", classes="dialog-hint")

    def action_scroll(self, lines: int) -> None:
        self.query_one("#told-lines", VerticalScroll).scroll_relative(y=lines, animate=False)
