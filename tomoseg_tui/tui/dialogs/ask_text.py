"""Ask for one line of text: a name, a coordinate, a number."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.tui.dialogs.base import Dialog


class AskText(Dialog[str]):
    """A question and a text field; escape cancels.

    Parameters
    ----------
    check : callable
        Raises `TomosegError` for an invalid answer; the error is shown, and the dialog stays.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel", id="ask.cancel")]

    def __init__(
        self, question: str, hint: str, *, value: str = "", check: Callable[[str], object] = lambda _text: None
    ) -> None:
        super().__init__()
        self._question, self._hint, self._value, self._check = question, hint, value, check

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(self._question, classes="dialog-title")
            yield Input(self._value, id="answer", compact=True)
            yield Static(self._hint, id="ask-hint", classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        answer = event.value.strip()
        try:
            self._check(answer)
        except TomosegError as fault:
            self.query_one("#ask-hint", Static).update(f"{fault.fault} {fault.fix}")
            return
        self.dismiss(answer)
