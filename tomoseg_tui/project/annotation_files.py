"""Annotations on disk, a numpy file a tile and feature. Apart from the catalog: a screen reads that before numpy.

What was painted stands in the tile's journal first. Behind its array the file of a layer says how far in the journal
it has come, which readers of numpy files pass over; where the journal has gone on, a process was killed between the
two or paints right now, and `read_layer` adds what is missing. A file without that mark was written by another
program: it counts as it is.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import Layer, applied
from tomoseg_tui.core.tiles import FeatureState, Place, Tile
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.files.atomic import drafted, write_whole
from tomoseg_tui.project import stroke_log
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.stroke_log import Mark


def write_array(path: Path, values: NDArray[np.generic]) -> None:
    """Replace a numpy file whole."""
    with drafted(path) as draft, draft.open("wb") as stream:
        np.save(stream, values, allow_pickle=False)


def write_layer(path: Path, layer: Layer, mark: Mark | None) -> None:
    """Replace the file of a layer whole.

    Parameters
    ----------
    path : Path
    layer : Layer
    mark : Mark or None
        How far in the tile's journal the layer has come; None where there is no journal.
    """
    stream = io.BytesIO()
    np.save(stream, layer, allow_pickle=False)
    write_whole(path, stream.getvalue() + (b"" if mark is None else msgspec.json.encode(mark)))


def replace_layer(layout: ProjectLayout, place: Place, feature: str, layer: Layer | None) -> None:
    """Put a layer from elsewhere in the place of what is there, None for none; what was painted is past undoing.

    The caller holds the tile's claim, and has moved the old file where it wants it.
    """
    mark = stroke_log.note(layout.strokes(place), stroke_log.REPLACED, feature)
    if layer is not None:
        write_layer(layout.annotation(place, feature), layer, mark)


@dataclass(frozen=True, eq=False)
class KeptLayer:
    """A layer as it is on disk, journal and file together."""

    layer: Layer
    mark: Mark | None
    """How far the file itself had come; None if another program wrote it, or no journal was kept."""


def read_layer(layout: ProjectLayout, place: Place, feature: str) -> Layer | None:
    """Return the annotation of one feature on one tile, None where there is none.

    Raises
    ------
    ProjectError
        If the file is damaged.
    """
    kept = read_kept_layer(layout, place, feature)
    return None if kept is None else kept.layer


def read_kept_layer(layout: ProjectLayout, place: Place, feature: str) -> KeptLayer | None:
    """Return what `read_layer` does, and how far the file had come."""
    path = layout.annotation(place, feature)
    try:
        stream = io.BytesIO(path.read_bytes())
        layer = np.load(stream, allow_pickle=False)
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
    mark = _mark(stream.read())
    values = np.asarray(layer, np.uint8)
    return KeptLayer(values if mark is None else _caught_up(values, mark, layout.strokes(place), feature), mark)


def _mark(text: bytes) -> Mark | None:
    try:
        return msgspec.json.decode(text, type=Mark)
    except msgspec.MsgspecError:
        return None


def _caught_up(layer: Layer, mark: Mark, strokes: Path, feature: str) -> Layer:
    """Return the layer with what the journal says since; up to where it came from elsewhere."""
    for line in stroke_log.lines_since(strokes, mark):
        if line.feature == feature:
            if line.kind == stroke_log.REPLACED or line.start != stroke_log.layer_sum(layer):
                break
            layer = applied(layer, line.change)
    return layer


def effective_layer(layout: ProjectLayout, tile: Tile, feature: str) -> Layer | None:
    """Return what a tile says of a feature: its annotation; all `not feature` where it holds none; else None."""
    state = tile.state_of(feature)
    if state is FeatureState.NONE_HERE:
        return np.ones((tile.place.size, tile.place.size), np.uint8)
    return read_layer(layout, tile.place, feature) if state is FeatureState.ANNOTATED else None
