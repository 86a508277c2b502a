"""The app: compose tabs, bind keys, hand facts on, leave. Knows no tomogram by itself."""

import logging
import os
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import PurePath
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Footer

from tomoseg_tui.jobs.notifications import terminal_notice
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import command_line
from tomoseg_tui.project.user_config import Config, config_file
from tomoseg_tui.tui.canvas.frame_pacing import write_to_terminal
from tomoseg_tui.tui.canvas.terminal_query import Heard
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.help import Help
from tomoseg_tui.tui.dialogs.too_small import TooSmall
from tomoseg_tui.tui.job_app import RecipeApp
from tomoseg_tui.tui.messages import FactsChanged, LoadChanged
from tomoseg_tui.tui.session import Session, log_file, read_session, sessions_file, write_session
from tomoseg_tui.tui.state.finished_jobs import Endings
from tomoseg_tui.tui.state.snapshot import Facts
from tomoseg_tui.tui.state.watcher import Watcher
from tomoseg_tui.tui.tab_base import Tab
from tomoseg_tui.tui.theme import THEMES
from tomoseg_tui.tui.widgets.tab_bar import TabBar
from tomoseg_tui.tui.widgets.top_line import TopLine

TABS = {
    "import": ("Import", "importing.import_tab", "ImportTab"),
    "tiles": ("Tiles", "tiles.tiles_tab", "TilesTab"),
    "annotate": ("Annotate", "annotate.annotate_tab", "AnnotateTab"),
    "train": ("Train", "train.train_tab", "TrainTab"),
    "apply": ("Apply", "apply.apply_tab", "ApplyTab"),
    "merge": ("Merge", "merge.merge_tab", "MergeTab"),
    "jobs": ("Jobs", "jobs.jobs_tab", "JobsTab"),
}
"""Title, module and class of each tab. A module is imported when its tab is first opened: numpy comes with it."""
SMALLEST = (80, 24)
"""Columns and rows below which there is no room."""


