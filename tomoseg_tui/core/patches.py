"""Training input as plain arrays: tiles with their surroundings."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.network_settings import NetworkSettings

CONTEXT_PIXELS = 32
"""Pixels stored around a tile in y and x, so that a network can use what lies beyond its edge."""
CONTEXT_SLICES = 4
"""Slices stored above and below a tile."""
WINDOW_PIXELS = 32
"""Pixels added to a tile's edge in training: most of the U-Net's receptive field, at half the cost."""


@dataclass(frozen=True, eq=False)
class TilePatches:
    """Tiles of one size with their surroundings; n tiles, f features, edge s."""

    densities: NDArray[np.float32]
    """Shape (n, 2 * CONTEXT_SLICES + 1, s + 2 * CONTEXT_PIXELS, s + 2 * CONTEXT_PIXELS) as (n, z, y, x).
    Mean 0 and sigma 1 over the whole tomogram, the same polarity in all; 0 outside the volume."""
    layers: NDArray[np.uint8]
    """Shape (n, f, s, s): 0 unlabelled, 1 not feature, 2 feature, 3 ignore. Pixels of training tiles
    that lie in a held-out box are already 3, so that no held-out pixel is trained on."""
    signs: NDArray[np.int8]
    """Shape (n, f): 1 if the feature is annotated, -1 if the tile contains none, 0 if unknown."""
    held_out: NDArray[np.bool_]
    """Shape (n,): True for validation tiles, which are never trained on."""
    features: tuple[str, ...]
    """The f features, in the order of the network's outputs."""
    name: str = ""
    """Name of the training set, for messages."""

    @property
    def tile_size(self) -> int:
        """Edge s of a tile in pixels."""
        return int(self.layers.shape[-1])

    def fingerprint(self) -> dict[str, str]:
        """Return the number of tiles, and a digest of each array used in training, by its name in messages."""
        return {
            "tiles": str(len(self.layers)),
            "densities": _digest(self.densities),
            "annotations": _digest(self.layers, self.signs),
            "held-out tiles": _digest(self.held_out),
        }


def _digest(*arrays: NDArray[np.generic]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def describe_changes(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Describe how two results of `TilePatches.fingerprint` differ; empty if they are equal."""
    if before["tiles"] != after["tiles"]:
        return f"it had {before['tiles']} tiles and has {after['tiles']}"
    changed = [name for name in after if before.get(name) != after[name]]
    return f"its {' and its '.join(changed)} have changed" if changed else ""


def input_edge(network: NetworkSettings, tile_size: int) -> int:
    """Return the edge of a tile's window in a training step, in pixels.

    EMAN2's network is trained on the tile alone, as in EMAN2.
    """
    return tile_size if network.kind == "stack" else tile_size + WINDOW_PIXELS


def slices_for_position(network: NetworkSettings, densities: NDArray[np.float32], position: int) -> NDArray[np.float32]:
    """Return the input slices with which a network segments a tile as one of its output slices.

    Parameters
    ----------
    network : NetworkSettings
        Gives the number of input and output slices.
    densities : ndarray of float32, shape (2 * CONTEXT_SLICES + 1, y, x)
        The tile and its surroundings.
    position : int
        Index of the tile's slice among the output slices, 0 to `slices_out` - 1.

    Returns
    -------
    ndarray of float32, shape (slice, y, x)
        A view.
    """
    first = CONTEXT_SLICES - network.context_slices - position
    return densities[first : first + network.slices]
