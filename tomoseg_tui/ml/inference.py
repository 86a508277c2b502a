"""Predict blocks of slices with a trained network, in bounded memory and the same wherever it is run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tomoseg_tui.core.blocks import pieces, place, smaller_edge, times_read
from tomoseg_tui.core.network_settings import NetworkSettings
from tomoseg_tui.core.patches import TilePatches, window_of
from tomoseg_tui.errors import ShapeError, TomosegError
from tomoseg_tui.ml.batchnorm_folding import folded_copy
from tomoseg_tui.ml.checkpoints import load_weights
from tomoseg_tui.ml.networks import build, probabilities

HALF_TOLERANCE = 1 / 127
"""Half precision is used where it differs from float32 by at most this: one step of a map."""
DIHEDRAL_COPIES = ((0, False), (2, False), (0, True), (2, True), (1, False), (3, False), (1, True), (3, True))
"""Quarter turns and mirrorings in y and x; the first four leave the missing wedge where it is."""


@final
class Predictor:
    """A trained network, ready to be applied.

    Parameters
    ----------
    weights : Path
        Written by a training.
    settings : NetworkSettings
        What the network looks like.
    features : int
        Its outputs.
    copies : int
        Turned and mirrored copies of each slice whose probabilities are averaged: 1, 4 or 8.
    say : callable
        Told in words when memory has run out and pieces become smaller.

    Raises
    ------
    TrainingError
        If the weights are missing or damaged, or belong to another kind of network.
    """

    def __init__(
        self,
        weights: Path,
        settings: NetworkSettings,
        features: int,
        *,
        copies: int = 1,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.settings = settings
        self.features = features
        self._say = say
        self._copies = DIHEDRAL_COPIES[:copies]
        self._model = build(settings, features)
        load_weights(weights, self._model)
        self._one_group = prediction_function(folded_copy(self._model), settings)
        self._raw = raw_function(self._model, settings)
        self._edge: int | None = None
        self.is_half = False

    def predict(self, densities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Segment a block of slices.

        Parameters
        ----------
        densities : ndarray of float32, shape (z + 2 * context_slices, y, x)
            Mean 0 and sigma 1 over the tomogram. z is a multiple of the network's `slices_out`, y and x of
            its stride, and the block begins at multiples of them in its tomogram, or results depend on
            where it begins.

        Returns
        -------
        ndarray of float32, shape (z, y, x, feature)
            From 0 to 1; what the whole tomogram would give, but for `margin_pixels` along the edges in y
            and x. Groups of `slices_out` slices are predicted one by one, so that memory does not grow with
            z and the numbers do not depend on how a tomogram is cut along z.

        Raises
        ------
        ShapeError
            If there are too few slices, or z, y or x is no multiple of what it should be.
        """
        self._check(densities.shape)
        group = self.settings.slices_out
        windows = sliding_window_view(densities, self.settings.slices, axis=0)[::group]  # (z / group, y, x, slice)
        return np.concatenate([self.predict_group(np.ascontiguousarray(window)) for window in windows])

    def predict_group(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Segment one group of slices.

        Parameters
        ----------
        window : ndarray of float32, shape (y, x, slice)
            The slices that the network reads at once; y and x are multiples of its stride.

        Returns
        -------
        ndarray of float32, shape (slices_out, y, x, feature)
            From 0 to 1. Where memory runs out, smaller pieces are predicted from there on: the same but for
            rounding.

        Raises
        ------
        TomosegError
            If memory does not suffice for the smallest piece.
        """
        while True:
            try:
                return slices_first(self._averaged(window), self.settings.slices_out)
            except (tf.errors.ResourceExhaustedError, MemoryError) as fault:
                self._shrink((window.shape[0], window.shape[1]), fault)

    def try_half(self, window: NDArray[np.float32]) -> str:
        """Compute in half precision from now on, if on one group of slices it is as good.

        Parameters
        ----------
        window : ndarray of float32, shape (y, x, slice)
            The group that it is tried on.

        Returns
        -------
        str
            What was found, in a sentence.
        """
        expected, full = self.predict_group(window), self._one_group
        self._one_group, self.is_half = prediction_function(folded_copy(self._model, half=True), self.settings), True
        found = self.predict_group(window)
        steps = float(np.abs(found - expected).max()) / HALF_TOLERANCE
        if steps <= 1:  # NaN is not
            return f"Computing in half precision: at most {steps:.2f} of a map's steps from float32."
        self._one_group, self.is_half = full, False
        return f"Computing in float32: half precision is {steps:.2f} of a map's steps away from it."

    def _averaged(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean over turned and mirrored copies; shape (y, x, slice out * feature)."""
        if len(self._copies) == 1:
            return self._pieced(window)
        total = np.zeros((*window.shape[:2], self.settings.slices_out * self.features), np.float32)
        for copy in self._copies:
            total += _turned_back(self._pieced(_turned(window, *copy)), *copy)
        total /= np.float32(len(self._copies))
        return total

    def _pieced(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict a window in pieces that fit into memory; shape (y, x, slice out * feature)."""
        if self._edge is None:
            return self._computed(window)
        margin, stride = self.settings.margin_pixels, self.settings.stride
        parts = pieces((1, *window.shape[:2]), slab=1, edge=self._edge, halo_zyx=(0, margin, margin), stride=stride)
        found = np.empty((1, *window.shape[:2], self.settings.slices_out * self.features), np.float32)
        for part in parts:
            place(found, part, self._computed(np.ascontiguousarray(window[part.read_window[1:]]))[np.newaxis])
        whole: NDArray[np.float32] = found[0]
        return whole

    def _computed(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._one_group(window[np.newaxis])[0].numpy()
        return found

    def _shrink(self, shape_yx: tuple[int, int], fault: Exception) -> None:
        """Go on with smaller pieces that cost the least more, or give up."""
        margin, stride = self.settings.margin_pixels, self.settings.stride
        before = min(self._edge or max(shape_yx), max(shape_yx))
        smaller = smaller_edge(shape_yx, before, halo=margin, stride=stride)
        if smaller is None:
            raise TomosegError(
                f"There is not enough memory to segment a piece of {before} pixels.",
                "Close other programs, or share the work among fewer --workers.",
            ) from fault
        self._edge, work = smaller, times_read(shape_yx, smaller, halo=margin, stride=stride)
        self._say(
            f"Memory has run out at pieces of {before} pixels: they have {smaller} now, and a slice takes about "
            f"{work:.1f} times as long as it would whole. "
            "The map is the same but for rounding, at most one of its 127 steps."
        )

    def predict_tiles(self, patches: TilePatches) -> NDArray[np.float32]:
        """Segment tiles with all the surroundings they come with.

        Returns
        -------
        ndarray of float32, shape (n, s, s, feature)
            From 0 to 1; of a network that segments several slices at once, with the tile in their middle.
        """
        outputs = tile_outputs(self._raw, self.settings, patches, np.arange(len(patches.densities)))
        found = tile_probabilities(self.settings, outputs, patches.tile)  # (n, place, s, s, feature)
        return found[:, self.settings.slices_out // 2]

    def _check(self, shape: tuple[int, ...]) -> None:
        stride, slices, group = self.settings.stride, self.settings.slices, self.settings.slices_out
        whole_groups = len(shape) == 3 and shape[0] >= slices and (shape[0] - slices) % group == 0
        if not whole_groups or shape[1] % stride or shape[2] % stride:
            raise ShapeError(
                f"A block of shape {shape} (z, y, x) cannot be segmented: expected {slices} slices or any multiple "
                f"of {group} more, and multiples of {stride} pixels.",
                f"Pad y and x to multiples of {stride}, and add {self.settings.context_slices} slices on each side.",
            )


def _turned(window: NDArray[np.float32], turns: int, mirrored: bool) -> NDArray[np.float32]:  # noqa: FBT001
    """Return a copy (y, x, ...) turned by quarters and then mirrored in x."""
    turned: NDArray[np.float32] = np.rot90(window, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


def _turned_back(found: NDArray[np.float32], turns: int, mirrored: bool) -> NDArray[np.float32]:  # noqa: FBT001
    """Undo `_turned`."""
    back: NDArray[np.float32] = np.rot90(found[:, ::-1] if mirrored else found, -turns)
    return back


def prediction_function(model: Any, settings: NetworkSettings) -> Any:
    """Compile a model into a function from (n, y, x, slice) densities to (n, y, x, slice out * feature) from 0 to 1."""
    return _compiled(lambda densities: probabilities(settings, model(densities, training=False)), settings)


def raw_function(model: Any, settings: NetworkSettings) -> Any:
    """Compile a model into a function from (n, y, x, slice) densities to its raw outputs."""
    return _compiled(lambda densities: model(densities, training=False), settings)


def _compiled(function: Callable[[Any], Any], settings: NetworkSettings) -> Any:
    slab = tf.TensorSpec((None, None, None, settings.slices), tf.float32)
    return tf.function(function, input_signature=[slab], autograph=False)


def slices_first(outputs: NDArray[np.float32], group: int) -> NDArray[np.float32]:
    """Turn outputs (..., y, x, slice out * feature) of `group` slices into a view (..., slice out, y, x, feature)."""
    features = outputs.shape[-1] // group
    return np.moveaxis(outputs.reshape(*outputs.shape[:-1], group, features), -2, -4)


def tile_outputs(raw: Any, settings: NetworkSettings, patches: TilePatches, tiles: NDArray[np.intp]) -> Any:
    """Run a raw function over some tiles with all their surroundings, one by one and at each place.

    Returns
    -------
    tensor of float32
        Raw outputs (m * place, y, x, slice out * feature) over tiles and surroundings; half as many in y and x
        for EMAN2's network.
    """
    windows = (
        window_of(settings, patches.densities[tile], place) for tile in tiles for place in range(settings.slices_out)
    )
    return tf.concat([raw(np.ascontiguousarray(np.moveaxis(window, 0, -1)[np.newaxis])) for window in windows], axis=0)


def tile_probabilities(settings: NetworkSettings, outputs: Any, tile: int) -> NDArray[np.float32]:
    """Turn what `tile_outputs` returns into numbers from 0 to 1 over the tiles alone.

    Returns
    -------
    ndarray of float32, shape (m, place, s, s, feature)
        Each tile as it is segmented at each place among the slices segmented at once.
    """
    group = settings.slices_out
    found = probabilities(settings, outputs).numpy()
    around = (found.shape[1] - tile) // 2
    inner = found[:, around : around + tile, around : around + tile]
    slices = slices_first(inner, group).reshape(-1, group, group, tile, tile, inner.shape[-1] // group)
    own: NDArray[np.float32] = np.stack([slices[:, place, place] for place in range(group)], axis=1)
    return own
