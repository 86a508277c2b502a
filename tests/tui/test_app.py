"""The app: tabs, help, palette, keys, quitting and restoring, tasks, errors."""

import asyncio
import json
import os
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import make_card, put_card, write_map
from helpers.pilot import MakeApp, open_tab, prose_on, until, words_on
from textual.binding import Binding
from textual.command import CommandList, CommandPalette
from textual.css.query import NoMatches

from tomoseg_tui.errors import UsageError
from tomoseg_tui.jobs.job import create_job
from tomoseg_tui.project.catalog import Project, add_feature
from tomoseg_tui.project.user_config import UserConfig
from tomoseg_tui.tui.app import TABS, TomosegApp, TooSmall
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.help import Help
from tomoseg_tui.tui.messages import SnapshotChanged, SystemLoadChanged
from tomoseg_tui.tui.session import read_session, sessions_file
from tomoseg_tui.tui.widgets.top_lines import TabLabel, TopLine

NAMES = tuple(TABS)


def notices(app: TomosegApp) -> list[tuple[str, str, str]]:
    return [(notice.severity, notice.title, notice.message) for notice in app._notifications]


def history(project: Project) -> list[str]:
    path = project.layout.history
    return [json.loads(line)["command"] for line in path.read_text().splitlines()] if path.exists() else []


def woken_by(module: str, *watched: str) -> set[str]:
    ask = f"import sys, {module}; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    return set(watched) & set(output.split())


def test_the_first_frame_is_drawn_before_numpy_is_imported() -> None:
    assert woken_by("tomoseg_tui.tui.app", "numpy", "h5py", "PIL", "tifffile") == set()
    assert woken_by("tomoseg_tui.tui.importing.import_tab", "numpy", "h5py", "PIL", "tifffile") == {"numpy"}


# Tabs, help, palette, keys


@pytest.mark.slow
async def test_number_keys_open_the_tabs_in_an_empty_and_in_a_filled_project(
    project: Project, small_project: Project, make_app: MakeApp
) -> None:
    for opened in (project, small_project):
        app = make_app(opened)
        async with app.run_test(size=(80, 24)) as pilot:
            for number in (2, 3, 4, 5, 6, 7, 1):
                await open_tab(pilot, number)
            assert TABS[NAMES[0]][0] in words_on(pilot).splitlines()[0]


async def test_a_click_on_its_name_opens_a_tab(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="annotate")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 3)
        label = next(label for label in app.query(TabLabel) if label.tab_name == "jobs")
        await pilot.click(label)
        await until(pilot, lambda: app.open_tab is not None and app.open_tab.id == "jobs")


async def test_of_two_requested_tabs_the_later_one_opens(small_project: Project, make_app: MakeApp) -> None:
    """A key pressed while the last tab is still being made must win over it."""
    app = make_app(small_project)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.open_tab is not None)
        await asyncio.gather(app.action_open("train"), app.action_open("jobs"))
        assert app.open_tab is not None
        assert app.open_tab.id == "jobs"
        await app._open_last_tab()
        assert app.open_tab.id == "jobs"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
async def test_help_lists_every_key_of_a_tab_with_its_action_id(
    small_project: Project, make_app: MakeApp, name: str
) -> None:
    put_card(small_project, make_card("net", features=("microtubule",)))
    write_map(small_project, "net.microtubule", np.zeros((24, 96, 96), np.int8), tomogram="alpha")
    create_job(small_project.layout, "train", "other", {})
    app = make_app(small_project, tab=name)
    async with app.run_test(size=(120, 70)) as pilot:
        await open_tab(pilot, NAMES.index(name) + 1)
        tab = app.open_tab
        assert tab is not None
        own = [binding for _, binding in tab._bindings if binding.description or binding.tooltip]
        assert own
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help))
        app.screen.query_one("#help-keys").styles.max_height = 60
        await pilot.pause()
        output = words_on(pilot)
        for binding in own:
            assert binding.id
            assert f" {binding.id} " in output
            assert binding.tooltip
        await pilot.press("escape")
        assert not isinstance(app.screen, Help)


async def test_every_key_of_the_app_has_an_id_and_f1_is_help_too(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="jobs")
    async with app.run_test(size=(120, 60)) as pilot:
        await open_tab(pilot, 7)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, Help))
        shown = [binding for binding in TomosegApp.BINDINGS if isinstance(binding, Binding) and binding.description]
        assert all(binding.id in words_on(pilot) for binding in shown if binding.id)
        assert all(binding.id for binding in shown)


