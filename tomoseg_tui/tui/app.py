"""The app: composes the tabs, binds keys, passes snapshots to tabs, and quits."""

import logging
import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from pathlib import PurePath
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult, SystemCommand
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.containers import Container
from textual.css.query import NoMatches
from textual.events import Resize
from textual.screen import ModalScreen, Screen
from textual.widget import MountError
from textual.widgets import ContentSwitcher, Static

from tomoseg_tui.jobs.notifications import terminal_notification
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import format_command
from tomoseg_tui.project.user_config import UserConfig, config_file
from tomoseg_tui.tui.canvas.frame_pacing import write_to_terminal
from tomoseg_tui.tui.canvas.terminal_query import TerminalCapabilities
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.help import Help
from tomoseg_tui.tui.job_app import JobApp
from tomoseg_tui.tui.messages import SnapshotChanged, SystemLoadChanged
from tomoseg_tui.tui.session import TuiSession, log_file, read_session, sessions_file, write_session
from tomoseg_tui.tui.state.watcher import FinishedJobs, ProjectWatcher
from tomoseg_tui.tui.tab_base import Tab
from tomoseg_tui.tui.theme import THEMES
from tomoseg_tui.tui.widgets.key_footer import KeyFooter
from tomoseg_tui.tui.widgets.top_lines import TabBar, TopLine

TABS = {
    "import": ("Import", "importing.import_tab", "ImportTab"),
    "tiles": ("Tiles", "tiles.tiles_tab", "TilesTab"),
    "annotate": ("Annotate", "annotate.annotate_tab", "AnnotateTab"),
    "train": ("Train", "train.train_tab", "TrainTab"),
    "apply": ("Apply", "apply.apply_tab", "ApplyTab"),
    "merge": ("Merge", "merge.merge_tab", "MergeTab"),
    "jobs": ("Jobs", "jobs.jobs_tab", "JobsTab"),
}
"""Title, module and class of each tab. A module is imported when its tab is first opened, because it imports numpy."""
MIN_SIZE = (80, 22)
"""The smallest supported terminal, columns and rows: 80 x 24 without the status lines of tmux and screen."""


class TooSmall(ModalScreen[None]):
    """A line that asks for a larger terminal. It covers everything until the terminal is large enough."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,ctrl+q", "app.quit", "Quit", show=False)]

    def compose(self) -> ComposeResult:
        yield Static(id="too-small", markup=False)

    def on_resize(self, event: Resize) -> None:
        """Say what is there and what is needed."""
        tmux = " tmux takes a line or two; it gives them back with: tmux set status off." * bool(os.environ.get("TMUX"))
        self.query_one(Static).update(
            f"This terminal has {event.size.width} x {event.size.height} characters, tomoseg needs "
            f"{MIN_SIZE[0]} x {MIN_SIZE[1]}. Enlarge it, or press q to quit; jobs continue.{tmux}"
        )


class Palette(CommandPalette):
    """Every action by its name; answered once, as `AnsweredOnce`."""

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close the palette, if it is still the top screen."""
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()


