"""The first line: project, open tab, what is in it, what runs, how busy the machine is."""

from rich.text import Text
from textual.app import RenderResult
from textual.reactive import reactive
from textual.widget import Widget

from tomoseg_tui.tui.state.snapshot import ProjectSnapshot


class TopLine(Widget):
    """One line that always tells where one is."""

    tab: reactive[str] = reactive("")
    project: reactive[str] = reactive("")
    contents: reactive[str] = reactive("")
    jobs: reactive[str] = reactive("")
    system_load: reactive[str] = reactive("")

    def show_snapshot(self, snapshot: ProjectSnapshot) -> None:
        """Take over what is known of the project."""
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
        """Draw the line, leaving out what has least to say where it is narrow."""
        left = Text.assemble(" ", ("tomoseg", "bold"), "  ", (self.project, "bold"), "  ", self.tab)
        parts = [part for part in (self.contents, self.jobs, self.system_load) if part]
        while parts and left.cell_len + len("   ".join(parts)) + 4 > self.size.width:
            parts.pop(0)
        right_text = "   ".join(parts) + " "
        gap = max(1, self.size.width - left.cell_len - len(right_text))
        return Text.assemble(left, " " * gap, right_text, no_wrap=True, overflow="ellipsis")


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
