"""What a screen shows no longer is let go: the program runs for days in tmux."""

import gc
from collections import Counter

import pytest
from helpers.pilot import MakeApp
from textual._styles_cache import StylesCache
from textual.dom import DOMNode

from tomoseg_tui.project.catalog import Project


def live_objects() -> Counter[str]:
    """Count the widgets that are in memory, and the lines kept for them."""
    gc.collect()
    return Counter(type(found).__name__ for found in gc.get_objects() if isinstance(found, DOMNode | StylesCache))


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys",
    [
        ("1", "2", "3", "4", "5", "6", "7"),
        ("1", "question_mark", "escape", "a", "escape"),
        ("3", "enter", "space", "right", "space", "u", "escape"),
        ("4", "t", "escape", "colon", "escape"),
    ],
    ids=["tabs", "forms", "painting", "palette"],
)
async def test_the_same_keys_again_leave_nothing_behind(
    small_project: Project, make_app: MakeApp, keys: tuple[str, ...]
) -> None:
    app = make_app(small_project, tab="import")
    async with app.run_test(size=(100, 30)) as pilot:
        counts = []
        for _ in range(5):
            for key in (*keys, "1"):
                await pilot.press(key)
                await pilot.pause()
            counts.append(live_objects())
        assert counts[-1] - counts[1] == Counter(), "more widgets than three rounds before"
