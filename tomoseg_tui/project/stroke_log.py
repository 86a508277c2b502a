"""The stroke log of a tile: a file of entries, one per line, that are appended and never removed.

The log is written before the layers (`annotation_files`), so it alone decides which strokes are saved. Each line has a
checksum; a partial last line, of a killed process or a full disk, counts as not written and is cut off before the next
entry. An entry has the changed pixels with their values before and after, and the checksums of the layer before and
after, so that it is applied only to the layer for which it was made. Undo and redo are entries too. Reading needs no
lock; writers hold the tile's lock.
"""

import base64
import contextlib
import os
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import Layer, LayerChange
from tomoseg_tui.core.tiles import FeatureState
from tomoseg_tui.files.atomic import write_atomically
from tomoseg_tui.files.structured import MalformedError, decode_json
from tomoseg_tui.project.records import now

CREATED, STROKE, UNDO, REDO, REPLACED, RENAMED = "journal", "stroke", "undo", "redo", "replaced", "renamed"
"""Kinds of entries: the first one of a log; a stroke; an undo; a redo; a layer replaced by an import or another
program; a feature renamed."""
MAX_PIXELS = 1 << 24
"""No layer has more; what would unpack to more is cut off."""
_LINE_FORMAT = b'{"sum":"%s","line":%s}\n'
_BODY_START, _CHECKSUM = len(b'{"sum":"01234567","line":'), slice(len(b'{"sum":"'), len(b'{"sum":"01234567'))


class LogEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry, without the checksum of its line."""

    kind: str
    feature: str = ""
    tool: str = ""
    at: str = ""
    start: str = ""
    """Checksum of the feature's layer before; see `layer_checksum`."""
    end: str = ""
    """The same after."""
    pixels: str = ""
    """One bit per pixel of the layer, packed and compressed."""
    before: str = ""
    """Values of the changed pixels before, compressed."""
    after: str = ""
    states: tuple[FeatureState | None, FeatureState | None] | None = None
    name: str = ""
    """Id of the log in its first entry; new name of a renamed feature."""

    @property
    def change(self) -> LayerChange:
        """The change of the layer."""
        bits = np.unpackbits(_decompress(self.pixels))
        pixels = np.flatnonzero(bits).astype(np.int64)
        return LayerChange(
            self.feature, self.tool, pixels, _decompress(self.before), _decompress(self.after), self.states
        )


class LogPosition(msgspec.Struct, frozen=True):
    """A position in a stroke log."""

    journal: str
    at: int
    """Bytes from the start of the log."""


def layer_checksum(layer: Layer) -> str:
    """Return the checksum of a layer."""
    return f"{zlib.crc32(np.ascontiguousarray(layer).tobytes()):08x}"


def make_entry(kind: str, change: LayerChange, start: Layer, end: Layer) -> LogEntry:
    """Return the entry for a stroke, an undo or a redo.

    Parameters
    ----------
    kind : str
        STROKE, UNDO or REDO.
    change : LayerChange
        The change of the layer.
    start, end : ndarray of uint8, shape (y, x)
        The layer before and after.
    """
    bits = np.zeros(start.size, np.bool_)
    bits[change.pixels] = True
    return LogEntry(
        kind,
        change.feature,
        change.tool,
        now(),
        layer_checksum(start),
        layer_checksum(end),
        _compress(np.packbits(bits)),
        _compress(change.before),
        _compress(change.after),
        change.states,
    )


def _compress(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 9)).decode("ascii")


def _decompress(text: str) -> NDArray[np.uint8]:
    values = zlib.decompressobj().decompress(base64.b64decode(text), MAX_PIXELS)
    return np.frombuffer(values, np.uint8)


def _encode_entry(entry: LogEntry) -> bytes:
    body = msgspec.json.encode(entry)
    return _LINE_FORMAT % (f"{zlib.crc32(body):08x}".encode("ascii"), body)


def _decode_entry(data: bytes) -> LogEntry | None:
    """Return the entry of a line, None if the line is damaged or incomplete."""
    body = data[_BODY_START:-2]
    if data[-2:] == b"}\n" and data[_CHECKSUM] == f"{zlib.crc32(body):08x}".encode("ascii"):
        with contextlib.suppress(MalformedError, ValueError, zlib.error):
            entry = decode_json(body, LogEntry)
            if entry.kind in {STROKE, UNDO, REDO}:
                change = entry.change
                if not len(change.pixels) == len(change.before) == len(change.after):
                    return None
            return entry
    return None


@dataclass(frozen=True, eq=False)
class StrokeLog:
    """The contents of a stroke log."""

    id: str
    """Random id; distinguishes a log from one that replaces it."""
    entries: tuple[LogEntry, ...]
    """Without the first; features have their present names."""
    end: int
    """Bytes up to the end of the last complete line."""

    @property
    def position(self) -> LogPosition:
        """Position after all entries."""
        return LogPosition(self.id, self.end)


