"""The second line: the seven tabs with their numbers."""

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Click
from textual.message import Message
from textual.widgets import Static


class TabLabel(Static):
    """One tab's number and title."""

    def __init__(self, number: int, name: str, title: str) -> None:
        super().__init__(f" [b]{number}[/b] {title} ", classes="tab-label")
        self.tab_name = name

    def on_click(self, event: Click) -> None:
        """Open the tab."""
        event.stop()
        self.post_message(TabBar.Chosen(self.tab_name))


class TabBar(Horizontal):
    """All tabs; the open one stands out."""

    @dataclass
    class Chosen(Message):
        """A tab was clicked."""

        tab_name: str

    def __init__(self, titles: dict[str, str]) -> None:
        super().__init__()
        self._titles = titles

    def compose(self) -> ComposeResult:
        """Make the labels."""
        for number, (name, title) in enumerate(self._titles.items(), start=1):
            yield TabLabel(number, name, title)

    def mark_open(self, name: str) -> None:
        """Let one tab stand out."""
        for label in self.query(TabLabel):
            label.set_class(label.tab_name == name, "-open")