class TomosegApp(JobApp):
    """The full-screen program."""

    TITLE = "tomoseg"
    CSS_PATH: ClassVar[list[str | PurePath]] = [
        "app.tcss",
        *(f"{module.replace(chr(46), chr(47))}.tcss" for _, module, _ in TABS.values()),
    ]
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]  # noqa: RUF012  # Textual's type
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"open('{name}')", title, show=False, id=f"app.tab_{name}", tooltip=f"Open {title}")
            for number, (name, (title, _, _)) in enumerate(TABS.items(), start=1)
        ),
        Binding("question_mark,f1", "help", "Help", key_display="?", id="app.help", tooltip="Show every key"),
        Binding(
            "colon,ctrl+p", "command_palette", "Commands", key_display=":", id="app.palette", tooltip="Every action"
        ),
        Binding(
            "y", "copy_command", "Copy command", show=False, id="app.copy", tooltip="Copy the command for this action"
        ),
        Binding("q", "quit_program", "Quit", id="app.quit", tooltip="Quit; jobs continue"),
        Binding("ctrl+q", "quit_program", "Quit", show=False, id="app.quit_too", tooltip="Quit; jobs continue"),
        Binding("ctrl+c", "show_quit_hint", "", show=False, priority=True),
    ]

    def __init__(self, project: Project, config: UserConfig, *, renderer: str = "auto") -> None:
        super().__init__(project, read_session(sessions_file(), project.layout.root))
        self.config = config
        self.requested_renderer = renderer
        self.terminal_capabilities: TerminalCapabilities | None = None
        """What the terminal can show, queried before the app runs."""
        self.bug: BaseException | None = None
        """Why the program ended, if nobody expected it."""
        self._requested_tab = ""
        self._finished_jobs = FinishedJobs()
        self._watcher = ProjectWatcher(project, self.post_message)
        self.file_log = _file_logger()
        for theme in THEMES:
            self.register_theme(theme)

    def compose(self) -> ComposeResult:
        yield TopLine()
        yield TabBar({name: title for name, (title, _, _) in TABS.items()})
        with ContentSwitcher(id="tabs"):
            yield Container(id="opening")
        yield KeyFooter()

    def on_mount(self) -> None:
        self.theme = self.config.theme if self.config.theme in self.available_themes else "tomoseg-dark"
        self.set_keymap(dict(self.config.keys))
        self.query_one(TopLine).project = self.project.layout.root.name
        self._watcher.start()
        self.call_after_refresh(self._open_last_tab)

    async def _open_last_tab(self) -> None:
        """Open the tab of the last session, unless a tab is open already."""
        if not self._requested_tab:
            await self.action_open(self.session.tab if self.session.tab in TABS else "import")

    def on_unmount(self) -> None:
        self._watcher.stop()

    def _handle_exception(self, error: Exception) -> None:
        """Ignore, while the program ends, that a late message looks for a widget which is gone, or fills one."""
        if self.is_running or not isinstance(error, NoMatches | MountError):
            super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End after an unexpected exception, which Textual would print with the values of all variables."""
        self.bug = self.bug or sys.exc_info()[1]
        self._close_messages_no_wait()

    # Tabs

    @property
    def open_tab(self) -> Tab | None:
        """The tab that is shown."""
        current = self.query_one("#tabs", ContentSwitcher).current
        tab_widget = self.query(f"#{current}").first() if current and current != "opening" else None
        return tab_widget if isinstance(tab_widget, Tab) else None

    async def action_open(self, name: str) -> None:
        title, module, class_name = TABS[name]
        self._requested_tab = name
        switcher = self.query_one("#tabs", ContentSwitcher)
        if not self.query(f"#{name}"):
            tab_class: type[Tab] = getattr(import_module(f"tomoseg_tui.tui.{module}"), class_name)
            await switcher.mount(tab_class(id=name))
        if self._requested_tab != name:
            return  # another tab was requested while this one was made
        switcher.current = name
        self.query_one(TabBar).mark_open(name)
        self.query_one(TopLine).tab = title
        tab = self.open_tab
        if tab is not None:
            if self.snapshot is not None:
                tab.show_snapshot(self.snapshot)
            tab.focus_default()

    @on(TabBar.Chosen)
    async def open_clicked_tab(self, event: TabBar.Chosen) -> None:
        """Open the clicked tab."""
        await self.action_open(event.tab_name)

    # Snapshots

    @on(SnapshotChanged)
    def on_snapshot_changed(self, event: SnapshotChanged) -> None:
        self.snapshot, self.project = event.snapshot, event.snapshot.project
        if not self.query(TopLine):
            return  # the program is ending
        finished_text = self._finished_jobs.update(event.snapshot.jobs)
        if finished_text:
            notice = terminal_notification(finished_text, self.config.notice, os.environ)
            self.call_after_refresh(write_to_terminal, self, notice)
        self.query_one(TopLine).show_snapshot(event.snapshot)
        if self.open_tab is not None:
            self.open_tab.show_snapshot(event.snapshot)

    @on(SystemLoadChanged)
    def show_system_load(self, event: SystemLoadChanged) -> None:
        """Show the load of the processors."""
        for top_line in self.query(TopLine):  # absent while the program is ending
            top_line.system_load = event.text

    def refresh_snapshot(self) -> None:
        """Read the project now."""
        self._watcher.poll_now()

    def action_copy_command(self) -> None:
        argv = self.open_tab.command_argv() if self.open_tab is not None else None
        if argv is None:
            self.notify("There is no command to copy yet; choose something first.", severity="warning")
            return
        self.copy_to_clipboard(format_command(argv))
        self.notify(format_command(argv), title="Copied")

    # Quitting, help, palette

    def action_help(self) -> None:
        tab = TABS[self.open_tab.id or "import"][0] if self.open_tab is not None else "tomoseg"
        title = "this dialog" if self.screen.is_modal else tab
        bindings = list(self.screen.active_bindings.values())
        help_text = self.open_tab.help_text() if self.open_tab is not None and not self.screen.is_modal else ""
        self.push_screen(Help(title, bindings, str(config_file()), help_text))

    def action_show_quit_hint(self) -> None:
        """Show how to quit; ctrl+c does not end the program, unless there is no room for a hint."""
        if isinstance(self.screen, TooSmall):
            self.exit()
        else:
            self.notify("q quits tomoseg; jobs continue.", timeout=3)

    def action_quit_program(self) -> None:
        """Quit at once if no job runs and everything is on disk; else ask, naming what continues or would be lost."""
        unsaved_warning = " ".join(tab.unsaved_warning() for tab in self._tabs).strip()
        if unsaved_warning:
            self.push_screen(
                Confirm("Quit and lose them?", unsaved_warning, yes="Quit", no="Stay"), self._leave_if_confirmed
            )
            return
        running = self.snapshot.running_count if self.snapshot is not None else 0
        if not running:
            self._leave()
            return
        text = (
            f"{running} job{'s continue' if running > 1 else ' continues'} without this window. "
            "Everything is on disk; start tomoseg again to see the progress."
        )
        self.push_screen(Confirm("Quit tomoseg?", text, yes="Quit", no="Stay"), self._leave_if_confirmed)

    def _leave_if_confirmed(self, answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
        if answer:
            self._leave()

    @property
    def _tabs(self) -> list[Tab]:
        """Tabs that have been opened."""
        return [tab for tab in self.query_one("#tabs", ContentSwitcher).children if isinstance(tab, Tab)]

    def _leave(self) -> None:
        session = self.session
        for tab in self._tabs:
            session = tab.updated_session(session)
        if self.open_tab is not None and self.open_tab.id:
            session = TuiSession(self.open_tab.id, session.tomogram, session.z, session.zoom, session.feature)
        try:
            write_session(sessions_file(), self.project.layout.root, session)
        except OSError as fault:
            self.file_log.warning("the session could not be saved: %s", fault)
        self.exit()

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Return every action of the open tab and of the app, by its description."""
        for active_binding in list(screen.active_bindings.values()):
            binding = active_binding.binding
            if binding.id and binding.description:
                yield SystemCommand(
                    binding.description,
                    f"{binding.tooltip or binding.description}  ({binding.key})",
                    _action_runner(self, active_binding),
                )
        yield SystemCommand("Dark theme", "Light text on a dark background", lambda: self._set_theme("tomoseg-dark"))
        yield SystemCommand("Light theme", "Dark text on a light background", lambda: self._set_theme("tomoseg-light"))

    def _set_theme(self, name: str) -> None:
        self.theme = name

    def on_resize(self, event: Resize) -> None:
        is_too_small = event.size.width < MIN_SIZE[0] or event.size.height < MIN_SIZE[1]
        if is_too_small and not isinstance(self.screen, TooSmall):
            self.push_screen(TooSmall())
        elif not is_too_small and isinstance(self.screen, TooSmall):
            self.pop_screen()


def _action_runner(app: TomosegApp, active_binding: Any) -> Callable[[], None]:
    """Return a function that runs the action of a binding in its namespace, once for keys that arrive together."""

    @cache
    def run_action() -> None:
        app.call_later(app.run_action, active_binding.binding.action, active_binding.node)

    return run_action


def _file_logger() -> logging.Logger:
    """Log into a file: text written to the terminal would corrupt the screen."""
    logger = logging.getLogger("tomoseg.tui")
    logger.propagate = False
    if not logger.handlers:
        path = log_file(os.environ)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            logger.addHandler(logging.FileHandler(path, delay=True))
        except OSError:
            logger.addHandler(logging.NullHandler())
    return logger
