"""The colour and the letter of each label, so that labels are distinct with and without colour."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tomoseg_tui.files.text import printable
from tomoseg_tui.render.terminal_colours import RESET, background_escape, colour_keys, foreground_escape

OKABE_ITO = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (240, 228, 66), (0, 114, 178), (213, 94, 0),
)  # fmt: skip
"""Orange, sky blue, bluish green, reddish purple, yellow, blue, vermillion: distinct with any colour vision.
Okabe and Ito (2008), Color Universal Design, https://jfly.uni-koeln.de/color/"""
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


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
    return "   ".join(f"{_swatch(style, colours)} {printable(style.name)}" for style in palette)


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