@pytest.mark.slow
async def test_the_palette_offers_every_action_by_name(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="annotate")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 3)
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"light")
        await until(pilot, lambda: "Light theme" in words_on(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: app.theme == "tomoseg-light")
        await pilot.press("ctrl+p", *"masks")
        await until(pilot, lambda: "Import masks" in prose_on(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "Import annotations" in words_on(pilot))


async def test_keys_that_arrive_together_choose_once(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="import")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.open_tab is not None)
        await pilot.press("colon", *"help")
        await until(pilot, lambda: "Show every key" in prose_on(pilot))
        await pilot.press("down")
        for _ in range(2):  # as two keys of which the second comes before the first one was handled
            app.screen.query_one(CommandList).action_select()
        await until(pilot, lambda: isinstance(app.screen, Help))
        dialog = app.screen
        for _ in range(2):
            dialog.dismiss()
        await pilot.pause()
        assert app.screen_stack == [app.screen]


async def test_keys_are_rebound_by_action_id(small_project: Project, make_app: MakeApp) -> None:
    config = UserConfig(keys={"app.help": "f2", "annotate.feature": "ctrl+t,w"})
    app = make_app(small_project, tab="annotate", config=config)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 3)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, Help))
        await pilot.press("escape", "question_mark")
        assert not isinstance(app.screen, Help)
        await pilot.press("w")
        assert app.query_one("#annotate-left").border_title == "E membrane"
        await pilot.press("f")
        assert app.query_one("#annotate-left").border_title == "E membrane"


async def test_the_theme_is_set_by_the_config_and_an_unknown_one_is_ignored(
    small_project: Project, make_app: MakeApp
) -> None:
    for theme_name, theme in (("tomoseg-light", "tomoseg-light"), ("none such", "tomoseg-dark")):
        app = make_app(small_project, tab="jobs", config=UserConfig(theme=theme_name))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            assert app.theme == theme


# Quitting and restoring


async def test_q_quits_at_once_and_the_last_tab_is_restored(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 7)
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert read_session(sessions_file(os.environ), small_project.layout.root).tab == "jobs"
    app = make_app(small_project)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.open_tab is not None)
        assert app.open_tab is not None
        assert app.open_tab.id == "jobs"


async def test_quitting_while_jobs_run_names_them_and_asks(small_project: Project, make_app: MakeApp) -> None:
    create_job(small_project.layout, "train", "both", {})
    create_job(small_project.layout, "merge", "merged", {})
    app = make_app(small_project, tab="jobs")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 7)
        await until(pilot, lambda: "2 jobs running" in words_on(pilot))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "2 jobs continue without this window." in prose_on(pilot)
        await pilot.press("n")
        assert not app._exit
        await pilot.press("q", "y")
        await until(pilot, lambda: app._exit)
    states = [json.loads(path.read_text())["state"] for path in small_project.layout.jobs.glob("*/record.json")]
    assert states == ["queued", "queued"]


async def test_ctrl_c_shows_how_to_quit_and_does_not_quit(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="jobs")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 7)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: "q quits tomoseg" in words_on(pilot))
        assert not app._exit


# The terminal


async def test_a_too_small_terminal_is_reported_until_it_grows(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="annotate")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 3)
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: isinstance(app.screen, TooSmall))
        assert "has 60 x 20 characters, tomoseg needs 80 x 22." in prose_on(pilot)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: not isinstance(app.screen, TooSmall))
        assert "alpha" in words_on(pilot)


async def test_it_starts_in_a_terminal_that_is_too_small(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="annotate")
    async with app.run_test(size=(60, 20)) as pilot:
        await until(pilot, lambda: "tomoseg needs 80 x 22" in prose_on(pilot))
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "alpha" in words_on(pilot))


@pytest.mark.parametrize("key", ["q", "ctrl+q", "ctrl+c"])
async def test_a_terminal_that_is_too_small_can_be_left(small_project: Project, make_app: MakeApp, key: str) -> None:
    app = make_app(small_project)
    async with app.run_test(size=(79, 22)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, TooSmall))
        await pilot.press(key)
        await until(pilot, lambda: app._exit)


