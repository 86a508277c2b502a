"""What was painted on a tile, stroke by stroke: a file to which lines are appended, and from which nothing is taken.

It is written before the layers are (`layers`), so that it alone decides what was kept. Each line carries a checksum;
half a last line, of a process that was killed or a disk that was full, counts as not written, and is cut off before
the next one. A line holds the pixels that change with their values before and after, and the checksums of the layer
before and after: whoever reads applies it to the layer that it was made for, or not at all. Undo and redo are lines
too. No lock is needed to read; whoever writes holds the tile's claim.
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

from tomoseg_tui.core.annotation import Change, Layer
from tomoseg_tui.core.tiles import FeatureState
from tomoseg_tui.files.atomic import write_whole
from tomoseg_tui.project.records import now

BEGUN, STROKE, UNDO, REDO, REPLACED, RENAMED = "journal", "stroke", "undo", "redo", "replaced", "renamed"
"""Kinds of lines: the first one of a file; a stroke; one taken back; done again; a layer came from elsewhere; a
feature got another name."""
_LINE = b'{"sum":"%s","line":%s}\n'
_BODY_FROM, _SUM = len(b'{"sum":"01234567","line":'), slice(len(b'{"sum":"'), len(b'{"sum":"01234567'))


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line, without its checksum."""

    kind: str
    feature: str = ""
    tool: str = ""
    at: str = ""
    start: str = ""
    """Checksum of the feature's layer before; `layer_sum`."""
    end: str = ""
    """The same afterwards."""
    pixels: str = ""
    """Bits, one a pixel, packed and squeezed."""
    before: str = ""
    """Values before of the pixels that change, squeezed."""
    after: str = ""
    states: tuple[FeatureState | None, FeatureState | None] | None = None
    name: str = ""
    """Of the journal for its first line, the new one of a feature that is renamed."""

    @property
    def change(self) -> Change:
        """What the line does to its layer."""
        bits = np.unpackbits(_loosened(self.pixels))
        pixels = np.flatnonzero(bits).astype(np.int64)
        return Change(self.feature, self.tool, pixels, _loosened(self.before), _loosened(self.after), self.states)


class Mark(msgspec.Struct, frozen=True):
    """How far in which journal a layer's file has come."""

    journal: str
    at: int
    """Bytes of the journal that the layer contains."""


def layer_sum(layer: Layer) -> str:
    """Return the checksum of a layer."""
    return f"{zlib.crc32(np.ascontiguousarray(layer).tobytes()):08x}"


def line_of(kind: str, change: Change, start: Layer, end: Layer) -> Line:
    """Return the line that says what a stroke, an undo or a redo did.

    Parameters
    ----------
    kind : str
        STROKE, UNDO or REDO.
    change : Change
        What it does to the layer.
    start, end : Layer
        Before and afterwards.
    """
    bits = np.zeros(start.size, np.bool_)
    bits[change.pixels] = True
    return Line(
        kind,
        change.feature,
        change.tool,
        now(),
        layer_sum(start),
        layer_sum(end),
        _squeezed(np.packbits(bits)),
        _squeezed(change.before),
        _squeezed(change.after),
        change.states,
    )


def _squeezed(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 9)).decode("ascii")


def _loosened(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)


def _encoded(line: Line) -> bytes:
    body = msgspec.json.encode(line)
    return _LINE % (f"{zlib.crc32(body):08x}".encode("ascii"), body)


def _decoded(text: bytes) -> Line | None:
    """Return a line, None if it is not whole."""
    body = text[_BODY_FROM:-2]
    if text[-2:] == b"}\n" and text[_SUM] == f"{zlib.crc32(body):08x}".encode("ascii"):
        with contextlib.suppress(msgspec.MsgspecError):
            return msgspec.json.decode(body, type=Line)
    return None


@dataclass(frozen=True, eq=False)
class Journal:
    """A journal as it was read."""

    id: str
    """Made by chance; tells a journal from another that takes its place."""
    lines: tuple[Line, ...]
    """Without the first; features by the names that they have now."""
    end: int
    """Bytes up to which it is whole."""

    @property
    def mark(self) -> Mark:
        """What the file of a layer says that contains all lines."""
        return Mark(self.id, self.end)


