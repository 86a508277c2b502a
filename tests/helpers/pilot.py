"""Shared by tests of the screen: waiting for conditions, and the text on the screen."""

import asyncio
import re
from collections.abc import Callable
from typing import Any, Protocol

from textual.pilot import Pilot

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.user_config import UserConfig
from tomoseg_tui.tui.app import TomosegApp


class MakeApp(Protocol):
    """Type of the fixture `make_app`."""

    def __call__(self, project: Project, *, tab: str | None = None, config: UserConfig | None = None) -> TomosegApp:
        """Return the app for a project; `tab` is opened first."""


async def until(pilot: Pilot[Any], condition: Callable[[], object], *, seconds: float = 15.0) -> None:
    """Run the program until a condition holds; a condition that raises does not hold yet."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not _holds(condition):
        assert loop.time() < deadline, f"never true; on the screen:\n{words_on(pilot)}"
        await pilot.pause(0.04)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except Exception:  # noqa: BLE001  # a missing widget means that the condition does not hold yet
        return False


def words_on(pilot: Pilot[Any]) -> str:
    """Return the characters that the screen shows, one line a row."""
    screen = pilot.app.screen
    strips = screen._compositor.render_strips(screen.size)
    return "\n".join(strip.text for strip in strips)


def prose_on(pilot: Pilot[Any]) -> str:
    """Return the same text without frames and line ends, to find wrapped sentences."""
    return " ".join(re.sub("[\u2500-\u259f]", " ", words_on(pilot)).split())


async def open_tab(pilot: Pilot[Any], number: int) -> None:
    """Press the number of a tab and wait until it shows the project."""
    app = pilot.app
    assert isinstance(app, TomosegApp)
    names = ("import", "tiles", "annotate", "train", "apply", "merge", "jobs")
    await until(pilot, lambda: app.snapshot is not None and app.open_tab is not None)
    await pilot.press(str(number))
    await until(pilot, lambda: app.open_tab is not None and app.open_tab.id == names[number - 1])
    await pilot.pause()
