"""Fields that several forms have: a box to tick, and where a job computes."""

from textual.widgets import Checkbox, Select

from tomoseg_tui.tui.run_location import RunLocation, run_locations
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot


class AsciiCheckbox(Checkbox):
    """``[x] text`` or ``[ ] text``: an x where Textual's own box differs by its colour alone."""

    BUTTON_LEFT = BUTTON_RIGHT = ""
    BUTTON_INNER = "[ ]"
    DEFAULT_CSS = """
    AsciiCheckbox > .toggle--button, AsciiCheckbox.-on > .toggle--button {
        color: $foreground;
        background: transparent;
    }
    """

    def watch_value(self) -> None:
        self.BUTTON_INNER = "[x]" if self.value else "[ ]"
        super().watch_value()


class RunLocationSelect(Select[int]):
    """Where a job computes, and whether it waits in line; begins with what the project does anyway.

    Parameters
    ----------
    snapshot : ProjectSnapshot
        The project.
    """

    def __init__(self, snapshot: ProjectSnapshot) -> None:
        self.locations = run_locations(snapshot.project.settings, has_slurm=snapshot.has_slurm)
        options = [(location.title, index) for index, location in enumerate(self.locations)]
        super().__init__(options, value=0, allow_blank=False, compact=True, id="where")

    @property
    def location(self) -> RunLocation:
        """What is chosen."""
        return self.locations[self.value] if isinstance(self.value, int) else self.locations[0]
