"""What was painted on a tile, stroke by stroke: a file of lines that is only appended to.

It is written before the layers (`annotation_files`), so that it alone decides what was saved. Each line has a
checksum; half a last line, of a process that was killed or a disk that was full, counts as not written, and is cut off
before the next one. A line holds the pixels that change with their values before and after, and the checksums of the
layer before and after: it is applied to the layer that it was made for, or not at all. Undo and redo are lines too. No
lock is needed to read; whoever writes holds the tile's claim.
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
from tomoseg_tui.project.records import now

CREATED, STROKE, UNDO, REDO, REPLACED, RENAMED = "journal", "stroke", "undo", "redo", "replaced", "renamed"
"""Kinds of lines: the first one of a file; a stroke; one taken back; done again; a layer came from elsewhere; a
feature got another name."""
_LINE_FORMAT = b'{"sum":"%s","line":%s}\n'
_BODY_START, _CHECKSUM = len(b'{"sum":"01234567","line":'), slice(len(b'{"sum":"'), len(b'{"sum":"01234567'))


class LogEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line, without its checksum."""

    kind: str
    feature: str = ""
    tool: str = ""
    at: str = ""
    start: str = ""
    """Checksum of the feature's layer before; `layer_checksum`."""
    end: str = ""
    """The same afterwards."""
    pixels: str = ""
    """Bits, one a pixel, packed and squeezed."""
    before: str = ""
    """Values before of the pixels that change, squeezed."""
    after: str = ""
    states: tuple[FeatureState | None, FeatureState | None] | None = None
    name: str = ""
    """Of the log for its first line, the new one of a feature that is renamed."""

    @property
    def change(self) -> LayerChange:
        """What the line does to its layer."""
        bits = np.unpackbits(_decompress(self.pixels))
        pixels = np.flatnonzero(bits).astype(np.int64)
        return LayerChange(
            self.feature, self.tool, pixels, _decompress(self.before), _decompress(self.after), self.states
        )


class LogPosition(msgspec.Struct, frozen=True):
    """How far in which log a layer's file has come."""

    journal: str
    at: int
    """Bytes of the log that the layer contains."""


def layer_checksum(layer: Layer) -> str:
    """Return the checksum of a layer."""
    return f"{zlib.crc32(np.ascontiguousarray(layer).tobytes()):08x}"


def make_entry(kind: str, change: LayerChange, start: Layer, end: Layer) -> LogEntry:
    """Return the line that says what a stroke, an undo or a redo did.

    Parameters
    ----------
    kind : str
        STROKE, UNDO or REDO.
    change : LayerChange
        What it does to the layer.
    start, end : Layer
        Before and afterwards.
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
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)


def _encode_entry(entry: LogEntry) -> bytes:
    body = msgspec.json.encode(entry)
    return _LINE_FORMAT % (f"{zlib.crc32(body):08x}".encode("ascii"), body)


def _decode_entry(data: bytes) -> LogEntry | None:
    """Return a line, None if it is not whole."""
    body = data[_BODY_START:-2]
    if data[-2:] == b"}\n" and data[_CHECKSUM] == f"{zlib.crc32(body):08x}".encode("ascii"):
        with contextlib.suppress(msgspec.MsgspecError):
            return msgspec.json.decode(body, type=LogEntry)
    return None


@dataclass(frozen=True, eq=False)
class StrokeLog:
    """A log as it was read."""

    id: str
    """Random; tells a log from another that takes its place."""
    entries: tuple[LogEntry, ...]
    """Without the first; features by the names that they have now."""
    end: int
    """Bytes up to which it is whole."""

    @property
    def position(self) -> LogPosition:
        """What the file of a layer says that contains all lines."""
        return LogPosition(self.id, self.end)


def read_stroke_log(path: Path) -> StrokeLog | None:
    """Return a log, None if there is none or its first line is damaged.

    Damaged lines are passed over: those that follow apply to other layers, or not at all.
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
    """Return what was written after a position; nothing if that is of another log."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
        if os.fstat(stream.fileno()).st_size > position.at and _log_id(stream.readline()) == position.journal:
            stream.seek(position.at)
            return _with_current_names([entry for entry in map(_decode_entry, stream) if entry is not None])
    return ()


def _log_id(first: bytes) -> str | None:
    """Return the name of a log from its first line."""
    entry = _decode_entry(first)
    return entry.name if entry is not None and entry.kind == CREATED else None


def _with_current_names(entries: Sequence[LogEntry]) -> tuple[LogEntry, ...]:
    """Return the lines with features by the names that the last line knows."""
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
    """Start an empty log; one that is there and is of no use any more gets another name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.replace(path.with_name(f"damaged_{path.name}"))
    first = _encode_entry(LogEntry(CREATED, at=now(), name=secrets.token_hex(8)))
    write_atomically(path, first)
    return StrokeLog(str(_log_id(first)), (), len(first))


def append_entries(path: Path, end: int, entries: Sequence[LogEntry]) -> int:
    """Append lines, on disk when this returns; return where the log ends now. The caller holds the tile's claim.

    Parameters
    ----------
    path : Path
        Of a log that was started.
    end : int
        Bytes up to which it is whole; the rest is cut off.

    Raises
    ------
    OSError
        If the disk is full or the like; the log is as it was then.
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
    """Append that a layer was REPLACED or a feature RENAMED, if there is a log; return its end."""
    log = read_stroke_log(path)
    if log is None:
        return None
    return LogPosition(log.id, append_entries(path, log.end, [LogEntry(kind, feature, at=now(), name=name)]))


@dataclass(frozen=True)
class UndoStack:
    """What can be undone and redone; the last one is the first to be."""

    done: tuple[LayerChange, ...] = ()
    undone: tuple[LayerChange, ...] = ()

    def after(self, kind: str, change: LayerChange) -> "UndoStack":
        """Return the history after a stroke, an undo or a redo; `change` is what it did."""
        if kind == UNDO:
            return UndoStack(_without_last(self.done, change.feature), (*self.undone, change.inverse))
        if kind == REDO:
            return UndoStack((*self.done, change), _without_last(self.undone, change.feature))
        return UndoStack((*self.done, change), ())

    def without(self, feature: str) -> "UndoStack":
        """Return the history without a feature, whose layer came from elsewhere."""
        done = tuple(change for change in self.done if change.feature != feature)
        return UndoStack(done, tuple(change for change in self.undone if change.feature != feature))


def _without_last(changes: tuple[LayerChange, ...], feature: str) -> tuple[LayerChange, ...]:
    indices = (index for index in reversed(range(len(changes))) if changes[index].feature == feature)
    last = next(indices, len(changes))
    return (*changes[:last], *changes[last + 1 :])


def build_undo_stack(entries: Sequence[LogEntry]) -> UndoStack:
    """Return what a log's lines leave to be undone and redone."""
    undo_stack = UndoStack()
    for entry in entries:
        undo_stack = (
            undo_stack.without(entry.feature) if entry.kind == REPLACED else undo_stack.after(entry.kind, entry.change)
        )
    return undo_stack
