"""Annotations on disk: one numpy file per tile and feature, and one stroke log per painted tile.

Strokes are written to the tile's stroke log first. The file of a layer has, after its array, the position in the log
up to which it contains the strokes; readers of numpy files ignore it. If the log is longer, a process was killed in
between or is painting now, and `read_layer` adds the missing strokes. A file without a position was written by another
program and is read as it is.
"""

import contextlib
import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from tomoseg_tui.core.annotation import Layer, apply_change, empty_layer
from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.files.atomic import draft_path, remove_drafts, write_atomically
from tomoseg_tui.files.structured import ARRAY_DAMAGE, MalformedError, decode_json
from tomoseg_tui.project import stroke_log
from tomoseg_tui.project.changes import Change
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import LayerSource, StateRecord, encode_record, now, read_states, write_record
from tomoseg_tui.project.stroke_log import LogEntry, LogPosition, StrokeLog, UndoStack

DONE, WANTED, NONE_HERE = "done", "wanted", "none here"
"""Tools that only change a feature's state; with these alone a layer does not count as painted."""
_LAYER_FIX = "Restore it from a backup or the trash; or remove the file, and annotate the tile again."
READ_ATTEMPTS = 5
"""Attempts to read a tile while somebody else paints it."""


def write_layer(path: Path, layer: Layer, position: LogPosition | None) -> None:
    """Replace the file of a layer atomically; `position` is None if the tile has no stroke log."""
    write_atomically(path, _encode_layer(layer, position))


def _encode_layer(layer: Layer, position: LogPosition | None) -> bytes:
    stream = io.BytesIO()
    np.save(stream, layer, allow_pickle=False)
    return stream.getvalue() + (b"" if position is None else msgspec.json.encode(position))


class LayerReplacements:
    """Layers and states of tiles that were not painted here, as a part of a change; old layers go to the trash.

    Earlier strokes of a replaced layer can no longer be undone.
    """

    def __init__(self, layout: ProjectLayout, change: Change, trash_folder: Path) -> None:
        self._layout, self._change, self._trash_folder = layout, change, trash_folder
        self._log_drafts: dict[TileLocation, Path] = {}

    def add(self, location: TileLocation, feature: str, record: StateRecord, layer: Layer | None) -> None:
        """Replace one layer, with None by none, and the state."""
        path, old = self._layout.annotation(location, feature), read_layer(self._layout, location, feature)
        if old is not None and (layer is None or not np.array_equal(old, layer)):
            copy = draft_path(path)  # moved, the new layer would follow the old one if the steps are repeated
            self._change.use_draft(copy, self._trash_folder / path.relative_to(self._layout.root))
            shutil.copy2(path, copy)
        if layer is None:
            self._change.remove(path)
        position = self._log_replacement(location, feature)
        if layer is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._change.draft_for(path).write_bytes(_encode_layer(layer, position))
        self._change.write(self._layout.tile_state(location, feature), encode_record(record))

    def _log_replacement(self, location: TileLocation, feature: str) -> LogPosition | None:
        """Append to a copy of the tile's log, if there is one."""
        log = self._layout.stroke_log(location)
        if location not in self._log_drafts and log.exists():
            self._log_drafts[location] = self._change.draft_for(log)
            shutil.copyfile(log, self._log_drafts[location])
        draft = self._log_drafts.get(location)
        return None if draft is None else stroke_log.append_event(draft, stroke_log.REPLACED, feature)


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """A layer on disk, from its file and the stroke log."""

    layer: Layer
    position: LogPosition | None
    """Position in the log that the file contains; None if another program wrote it, or there is no log."""


def read_layer(layout: ProjectLayout, location: TileLocation, feature: str) -> Layer | None:
    """Return the annotation of one feature on one tile, None if there is none.

    Raises
    ------
    ProjectError
        If the file is damaged.
    """
    stored = read_stored_layer(layout, location, feature)
    return None if stored is None else stored.layer


def read_stored_layer(layout: ProjectLayout, location: TileLocation, feature: str) -> StoredLayer | None:
    """Return the layer as `read_layer` does, with the position that its file contains."""
    path = layout.annotation(location, feature)
    try:
        stream = io.BytesIO(path.read_bytes())
        layer = np.load(stream, allow_pickle=False)
    except FileNotFoundError:
        return None
    except ARRAY_DAMAGE as fault:
        raise ProjectError(f"The annotation {path} is damaged: {fault}.", _LAYER_FIX) from fault
    if layer.shape != (location.size, location.size) or layer.dtype != np.uint8:
        raise ProjectError(
            f"The annotation {path} has shape {layer.shape} and type {layer.dtype}, "
            f"expected {(location.size, location.size)} and uint8.",
            _LAYER_FIX,
        )
    position = _decode_position(stream.read())
    values = np.asarray(layer, np.uint8)
    return StoredLayer(
        values if position is None else _replay_log(values, position, layout.stroke_log(location), feature), position
    )


