"""What is annotated on tiles, on disk: for each tile and feature a numpy file, for each painted tile a stroke log.

Strokes are in the log first. Behind its array a layer's file says how far in the log it has come, which readers of
numpy files skip. If the log has gone on, a process was killed between the two or paints right now, and `read_layer`
adds what is missing. A file without such a position was written by another program: it counts as it is.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from tomoseg_tui.core.annotation import Layer, apply_change, empty_layer
from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.files.atomic import remove_drafts, write_atomically
from tomoseg_tui.project import stroke_log
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import LayerSource, StateRecord, now, read_states, write_record
from tomoseg_tui.project.stroke_log import LogEntry, LogPosition, StrokeLog, UndoStack

DONE, WANTED, NONE_HERE = "done", "wanted", "none here"
"""Tools that give a feature another state; a layer that only these have changed does not count as painted."""
READ_ATTEMPTS = 5
"""How often a tile is read again that somebody paints meanwhile."""


def write_layer(path: Path, layer: Layer, position: LogPosition | None) -> None:
    """Replace the file of a layer.

    Parameters
    ----------
    position : LogPosition or None
        How far in the tile's log the layer has come; None where there is no log.
    """
    stream = io.BytesIO()
    np.save(stream, layer, allow_pickle=False)
    write_atomically(path, stream.getvalue() + (b"" if position is None else msgspec.json.encode(position)))


def replace_layer(layout: ProjectLayout, location: TileLocation, feature: str, layer: Layer | None) -> None:
    """Put a layer from elsewhere in the place of what is there, None for none; earlier strokes cannot be undone then.

    The caller holds the tile's claim, and has moved the old file where it wants it.
    """
    position = stroke_log.append_event(layout.stroke_log(location), stroke_log.REPLACED, feature)
    if layer is not None:
        write_layer(layout.annotation(location, feature), layer, position)


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """A layer as it is on disk, log and file together."""

    layer: Layer
    position: LogPosition | None
    """How far the file itself had come; None if another program wrote it, or there is no log."""


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
    """Return the layer with what the log says since; up to where it came from elsewhere."""
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


@dataclass(frozen=True, eq=False)
class StoredTile:
    """What the disk holds of one tile."""

    location: TileLocation
    layers: Mapping[str, Layer]
    """Of each feature asked for, empty where there is none."""
    positions: Mapping[str, LogPosition | None]
    """How far in the log the file of each layer has come; features without a file are missing."""
    records: Mapping[str, StateRecord]
    """States of its own, ``*`` among them."""
    log: StrokeLog | None
    """None as long as nothing was painted."""
    replaced: frozenset[str]
    """Features that were painted and whose layer another program has written since."""

    @property
    def tile(self) -> Tile:
        """The place and its states."""
        return Tile(self.location, {feature: record.state for feature, record in self.records.items()})

    @property
    def undo_stack(self) -> UndoStack:
        """What can be undone and redone: strokes on the layers as they are."""
        entries = () if self.log is None else self.log.entries
        return stroke_log.build_undo_stack(
            [entry for entry in entries if entry.feature in self.layers and entry.feature not in self.replaced]
        )

    def is_unchanged(self, other: "StoredTile") -> bool:
        """Tell whether nothing has changed between two reads of one tile."""
        same_layers = all(np.array_equal(layer, other.layers[feature]) for feature, layer in self.layers.items())
        same_log = _log_position(self.log) == _log_position(other.log)
        return same_layers and same_log and self.tile.states == other.tile.states


def _log_position(log: StrokeLog | None) -> LogPosition | None:
    return None if log is None else log.position


def load_tile(layout: ProjectLayout, location: TileLocation, features: Sequence[str]) -> StoredTile:
    """Return what the disk holds of a tile.

    Raises
    ------
    ProjectError
        If a layer is damaged.
    """
    for _ in range(READ_ATTEMPTS):
        length = _file_length(layout.stroke_log(location))
        log = stroke_log.read_stroke_log(layout.stroke_log(location))
        stored_layers = {feature: read_stored_layer(layout, location, feature) for feature in features}
        if length == _file_length(layout.stroke_log(location)):
            break
    return StoredTile(
        location,
        {
            feature: empty_layer(location.size) if stored is None else stored.layer
            for feature, stored in stored_layers.items()
        },
        {feature: stored.position for feature, stored in stored_layers.items() if stored is not None},
        read_states(layout, location),
        log,
        frozenset(feature for feature in features if _was_replaced(feature, stored_layers[feature], log)),
    )


def _file_length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _was_replaced(feature: str, stored: StoredLayer | None, log: StrokeLog | None) -> bool:
    """Tell whether a layer's file holds something else than the last entry of the log says."""
    entries = [entry for entry in log.entries if entry.feature == feature] if log is not None else []
    if log is None or not entries or entries[-1].kind == stroke_log.REPLACED:
        return False
    if stored is None or stored.position is None or stored.position.journal != log.id:
        return True
    return entries[-1].end != stroke_log.layer_checksum(stored.layer)


