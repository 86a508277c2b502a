"""The base of every tab: title, keys with ids, handling of new snapshots, and the equivalent command."""

from abc import abstractmethod

from textual.binding import Binding
from textual.containers import Container

from tomoseg_tui.tui.job_app import JobApp
from tomoseg_tui.tui.session import TuiSession
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot


def hidden_key(key: str, action: str, description: str, id: str, tooltip: str) -> Binding:  # noqa: A002  # Textual's word
    """Return a binding that is in the help and the palette, but not in the footer."""
    return Binding(key, action, description, show=False, id=id, tooltip=tooltip)


class Tab(Container):
    """One of the seven tabs. The app creates it when it is first opened."""

    @property
    def tomoseg(self) -> JobApp:
        """The app, with the type that tabs need."""
        app = self.app
        if not isinstance(app, JobApp):
            raise TypeError("a tab needs a JobApp")
        return app

    @abstractmethod
    def show_snapshot(self, snapshot: ProjectSnapshot) -> None:
        """Draw the project snapshot; called on the UI thread after each change and when the tab is opened."""

    def focus_default(self) -> None:
        """Focus the widget with the keys of the tab when it opens; never a text field."""
        for widget in self.query("*"):
            if widget.focusable and type(widget).__name__ not in {"Input", "TextArea"}:
                widget.focus()
                return

    def command_argv(self) -> list[str] | None:
        """Return the arguments of the `tomoseg` command equivalent to the current choice; None if there is none."""
        return None

    def help_text(self) -> str:
        """Return the introduction of the help; empty for none."""
        return ""

    def unsaved_warning(self) -> str:
        """Return what would be lost if the program ended now, and why; empty if nothing would."""
        return ""

    def updated_session(self, session: TuiSession) -> TuiSession:
        """Return the session with the position of the user in this tab."""
        return session
