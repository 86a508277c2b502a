"""What every tab is: a title, keys with ids, an answer to new facts, and the command that does the same."""

from abc import abstractmethod

from textual.binding import Binding
from textual.containers import Container

from tomoseg_tui.tui.job_app import JobApp
from tomoseg_tui.tui.session import TuiSession
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot


def hidden_key(key: str, action: str, description: str, id: str, tooltip: str) -> Binding:  # noqa: A002  # Textual's word
    """Return a binding that the help and the palette show, and for which the footer has no room."""
    return Binding(key, action, description, show=False, id=id, tooltip=tooltip)


class Tab(Container):
    """One of the seven tabs. The app makes it when it is first opened."""

    @property
    def tomoseg(self) -> JobApp:
        """The app, typed by what tabs need of it."""
        app = self.app
        if not isinstance(app, JobApp):
            raise TypeError("a tab needs a JobApp")
        return app

    @abstractmethod
    def show_snapshot(self, snapshot: ProjectSnapshot) -> None:
        """Draw what is known of the project; called on the UI thread whenever it has changed, and when opened."""

    def focus_default(self) -> None:
        """Put the focus where keys work when the tab opens; never into a text field."""
        for widget in self.query("*"):
            if widget.focusable and type(widget).__name__ not in {"Input", "TextArea"}:
                widget.focus()
                return

    def command_argv(self) -> list[str] | None:
        """Return the arguments of the `tomoseg` command that does what the tab would do now; None if nothing."""
        return None

    def help_text(self) -> str:
        """Return what the help says before the keys; empty for nothing."""
        return ""

    def unsaved_warning(self) -> str:
        """Say what would be lost if the program ended now, and why; empty if nothing would."""
        return ""

    def updated_session(self, session: TuiSession) -> TuiSession:
        """Return the session with what this tab knows of where the user is."""
        return session