class TomosegApp(RecipeApp):
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
            "y", "copy_command", "Copy command", show=False, id="app.copy", tooltip="Copy the command that does this"
        ),
        Binding("q", "quit_program", "Quit", id="app.quit", tooltip="Leave; jobs go on"),
        Binding("ctrl+q", "quit_program", "Quit", show=False, id="app.quit_too", tooltip="Leave; jobs go on"),
        Binding("ctrl+c", "tell_quit", "", show=False, priority=True),
    ]

    def __init__(self, project: Project, config: Config, *, renderer: str = "auto") -> None:
        super().__init__(project)
        self.config = config
        self.asked_renderer = renderer
        self.heard: Heard | None = None
        """What the terminal said about pictures, asked before the app runs."""
        self.facts: Facts | None = None
        self._asked_tab = ""
        self._endings = Endings()
        self.session: Session = read_session(sessions_file(), project.layout.root)
        self._watcher = Watcher(project, self.post_message)
        self.file_log = _file_logger()
        for theme in THEMES:
            self.register_theme(theme)

    def compose(self) -> ComposeResult:
        """Make the frame; tabs come when they are opened."""
        yield TopLine()
        yield TabBar({name: title for name, (title, _, _) in TABS.items()})
        with ContentSwitcher(id="tabs"):
            yield Container(id="opening")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Start looking at the project; open the last tab once the frame stands."""
        self.theme = self.config.theme if self.config.theme in self.available_themes else "tomoseg-dark"
        self.set_keymap(dict(self.config.keys))
        self.query_one(TopLine).project = self.project.layout.root.name
        self._watcher.start()
        self.call_after_refresh(self._open_last_tab)

    async def _open_last_tab(self) -> None:
        """Open the tab of last time, unless a key was quicker."""
        if not self._asked_tab:
            await self.action_open(self.session.tab if self.session.tab in TABS else "import")

    def on_unmount(self) -> None:
        """Let the watching thread end."""
        self._watcher.stop()

    # Tabs

    @property
    def open_tab(self) -> Tab | None:
        """The tab that is seen."""
        current = self.query_one("#tabs", ContentSwitcher).current
        found = self.query(f"#{current}").first() if current and current != "opening" else None
        return found if isinstance(found, Tab) else None

    async def action_open(self, name: str) -> None:
        """Open a tab, made now if it is the first time."""
        title, module, class_name = TABS[name]
        self._asked_tab = name
        switcher = self.query_one("#tabs", ContentSwitcher)
        if not self.query(f"#{name}"):
            made: type[Tab] = getattr(import_module(f"tomoseg_tui.tui.{module}"), class_name)
            await switcher.mount(made(id=name))
        if self._asked_tab != name:
            return  # another was asked for while this one was made
        switcher.current = name
        self.query_one(TabBar).mark(name)
        self.query_one(TopLine).tab = title
        tab = self.open_tab
        if tab is not None:
            if self.facts is not None:
                tab.show_facts(self.facts)
            tab.take_focus()

    @on(TabBar.Chosen)
    async def open_chosen(self, event: TabBar.Chosen) -> None:
        """Open the tab that was clicked."""
        await self.action_open(event.tab_name)

    # Facts

    @on(FactsChanged)
    def take_facts(self, event: FactsChanged) -> None:
        """Hand new facts to the frame and to the tab that is seen."""
        self.facts, self.project = event.facts, event.facts.project
        if not self.query(TopLine):
            return  # the program is about to end
        ended = self._endings.look(event.facts.jobs)
        if ended:
            notice = terminal_notice(ended, self.config.notice, os.environ)
            self.call_after_refresh(write_to_terminal, self, notice)
        self.query_one(TopLine).show_facts(event.facts)
        if self.open_tab is not None:
            self.open_tab.show_facts(event.facts)

    @on(LoadChanged)
    def take_load(self, event: LoadChanged) -> None:
        """Show how busy the machine is."""
        for line in self.query(TopLine):  # none any more when the program is about to end
            line.load = event.words

    def look_now(self) -> None:
        """Look at the project at once."""
        self._watcher.look_now()

    def action_copy_command(self) -> None:
        """Copy the command line that does what the open tab would do now."""
        words = self.open_tab.command_words() if self.open_tab is not None else None
        if words is None:
            self.notify("Nothing here is a command yet; choose something first.", severity="warning")
            return
        self.copy_to_clipboard(command_line(words))
        self.notify(command_line(words), title="Copied")

    # Leaving, help, palette

    def action_help(self) -> None:
        """Show every key."""
        tab = TABS[self.open_tab.id or "import"][0] if self.open_tab is not None else "tomoseg"
        title = "this dialog" if self.screen.is_modal else tab
        bindings = list(self.screen.active_bindings.values())
        words = self.open_tab.help_words() if self.open_tab is not None and not self.screen.is_modal else ""
        self.push_screen(Help(title, bindings, str(config_file()), words))

    def action_tell_quit(self) -> None:
        """Say how to leave; ctrl+c never ends the program by itself."""
        self.notify("q leaves tomoseg; jobs go on.", timeout=3)

    def action_quit_program(self) -> None:
        """Leave at once if no job runs and all is on disk, else say what goes on or what would be lost."""
        unwritten = " ".join(tab.unwritten() for tab in self._tabs).strip()
        if unwritten:
            self.push_screen(Confirm("Leave, and lose them?", unwritten, yes="Leave", no="Stay"), self._leave_if)
            return
        running = self.facts.running if self.facts is not None else 0
        if not running:
            self._leave()
            return
        text = (
            f"{running} job{'s go' if running > 1 else ' goes'} on without this window. "
            "Everything is on disk; start tomoseg again to look after it."
        )
        self.push_screen(Confirm("Leave tomoseg?", text, yes="Leave", no="Stay"), self._leave_if)

    def _leave_if(self, answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
        if answer:
            self._leave()

    @property
    def _tabs(self) -> list[Tab]:
        """Those that were opened so far."""
        return [tab for tab in self.query_one("#tabs", ContentSwitcher).children if isinstance(tab, Tab)]

    def _leave(self) -> None:
        session = self.session
        for tab in self._tabs:
            session = tab.session(session)
        if self.open_tab is not None and self.open_tab.id:
            session = Session(self.open_tab.id, session.tomogram, session.z, session.zoom, session.feature)
        try:
            write_session(sessions_file(), self.project.layout.root, session)
        except OSError as fault:
            self.file_log.warning("the session could not be kept: %s", fault)
        self.exit()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Offer every action of the open tab and the app by its words."""
        for active in list(screen.active_bindings.values()):
            binding = active.binding
            if binding.id and binding.description:
                yield SystemCommand(
                    binding.description,
                    f"{binding.tooltip or binding.description}  ({binding.key})",
                    _runner(self, active),
                )
        yield SystemCommand("Dark theme", "Light letters on a dark ground", lambda: self._set_theme("tomoseg-dark"))
        yield SystemCommand("Light theme", "Dark letters on a light ground", lambda: self._set_theme("tomoseg-light"))

    def _set_theme(self, name: str) -> None:
        self.theme = name

    def on_resize(self, event: Resize) -> None:
        """Ask for more room below the smallest size; go on when there is."""
        small = event.size.width < SMALLEST[0] or event.size.height < SMALLEST[1]
        if small and not isinstance(self.screen, TooSmall):
            self.push_screen(TooSmall())
        elif not small and isinstance(self.screen, TooSmall):
            self.pop_screen()


def _runner(app: TomosegApp, active: Any) -> Callable[[], None]:
    """Return a call that runs a binding's action where it is bound."""

    def run() -> None:
        app.call_later(app.run_action, active.binding.action, active.node)

    return run


def _file_logger() -> logging.Logger:
    """Log into a file: whatever is written to a terminal's descriptors lands on the screen."""
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
