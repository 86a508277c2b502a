"""Colours and letters of labels, so that they are distinct with and without colour.

The order of rows is that of the input throughout.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import ShapeError
from tomoseg_tui.render.cells import Letters
from tomoseg_tui.render.colours import RESET, background_escape, colour_keys, foreground_escape
from tomoseg_tui.render.viewport import resample

OKABE_ITO = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (240, 228, 66), (0, 114, 178), (213, 94, 0),
)  # fmt: skip
"""Orange, sky blue, bluish green, reddish purple, yellow, blue, vermillion: distinct with any colour vision.
Okabe and Ito (2008), Color Universal Design, https://jfly.uni-koeln.de/color/"""

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_SPACING = 5
"""Distance of letters in a sparse pattern, cells. Rows are shifted by 2, so that every row, column and diagonal of the
screen has a letter in each 5 cells."""


@dataclass(frozen=True)
class LabelStyle:
    """Appearance of one label."""

    label: int
    """Value of the label, 1 to 255."""
    name: str
    """Name of the feature."""
    letter: str
    """One character of A-Z and 0-9."""
    rgb: tuple[int, int, int]
    """Colour, 0 to 255 each."""


Palette = tuple[LabelStyle, ...]
"""The labels that are shown."""


def make_palette(names: Mapping[int, str]) -> Palette:
    """Return a colour and a letter for each label.

    Parameters
    ----------
    names : mapping of int to str
        Names of the labels, 1 to 255, the most important first.

    Returns
    -------
    tuple of LabelStyle
        In the same order. The letter is the first of the name that no earlier label has, else the first one free.
        Colours repeat from the eighth label on, letters from the 37th.
    """
    styles: list[LabelStyle] = []
    for index, (label, name) in enumerate(names.items()):
        letter = _free_letter(name, {style.letter for style in styles}) or _ALPHABET[index % len(_ALPHABET)]
        styles.append(LabelStyle(label, name, letter, OKABE_ITO[index % len(OKABE_ITO)]))
    return tuple(styles)


def _free_letter(name: str, used: set[str]) -> str:
    candidates = [character for character in name.upper() + _ALPHABET if character in _ALPHABET]
    return next((character for character in candidates if character not in used), "")


def blend_labels(
    grey: NDArray[np.uint8], labels: NDArray[np.uint8], palette: Palette, strength: float = 0.55
) -> NDArray[np.uint8]:
    """Colour the labelled pixels of a picture.

    Parameters
    ----------
    grey, labels : ndarray of uint8, shape (y, x)
        The grey and the label of each pixel, 0 for none. Left unchanged.
    palette : tuple of LabelStyle
        Colours; labels that are not in it stay grey.
    strength : float
        Share of the label's colour, 0 to 1; the rest is the grey.

    Returns
    -------
    ndarray of uint8, shape (y, x, 3)
        Red, green, blue.

    Raises
    ------
    ShapeError
        If the two shapes differ.
    """
    check_same_shape(grey, labels)
    blend_indices = labels.astype(np.uint16) * 256 + grey
    return _blend_table(palette, strength).take(blend_indices, axis=0)


