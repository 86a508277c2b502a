"""Match images to tiles by correlation: find reordered, flipped and rotated stacks. Arrays only.

Correlation is independent of contrast, and a filter or 8-bit rounding changes it little.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import ShapeError

MIN_CORRELATION = 0.5
"""Least correlation of an image with its tile; unrelated images of 64 x 64 pixels stay below 0.1."""
_TOLERANCE = 1e-4
"""Correlations that differ by less are equal, so that identical tiles are not reported as swapped."""

Images = NDArray[np.float32]
"""Shape (n, y, x)."""


@dataclass(frozen=True)
class Turn:
    """How to undo a change of direction: x and y are swapped first, then axes are reversed."""

    is_transposed: bool = False
    steps_zyx: tuple[int, int, int] = (1, 1, 1)
    """-1 for axes to reverse."""

    @property
    def flips(self) -> tuple[str, ...]:
        """The values of the option ``--flip`` for it."""
        reversed_axes = [axis for axis, step in zip("zyx", self.steps_zyx, strict=True) if step < 0]
        return (*(["transpose"] if self.is_transposed else []), *reversed_axes)

    def undo(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return images of shape (z, y, x) in their original direction, as a view."""
        z, y, x = self.steps_zyx
        return (images.swapaxes(1, 2) if self.is_transposed else images)[::z, ::y, ::x]


AS_EXPORTED, FLIPPED_Y = "as exported", "flipped in y"
ORIENTATIONS: Mapping[str, Turn] = MappingProxyType(
    {
        AS_EXPORTED: Turn(),
        FLIPPED_Y: Turn(steps_zyx=(1, -1, 1)),
        "mirrored in x": Turn(steps_zyx=(1, 1, -1)),
        "rotated by 180 degrees": Turn(steps_zyx=(1, -1, -1)),
        "with x and y swapped": Turn(is_transposed=True),
        "rotated by 90 degrees": Turn(is_transposed=True, steps_zyx=(1, 1, -1)),
        "rotated by -90 degrees": Turn(is_transposed=True, steps_zyx=(1, -1, 1)),
        "with x and y swapped and rotated by 180 degrees": Turn(is_transposed=True, steps_zyx=(1, -1, -1)),
    }
)
"""All changes of direction that programs make to an image when they save it."""
_REVERSED = "with its slices in reverse order"
VOLUME_ORIENTATIONS: Mapping[str, Turn] = MappingProxyType(
    {
        **ORIENTATIONS,
        **{
            _REVERSED if name == AS_EXPORTED else f"{name} and {_REVERSED}": Turn(
                turn.is_transposed, (-1, *turn.steps_zyx[1:])
            )
            for name, turn in ORIENTATIONS.items()
        },
    }
)
"""The same, and each with the slices in reverse order."""


@dataclass(frozen=True)
class ImageMatch:
    """Result of matching images to tiles."""

    orientation: str
    """A key of `ORIENTATIONS`."""
    matched_count: int
    """Number of images that could be compared; flat ones cannot."""


def match_images(images: Images, tiles: Images, tile_ids: Sequence[str], *, label: str) -> ImageMatch:
    """Return the orientation of a stack of images relative to the tiles, which are in the same order.

    Parameters
    ----------
    images : ndarray of float32, shape (n, y, x)
        Returned images; NaN counts as 0.
    tiles : ndarray of float32, shape (n, y, x)
        Densities of the tiles as exported.
    tile_ids : sequence of str
        Ids of the tiles, for messages.
    label : str
        Name of the images in messages.

    Raises
    ------
    ShapeError
        If the order differs, or an image does not match its tile; the message names them.
    """
    tile_vectors, usable_tiles = _normalise(tiles)
    correlations = {}
    for orientation, oriented in _orientations_of(images):
        image_vectors, usable_images = _normalise(oriented)
        is_usable = usable_tiles & usable_images
        correlations[orientation] = np.abs(image_vectors @ tile_vectors.T)  # (n of images, n of tiles)
        correlations[orientation][~is_usable] = correlations[orientation][:, ~is_usable] = np.nan
    matched_count = int(np.isfinite(correlations[AS_EXPORTED].diagonal()).sum())
    if matched_count == 0:
        return ImageMatch(AS_EXPORTED, 0)
    best = max(
        correlations,
        key=lambda orientation: (_finite_mean(correlations[orientation].diagonal()), orientation == AS_EXPORTED),
    )
    if _matches_own_tiles(correlations[best]):
        return ImageMatch(best, matched_count)
    raise _mismatch_error(correlations, tile_ids, label)


