"""The top lines: project, its contents, running jobs and the load of the machine; below them the tabs."""

from dataclasses import dataclass

from rich.text import Text
from textual.app import ComposeResult, RenderResult
from textual.containers import Horizontal
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from tomoseg_tui.tui.state.snapshot import ProjectSnapshot


class TopLine(Widget):
    """One line with the project and its state."""

    tab: reactive[str] = reactive("")
    project: reactive[str] = reactive("")
    contents: reactive[str] = reactive("")
    jobs: reactive[str] = reactive("")
    system_load: reactive[str] = reactive("")

    def show_snapshot(self, snapshot: ProjectSnapshot) -> None:
        """Show the state of the project."""
        self.project = snapshot.project.layout.root.name + (
            " (read only)" if snapshot.project.settings.is_newer else ""
        )
        self.contents = (
            f"{_format_count(len(snapshot.tomograms), 'tomogram')}  {_format_count(len(snapshot.features), 'feature')}"
        )
        waiting, running = snapshot.waiting_count, snapshot.running_count - snapshot.waiting_count
        parts = [f"{_format_count(running, 'job')} running"] if running else []
        parts += [f"{waiting if running else _format_count(waiting, 'job')} waiting"] if waiting else []
        self.jobs = ", ".join(parts) or "no job runs"

    def render(self) -> RenderResult:
        """Draw the line; in a narrow terminal the least important parts are left out."""
        left = Text.assemble(" ", ("tomoseg", "bold"), "  ", (self.project, "bold"), "  ", self.tab)
        parts = [part for part in (self.contents, self.jobs, self.system_load) if part]
        while parts and left.cell_len + len("   ".join(parts)) + 4 > self.size.width:
            parts.pop(0)
        right_text = "   ".join(parts) + " "
        gap = max(1, self.size.width - left.cell_len - len(right_text))
        return Text.assemble(left, " " * gap, right_text, no_wrap=True, overflow="ellipsis")


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


class TabLabel(Static):
    """Number and title of a tab."""

    def __init__(self, number: int, name: str, title: str) -> None:
        super().__init__(f" [b]{number}[/b] {title} ", classes="tab-label")
        self.tab_name = name

    def on_click(self, event: Click) -> None:
        event.stop()
        self.post_message(TabBar.Chosen(self.tab_name))


class TabBar(Horizontal):
    """All tabs; the open one is highlighted."""

    @dataclass
    class Chosen(Message):
        """A tab was clicked."""

        tab_name: str

    def __init__(self, titles: dict[str, str]) -> None:
        super().__init__()
        self._titles = titles

    def compose(self) -> ComposeResult:
        for number, (name, title) in enumerate(self._titles.items(), start=1):
            yield TabLabel(number, name, title)

    def mark_open(self, name: str) -> None:
        """Highlight the open tab."""
        for label in self.query(TabLabel):
            label.set_class(label.tab_name == name, "-open")