def _decode_position(text: bytes) -> LogPosition | None:
    try:
        return decode_json(text, LogPosition)
    except MalformedError:
        return None


def _replay_log(layer: Layer, position: LogPosition, log_path: Path, feature: str) -> Layer:
    """Return the layer with the later strokes of the log applied, up to where it was replaced."""
    for entry in stroke_log.entries_since(log_path, position):
        if entry.feature == feature:
            if entry.kind == stroke_log.REPLACED or entry.start != stroke_log.layer_checksum(layer):
                break
            change = entry.change
            if change.pixels.size and change.pixels[-1] >= layer.size:
                break
            layer = apply_change(layer, change)
    return layer


def effective_layer(layout: ProjectLayout, tile: Tile, feature: str) -> Layer | None:
    """Return the layer of a feature: its annotation, all "not feature" for state "none here", None for other states."""
    state = tile.state_of(feature)
    if state is FeatureState.NONE_HERE:
        return np.ones((tile.location.size, tile.location.size), np.uint8)
    return read_layer(layout, tile.location, feature) if state is FeatureState.ANNOTATED else None


@dataclass(frozen=True, eq=False)
class StoredTile:
    """The state of one tile on disk."""

    location: TileLocation
    layers: Mapping[str, Layer]
    """Layer of each requested feature, empty if there is none."""
    positions: Mapping[str, LogPosition | None]
    """Position in the log that the file of each layer contains; features without a file are missing."""
    records: Mapping[str, StateRecord]
    """The tile's state records, ``*`` included."""
    log: StrokeLog | None
    """None if nothing was painted yet."""
    replaced: frozenset[str]
    """Painted features whose layer was later written by another program."""

    @property
    def tile(self) -> Tile:
        """The location with its states."""
        return Tile(self.location, {feature: record.state for feature, record in self.records.items()})

    @property
    def undo_stack(self) -> UndoStack:
        """Changes that can be undone and redone: the strokes on the present layers."""
        entries = () if self.log is None else self.log.entries
        return stroke_log.build_undo_stack(
            [entry for entry in entries if entry.feature in self.layers and entry.feature not in self.replaced]
        )

    def is_unchanged(self, other: "StoredTile") -> bool:
        """Return whether two reads of one tile are equal."""
        same_layers = all(np.array_equal(layer, other.layers[feature]) for feature, layer in self.layers.items())
        same_log = _log_position(self.log) == _log_position(other.log)
        return same_layers and same_log and self.tile.states == other.tile.states


def _log_position(log: StrokeLog | None) -> LogPosition | None:
    return None if log is None else log.position


def load_tile(layout: ProjectLayout, location: TileLocation, features: Sequence[str]) -> StoredTile:
    """Read a tile.

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
    """Return whether a layer's file differs from the last entry of the log for its feature."""
    entries = [entry for entry in log.entries if entry.feature == feature] if log is not None else []
    if log is None or not entries or entries[-1].kind == stroke_log.REPLACED:
        return False
    if stored is None or stored.position is None or stored.position.journal != log.id:
        return True
    return entries[-1].end != stroke_log.layer_checksum(stored.layer)


def remove_tile_drafts(layout: ProjectLayout, location: TileLocation, features: Sequence[str]) -> None:
    """Remove unfinished files of killed processes; the caller holds the tile's lock."""
    path_pairs = [(layout.annotation(location, feature), layout.tile_state(location, feature)) for feature in features]
    remove_drafts(layout.stroke_log(location), *(path for path_pair in path_pairs for path in path_pair))


def write_log_entries(layout: ProjectLayout, stored: StoredTile, entries: Sequence[LogEntry]) -> StoredTile:
    """Write strokes to disk: states, then the log, then the layers.

    Parameters
    ----------
    stored : StoredTile
        The present state on disk. The caller holds the tile's lock.
    entries : sequence of LogEntry
        Strokes, undos and redos, in order.

    Returns
    -------
    StoredTile
        The new state on disk.

    Raises
    ------
    OSError
        If the disk is full or fails; the entries are not in the log then.
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
        # The strokes are in the log, from which readers take them: an outdated layer file is no error.
        with contextlib.suppress(OSError):
            write_layer(layout.annotation(stored.location, feature), layers[feature], log.position)
            positions[feature] = log.position
    return replace(stored, layers=layers, positions=positions, records=records, log=log)


def _ensure_log(layout: ProjectLayout, stored: StoredTile, features: Sequence[str]) -> StoredTile:
    """Return the tile with a log that matches its layers, and with positions in the files of these features.

    Without the positions, a stroke that is only in the log would look like one erased by another program.
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
    """Write the state that a feature has after its entries, and that its layer was painted."""
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
