"""Below 80x24 one line asks for more room, instead of a layout that lies."""

from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static


class TooSmall(ModalScreen[None]):
    """Stands over everything until there is room."""

    def compose(self) -> ComposeResult:
        """Say what is needed."""
        yield Static("tomoseg needs 80 x 24 characters; this terminal is smaller. Enlarge it.", id="too-small")
