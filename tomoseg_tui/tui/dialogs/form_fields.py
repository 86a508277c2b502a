"""Fields that several forms share: check boxes, run locations, and options of commands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from textual.dom import DOMNode
from textual.widgets import Checkbox, Input, Select

from tomoseg_tui.commands.options import Command, parse_field
from tomoseg_tui.project.project_settings import ProjectSettings, SlurmSettings
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot


@dataclass(frozen=True)
class RunLocation:
    """Where a job runs, and whether it waits in the queue."""

    title: str
    starts_at_once: bool = False
    """Whether the job starts immediately, even if its device is busy."""
    in_slurm: bool = False
    options: Mapping[str, object] = field(default_factory=dict)
    """Options of the command; none for the default of the project."""

    def slurm_settings(self, settings: ProjectSettings) -> SlurmSettings | None:
        """Return the Slurm settings; None if the job runs on this machine."""
        return settings.slurm if self.in_slurm else None


def run_locations(settings: ProjectSettings, *, has_slurm: bool) -> tuple[RunLocation, ...]:
    """Return the choices, the default of the project first.

    Parameters
    ----------
    has_slurm : bool
        Whether this machine can submit jobs to Slurm; else Slurm is offered only if the project has settings for it.
    """
    is_slurm_default = settings.always_slurm
    here = {"here": True} if is_slurm_default else {}
    local_locations = (
        RunLocation("here, queued", options=here),
        RunLocation("here, immediately", starts_at_once=True, options={**here, "now": True}),
    )
    slurm_location = RunLocation("Slurm", in_slurm=True, options={} if is_slurm_default else {"slurm": ""})
    if is_slurm_default:
        return slurm_location, *local_locations
    return (*local_locations, slurm_location) if has_slurm or settings.slurm != SlurmSettings() else local_locations


class AsciiCheckbox(Checkbox):
    """``[x] text`` or ``[ ] text``: an x, because Textual's own box shows its state only by colour."""

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
    """Where a job runs, and whether it is queued; the default of the project is selected."""

    def __init__(self, snapshot: ProjectSnapshot) -> None:
        self.locations = run_locations(snapshot.project.settings, has_slurm=snapshot.has_slurm)
        options = [(location.title, index) for index, location in enumerate(self.locations)]
        super().__init__(options, value=0, allow_blank=False, compact=True, id="where")

    @property
    def location(self) -> RunLocation:
        """The selected location."""
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
        If a text is not valid for its option.
    """
    values: dict[str, Any] = {}
    for option in command.options:
        for widget in form.query(f"#{option.key}"):
            if isinstance(widget, Checkbox) and option.is_flag:
                values[option.key] = option.stores if widget.value else option.default
            elif isinstance(widget, Select):
                values[option.key] = widget.value or option.default
            elif isinstance(widget, Input) and not option.is_flag:
                values[option.key] = parse_field(option, widget.value)
    return values
