"""A line that appears at `/` and filters a list while the user types."""

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input


class FilterLine(Input):
    """Hidden until it is opened; enter keeps the filter, escape clears it; both return the focus."""

    DEFAULT_CSS = "FilterLine { dock: bottom; display: none; } FilterLine.-open { display: block; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "No filter", id="filter.clear", tooltip="Clear the filter"),
        Binding("down", "accept", "", show=False),
    ]

    @dataclass
    class Filtered(Message):
        """The filter has changed."""

        line: "FilterLine"
        text: str

        @property
        def control(self) -> "FilterLine":
            """The filter line."""
            return self.line

    def __init__(self, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(placeholder="filter: all words must match", id=id, compact=True)
        self._return_widget: Widget | None = None

    def open(self, return_widget: Widget) -> None:
        """Show and focus the line; the focus later returns to `return_widget`."""
        self._return_widget = return_widget
        self.add_class("-open")
        self.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Filtered(self, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_accept()

    def action_accept(self) -> None:
        """Return to the list; the line stays while it filters."""
        self.set_class(bool(self.value), "-open")
        if self._return_widget is not None:
            self._return_widget.focus()

    def action_clear(self) -> None:
        self.value = ""
        self.action_accept()


def matches_filter(text: str, filter_text: str) -> bool:
    """Return whether every word of a filter occurs in a text; case does not matter."""
    lowered = text.lower()
    return all(filter_word in lowered for filter_word in filter_text.lower().split())
