"""What tests of the screen share: waiting for something to be true, and what is written on it."""

import asyncio
import re
from collections.abc import Callable
from typing import Any, Protocol

from textual.pilot import Pilot

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.user_config import UserConfig
from tomoseg_tui.tui.app import TomosegApp


class MakeApp(Protocol):
    """What the fixture `make_app` is."""

    def __call__(self, project: Project, *, tab: str | None = None, config: UserConfig | None = None) -> TomosegApp:
        """Return the program on a project; `tab` is the one that it opens first."""


async def until(pilot: Pilot[Any], condition: Callable[[], object], *, seconds: float = 15.0) -> None:
    """Let the program run until something is true; what raises is not true yet."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not _holds(condition):
        assert loop.time() < deadline, f"never true; on the screen:\n{words_on(pilot)}"
        await pilot.pause(0.04)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except Exception:  # noqa: BLE001  # a widget that is not there yet is a condition that does not hold yet
        return False


def words_on(pilot: Pilot[Any]) -> str:
    """Return the characters that the screen shows, one line a row."""
    screen = pilot.app.screen
    strips = screen._compositor.render_strips(screen.size)
    return "\n".join(strip.text for strip in strips)


def prose_on(pilot: Pilot[Any]) -> str:
    """Return the same without frames and line ends, for sentences that are broken into lines."""
    return " ".join(re.sub("[\u2500-\u259f]", " ", words_on(pilot)).split())


async def open_tab(pilot: Pilot[Any], number: int) -> None:
    """Press a tab's number and wait until it is seen and knows the project."""
    app = pilot.app
    assert isinstance(app, TomosegApp)
    names = ("import", "tiles", "annotate", "train", "apply", "merge", "jobs")
    await until(pilot, lambda: app.snapshot is not None and app.open_tab is not None)
    await pilot.press(str(number))
    await until(pilot, lambda: app.open_tab is not None and app.open_tab.id == names[number - 1])
    await pilot.pause()