def find_orientation(correlations: Mapping[str, Sequence[float]]) -> ImageMatch | None:
    """Choose the orientation of a volume in which its windows match the tiles; None if they match in none.

    Parameters
    ----------
    correlations : mapping of str to sequence of float
        By orientation: the correlation of each tile with the window at its position; NaN if one is flat.
    """
    best = max(
        correlations,
        key=lambda orientation: (_finite_mean(np.array(correlations[orientation])), orientation == AS_EXPORTED),
    )
    finite = np.array(correlations[best])[np.isfinite(correlations[best])]
    if finite.size == 0:
        return ImageMatch(AS_EXPORTED, 0)
    return ImageMatch(best, finite.size) if (finite >= MIN_CORRELATION).all() else None


def correlation(first: NDArray[np.generic], second: NDArray[np.generic]) -> float:
    """Return the absolute correlation of two images; NaN if one is flat."""
    pair, usable = _normalise(np.stack([first, second]).astype(np.float32))
    return abs(float(pair[0] @ pair[1])) if usable.all() else float("nan")


def _orientations_of(images: Images) -> list[tuple[str, Images]]:
    oriented = ((name, turn.undo(images)) for name, turn in ORIENTATIONS.items())
    return [(name, candidate) for name, candidate in oriented if candidate.shape == images.shape]


def _normalise(images: Images) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return each image as a vector of mean 0 and length 1, and which images are not flat."""
    vectors = np.nan_to_num(images.reshape(len(images), -1).astype(np.float64))
    vectors -= vectors.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    usable = norms[:, 0] > 1e-9
    return np.where(usable[:, None], vectors / np.maximum(norms, 1e-9), 0).astype(np.float32), usable


def _finite_mean(values: NDArray[np.floating]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else 0.0


def _matches_own_tiles(table: NDArray[np.floating]) -> bool:
    """Return whether every image correlates best with its own tile."""
    own_values = table.diagonal()
    is_finite = np.isfinite(own_values)
    best = np.nanmax(np.where(np.isfinite(table), table, -1), axis=1)
    return bool((own_values[is_finite] >= np.maximum(MIN_CORRELATION, best[is_finite] - _TOLERANCE)).all())


def _mismatch_error(
    correlations: Mapping[str, NDArray[np.floating]], tile_ids: Sequence[str], label: str
) -> ShapeError:
    """Return the error that lists which images are in the place of which tile."""
    tables = {orientation: np.where(np.isfinite(table), table, -1) for orientation, table in correlations.items()}
    orientation = max(tables, key=lambda name: float(tables[name].max(axis=1).mean()))
    table = tables[orientation]
    best_tiles = table.argmax(axis=1)
    misplaced = [
        (image, int(tile))
        for image, tile in enumerate(best_tiles)
        if table[image, tile] >= MIN_CORRELATION and table[image, tile] > table[image, image] + _TOLERANCE
    ]
    orientation_note = "" if orientation == AS_EXPORTED else f", {orientation}"
    if misplaced:
        lines = "; ".join(
            f"image {image + 1} is {tile_ids[tile]}, not {tile_ids[image]}" for image, tile in misplaced[:4]
        )
        return ShapeError(
            f"{label} has {len(misplaced)} of {len(tile_ids)} images in another order{orientation_note}: {lines}.",
            "Save the images in the order of the manifest.",
        )
    own_values = table.diagonal()
    unmatched = [index for index, value in enumerate(own_values) if 0 <= value < MIN_CORRELATION]
    lines = ", ".join(f"image {index + 1} is not {tile_ids[index]}" for index in unmatched[:4])
    return ShapeError(
        f"{label} has {len(unmatched)} of {len(tile_ids)} images that do not match their tiles: {lines}.",
        "Give the stack that was exported with this manifest.",
    )