def check_same_shape(grey: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Raise ShapeError if labels and picture differ in shape."""
    if grey.shape != labels.shape:
        raise ShapeError(
            f"Labels of shape {labels.shape} do not fit a picture of shape {grey.shape} (y, x).",
            "Give labels that were made from this tomogram.",
        )


@lru_cache(maxsize=16)
def _blend_table(palette: Palette, strength: float) -> NDArray[np.uint8]:
    """Return the colour of each grey under each label, shape (label * 256 + grey, 3)."""
    greys = np.repeat(np.arange(256)[:, np.newaxis], 3, axis=1)  # (grey, 3)
    table = np.tile(greys, (256, 1, 1))  # (label, grey, 3)
    for style in palette:
        table[style.label] = np.rint(greys * (1 - strength) + np.array(style.rgb) * strength)
    colours = table.reshape(-1, 3).astype(np.uint8)
    colours.flags.writeable = False
    return colours


def outlines(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the labels of pixels at the rim of each labelled region.

    Parameters
    ----------
    labels : ndarray of uint8, shape (y, x)
        Left unchanged.

    Returns
    -------
    ndarray of uint8, shape (y, x)
        The label where a pixel's left, right, upper or lower neighbour has another label, else 0. The edge of the
        picture is not a rim.
    """
    padded = np.pad(labels, 1, mode="edge")
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    rim = np.zeros(labels.shape, dtype=bool)
    for neighbour in neighbours:
        rim |= neighbour != labels
    return labels * rim


def letter_cells(
    labels: NDArray[np.uint8], cells_shape: tuple[int, int], palette: Palette, *, sparse: bool = True
) -> Letters:
    """Return the letters to show on cells.

    Parameters
    ----------
    labels : ndarray of uint8, shape (y, x)
        In screen order, the top row first. Left unchanged.
    cells_shape : tuple of int
        Rows and columns of the screen.
    palette : tuple of LabelStyle
        Letters; labels that are not in it get none.
    sparse : bool
        Show letters on one labelled cell in five, so that the picture stays visible; else on all.

    Returns
    -------
    ndarray of str, shape `cells_shape`
        A letter or an empty string.
    """
    table = np.full(256, "", dtype="<U1")
    for style in palette:
        table[style.label] = style.letter
    letters = table[resample(labels, cells_shape, labels=True)]
    if sparse:
        rows, columns = np.indices(cells_shape)
        letters[(columns + 2 * rows) % _SPACING != 0] = ""
    return letters


def legend(palette: Palette, colours: str = "none") -> str:
    """Return the letters and colours with their features, on one line.

    Parameters
    ----------
    palette : tuple of LabelStyle
        The labels shown.
    colours : str
        "truecolor", "256", "16", or "none": only letters, without escapes.

    Returns
    -------
    str
        Such as "M microtubule   E membrane"; empty for an empty palette.
    """
    return "   ".join(f"{_swatch(style, colours)} {style.name}" for style in palette)


def _swatch(style: LabelStyle, colours: str) -> str:
    if colours == "none":
        return style.letter
    background_key, foreground_key = colour_keys(np.array([[style.rgb, (0, 0, 0)]], dtype=np.uint8), colours)[
        0
    ].tolist()
    return (
        f"{background_escape(background_key, colours)}{foreground_escape(foreground_key, colours)} {style.letter} "
        f"{RESET}"
    )


def image_grid(rows: Sequence[Sequence[NDArray[np.uint8]]], gap: int = 4, *, fill_value: int = 0) -> NDArray[np.uint8]:
    """Arrange pictures in rows, with gaps between them and no margin.

    Parameters
    ----------
    rows : sequence of sequences of ndarray of uint8, shape (y, x) or (y, x, 3)
        All with the same number of axes; sizes and lengths of rows may differ. Left unchanged.
    gap : int
        Pixels between neighbours.
    fill_value : int
        Value of the gaps, and of the area beside smaller pictures.

    Returns
    -------
    ndarray of uint8, shape (y, x) or (y, x, 3)
        The first row first, each picture at the start of its cell.

    Raises
    ------
    ShapeError
        If there are no pictures.
    """
    pictures = [picture for row in rows for picture in row]
    if not pictures:
        raise ShapeError("There are no pictures to arrange.", "Name at least one tile.")
    heights = [max((picture.shape[0] for picture in row), default=0) for row in rows]
    column_count = max(len(row) for row in rows)
    widths = [max(row[column].shape[1] for row in rows if column < len(row)) for column in range(column_count)]
    shape = (sum(heights) + gap * (len(rows) - 1), sum(widths) + gap * (column_count - 1), *pictures[0].shape[2:])
    canvas = np.full(shape, fill_value, dtype=np.uint8)
    for row_number, row in enumerate(rows):
        top = sum(heights[:row_number]) + gap * row_number
        for column, picture in enumerate(row):
            left = sum(widths[:column]) + gap * column
            canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas
