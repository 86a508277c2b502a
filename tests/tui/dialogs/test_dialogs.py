"""What all dialogs share: F1 lists their keys, so does ? outside text fields, and escape closes."""

import pytest
from helpers.pilot import MakeApp, open_tab, prose_on, until
from helpers.run_project import put_run
from textual.widgets import Input

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.dialogs.ask_text import AskText
from tomoseg_tui.tui.dialogs.base import Dialog
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.help import Help


@pytest.mark.parametrize(
    ("tab", "key", "action_id"), [(1, "x", "confirm.yes"), (1, "p", "filters.start"), (2, "a", "pick")]
)
async def test_f1_lists_the_keys_of_a_dialog(
    small_project: Project, make_app: MakeApp, tab: int, key: str, action_id: str
) -> None:
    app = make_app(small_project)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, tab)
        await until(pilot, lambda: "alpha" in prose_on(pilot))
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        dialog = app.screen
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, Help) and "Keys of this dialog" in prose_on(pilot))
        assert action_id in prose_on(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is dialog)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_help_explains_rebinding_at_any_size(
    small_project: Project, make_app: MakeApp, size: tuple[int, int]
) -> None:
    app = make_app(small_project)
    async with app.run_test(size=size) as pilot:
        await open_tab(pilot, 2)
        await pilot.press("question_mark")
        await until(pilot, lambda: "Rebind: [keys]" in prose_on(pilot))


async def test_a_question_mark_lists_them_outside_text_fields(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    app = make_app(small_project)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 1)
        await until(pilot, lambda: "alpha" in prose_on(pilot))
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help))
        await pilot.press("escape", "escape", "R")
        await until(pilot, lambda: isinstance(app.screen, AskText))
        await pilot.press("question_mark")
        assert app.screen.query_one(Input).value.endswith("?")
