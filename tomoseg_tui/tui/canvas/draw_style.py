"""How this app draws on this terminal: what was asked for, what the terminal said, and how many colours it has."""

import os
from collections.abc import Mapping
from typing import Any

from textual.app import App

from tomoseg_tui.render.renderer import AUTO, TerminalAnswers, choose_renderer
from tomoseg_tui.tui.canvas.slice_drawing import Style
from tomoseg_tui.tui.canvas.terminal_query import Heard

_COLOURS = {"truecolor": "truecolor", "256": "256", "standard": "16", "windows": "16"}
"""Our words for Rich's colour systems."""


def style_of(app: App[Any]) -> Style:
    """Return how an app draws: by its ``asked_renderer`` and by ``heard``, what its terminal said, if it has them.

    Raises
    ------
    UsageError
        If the renderer that was asked for does not exist.
    """
    heard = getattr(app, "heard", None)
    colours = _COLOURS.get(app.console.color_system or "", "none")
    if app.is_headless:
        colours = "truecolor"  # pictures of the screen are made of all colours, whatever TERM says
    return choose_style(
        getattr(app, "asked_renderer", AUTO),
        os.environ,
        heard if isinstance(heard, Heard) else Heard(),
        configured=getattr(getattr(app, "config", None), "renderer", AUTO),
        colours="none" if app.no_color else colours,
    )


def choose_style(
    asked: str, environment: Mapping[str, str], heard: Heard, *, colours: str, configured: str = AUTO
) -> Style:
    """Choose how pictures are drawn.

    Parameters
    ----------
    asked : str
        A renderer, or ``auto``.
    environment : mapping of str to str
        Environment variables.
    heard : Heard
        What the terminal said.
    colours : str
        ``truecolor``, ``256``, ``16`` or ``none``.
    configured : str
        What the settings ask for, if neither `asked` nor the environment does.

    Returns
    -------
    Style
        Pixels only for pictures at rest, and only where the size of a cell is known; else half-blocks.

    Raises
    ------
    UsageError
        If the renderer does not exist.
    """
    answers = TerminalAnswers(sixel=heard.sixel, kitty=heard.kitty, tmux_features=heard.tmux_features)
    chosen = choose_renderer(asked, environment, answers, configured=configured)
    if chosen not in {"sixel", "kitty"}:
        return Style(chosen, colours)
    if heard.cell_pixels_xy is None:
        return Style("halfblock", colours)
    return Style("halfblock", colours, chosen, heard.cell_pixels_xy, heard.most_pixels_xy)