def read_stroke_log(path: Path) -> StrokeLog | None:
    """Return a stroke log, None if there is none or its first line is damaged.

    Damaged lines are skipped: the checksums prevent that later entries are applied to a wrong layer.
    """
    with contextlib.suppress(FileNotFoundError):
        content = path.read_bytes()
        first, *later_lines = content.splitlines(keepends=True) or [b""]
        log_id = _log_id(first)
        if log_id is not None:
            decoded = [(len(data), _decode_entry(data)) for data in later_lines]
            torn_bytes = 0
            while decoded and decoded[-1][1] is None:
                torn_bytes += decoded.pop()[0]
            entries = [entry for _, entry in decoded if entry is not None]
            return StrokeLog(log_id, _with_current_names(entries), len(content) - torn_bytes)
    return None


def entries_since(path: Path, position: LogPosition) -> tuple[LogEntry, ...]:
    """Return the entries after a position; none if it belongs to another log."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
        if os.fstat(stream.fileno()).st_size > position.at and _log_id(stream.readline()) == position.journal:
            stream.seek(position.at)
            return _with_current_names([entry for entry in map(_decode_entry, stream) if entry is not None])
    return ()


def _log_id(first: bytes) -> str | None:
    """Return the id of a log from its first line."""
    entry = _decode_entry(first)
    return entry.name if entry is not None and entry.kind == CREATED else None


def _with_current_names(entries: Sequence[LogEntry]) -> tuple[LogEntry, ...]:
    """Return the entries with the features' present names."""
    renamed: list[LogEntry] = []
    for entry in entries:
        if entry.kind == RENAMED:
            renamed = [
                msgspec.structs.replace(earlier, feature=entry.name) if earlier.feature == entry.feature else earlier
                for earlier in renamed
            ]
        else:
            renamed.append(entry)
    return tuple(renamed)


def create_stroke_log(path: Path) -> StrokeLog:
    """Create an empty log; an existing unusable one is renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.replace(path.with_name(f"damaged_{path.name}"))
    first = _encode_entry(LogEntry(CREATED, at=now(), name=secrets.token_hex(8)))
    write_atomically(path, first)
    return StrokeLog(str(_log_id(first)), (), len(first))


def append_entries(path: Path, end: int, entries: Sequence[LogEntry]) -> int:
    """Append entries and wait until they are on disk. The caller holds the tile's lock.

    Parameters
    ----------
    end : int
        Bytes up to the end of its last complete line; the rest is cut off.

    Returns
    -------
    int
        The new end of the log, bytes.

    Raises
    ------
    OSError
        If the disk is full or fails; nothing is appended then.
    """
    data = b"".join(map(_encode_entry, entries))
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, end)
        try:
            _write_all(descriptor, data, end)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)
    return end + len(data)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    bytes_written = 0
    while bytes_written < len(data):
        bytes_written += os.pwrite(descriptor, data[bytes_written:], offset + bytes_written)


def append_event(path: Path, kind: str, feature: str, name: str = "") -> LogPosition | None:
    """Append an entry of kind REPLACED or RENAMED if there is a log; return its end."""
    log = read_stroke_log(path)
    if log is None:
        return None
    return LogPosition(log.id, append_entries(path, log.end, [LogEntry(kind, feature, at=now(), name=name)]))


@dataclass(frozen=True)
class UndoStack:
    """Changes that can be undone and redone; the next one is last."""

    done: tuple[LayerChange, ...] = ()
    undone: tuple[LayerChange, ...] = ()

    def after(self, kind: str, change: LayerChange) -> "UndoStack":
        """Return the stack after a stroke, an undo or a redo with its change."""
        if kind == UNDO:
            return UndoStack(_without_last(self.done, change.feature), (*self.undone, change.inverse))
        if kind == REDO:
            return UndoStack((*self.done, change), _without_last(self.undone, change.feature))
        return UndoStack((*self.done, change), ())

    def without(self, feature: str) -> "UndoStack":
        """Return the stack without a feature, whose layer was replaced."""
        done = tuple(change for change in self.done if change.feature != feature)
        return UndoStack(done, tuple(change for change in self.undone if change.feature != feature))


def _without_last(changes: tuple[LayerChange, ...], feature: str) -> tuple[LayerChange, ...]:
    indices = (index for index in reversed(range(len(changes))) if changes[index].feature == feature)
    last = next(indices, len(changes))
    return (*changes[:last], *changes[last + 1 :])


def build_undo_stack(entries: Sequence[LogEntry]) -> UndoStack:
    """Return the undo stack after these entries."""
    undo_stack = UndoStack()
    for entry in entries:
        undo_stack = (
            undo_stack.without(entry.feature) if entry.kind == REPLACED else undo_stack.after(entry.kind, entry.change)
        )
    return undo_stack
