"""What is shown of one tile: its neighbours in z, its layers, a network's opinion. Read by threads, then drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, Layer
from tomoseg_tui.core.names import IGNORE
from tomoseg_tui.core.tiles import Place, Tile
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import MapSidecar, NetworkCard, TomogramRecord
from tomoseg_tui.render.greys import MIDDLE_GREY, Window, to_grey, window_from_sample
from tomoseg_tui.render.overlay import Palette, make_palette
from tomoseg_tui.render.renderer import Picture
from tomoseg_tui.workflow.annotations.import_annotations import cut_slice
from tomoseg_tui.workflow.volume_names import byte_sign_of

if TYPE_CHECKING:
    from tomoseg_tui.io.triples_file import Triples

CERTAIN = np.float32(127)
"""What a map holds where the network is certain."""


@dataclass(frozen=True, eq=False)
class Opinion:
    """What a network says of a tile."""

    run: str
    feature: str
    source: str
    """In words: `held out` and `learned` for tiles of the run, else `map`."""
    probability: NDArray[np.float32]
    """Shape (size, size), from 0 to 1."""


@dataclass(frozen=True, eq=False)
class TilePictures:
    """A tile as it is shown."""

    tile: Tile
    below: NDArray[np.uint8] | None
    """Greys of the slice z - 1 under the tile, shape (size, size); None outside of the volume."""
    here: NDArray[np.uint8]
    """Greys of the tile, shape (size, size); what sticks out of the volume is middle grey."""
    above: NDArray[np.uint8] | None
    """Greys of the slice z + 1."""
    layers: Mapping[str, Layer]
    """Annotations by feature; features without one are not in it."""
    opinion: Opinion | None


@dataclass(frozen=True)
class Advisers:
    """Who may have an opinion on a tile."""

    networks: tuple[NetworkCard, ...]
    maps: tuple[MapSidecar, ...]
    """Those of the tile's tomogram."""


def read_tile(layout: ProjectLayout, tile: Tile, features: Sequence[str], advisers: Advisers) -> TilePictures:
    """Read all that is shown of a tile; takes some milliseconds of disk, so only threads call it.

    Parameters
    ----------
    layout : ProjectLayout
    tile : Tile
    features : sequence of str
        Features whose opinion is asked for; the first of which a network has one counts.
    advisers : Advisers
        Networks and maps.

    Raises
    ------
    TomosegError
        If the tomogram or an annotation cannot be read.
    """
    record = catalog.tomogram(layout, tile.place.tomogram)
    below, here, above = _neighbours(layout, tile.place, record)
    found = {feature: read_layer(layout, tile.place, feature) for feature in tile.states}
    layers = {feature: layer for feature, layer in found.items() if layer is not None}
    opinions = (opinion_on(layout, tile.place, feature, advisers) for feature in features)
    opinion = next((opinion for opinion in opinions if opinion is not None), None)
    return TilePictures(tile, below, here, above, layers, opinion)


def _neighbours(
    layout: ProjectLayout, place: Place, record: TomogramRecord
) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8], NDArray[np.uint8] | None]:
    path = catalog.volume_path(layout, place.tomogram, record)
    with open_volume(path, byte_sign=byte_sign_of(record)) as volume:
        cuts = {z: _cut(volume, place, z) for z in (place.z - 1, place.z, place.z + 1) if 0 <= z < record.shape_zyx[0]}
    seen = [np.zeros(0, np.float32), *(values[inside] for values, inside in cuts.values())]
    window = window_from_sample(np.concatenate(seen))  # one for all three, so that they can be compared
    greys = {z: _grey(values, inside, window) for z, (values, inside) in cuts.items()}
    flat = np.full((place.size, place.size), MIDDLE_GREY, np.uint8)
    return greys.get(place.z - 1), greys.get(place.z, flat), greys.get(place.z + 1)


def _cut(volume: VolumeReader, place: Place, z: int) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    return cut_slice(volume, Place(place.tomogram, z, place.y, place.x, place.size))


def _grey(values: NDArray[np.generic], inside: NDArray[np.bool_], window: Window) -> NDArray[np.uint8]:
    return np.where(inside, to_grey(values, window), np.uint8(MIDDLE_GREY))


def opinion_on(layout: ProjectLayout, place: Place, feature: str, advisers: Advisers) -> Opinion | None:
    """Return what the newest network that has an opinion says: on the run's own tile, else in a map of it."""
    newest = sorted(advisers.networks, key=lambda card: card.created, reverse=True)
    for card in newest:
        if feature in card.features:
            found = _from_triples(layout, card.name, place, feature)
            found = found or _from_map(layout, card.name, place, feature, advisers.maps)
            if found is not None:
                return found
    return None


def _from_triples(layout: ProjectLayout, run: str, place: Place, feature: str) -> Opinion | None:
    path = layout.network_triples(run)
    try:
        triples = _triples(path, path.stat().st_mtime_ns)
        tile, number = triples.tiles.index(place.id), triples.features.index(feature)
    except (OSError, ProjectError, ValueError):
        return None  # no triples yet, or the tile is none of this run's
    source = "held out" if triples.held_out[tile] else "learned"
    return Opinion(run, feature, source, triples.outputs[tile, number])


@lru_cache(maxsize=2)
def _triples(path: Path, changed: int) -> "Triples":  # noqa: ARG001  # a file that has changed is another one
    from tomoseg_tui.io.triples_file import read_triples  # noqa: PLC0415  # HDF5 would hold up the start

    return read_triples(path)


def _from_map(
    layout: ProjectLayout, run: str, place: Place, feature: str, maps: Sequence[MapSidecar]
) -> Opinion | None:
    for made in maps:
        holds = any(start <= place.z < stop for start, stop in made.slices)
        if (made.run, made.feature) == (run, feature) and holds:
            with open_volume(layout.map_file(made.tomogram, run, feature)) as volume:
                values, _ = cut_slice(volume, place)
            return Opinion(run, feature, "map", np.clip(values.astype(np.float32) / CERTAIN, 0, 1))
    return None


def layers_palette(features: Sequence[str]) -> Palette:
    """Give each feature of the project a colour and a letter, and one to what is ignored."""
    names = {**dict(enumerate(features, start=1)), len(features) + 1: IGNORE}
    return make_palette(names)


def annotated_picture(shown: TilePictures, features: Sequence[str], chosen: Sequence[str], *, overlay: str) -> Picture:
    """Return a tile with its annotation over it.

    Parameters
    ----------
    shown : TilePictures
    features : sequence of str
        All features of the project; their order gives the colours.
    chosen : sequence of str
        Features whose annotation is seen; where several lie on one pixel, the first.
    overlay : str
        ``overlay``, ``outline`` or ``off``.
    """
    if overlay == "off":
        return Picture(shown.here)
    labels = np.zeros(shown.here.shape, np.uint8)
    for feature in reversed([feature for feature in chosen if feature in shown.layers]):
        layer = shown.layers[feature]
        labels[layer == IGNORED] = len(features) + 1
        labels[layer == FEATURE] = features.index(feature) + 1
    return Picture(shown.here, labels, layers_palette(features), outlined=overlay == "outline")


def opinion_picture(opinion: Opinion) -> Picture:
    """Return what a network says: black for no, white for yes."""
    return Picture(np.rint(opinion.probability * 255).astype(np.uint8))
