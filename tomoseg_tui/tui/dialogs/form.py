"""A dialog of rows, a line for errors, and two buttons."""

from abc import abstractmethod
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ScreenResultType
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from tomoseg_tui.commands.options import Command
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.tui.dialogs.base import Dialog
from tomoseg_tui.tui.dialogs.form_fields import option_input


class Form(Dialog[ScreenResultType]):
    """Answers with the result of `read`; escape cancels."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "answer", "Submit", id="form.answer", tooltip="Submit", priority=True),
        Binding("escape", "dismiss", "Cancel", id="form.cancel", tooltip="Cancel; nothing is done"),
        Binding("down", "app.focus_next", "Next", show=False, id="form.next", tooltip="Next field"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="form.before", tooltip="Previous field"),
    ]

    def __init__(self, title: str, *, submit_label: str, hint: str) -> None:
        super().__init__()
        self._title, self._submit_label, self._hint = title, submit_label, hint

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog form") as box:
            box.border_subtitle = "F1 keys"
            yield Static(self._title, classes="dialog-title", markup=False)
            yield from self.rows()
            yield Static(self._hint, id="form-said", classes="dialog-hint", markup=False)
            with Horizontal(classes="form-buttons"):
                yield Button(f"{self._submit_label} (ctrl+s)", id="form-do", variant="primary", compact=True)
                yield Button("Cancel (esc)", id="form-cancel", compact=True)

    @abstractmethod
    def rows(self) -> ComposeResult:
        """Make the rows of fields."""

    @abstractmethod
    def read(self) -> ScreenResultType:
        """Return the answer; a `TomosegError` is shown, and the dialog stays."""

    @staticmethod
    def row(label: str, *widgets: Widget) -> Widget:
        """Return widgets after a label."""
        return Horizontal(Static(label, classes="form-label"), *widgets, classes="form-row")

    @classmethod
    def option_row(cls, command: Command, *keys: str) -> Widget:
        """Return the text fields of some options, side by side."""
        first, *others = [(command.option(key).label, option_input(command, key)) for key in keys]
        widgets = [widget for label, field in others for widget in (Static(label, classes="form-label"), field)]
        return cls.row(first[0], first[1], *widgets)

    def field_text(self, name: str) -> str:
        """Return the text of a field."""
        return self.query_one(f"#{name}", Input).value.strip()

    @on(Input.Submitted)
    @on(Button.Pressed, "#form-do")
    def action_answer(self) -> None:
        try:
            answer = self.read()
        except TomosegError as fault:
            self.query_one("#form-said", Static).update(f"{fault.fault} {fault.fix}")
            return
        self.dismiss(answer)

    @on(Button.Pressed, "#form-cancel")
    def cancel(self) -> None:
        """Close without an answer."""
        self.dismiss(None)
