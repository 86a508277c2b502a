"""Keep what a terminal answers too late from being taken for keys."""

from collections.abc import Iterable

from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.message import Message

from tomoseg_tui.tui.canvas.terminal_query import strip_answers


def ignore_late_answers() -> None:
    """Let Textual's driver pass over answers that come when the app already reads the keyboard.

    A parser cannot be handed to the driver, so that the name by which it finds its parser is replaced.
    """
    linux_driver.XTermParser = _AnswerFilteringParser  # type: ignore[attr-defined]


class _AnswerFilteringParser(XTermParser):
    """Textual's parser of keys, without answers to our questions."""

    def feed(self, data: str) -> Iterable[Message]:
        """Read what was typed; the empty text, which ends the reading, passes as it is."""
        typed = strip_answers(data)
        return super().feed(typed) if typed or not data else ()
