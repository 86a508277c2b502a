"""Ask before something is lost, or before the program ends while jobs run."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from tomoseg_tui.tui.dialogs.base import Dialog


class Confirm(Dialog[bool]):
    """A question with two answers; escape means no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="confirm.yes"),
        Binding("n,escape,q", "answer(False)", "No", id="confirm.no"),
        Binding("left,h", "app.focus_previous", "", show=False),
        Binding("right,l", "app.focus_next", "", show=False),
    ]

    def __init__(self, question: str, text: str, *, yes: str, no: str = "Cancel") -> None:
        super().__init__()
        self._question, self._text, self._yes, self._no = question, text, yes, no

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(self._question, classes="dialog-title", markup=False)
            yield Static(self._text, classes="dialog-text", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button(f"{self._yes} (y)", id="yes", variant="warning")
                yield Button(f"{self._no} (n)", id="no", variant="default")

    def on_mount(self) -> None:
        """Focus the harmless answer."""
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001  # the action's own word
        self.dismiss(answer)


def ask_first(app: App[object], question: str, text: str, yes: str, on_yes: Callable[[], object]) -> None:
    """Call `on_yes` if the user agrees, or immediately if there is no text."""

    def on_answer(answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
        if answer:
            on_yes()

    if text:
        app.push_screen(Confirm(question, text, yes=yes), on_answer)
    else:
        on_yes()
