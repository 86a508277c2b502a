"""What is shown of a tile: its neighbours in z, its layers, a prediction of a network. Read by threads, then drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, Layer
from tomoseg_tui.core.grid import MAX_MAP_VALUE
from tomoseg_tui.core.names import IGNORE
from tomoseg_tui.core.tiles import Tile, TileLocation
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.file_state import open_tomogram
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import MapSidecar, NetworkCard, TomogramRecord
from tomoseg_tui.render.colours import Palette, make_palette
from tomoseg_tui.render.greys import MIDDLE_GREY, GreyWindow, to_grey, window_from_sample
from tomoseg_tui.render.renderer import Picture
from tomoseg_tui.workflow.annotations.import_annotations import read_tile_values

if TYPE_CHECKING:
    from tomoseg_tui.io.triples_file import TripleSet

OVERLAY_MODES = ("overlay", "outline", "off")
"""How annotations are shown, in the order of the key."""


@dataclass(frozen=True, eq=False)
class TilePrediction:
    """The prediction of a network on a tile."""

    run: str
    feature: str
    source: str
    """``held out`` or ``learned`` for tiles of the run, else ``map``."""
    probability: NDArray[np.float32]
    """Shape (size, size), from 0 to 1."""


@dataclass(frozen=True, eq=False)
class TileImages:
    """The images of a tile."""

    tile: Tile
    below: NDArray[np.uint8] | None
    """Grey levels of the slice z - 1 below the tile, shape (size, size); None outside the volume."""
    image: NDArray[np.uint8]
    """Grey levels of the tile, shape (size, size); middle grey outside the volume."""
    above: NDArray[np.uint8] | None
    """Grey levels of the slice z + 1."""
    layers: Mapping[str, Layer]
    """Annotations by feature; features without one are absent."""
    prediction: TilePrediction | None


@dataclass(frozen=True)
class PredictionSources:
    """Networks and maps that may have a prediction of a tile."""

    networks: tuple[NetworkCard, ...]
    maps: tuple[MapSidecar, ...]
    """Maps of the tile's tomogram."""


def read_tile_images(
    layout: ProjectLayout, tile: Tile, features: Sequence[str], sources: PredictionSources
) -> TileImages:
    """Read everything that is shown of a tile; reads from disk, so only threads call it.

    Parameters
    ----------
    features : sequence of str
        Features to predict; the first one with a prediction is used.

    Raises
    ------
    TomosegError
        If the tomogram or an annotation cannot be read.
    """
    record = catalog.load_tomogram(layout, tile.location.tomogram)
    below, image, above = _read_neighbours(layout, tile.location, record)
    stored_layers = {feature: read_layer(layout, tile.location, feature) for feature in tile.states}
    layers = {feature: layer for feature, layer in stored_layers.items() if layer is not None}
    predictions = (tile_prediction(layout, tile.location, feature, sources) for feature in features)
    prediction = next((prediction for prediction in predictions if prediction is not None), None)
    return TileImages(tile, below, image, above, layers, prediction)


def _read_neighbours(
    layout: ProjectLayout, location: TileLocation, record: TomogramRecord
) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8], NDArray[np.uint8] | None]:
    with open_tomogram(layout, location.tomogram, record) as volume:
        slices = {
            z: _read_slice(volume, location, z)
            for z in (location.z - 1, location.z, location.z + 1)
            if 0 <= z < record.shape_zyx[0]
        }
    samples = [np.zeros(0, np.float32), *(values[is_inside] for values, is_inside in slices.values())]
    window = window_from_sample(np.concatenate(samples))  # one for all three slices, so that they can be compared
    greys = {z: _masked_grey(values, is_inside, window) for z, (values, is_inside) in slices.items()}
    blank = np.full((location.size, location.size), MIDDLE_GREY, np.uint8)
    return greys.get(location.z - 1), greys.get(location.z, blank), greys.get(location.z + 1)


def _read_slice(volume: VolumeReader, location: TileLocation, z: int) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    return read_tile_values(volume, TileLocation(location.tomogram, z, location.y, location.x, location.size))


def _masked_grey(values: NDArray[np.generic], is_inside: NDArray[np.bool_], window: GreyWindow) -> NDArray[np.uint8]:
    return np.where(is_inside, to_grey(values, window), np.uint8(MIDDLE_GREY))


def tile_prediction(
    layout: ProjectLayout, location: TileLocation, feature: str, sources: PredictionSources
) -> TilePrediction | None:
    """Return the newest prediction: of the tile as part of the run, else from a map of the network."""
    newest_first = sorted(sources.networks, key=lambda card: card.created, reverse=True)
    for card in newest_first:
        if feature in card.features:
            prediction = _prediction_from_triples(layout, card.name, location, feature)
            prediction = prediction or _prediction_from_map(layout, card.name, location, feature, sources.maps)
            if prediction is not None:
                return prediction
    return None


def _prediction_from_triples(
    layout: ProjectLayout, run: str, location: TileLocation, feature: str
) -> TilePrediction | None:
    path = layout.network_triples(run)
    try:
        triples = _cached_triples(path, path.stat().st_mtime_ns)
        tile_index, feature_index = triples.tiles.index(location.id), triples.features.index(feature)
    except (OSError, ProjectError, ValueError):
        return None  # no triples yet, or the tile is not of this run
    source = "held out" if triples.held_out[tile_index] else "learned"
    return TilePrediction(run, feature, source, triples.outputs[tile_index, feature_index])


@lru_cache(maxsize=2)
def _cached_triples(path: Path, modified_ns: int) -> "TripleSet":  # noqa: ARG001  # a file that has changed is another one
    from tomoseg_tui.io.triples_file import read_triples  # noqa: PLC0415  # HDF5 would hold up the start

    return read_triples(path)


def _prediction_from_map(
    layout: ProjectLayout, run: str, location: TileLocation, feature: str, maps: Sequence[MapSidecar]
) -> TilePrediction | None:
    for sidecar in maps:
        has_slice = any(start <= location.z < stop for start, stop in sidecar.slices)
        if (sidecar.run, sidecar.feature) == (run, feature) and has_slice:
            with open_volume(layout.map_file(sidecar.tomogram, run, feature)) as volume:
                values, _ = read_tile_values(volume, location)
            return TilePrediction(run, feature, "map", np.clip(values.astype(np.float32) / MAX_MAP_VALUE, 0, 1))
    return None


def layers_palette(features: Sequence[str]) -> Palette:
    """Return a colour and a letter for each feature of the project, and those of ignored pixels."""
    names = {**dict(enumerate(features, start=1)), len(features) + 1: IGNORE}
    return make_palette(names)


def annotated_picture(images: TileImages, features: Sequence[str], selected: Sequence[str], *, overlay: str) -> Picture:
    """Return the image of a tile with its annotation.

    Parameters
    ----------
    features : sequence of str
        All features of the project; their order sets the colours.
    selected : sequence of str
        Features to show; where several lie on one pixel, the first.
    overlay : str
        One of `OVERLAY_MODES`.
    """
    if overlay == "off":
        return Picture(images.image)
    labels = np.zeros(images.image.shape, np.uint8)
    for feature in reversed([feature for feature in selected if feature in images.layers]):
        layer = images.layers[feature]
        labels[layer == IGNORED] = len(features) + 1
        labels[layer == FEATURE] = features.index(feature) + 1
    return Picture(images.image, labels, layers_palette(features), outlined=overlay == "outline")


def prediction_picture(prediction: TilePrediction) -> Picture:
    """Return a prediction as an image: black for 0, white for 1."""
    return Picture(np.rint(prediction.probability * 255).astype(np.uint8))