async def test_below_a_status_line_of_tmux_it_has_room(
    small_project: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
    app = make_app(small_project, tab="annotate")
    async with app.run_test(size=(80, 22)) as pilot:
        await until(pilot, lambda: "alpha" in words_on(pilot))
        await pilot.resize_terminal(80, 21)
        await until(pilot, lambda: "tmux set status off" in prose_on(pilot))


@pytest.mark.slow
async def test_without_colour_every_tab_is_drawn_in_greys(
    small_project: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(small_project, tab="import")
    async with app.run_test(size=(100, 30)) as pilot:
        for number in range(1, 8):
            await open_tab(pilot, number)
            for strip in app.screen._compositor.render_strips(app.screen.size):
                for segment in strip:
                    colours = [segment.style.color, segment.style.bgcolor] if segment.style else []
                    triplets = [colour.get_truecolor() for colour in colours if colour is not None]
                    assert all(max(triplet) - min(triplet) <= 1 for triplet in triplets), (number, segment)


# The project


async def test_external_changes_are_shown_within_a_second(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="annotate")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 3)
        await until(pilot, lambda: "2 features" in words_on(pilot))
        add_feature(small_project, "actin")
        await until(pilot, lambda: "3 features" in words_on(pilot))


async def test_a_project_of_a_newer_format_is_read_only(small_project: Project, make_app: MakeApp) -> None:
    settings = small_project.layout.settings
    settings.write_text(settings.read_text().replace("format = 1", "format = 99"))
    newer = Project.open(small_project.layout.root)
    app = make_app(newer, tab="annotate")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 3)
        await until(pilot, lambda: "(read only)" in words_on(pilot).splitlines()[0])
        await until(pilot, lambda: app.query_one("#annotate-tile").border_title)
        await pilot.press("B")
        await until(pilot, lambda: notices(app))
        severity, fault, fix = notices(app)[0]
        assert severity == "error"
        assert "of a newer tomoseg" in fault
        assert fix == "Install a newer tomoseg to change it."
        assert not history(newer)


# Tasks


async def test_a_task_is_reported_and_its_command_is_in_the_history(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="jobs")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 7)
        argv = ["features", "add", "actin filament"]
        app.run_in_thread("made", argv, lambda: "The feature is made.")
        await until(pilot, lambda: history(small_project))
        assert history(small_project) == ["tomoseg features add 'actin filament'"]
        await until(pilot, lambda: "The feature is made." in words_on(pilot))


async def test_an_error_is_shown_with_its_fix_and_leaves_no_history(small_project: Project, make_app: MakeApp) -> None:
    def fail() -> None:
        raise UsageError("There is no [red]slice[/red] 9.", "Take one from 0 to 8.")

    app = make_app(small_project, tab="jobs")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 7)
        app.run_in_thread("looked", ["show", "alpha", "--z", "9"], fail)
        await until(pilot, lambda: "Take one from 0 to 8." in words_on(pilot))
        assert notices(app) == [("error", "There is no [red]slice[/red] 9.", "Take one from 0 to 8.")]
        assert "There is no [red]slice[/red] 9." in prose_on(pilot)
        assert not history(small_project)


async def test_a_job_that_the_check_refuses_is_not_started(small_project: Project, make_app: MakeApp) -> None:
    def refuse() -> tuple[str, msgspec.Struct]:
        raise UsageError("Nothing is annotated.", "Annotate a tile.")

    app = make_app(small_project, tab="jobs")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 7)
        app.start_job(["train", "--feature", "membrane"], refuse)
        await until(pilot, lambda: "Annotate a tile." in words_on(pilot))
        assert not list(small_project.layout.jobs.iterdir())


async def test_y_reports_that_there_is_no_command(project: Project, make_app: MakeApp) -> None:
    app = make_app(project, tab="annotate")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 3)
        await pilot.press("y")
        await until(pilot, lambda: "There is no command to copy yet" in words_on(pilot))
        assert not app.clipboard


async def test_text_with_brackets_is_shown_unchanged(project: Project, make_app: MakeApp) -> None:
    app = make_app(project, tab="jobs")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 7)
        app.run_in_thread("ok", ["features"], lambda: "made [b]bold[/b] /x[1].mrc")
        await until(pilot, lambda: "made [b]bold[/b] /x[1].mrc" in prose_on(pilot))
        app.push_screen(Confirm("Remove [1]?", "It is called [/b].", yes="Remove"))
        await until(pilot, lambda: "Remove [1]?" in words_on(pilot) and "It is called [/b]." in words_on(pilot))


async def test_messages_during_the_shutdown_do_no_harm(small_project: Project, make_app: MakeApp) -> None:
    """The app is closed before the last messages of the watcher are handled."""
    app = make_app(small_project)
    async with app.run_test() as pilot:
        await open_tab(pilot, 1)
        await app.query_one(TopLine).remove()
        assert app.snapshot is not None
        app.post_message(SystemLoadChanged("CPU 1%"))
        app.post_message(SnapshotChanged(app.snapshot))
        await pilot.pause()


async def test_a_late_message_while_the_program_ends_is_no_crash(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
    app._handle_exception(NoMatches("no table any more"))
    assert app._exception is None
    app._handle_exception(ZeroDivisionError())
    assert isinstance(app._exception, ZeroDivisionError)
