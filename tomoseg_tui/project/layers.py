"""Annotations on disk, a numpy file a tile and feature. Apart from the catalog: a screen reads that before numpy."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import Layer
from tomoseg_tui.core.tiles import FeatureState, Place, Tile
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.writing import drafted


def write_array(path: Path, values: NDArray[np.generic]) -> None:
    """Replace a numpy file whole."""
    with drafted(path) as draft, draft.open("wb") as stream:
        np.save(stream, values, allow_pickle=False)


def read_layer(layout: ProjectLayout, place: Place, feature: str) -> Layer | None:
    """Return the annotation of one feature on one tile, None where there is none."""
    path = layout.annotation(place, feature)
    try:
        layer = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as fault:
        raise ProjectError(f"The annotation {path} is damaged: {fault}.", "Restore it from a copy.") from fault
    if layer.shape != (place.size, place.size) or layer.dtype != np.uint8:
        raise ProjectError(
            f"The annotation {path} has shape {layer.shape} and type {layer.dtype}, "
            f"expected {(place.size, place.size)} and uint8.",
            "Restore it from a copy.",
        )
    return np.asarray(layer, np.uint8)


def effective_layer(layout: ProjectLayout, tile: Tile, feature: str) -> Layer | None:
    """Return what a tile says of a feature: its annotation; all `not feature` where it holds none; else None."""
    state = tile.state_of(feature)
    if state is FeatureState.NONE_HERE:
        return np.ones((tile.place.size, tile.place.size), np.uint8)
    return read_layer(layout, tile.place, feature) if state is FeatureState.ANNOTATED else None
