"""What a network is trained on: tiles with their surroundings as plain arrays."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.network_settings import NetworkSettings

CONTEXT_PIXELS = 32
"""Pixels kept around a tile in y and x, so that a network may look beyond its edge."""
CONTEXT_SLICES = 4
"""Slices kept above and below a tile."""
WINDOW_PIXELS = 32
"""Pixels added to a tile's edge in training: most of what the U-Net sees, at half the cost."""


@dataclass(frozen=True, eq=False)
class TilePatches:
    """Tiles of one size with their surroundings, ready to train on; n tiles, f features, edge s."""

    densities: NDArray[np.float32]
    """Shape (n, 2 * CONTEXT_SLICES + 1, s + 2 * CONTEXT_PIXELS, s + 2 * CONTEXT_PIXELS) as (n, z, y, x).
    Mean 0 and sigma 1 over the whole tomogram, protein dark or bright alike in all; 0 outside the volume."""
    layers: NDArray[np.uint8]
    """Shape (n, f, s, s): 0 not looked at, 1 not feature, 2 feature, 3 ignore. Pixels of training tiles
    that lie in a held-out box are 3 already, so that no held-out pixel is trained on."""
    signs: NDArray[np.int8]
    """Shape (n, f): 1 where the feature is annotated, -1 where the tile holds none, 0 unknown."""
    held_out: NDArray[np.bool_]
    """Shape (n,): True for tiles that judge and never teach."""
    features: tuple[str, ...]
    """The f features, in the order of the network's outputs."""
    name: str = ""
    """The training set that they are of, as messages call it."""

    @property
    def tile_size(self) -> int:
        """Edge s of a tile in pixels."""
        return int(self.layers.shape[-1])

    def fingerprint(self) -> dict[str, str]:
        """Return how many tiles there are, and a digest of each thing that a training takes from them, by its name."""
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
    """Return what is another of two `contents`; empty if nothing is."""
    if before["tiles"] != after["tiles"]:
        return f"it had {before['tiles']} tiles and has {after['tiles']}"
    changed = [name for name in after if before.get(name) != after[name]]
    return f"its {' and its '.join(changed)} are others" if changed else ""


def input_edge(network: NetworkSettings, tile_size: int) -> int:
    """Return the edge of the window that a training step is given for a tile, in pixels.

    EMAN2's network is trained on the tile alone, as EMAN2 does.
    """
    return tile_size if network.kind == "stack" else tile_size + WINDOW_PIXELS


def slices_for_position(network: NetworkSettings, densities: NDArray[np.float32], position: int) -> NDArray[np.float32]:
    """Return the slices with which a network segments a tile as number `position` of those segmented at once.

    Parameters
    ----------
    network : NetworkSettings
    densities : ndarray of float32, shape (2 * CONTEXT_SLICES + 1, y, x)
        The tile and its surroundings.
    position : int
        From 0 to `slices_out` - 1.

    Returns
    -------
    ndarray of float32, shape (slice, y, x)
        A view.
    """
    first = CONTEXT_SLICES - network.context_slices - position
    return densities[first : first + network.slices]
