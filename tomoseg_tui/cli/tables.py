"""Lay rows out as a table for people: plain characters, so that five hundred rows cost nothing."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

GAP = "  "
NARROWEST = 6
"""A column that has to give room keeps as many characters."""


def table_lines(rows: Sequence[Mapping[str, object]], columns: Mapping[str, str], width: int) -> Iterator[str]:
    """Yield the lines of a table, titles first.

    Parameters
    ----------
    rows : sequence of mappings
        None, and what a row does not have, is an empty cell.
    columns : mapping
        Key of a row to the column's title.
    width : int
        Characters of a line; what does not fit is broken into several lines.

    Examples
    --------
    >>> rows = [{"id": 12, "fault": "no room on the disk"}, {"id": 3}]
    >>> print("|".join(table_lines(rows, {"id": "id", "fault": "fault"}, 12)))
    id  fault|12  no room|    on the|    disk|3
    """
    cells = [list(columns.values()), *([_cell(row.get(key)) for key in columns] for row in rows)]
    widths = _narrowed([max(map(len, column)) for column in zip(*cells, strict=True)], width)
    for row in cells:
        yield from _lines_of(row, widths)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _narrowed(widths: list[int], width: int) -> list[int]:
    """Take room from the widest column until all fit, or nothing is left to take."""
    room = width - len(GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > NARROWEST:
        widest = widths.index(max(widths))
        others = max([each for place, each in enumerate(widths) if place != widest], default=0)
        least = max(NARROWEST, min(others, widths[widest] - 1))
        widths[widest] = max(least, widths[widest] - (sum(widths) - room))
    return widths


def _lines_of(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of one row; a cell that is too wide goes on in the next."""
    if all(len(cell) <= width for cell, width in zip(row, widths, strict=True)):
        broken = [[cell] for cell in row]
    else:
        broken = [textwrap.wrap(cell, max(width, 1)) or [""] for cell, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, broken))):
        parts = [cell[number] if number < len(cell) else "" for cell in broken]
        yield GAP.join(f"{part:{width}}" for part, width in zip(parts, widths, strict=True)).rstrip()
