"""Writing in the Merge tab: the name of the label volume, what its job will take, what is refused, and its start."""

from abc import abstractmethod
from collections.abc import Callable

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import HorizontalGroup
from textual.widgets import Input, Static

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.results import MERGE
from tomoseg_tui.core.names import check_name
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.estimate import work_of
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.merge.map_selection import MapEntries, chosen_entries
from tomoseg_tui.tui.state.snapshot import TomogramSnapshot
from tomoseg_tui.tui.tab_base import Tab
from tomoseg_tui.tui.widgets.cost_line import CostLine
from tomoseg_tui.workflow.merge.merge_request import MergeRequest, merge_request

DEFAULT_NAME = "merged"
"""Name of a label volume that nobody has named."""


class WriteLabelsActions(Tab):
    """A tab whose choice of maps is written as a label volume, by a job."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._cost_key: tuple[object, ...] = ()
        """What the price shown depends on."""

    @property
    @abstractmethod
    def tomogram(self) -> TomogramSnapshot | None:
        """The tomogram whose maps compete."""

    @property
    @abstractmethod
    def entries(self) -> MapEntries:
        """Its maps, and how they compete."""

    def compose_writing(self) -> ComposeResult:
        """Make the field of the name and the line of the price."""
        with HorizontalGroup(id="merge-name-row"):
            yield Static("name ", classes="hint")
            yield Input(DEFAULT_NAME, id="merge-name", compact=True, select_on_focus=False)
        yield CostLine(self.tomoseg.project, id="merge-price")

    # The name

    @property
    def _label_name(self) -> str:
        return self.query_one("#merge-name", Input).value.strip() or DEFAULT_NAME

    def action_name(self) -> None:
        self.query_one("#merge-name", Input).focus()

    @on(Input.Submitted, "#merge-name")
    def check_label_name(self, event: Input.Submitted) -> None:
        """Take the name, or say what is wrong with it."""
        event.stop()
        try:
            check_name(event.value.strip(), "label volume")
        except TomosegError as fault:
            self.notify(fault.fix, title=fault.fault, severity="error")
            return
        self.focus_default()

    # The price

    def update_cost(self) -> None:
        """Ask what the job takes, where that has changed: thresholds and order take nothing."""
        name = self.tomogram.name if self.tomogram is not None else None
        key = (name, sorted(entry.key for entry in chosen_entries(self.entries)))
        if key != self._cost_key:
            self._cost_key = key
            project, prepare = self.tomoseg.project, self._preparation()
            works = list if prepare is None else lambda: [work_of(project, "merge", msgspec.to_builtins(prepare()))]
            self.query_one(CostLine).estimate(works)

    def action_measure(self) -> None:
        self.query_one(CostLine).measure()

    # The job

    def write_labels(self) -> None:
        """Write the label volume; ask first where one would be replaced."""
        tomogram, name = self.tomogram, self._label_name
        if tomogram is None or not chosen_entries(self.entries):
            self.notify("Take at least one map in with space.", severity="warning")
            return
        if name not in {volume.name for volume in tomogram.labels}:
            self._write(answer=True)
            return
        text = f"{tomogram.name}/{name} is there already. The new one takes its place as soon as it is complete."
        self.app.push_screen(
            Confirm("Replace the label volume?", text, yes="Replace"), lambda yes: self._write(answer=yes)
        )

    def _write(self, *, answer: bool | None) -> None:
        argv, prepare = self.command_argv(), self._preparation()
        if answer and argv is not None and prepare is not None:
            self.tomoseg.start_job(argv, lambda: ("merge", prepare()))

    def _preparation(self) -> Callable[[], MergeRequest] | None:
        """Return what a thread calls to check the choice as it stands; None where there is none."""
        project, tomogram, name = self.tomoseg.project, self.tomogram, self._label_name
        maps = [entry.option for entry in chosen_entries(self.entries)]
        if tomogram is None or not maps:
            return None

        return lambda: merge_request(project, tomogram.name, maps, name=name, output=None, force=False)

    def command_argv(self) -> list[str] | None:
        """Return the command that writes these labels."""
        if self.tomogram is None or not chosen_entries(self.entries):
            return None
        map_specs = [entry.option for entry in chosen_entries(self.entries)]
        return to_argv(MERGE, tomogram=self.tomogram.name, map_specs=map_specs, name=self._label_name)
