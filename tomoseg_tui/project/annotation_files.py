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

from tomoseg_tui.core.annotation import Layer, apply_change
from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.files.atomic import write_atomically
from tomoseg_tui.project import stroke_log
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.stroke_log import LogPosition


def write_layer(path: Path, layer: Layer, position: LogPosition | None) -> None:
    """Replace the file of a layer whole.

    Parameters
    ----------
    position : Mark or None
        How far in the tile's journal the layer has come; None where there is no journal.
    """
    stream = io.BytesIO()
    np.save(stream, layer, allow_pickle=False)
    write_atomically(path, stream.getvalue() + (b"" if position is None else msgspec.json.encode(position)))


def replace_layer(layout: ProjectLayout, location: TileLocation, feature: str, layer: Layer | None) -> None:
    """Put a layer from elsewhere in the place of what is there, None for none; what was painted is past undoing.

    The caller holds the tile's claim, and has moved the old file where it wants it.
    """
    position = stroke_log.append_event(layout.stroke_log(location), stroke_log.REPLACED, feature)
    if layer is not None:
        write_layer(layout.annotation(location, feature), layer, position)


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """A layer as it is on disk, journal and file together."""

    layer: Layer
    position: LogPosition | None
    """How far the file itself had come; None if another program wrote it, or no journal was kept."""


def read_layer(layout: ProjectLayout, location: TileLocation, feature: str) -> Layer | None:
    """Return the annotation of one feature on one tile, None where there is none.

    Raises
    ------
    ProjectError
        If the file is damaged.
    """
    stored = read_stored_layer(layout, location, feature)
    return None if stored is None else stored.layer


def read_stored_layer(layout: ProjectLayout, location: TileLocation, feature: str) -> StoredLayer | None:
    """Return what `read_layer` does, and how far the file had come."""
    path = layout.annotation(location, feature)
    try:
        stream = io.BytesIO(path.read_bytes())
        layer = np.load(stream, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as fault:
        raise ProjectError(f"The annotation {path} is damaged: {fault}.", "Restore it from a copy.") from fault
    if layer.shape != (location.size, location.size) or layer.dtype != np.uint8:
        raise ProjectError(
            f"The annotation {path} has shape {layer.shape} and type {layer.dtype}, "
            f"expected {(location.size, location.size)} and uint8.",
            "Restore it from a copy.",
        )
    position = _decode_position(stream.read())
    values = np.asarray(layer, np.uint8)
    return StoredLayer(
        values if position is None else _replay_log(values, position, layout.stroke_log(location), feature), position
    )


def _decode_position(text: bytes) -> LogPosition | None:
    try:
        return msgspec.json.decode(text, type=LogPosition)
    except msgspec.MsgspecError:
        return None


def _replay_log(layer: Layer, position: LogPosition, log_path: Path, feature: str) -> Layer:
    """Return the layer with what the journal says since; up to where it came from elsewhere."""
    for entry in stroke_log.entries_since(log_path, position):
        if entry.feature == feature:
            if entry.kind == stroke_log.REPLACED or entry.start != stroke_log.layer_checksum(layer):
                break
            layer = apply_change(layer, entry.change)
    return layer


def effective_layer(layout: ProjectLayout, tile: Tile, feature: str) -> Layer | None:
    """Return what a tile says of a feature: its annotation; all `not feature` where it holds none; else None."""
    state = tile.state_of(feature)
    if state is FeatureState.NONE_HERE:
        return np.ones((tile.location.size, tile.location.size), np.uint8)
    return read_layer(layout, tile.location, feature) if state is FeatureState.ANNOTATED else None
