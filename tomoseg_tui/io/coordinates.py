"""Read tables of tile positions from text. Leaves checks of the positions to others."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Literal

from tomoseg_tui.errors import ProjectError, TomogramError
from tomoseg_tui.files.text import printable

REQUIRED_COLUMNS = ("tomogram", "x", "y", "z", "feature", "kind")
OPTIONAL_COLUMNS = ("size",)
_WHOLE_NUMBER = re.compile(r"([+-]?[0-9]{1,9})([.,]0*)?")
"""12, -3, 12. and 12.0 or 12,0, as spreadsheets write them; anything else, such as half voxels, is rejected."""
_DELIMITERS = ",;\t| "
"""What may separate columns; of several in the header the first of these does."""
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class TileRow:
    """One row of a table of tiles."""

    line: int
    """Line of the file, counted from 1, for later messages."""
    tomogram: str
    """Name of the tomogram."""
    x: int
    """Centre of the tile along x, voxels from the corner."""
    y: int
    """Centre of the tile along y, voxels from the corner."""
    z: int
    """Slice of the tile, counted from 0."""
    feature: str
    """Name of the feature; with kind negative, * stands for all features."""
    kind: Literal["positive", "negative"]
    """Whether the tile contains the feature."""
    size: int | None
    """Edge of the tile, voxels; None if the table has none."""


def read_tile_rows(path: Path) -> list[TileRow]:
    """Read tiles from a CSV file with a header.

    Parameters
    ----------
    path : Path
        UTF-8 text, or UTF-16 with a byte-order mark. Columns tomogram, x, y, z, feature, kind and optionally size, in
        any order, separated by commas, semicolons, tabs, bars or spaces. Empty lines, lines that begin with #, empty
        columns at the end and spaces around values are ignored.

    Returns
    -------
    list of TileRow
        In the order of the file.

    Raises
    ------
    ProjectError
        If the file cannot be read or a value is invalid; the message names file, line and column.
    """
    lines = _read_lines(path)
    header = next(lines, None)
    if header is None:
        raise ProjectError(f"{path.name} is empty.", _HEADER_FIX)
    columns = _check_columns(f"{path.name}, line {header[0]}", header[1])
    return [_parse_row(path, line, columns, values) for line, values in lines]


_HEADER_FIX = f"Begin it with the line: {','.join(REQUIRED_COLUMNS)}"


def _read_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield lines that are neither empty nor comments as (line number, stripped values)."""
    text = _read_text(path)
    reader = csv.reader(StringIO(text, newline=""), delimiter=_find_delimiter(text), skipinitialspace=True, strict=True)
    try:
        for values in reader:
            stripped = [value.strip() for value in values]
            if any(stripped) and not _is_comment(stripped[0]):
                yield reader.line_num, stripped
    except csv.Error as fault:
        raise ProjectError(
            f"{path.name}, line {reader.line_num}: this is not a valid CSV line ({fault}).",
            "Correct the line's separators and quotation marks.",
        ) from fault


def _is_comment(line: str) -> bool:
    """Return whether a line is a comment, or the line with which Excel notes its separator."""
    return line.startswith("#") or line.lower().startswith("sep=")


def _find_delimiter(text: str) -> str:
    """Return what separates the columns of the first line that is neither empty nor a comment."""
    lines = (line.strip() for line in StringIO(text, newline=None))
    header = next((line for line in lines if line and not _is_comment(line)), "")
    return next((delimiter for delimiter in _DELIMITERS if delimiter in header), ",")


def _read_text(path: Path) -> str:
    """Read the whole file as text; bytes that are not UTF-8 are found with their column later."""
    from tomoseg_tui.io.raw_volume import translate_os_errors  # noqa: PLC0415  # a list of tiles needs no numpy

    try:
        with translate_os_errors(path):
            content = path.read_bytes()
    except TomogramError as fault:
        raise ProjectError(fault.fault, fault.fix) from fault
    if content.startswith(_UTF_16_MARKS):
        return content.decode("utf-16", "replace")
    return content.decode("utf-8-sig", "surrogateescape")


def _check_columns(location: str, names: list[str]) -> list[str]:
    """Return the checked column names."""
    names = [name.lower() for name in names]
    while names and not names[-1]:
        names.pop()
    missing = [name for name in REQUIRED_COLUMNS if name not in names]
    unknown = [name for name in names if name not in REQUIRED_COLUMNS + OPTIONAL_COLUMNS]
    if missing:
        raise ProjectError(
            f"{location}: the header has no {', '.join(missing)}; received {printable(', '.join(names))}.", _HEADER_FIX
        )
    if unknown or len(set(names)) < len(names):
        bad_name = unknown[0] if unknown else next(name for name in names if names.count(name) > 1)
        raise ProjectError(
            f"{location}, column {names.index(bad_name) + 1} {printable(repr(bad_name))}: unknown or repeated; "
            f"expected {', '.join(REQUIRED_COLUMNS)} "
            "and optionally size.",
            "Remove or rename the column.",
        )
    return names


def _parse_row(path: Path, line: int, columns: list[str], values: list[str]) -> TileRow:
    """Return the checked values of one line."""
    if len(values) < len(columns) or any(values[len(columns) :]):
        raise ProjectError(
            f"{path.name}, line {line}: expected {len(columns)} values ({', '.join(columns)}), received {len(values)}.",
            "Give one value for each column in this line.",
        )
    cells = _Cells(f"{path.name}, line {line}", dict(zip(columns, values, strict=False)))  # empty ones at the end
    return TileRow(
        line=line,
        tomogram=cells.text("tomogram"),
        x=cells.integer("x"),
        y=cells.integer("y"),
        z=cells.integer("z"),
        feature=cells.text("feature"),
        kind=cells.kind(),
        size=cells.integer("size") if cells.values.get("size") else None,
    )


@dataclass(frozen=True)
class _Cells:
    """The values of one line by column, and its position for messages."""

    location: str
    values: dict[str, str]

    def text(self, column: str) -> str:
        """Return a text that must not be empty."""
        value = self.values[column]
        if not value:
            raise self._fault(column, "a name")
        if not value.isprintable():
            raise self._fault(column, "a name in UTF-8")
        return value

    def integer(self, column: str) -> int:
        """Return an integer, also if it is written as 12.0."""
        number = _WHOLE_NUMBER.fullmatch(self.values[column])
        if not number:
            raise self._fault(column, "a whole number of voxels")
        return int(number[1])

    def kind(self) -> Literal["positive", "negative"]:
        """Return the kind of the tile."""
        value = self.values["kind"].lower()
        if value == "positive":
            return "positive"
        if value == "negative":
            return "negative"
        raise self._fault("kind", "positive or negative")

    def _fault(self, column: str, expected: str) -> ProjectError:
        """Return the error for one value."""
        return ProjectError(
            f"{self.location}, column {column}: expected {expected}, received '{printable(self.values[column])}'.",
            f"Put {expected} there.",
        )
