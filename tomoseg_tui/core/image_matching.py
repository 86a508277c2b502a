"""Recognise tiles by their densities: in which order they come back, and turned how. Arrays only.

Compared is the correlation of densities, so that another contrast, a filter or 8 bits do not matter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import ShapeError

LIKENESS = 0.5
"""Correlation from which an image can be that of a tile; strangers of 64 x 64 pixels stay under 0.1."""
_EQUAL = 1e-4
"""Correlations that differ by less are equal: twins among the tiles are not confused with each other."""

Images = NDArray[np.float32]
"""Shape (n, y, x)."""
Turn = Callable[[Images], Images]

AS_IT_WAS, FLIPPED = "as exported", "flipped in y"
TURNS: Mapping[str, Turn] = MappingProxyType(
    {
        AS_IT_WAS: lambda images: images,
        FLIPPED: lambda images: images[:, ::-1],
        "mirrored in x": lambda images: images[:, :, ::-1],
        "turned by 180 degrees": lambda images: images[:, ::-1, ::-1],
        "with x and y exchanged": lambda images: images.swapaxes(1, 2),
        "turned by 90 degrees": lambda images: np.rot90(images, -1, (1, 2)),
        "turned by -90 degrees": lambda images: np.rot90(images, 1, (1, 2)),
        "with x and y exchanged and turned by 180 degrees": lambda images: images.swapaxes(1, 2)[:, ::-1, ::-1],
    }
)
"""What programs do to a picture when they save it, and what undoes it."""


@dataclass(frozen=True)
class Recognised:
    """How images came back."""

    turn: str
    """A key of `TURNS`."""
    told: int
    """How many images could be recognised; flat ones cannot."""


def recognise(images: Images, tiles: Images, names: Sequence[str], *, what: str) -> Recognised:
    """Tell how the images of a stack are turned against the tiles, in the order of the tiles.

    Parameters
    ----------
    images : ndarray, shape (n, y, x)
        What came back; NaN counts as nothing.
    tiles : ndarray, shape (n, y, x)
        Densities as they were sent.
    names : sequence of str
        Ids of the tiles.
    what : str
        What the user calls the images.

    Raises
    ------
    ShapeError
        If they are in another order, or one is not that of its tile; the message names them.
    """
    sent, usable = _normalised(tiles)
    likeness = {}
    for turn, turned in _turns_for(images):
        found, there = _normalised(turned)
        both = usable & there
        likeness[turn] = np.abs(found @ sent.T)  # (n of images, n of tiles)
        likeness[turn][~both] = likeness[turn][:, ~both] = np.nan
    told = int(np.isfinite(likeness[AS_IT_WAS].diagonal()).sum())
    if told == 0:
        return Recognised(AS_IT_WAS, 0)
    best = max(likeness, key=lambda turn: (_mean(likeness[turn].diagonal()), turn == AS_IT_WAS))
    if _fits(likeness[best]):
        return Recognised(best, told)
    raise _strangers(likeness, names, what)


def recognise_turn(own: Mapping[str, Sequence[float]]) -> Recognised | None:
    """Choose how a volume is turned by the likeness of its windows to the tiles, None where it is like none.

    Parameters
    ----------
    own : mapping of str to sequence of float
        By turn: the likeness of each tile with what lies in its place; NaN where one is flat.
    """
    best = max(own, key=lambda turn: (_mean(np.array(own[turn])), turn == AS_IT_WAS))
    known = np.array(own[best])[np.isfinite(own[best])]
    if known.size == 0:
        return Recognised(AS_IT_WAS, 0)
    return Recognised(best, known.size) if (known >= LIKENESS).all() else None


def likeness(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """Return how alike two images are: their correlation without its sign; NaN if one is flat."""
    pair, usable = _normalised(np.stack([one, other]).astype(np.float32))
    return abs(float(pair[0] @ pair[1])) if usable.all() else float("nan")


def _turns_for(images: Images) -> list[tuple[str, Images]]:
    turned = ((name, turn(images)) for name, turn in TURNS.items())
    return [(name, found) for name, found in turned if found.shape == images.shape]


def _normalised(images: Images) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return each image as a vector of mean 0 and length 1, and which of them are not flat."""
    flat = np.nan_to_num(images.reshape(len(images), -1).astype(np.float64))
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    usable = length[:, 0] > 1e-9
    return np.where(usable[:, None], flat / np.maximum(length, 1e-9), 0).astype(np.float32), usable


def _mean(values: NDArray[np.floating]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else 0.0


def _fits(table: NDArray[np.floating]) -> bool:
    """Tell whether every image is most like its own tile."""
    own = table.diagonal()
    known = np.isfinite(own)
    best = np.nanmax(np.where(np.isfinite(table), table, -1), axis=1)
    return bool((own[known] >= np.maximum(LIKENESS, best[known] - _EQUAL)).all())


def _strangers(likeness: Mapping[str, NDArray[np.floating]], names: Sequence[str], what: str) -> ShapeError:
    """Say which images are in the place of which tile."""
    tables = {turn: np.where(np.isfinite(table), table, -1) for turn, table in likeness.items()}
    turn = max(tables, key=lambda name: float(tables[name].max(axis=1).mean()))
    table = tables[turn]
    found = table.argmax(axis=1)
    moved = [
        (image, int(tile))
        for image, tile in enumerate(found)
        if table[image, tile] >= LIKENESS and table[image, tile] > table[image, image] + _EQUAL
    ]
    turned = "" if turn == AS_IT_WAS else f", {turn}"
    if moved:
        lines = "; ".join(f"image {image + 1} is {names[tile]}, not {names[image]}" for image, tile in moved[:4])
        return ShapeError(
            f"{what} has {len(moved)} of {len(names)} images in another order{turned}: {lines}.",
            "Give them in the order of the manifest.",
        )
    own = table.diagonal()
    strange = [number for number, value in enumerate(own) if 0 <= value < LIKENESS]
    lines = ", ".join(f"image {number + 1} is not {names[number]}" for number in strange[:4])
    return ShapeError(
        f"{what} has {len(strange)} of {len(names)} images that are not those of the tiles: {lines}.",
        "Give the stack that was exported with this manifest.",
    )