def remove_tile_drafts(layout: ProjectLayout, location: TileLocation, features: Sequence[str]) -> None:
    """Remove what a killed process has left unfinished; the caller holds the tile's claim."""
    path_pairs = [(layout.annotation(location, feature), layout.tile_state(location, feature)) for feature in features]
    remove_drafts(layout.stroke_log(location), *(path for path_pair in path_pairs for path in path_pair))


def write_log_entries(layout: ProjectLayout, stored: StoredTile, entries: Sequence[LogEntry]) -> StoredTile:
    """Write what was painted: states, then the log, then the layers; return what the disk holds then.

    The caller holds the tile's claim, and `stored` is as the disk is.

    Parameters
    ----------
    stored : StoredTile
        The tile before.
    entries : sequence of LogEntry
        Strokes, undos and redos, in their order.

    Raises
    ------
    OSError
        If the disk is full or the like; the log is as it was then.
    """
    features = list(dict.fromkeys(entry.feature for entry in entries))
    stored = _ensure_log(layout, stored, features)
    records = dict(stored.records)
    for feature in features:
        _write_state(layout, stored.location, records, [entry for entry in entries if entry.feature == feature])
    log = stored.log or stroke_log.create_stroke_log(layout.stroke_log(stored.location))
    end = stroke_log.append_entries(layout.stroke_log(stored.location), log.end, entries)
    log = replace(log, entries=(*log.entries, *entries), end=end)
    layers, positions = dict(stored.layers), dict(stored.positions)
    for entry in entries:
        layers[entry.feature] = apply_change(layers[entry.feature], entry.change)
    for feature in features:
        # The strokes are in the log already, and whoever reads sees them: a file that lags behind is no fault.
        with contextlib.suppress(OSError):
            write_layer(layout.annotation(stored.location, feature), layers[feature], log.position)
            positions[feature] = log.position
    return replace(stored, layers=layers, positions=positions, records=records, log=log)


def _ensure_log(layout: ProjectLayout, stored: StoredTile, features: Sequence[str]) -> StoredTile:
    """Return the tile with a log that fits its layers, and files of the features that say how far they have come.

    Otherwise a stroke that is only in the log could not be told from one that another program has wiped.
    """
    path, log = layout.stroke_log(stored.location), stored.log
    log_positions = [position for position in stored.positions.values() if position is not None]
    if log is None or any(position.journal == log.id and position.at > log.end for position in log_positions):
        log, features = stroke_log.create_stroke_log(path), [*features, *stored.positions]
    replaced = [feature for feature in features if feature in stored.replaced]
    if replaced:
        end = stroke_log.append_entries(
            path, log.end, [LogEntry(stroke_log.REPLACED, feature, at=now()) for feature in replaced]
        )
        log = replace(log, end=end)
    positions = dict(stored.positions)
    for feature in features:
        position = positions.get(feature)
        if position is None or position.journal != log.id or feature in replaced:
            write_layer(layout.annotation(stored.location, feature), stored.layers[feature], log.position)
            positions[feature] = log.position
    return replace(stored, positions=positions, log=log, replaced=stored.replaced - set(replaced))


def _write_state(
    layout: ProjectLayout, location: TileLocation, records: dict[str, StateRecord], entries: Sequence[LogEntry]
) -> None:
    """Write the state that a feature has after some entries of its own, and that its layer is painted."""
    feature = entries[0].feature
    previous = records.get(feature)
    state: FeatureState | None = previous.state if previous is not None else None
    for entry in entries:
        state = entry.states[1] if entry.states is not None else state
    if state is None:
        layout.tile_state(location, feature).unlink(missing_ok=True)
        records.pop(feature, None)
        return
    record = StateRecord(state, now(), _layer_source(state, previous, entries))
    if previous is None or (record.state, record.layer) != (previous.state, previous.layer):
        layout.tile_folder(location).mkdir(parents=True, exist_ok=True)
        write_record(layout.tile_state(location, feature), record)
        records[feature] = record


def _layer_source(state: FeatureState, previous: StateRecord | None, entries: Sequence[LogEntry]) -> LayerSource | None:
    if state is FeatureState.NONE_HERE:
        return None
    previous_source = previous.layer if previous is not None else None
    is_painted = any(entry.tool not in {DONE, WANTED, NONE_HERE} for entry in entries)
    if previous_source is not None and (previous_source.kind == "painted" or not is_painted):
        return previous_source
    return LayerSource("painted", None, now())