def read_journal(path: Path) -> Journal | None:
    """Return a journal, None if there is none or its first line is damaged.

    Damaged lines are passed over: those that follow apply to other layers, or not at all.
    """
    with contextlib.suppress(FileNotFoundError):
        content = path.read_bytes()
        first, *others = content.splitlines(keepends=True) or [b""]
        begun = _begun(first)
        if begun is not None:
            decoded = [(len(text), _decoded(text)) for text in others]
            torn = 0
            while decoded and decoded[-1][1] is None:
                torn += decoded.pop()[0]
            lines = [line for _, line in decoded if line is not None]
            return Journal(begun, _by_newest_names(lines), len(content) - torn)
    return None


def lines_since(path: Path, mark: Mark) -> tuple[Line, ...]:
    """Return what was written after a mark; nothing if that is of another journal."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
        if os.fstat(stream.fileno()).st_size > mark.at and _begun(stream.readline()) == mark.journal:
            stream.seek(mark.at)
            return _by_newest_names([line for line in map(_decoded, stream) if line is not None])
    return ()


def _begun(first: bytes) -> str | None:
    """Return the name of a journal from its first line."""
    line = _decoded(first)
    return line.name if line is not None and line.kind == BEGUN else None


def _by_newest_names(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return the lines with features by the names that the last line knows."""
    named: list[Line] = []
    for line in lines:
        if line.kind == RENAMED:
            named = [
                msgspec.structs.replace(earlier, feature=line.name) if earlier.feature == line.feature else earlier
                for earlier in named
            ]
        else:
            named.append(line)
    return tuple(named)


def begin_journal(path: Path) -> Journal:
    """Begin an empty journal; one that stands there and is of no use any more is put aside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.replace(path.with_name(f"damaged_{path.name}"))
    first = _encoded(Line(BEGUN, at=now(), name=secrets.token_hex(8)))
    write_whole(path, first)
    return Journal(str(_begun(first)), (), len(first))


def append_lines(path: Path, end: int, lines: Sequence[Line]) -> int:
    """Append lines, on disk when this returns; return where the journal ends now. The caller holds the tile's claim.

    Parameters
    ----------
    path : Path
        Of a journal that was begun.
    end : int
        Bytes up to which it is whole; what stands behind is cut off.
    lines : sequence of Line

    Raises
    ------
    OSError
        If the disk is full or the like; the journal is as it was then.
    """
    text = b"".join(map(_encoded, lines))
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, end)
        try:
            _write_all(descriptor, text, end)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)
    return end + len(text)


def _write_all(descriptor: int, text: bytes, at: int) -> None:
    done = 0
    while done < len(text):
        done += os.pwrite(descriptor, text[done:], at + done)


def note(path: Path, kind: str, feature: str, name: str = "") -> Mark | None:
    """Append that a layer was REPLACED or a feature RENAMED, where there is a journal; return its end."""
    journal = read_journal(path)
    if journal is None:
        return None
    return Mark(journal.id, append_lines(path, journal.end, [Line(kind, feature, at=now(), name=name)]))


@dataclass(frozen=True)
class History:
    """What can be taken back, and what can be done again; the last one first to be."""

    done: tuple[Change, ...] = ()
    undone: tuple[Change, ...] = ()

    def after(self, kind: str, change: Change) -> "History":
        """Return the history after a stroke, an undo or a redo; `change` is what it did."""
        if kind == UNDO:
            return History(_without_last(self.done, change.feature), (*self.undone, change.reverse))
        if kind == REDO:
            return History((*self.done, change), _without_last(self.undone, change.feature))
        return History((*self.done, change), ())

    def without(self, feature: str) -> "History":
        """Return the history without a feature, whose layer came from elsewhere."""
        done = tuple(change for change in self.done if change.feature != feature)
        return History(done, tuple(change for change in self.undone if change.feature != feature))


def _without_last(changes: tuple[Change, ...], feature: str) -> tuple[Change, ...]:
    numbers = (number for number in reversed(range(len(changes))) if changes[number].feature == feature)
    last = next(numbers, len(changes))
    return (*changes[:last], *changes[last + 1 :])


def history_of(lines: Sequence[Line]) -> History:
    """Return what a journal's lines leave to be taken back and done again."""
    history = History()
    for line in lines:
        history = history.without(line.feature) if line.kind == REPLACED else history.after(line.kind, line.change)
    return history
