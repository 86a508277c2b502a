"""How this app draws on this terminal: the requested renderer, the terminal's capabilities and its colours."""

import os
from collections.abc import Mapping
from typing import Any

from textual.app import App

from tomoseg_tui.render.renderer import AUTO, GraphicsSupport, choose_renderer
from tomoseg_tui.tui.canvas.slice_drawing import DrawStyle
from tomoseg_tui.tui.canvas.terminal_query import TerminalCapabilities, finest_blocks

_COLOUR_DEPTHS = {"truecolor": "truecolor", "256": "256", "standard": "16", "windows": "16"}
"""Our names of Rich's colour systems."""


def draw_style_for(app: App[Any]) -> DrawStyle:
    """Return the draw style of an app, from its ``requested_renderer`` and ``terminal_capabilities``, if it has any.

    Raises
    ------
    UsageError
        If the requested renderer does not exist.
    """
    capabilities = getattr(app, "terminal_capabilities", None)
    colours = _COLOUR_DEPTHS.get(app.console.color_system or "", "none")
    if app.is_headless:
        colours = "truecolor"  # screenshots use all colours, whatever TERM says
    if colours == "256" and "RGB" in getattr(capabilities, "tmux_features", ()):
        colours = "truecolor"  # TERM and COLORTERM inside tmux do not say it
    return choose_draw_style(
        getattr(app, "requested_renderer", AUTO),
        os.environ,
        capabilities if isinstance(capabilities, TerminalCapabilities) else TerminalCapabilities(),
        configured=getattr(getattr(app, "config", None), "renderer", AUTO),
        colours="none" if app.no_color else colours,
    )


def choose_draw_style(
    requested: str,
    environment: Mapping[str, str],
    capabilities: TerminalCapabilities,
    *,
    colours: str,
    configured: str = AUTO,
) -> DrawStyle:
    """Choose how slices are drawn.

    Parameters
    ----------
    requested : str
        A renderer, or ``auto``.
    colours : str
        ``truecolor``, ``256``, ``16`` or ``none``.
    configured : str
        The renderer of the settings, used if neither `requested` nor the environment sets one.

    Returns
    -------
    Style
        Pixels only for pictures at rest, and only if the size of a cell is known; else the finest blocks that the
        terminal is known to draw.

    Raises
    ------
    UsageError
        If the renderer does not exist.
    """
    answers = GraphicsSupport(
        capabilities.sixel, capabilities.kitty, capabilities.tmux_features, finest_blocks(capabilities, environment)
    )
    chosen = choose_renderer(requested, environment, answers, configured=configured)
    if chosen not in {"sixel", "kitty"}:
        return DrawStyle(chosen, colours)
    if capabilities.cell_pixels_xy is None:
        return DrawStyle(answers.blocks, colours)
    return DrawStyle(answers.blocks, colours, chosen, capabilities.cell_pixels_xy, capabilities.max_pixels_xy)
