"""The base of dialogs: a key that shows the keys; for dialogs that start jobs, one that copies their commands."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, ScreenResultType

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.history import format_command


class AnsweredOnce(ModalScreen[ScreenResultType]):
    """A modal screen that ignores a second answer: keys that arrive together would also close the screen below it."""

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Close the screen with an answer, if it is still the top one."""
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()


class Dialog(AnsweredOnce[ScreenResultType]):
    """A modal screen. F1 shows its keys, and so does ? outside text fields."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f1,question_mark",
            "app.help",
            "Keys",
            show=False,
            key_display="F1",
            id="dialog.help",
            tooltip="Show every key of this dialog",
        ),
    ]


class CommandDialog(Dialog[ScreenResultType]):
    """A dialog with an equivalent command."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+y",
            "copy",
            "Copy command",
            show=False,
            id="dialog.copy",
            tooltip="Copy the equivalent command",
        ),
    ]

    @abstractmethod
    def commands(self) -> Sequence[Sequence[str]]:
        """Return the arguments of each command; the dialog shows a `TomosegError`."""

    def action_copy(self) -> None:
        try:
            lines = "\n".join(format_command([*argv]) for argv in self.commands())
        except TomosegError as fault:
            self.notify(fault.fix, title=fault.fault, severity="error")
            return
        self.app.copy_to_clipboard(lines)
        self.notify(lines, title="Copied")
