"""Format rows as a text table; fast for hundreds of rows."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

GAP = "  "
MIN_WIDTH = 6
"""Smallest width of a column that is narrowed."""


def format_table(rows: Sequence[Mapping[str, object]], columns: Mapping[str, str], width: int) -> Iterator[str]:
    """Yield the lines of a table, titles first.

    Parameters
    ----------
    rows : sequence of mappings
        None and missing keys become empty cells.
    columns : mapping
        Title of each key of a row.
    width : int
        Characters per line; longer rows are wrapped.

    Examples
    --------
    >>> rows = [{"id": 12, "fault": "no room on the disk"}, {"id": 3}]
    >>> print("|".join(format_table(rows, {"id": "id", "fault": "fault"}, 12)))
    id  fault|12  no room|    on the|    disk|3
    """
    cells = [list(columns.values()), *([_format_cell(row.get(key)) for key in columns] for row in rows)]
    widths = _fit_widths([max(map(len, column)) for column in zip(*cells, strict=True)], width)
    for row in cells:
        yield from _wrap_row(row, widths)


def _format_cell(value: object) -> str:
    return "" if value is None else str(value)


def _fit_widths(widths: list[int], width: int) -> list[int]:
    """Narrow the widest column until all columns fit, or all have the smallest width."""
    available = width - len(GAP) * (len(widths) - 1)
    while sum(widths) > available and max(widths) > MIN_WIDTH:
        widest = widths.index(max(widths))
        next_widest = max([other_width for index, other_width in enumerate(widths) if index != widest], default=0)
        minimum = max(MIN_WIDTH, min(next_widest, widths[widest] - 1))
        widths[widest] = max(minimum, widths[widest] - (sum(widths) - available))
    return widths


def _wrap_row(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of one row; cells that are too wide are wrapped."""
    if all(len(cell) <= width for cell, width in zip(row, widths, strict=True)):
        wrapped = [[cell] for cell in row]
    else:
        wrapped = [textwrap.wrap(cell, max(width, 1)) or [""] for cell, width in zip(row, widths, strict=True)]
    for line_index in range(max(map(len, wrapped))):
        parts = [cell[line_index] if line_index < len(cell) else "" for cell in wrapped]
        yield GAP.join(f"{part:{width}}" for part, width in zip(parts, widths, strict=True)).rstrip()
