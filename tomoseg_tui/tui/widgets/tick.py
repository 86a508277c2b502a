"""A box that is ticked or empty: an x where Textual's own differs by its colour alone."""

from textual.widgets import Checkbox


class AsciiCheckbox(Checkbox):
    """``[x] words`` or ``[ ] words``."""

    BUTTON_LEFT = BUTTON_RIGHT = ""
    BUTTON_INNER = "[ ]"
    DEFAULT_CSS = """
    AsciiCheckbox > .toggle--button, AsciiCheckbox.-on > .toggle--button {
        color: $foreground;
        background: transparent;
    }
    """

    def watch_value(self) -> None:
        """Put the x in, or take it out."""
        self.BUTTON_INNER = "[x]" if self.value else "[ ]"
        super().watch_value()
