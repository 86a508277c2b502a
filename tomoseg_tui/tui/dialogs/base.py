"""What every dialog has: a key that tells its keys; and, where it starts jobs, one that copies their commands."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, ScreenResultType

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.history import format_command


class Dialog(ModalScreen[ScreenResultType]):
    """A modal screen. F1 tells its keys, and so does ? where nobody types."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f1,question_mark",
            "app.help",
            "Keys",
            show=False,
            key_display="F1",
            id="dialog.help",
            tooltip="Show every key of this",
        ),
    ]


class CommandDialog(Dialog[ScreenResultType]):
    """A dialog whose answer a command would start as well."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+y",
            "copy",
            "Copy command",
            show=False,
            id="dialog.copy",
            tooltip="Copy the command that does the same",
        ),
    ]

    @abstractmethod
    def commands(self) -> Sequence[Sequence[str]]:
        """Return the arguments of each command; a `TomosegError` is shown."""

    def action_copy(self) -> None:
        try:
            lines = "\n".join(format_command([*argv]) for argv in self.commands())
        except TomosegError as fault:
            self.notify(fault.fix, title=fault.fault, severity="error")
            return
        self.app.copy_to_clipboard(lines)
        self.notify(lines, title="Copied")
