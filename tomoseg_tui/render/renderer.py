"""Choose the renderer for a terminal, and draw a picture with it.

The terminal is queried elsewhere; its answers are passed in. Pictures are in stored order, row 0 being y = 0, and are
turned upright here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import ShapeError, UsageError
from tomoseg_tui.render import ascii_text, blocks, braille, kitty, sixel
from tomoseg_tui.render.blocks import BLOCK_RENDERERS
from tomoseg_tui.render.cells import PIXELS_PER_CELL_XY, Letters
from tomoseg_tui.render.colours import Palette
from tomoseg_tui.render.greys import quantise, restore_contrast
from tomoseg_tui.render.label_letters import draw_label_letters
from tomoseg_tui.render.overlay import blend_labels, check_same_shape, image_grid, letter_cells, outlines
from tomoseg_tui.render.terminal_colours import COLOUR_DEPTHS
from tomoseg_tui.render.viewport import CELL_HEIGHT, resample, upright

RENDERERS = (*BLOCK_RENDERERS, "braille", "ascii", "sixel", "kitty")
AUTO = "auto"
RENDERER_VARIABLE = "TOMOSEG_RENDERER"
"""Environment variable with the name of a renderer."""

_TEXT_GREYS, _SIXEL_GREYS = 64, 32
"""Greys used in truecolor and in sixels: more make frames larger, and noise hides the difference."""
_LETTER_PIXELS = 480
"""Letters grow by one pixel of the font for each such width of a picture."""


@dataclass(frozen=True)
class GraphicsSupport:
    """Graphics protocols reported by a terminal."""

    sixel: bool = False
    """The answer to DA1 (ESC [ c) contains 4. Not used inside tmux, which answers itself."""
    kitty: bool = False
    """The terminal answered a query of kitty's graphics protocol."""
    tmux_features: frozenset[str] = frozenset()
    """Inside tmux, the words of ``#{client_termfeatures}``: the features of the terminal around tmux."""
    blocks: str = "quadrant"
    """The finest of `BLOCK_RENDERERS` that the terminal is known to draw."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A slice in stored order with its labels."""

    grey: NDArray[np.uint8]
    """Shape (y, x), row 0 being y = 0."""
    labels: NDArray[np.uint8] | None = None
    """Shape (y, x), 0 for none; None if there are no labels."""
    palette: Palette = ()
    """Colours and letters of the labels."""
    outlined: bool = False
    """Colour only the rims of labelled regions, not their insides."""

    def __post_init__(self) -> None:
        if self.grey.ndim != 2 or 0 in self.grey.shape:
            raise ShapeError(
                f"The picture has shape {self.grey.shape}, expected two axes (y, x) and at least one pixel.",
                "Give one slice of the tomogram.",
            )
        if self.labels is not None:
            check_same_shape(self.grey, self.labels)


def choose_renderer(
    requested: str, environment: Mapping[str, str], support: GraphicsSupport, *, configured: str = AUTO
) -> str:
    """Choose the renderer for still pictures.

    Parameters
    ----------
    requested : str
        A renderer from the command line, or "auto".
    environment : mapping of str to str
        Environment variables; TOMOSEG_RENDERER is used if `requested` is "auto".
    support : GraphicsSupport
        Graphics protocols of the terminal.
    configured : str
        A renderer from the user's configuration, used if both others are "auto".

    Returns
    -------
    str
        One of `RENDERERS`. If all are "auto": ascii on a dumb terminal, the Linux console, without TERM, or if the
        locale is not UTF-8; else kitty or sixel if the terminal supports it (inside tmux only sixel, if the terminal
        around tmux supports it); else the finest blocks that it is known to draw.

    Raises
    ------
    UsageError
        If a renderer does not exist.
    """
    requests = (
        (requested, "--renderer"),
        (environment.get(RENDERER_VARIABLE, ""), RENDERER_VARIABLE),
        (configured, "renderer"),
    )
    for name, source in requests:
        if name and name != AUTO:
            return _check_renderer(name, source)
    if _is_basic_terminal(environment):
        return "ascii"
    return _best_supported(support, inside_tmux=bool(environment.get("TMUX")))


def _check_renderer(name: str, source: str) -> str:
    if name not in RENDERERS:
        raise UsageError(
            f"{source} asks for the renderer {name!r}, which does not exist.",
            f"Choose one of {', '.join((AUTO, *RENDERERS))}.",
        )
    return name


def _is_basic_terminal(environment: Mapping[str, str]) -> bool:
    """Return whether a terminal shows little more than ASCII. The first locale variable set decides, as in POSIX."""
    variables = (environment.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    locale = next((value for value in variables if value), "C")
    is_utf8 = "utf8" in locale.lower().replace("-", "")
    return not is_utf8 or environment.get("TERM", "dumb") in {"", "dumb", "linux"}


def _best_supported(support: GraphicsSupport, *, inside_tmux: bool) -> str:
    if inside_tmux:
        return "sixel" if "sixel" in support.tmux_features else support.blocks
    if support.kitty:
        return "kitty"
    return "sixel" if support.sixel else support.blocks


def colour_depth(environment: Mapping[str, str]) -> str:
    """Return the colour depth of a terminal.

    Parameters
    ----------
    environment : mapping of str to str
        Environment variables NO_COLOR (https://no-color.org), COLORTERM and TERM.

    Returns
    -------
    str
        "truecolor", "256", "16" or "none".
    """
    terminal = environment.get("TERM", "dumb")
    if environment.get("NO_COLOR") or terminal in {"", "dumb"}:
        return "none"
    if environment.get("COLORTERM", "").lower() in {"truecolor", "24bit"} or terminal.endswith("-direct"):
        return "truecolor"
    return "256" if "256color" in terminal else "16"


def render_picture(picture: Picture, *, columns: int, renderer: str, colours: str) -> str:
    """Draw a picture as text or escape sequences, y pointing up.

    Parameters
    ----------
    picture : Picture
        The picture in stored order.
    columns : int
        Available width, cells, at least 1. A wider picture is shrunk, a narrower one enlarged by the greatest
        integer factor that fits.
    renderer : str
        One of `RENDERERS`.
    colours : str
        One of `COLOUR_DEPTHS`; used by blocks only.

    Returns
    -------
    str
        Lines without a final line end. No escapes from ascii, braille, or blocks with "none". Without colours
        every labelled cell shows its letter, else one in five.

    Raises
    ------
    UsageError
        If columns, renderer or colours are invalid.
    """
    _check_renderer(renderer, "--renderer")
    _check_columns_and_colours(columns, colours)
    shape_yx = _drawn_shape(picture.grey.shape, columns, PIXELS_PER_CELL_XY[renderer])
    grey, labels = _resample_picture(picture, shape_yx)
    if renderer == "sixel":
        return sixel.encode(_paint_labels(quantise(grey, _SIXEL_GREYS), labels, picture))
    if renderer == "kitty":
        points_x, points_y = PIXELS_PER_CELL_XY[renderer]
        cells = -(-shape_yx[1] // points_x), -(-shape_yx[0] // points_y)
        return kitty.encode(_paint_labels(grey, labels, picture), cells_xy=cells)
    return "\n".join(_text_rows(grey, labels, picture, renderer, colours))


def to_rgb(picture: Picture, width_pixels: int | None = None) -> NDArray[np.uint8]:
    """Draw a picture for a file: upright, without a margin, labels coloured and lettered.

    Parameters
    ----------
    picture : Picture
        The picture in stored order.
    width_pixels : int, optional
        Available width, at least 1: a wider picture is shrunk, a narrower one enlarged by the greatest integer
        factor that fits. Without it the picture keeps its size.

    Returns
    -------
    ndarray of uint8, shape (y, x, 3)
        Red, green, blue; the greatest y first.
    """
    shape_yx = picture.grey.shape[0], picture.grey.shape[1]
    if width_pixels is not None:
        shape_yx = _drawn_shape(shape_yx, width_pixels, (1, 2))
    return _paint_labels(*_resample_picture(picture, shape_yx), picture)


def arrange_pictures(rows: Sequence[Sequence[Picture]], gap: int = 4) -> Picture:
    """Arrange pictures in rows, such as image, annotation and output of several tiles.

    Parameters
    ----------
    rows : sequence of sequences of Picture
        The first row is shown on top. Sizes may differ; the palette is that of the first picture with labels.
    gap : int
        Pixels between neighbours, black.

    Returns
    -------
    Picture
        One picture, in stored order like its parts.
    """
    stored_rows = rows[::-1]  # y points up, so the top row is stored last
    pictures = [picture for row in rows for picture in row]
    labels = [[_labels_or_zeros(picture) for picture in row] for row in stored_rows]
    palette = next((picture.palette for picture in pictures if picture.labels is not None), ())
    return Picture(
        image_grid([[picture.grey for picture in row] for row in stored_rows], gap), image_grid(labels, gap), palette
    )


def _labels_or_zeros(picture: Picture) -> NDArray[np.uint8]:
    return np.zeros_like(picture.grey) if picture.labels is None else picture.labels


def _check_columns_and_colours(columns: int, colours: str) -> None:
    if columns < 1:
        raise UsageError(f"A picture cannot be {columns} columns wide.", "Give --width of 1 or more.")
    if colours not in COLOUR_DEPTHS:
        raise UsageError(f"There is no colour depth {colours!r}.", f"Choose one of {', '.join(COLOUR_DEPTHS)}.")


def _drawn_shape(shape_yx: tuple[int, ...], columns: int, pixels_per_cell_xy: tuple[int, int]) -> tuple[int, int]:
    """Return the points along y and x that a picture takes in this many columns."""
    height, width = shape_yx
    points_x, points_y = pixels_per_cell_xy
    available = columns * points_x
    drawn_width = available if width > available else width * (available // width)
    point_aspect = CELL_HEIGHT / points_y * points_x  # height of a point in its widths
    return max(1, round(height * drawn_width / width / point_aspect)), drawn_width


def _resample_picture(
    picture: Picture, shape_yx: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Return greys and labels upright, in the given shape."""
    grey = resample(upright(picture.grey), shape_yx)
    if grey.size < picture.grey.size:
        grey = restore_contrast(grey, picture.grey)
    if picture.labels is None:
        return grey, None
    return grey, resample(upright(picture.labels), shape_yx, labels=True)


def _paint_labels(grey: NDArray[np.uint8], labels: NDArray[np.uint8] | None, picture: Picture) -> NDArray[np.uint8]:
    """Return greys with coloured labels and their letters, in pixels."""
    rgb = _colour_labels(grey, labels, picture)
    if labels is None:
        return rgb
    return draw_label_letters(rgb, labels, picture.palette, max(1, round(grey.shape[1] / _LETTER_PIXELS)))


def _colour_labels(grey: NDArray[np.uint8], labels: NDArray[np.uint8] | None, picture: Picture) -> NDArray[np.uint8]:
    if labels is None:
        return _grey_to_rgb(grey)
    if picture.outlined:
        return blend_labels(grey, outlines(labels), picture.palette, strength=1.0)
    return blend_labels(grey, labels, picture.palette)


def _grey_to_rgb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[..., np.newaxis], 3, axis=2)  # (y, x, 3)


def _text_rows(
    grey: NDArray[np.uint8], labels: NDArray[np.uint8] | None, picture: Picture, renderer: str, colours: str
) -> list[str]:
    is_block = renderer in BLOCK_RENDERERS
    has_colours = is_block and colours != "none"
    letters = _cell_letters(labels, picture.palette, renderer, sparse=has_colours)
    if is_block:
        levels = _TEXT_GREYS if colours == "truecolor" else 256
        rgb = _colour_labels(quantise(grey, levels), labels, picture) if has_colours else _grey_to_rgb(grey)
        return blocks.encode(rgb, renderer=renderer, letters=letters, depth=colours, levels=levels)
    encode = braille.encode if renderer == "braille" else ascii_text.encode
    return encode(_grey_to_rgb(grey), letters=letters)


def _cell_letters(labels: NDArray[np.uint8] | None, palette: Palette, renderer: str, *, sparse: bool) -> Letters | None:
    if labels is None:
        return None
    points_x, points_y = PIXELS_PER_CELL_XY[renderer]
    cells_shape = -(-labels.shape[0] // points_y), -(-labels.shape[1] // points_x)
    return letter_cells(labels, cells_shape, palette, sparse=sparse)
