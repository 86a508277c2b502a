"""The first line: project, open tab, what is in it, what runs, how busy the machine is."""

from rich.text import Text
from textual.app import RenderResult
from textual.reactive import reactive
from textual.widget import Widget

from tomoseg_tui.tui.state.snapshot import Facts


class TopLine(Widget):
    """One line that always tells where one is."""

    tab: reactive[str] = reactive("")
    project: reactive[str] = reactive("")
    contents: reactive[str] = reactive("")
    jobs: reactive[str] = reactive("")
    load: reactive[str] = reactive("")

    def show_facts(self, facts: Facts) -> None:
        """Take over what is known of the project."""
        self.project = facts.project.layout.root.name + (" (read only)" if facts.project.settings.is_newer else "")
        self.contents = f"{_count(len(facts.tomograms), 'tomogram')}  {_count(len(facts.features), 'feature')}"
        waiting, running = facts.waiting, facts.running - facts.waiting
        said = [f"{_count(running, 'job')} running"] if running else []
        said += [f"{waiting if running else _count(waiting, 'job')} waiting"] if waiting else []
        self.jobs = ", ".join(said) or "no job runs"

    def render(self) -> RenderResult:
        """Draw the line, leaving out what has least to say where it is narrow."""
        left = Text.assemble(" ", ("tomoseg", "bold"), "  ", (self.project, "bold"), "  ", self.tab)
        right = [part for part in (self.contents, self.jobs, self.load) if part]
        while right and left.cell_len + len("   ".join(right)) + 4 > self.size.width:
            right.pop(0)
        words = "   ".join(right) + " "
        room = max(1, self.size.width - left.cell_len - len(words))
        return Text.assemble(left, " " * room, words, no_wrap=True, overflow="ellipsis")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
