"""Fields that several forms have: a box to tick, where a job computes, and options of commands."""

from typing import Any

from textual.dom import DOMNode
from textual.widgets import Checkbox, Input, Select

from tomoseg_tui.commands.options import Command, parse_field
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


def option_input(command: Command, key: str, value: object = None) -> Input:
    """Return the text field of an option, whose id is the option's key."""
    option = command.option(key)
    text = "" if value is None else option.kind.format(value)
    return Input(text, placeholder=option.placeholder, id=key, compact=True)


def read_options(form: DOMNode, command: Command) -> dict[str, Any]:
    """Return the values of all options that have a field in a form, by their keys.

    Raises
    ------
    UsageError
        If a text cannot be the value of its option.
    """
    values: dict[str, Any] = {}
    for option in command.options:
        for field in form.query(f"#{option.key}"):
            if isinstance(field, Checkbox) and option.is_flag:
                values[option.key] = option.stores if field.value else option.default
            elif isinstance(field, Select):
                values[option.key] = field.value or option.default
            elif isinstance(field, Input) and not option.is_flag:
                values[option.key] = parse_field(option, field.value)
    return values
