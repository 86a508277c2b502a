"""What every dialog has: a key that tells its keys."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, ScreenResultType


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
