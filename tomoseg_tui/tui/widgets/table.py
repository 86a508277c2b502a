"""A table with the keys of vi and less: j k, g G, ctrl+d ctrl+u; the cursor stays on its row when rows change."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

MAX_ROWS = 200
"""Rows that a table holds at a time, because each takes a moment to add; the cursor moves on to the others."""
Cells = Sequence[str | Text]
"""The cells of one row."""


class Table(DataTable[Any]):
    """Rows by key, with a row cursor.

    Parameters
    ----------
    columns : str
        Titles of the columns.
    passthrough : collection of str
        Actions that do nothing here, such as ``select_cursor`` (enter) or ``scroll_top`` (g, not home): their keys
        reach the tab or dialog around the table.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down", show=False, id="table.down"),
        Binding("k", "cursor_up", "Up", show=False, id="table.up"),
        Binding("g", "scroll_top", "Top", show=False, id="table.top"),
        Binding("G", "scroll_bottom", "Bottom", show=False, id="table.bottom"),
        Binding("ctrl+d", "page_down", "Page down", show=False, id="table.page_down"),
        Binding("ctrl+u", "page_up", "Page up", show=False, id="table.page_up"),
    ]

    def __init__(
        self,
        *columns: str,
        passthrough: Collection[str] = (),
        id: str | None = None,  # noqa: A002  # Textual's word
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes, cursor_type="row", zebra_stripes=False, show_row_labels=False)
        self._titles, self._passthrough = columns, frozenset(passthrough)
        self._rows: dict[str, Cells | Callable[[], Cells]] = {}
        self._keys: list[str] = []
        self._start = 0
        self._shown_rows: dict[str, Cells] = {}

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the keys of some actions to the parent of the table."""
        return False if action in self._passthrough else super().check_action(action, parameters)

    def on_mount(self) -> None:
        for title in self._titles:
            self.add_column(title, key=title)

    def show_rows(self, rows: Sequence[tuple[str, Cells | Callable[[], Cells]]]) -> None:
        """Show these rows, each a key and its cells, and keep the cursor on its row.

        Functions that return cells are called for rows that the table holds.
        """
        selected_key, selected_index = self.row_key, self.index
        self._rows = dict(rows)
        self._keys = list(self._rows)
        index = self._keys.index(selected_key) if selected_key in self._rows else min(selected_index, len(rows) - 1)
        self._hold_rows_around(index)

    def select(self, key: str) -> bool:
        """Put the cursor on a row; return whether there is one with this key."""
        if key in self._rows and key != self.row_key:
            self._hold_rows_around(self._keys.index(key))
            self.move_cursor(row=self._keys.index(key) - self._start, animate=False)
        return key in self._rows

    @property
    def index(self) -> int:
        """Number of the row under the cursor among all rows, from 0."""
        return self._start + self.cursor_row

    @on(DataTable.RowHighlighted)
    def hold_next_rows(self) -> None:
        """Go on to other rows if the cursor is on the first or last one that the table holds."""
        is_first = self.cursor_row == 0 and self._start > 0
        if is_first or (self.cursor_row == self.row_count - 1 and self.index < len(self._keys) - 1):
            with self.prevent(DataTable.RowHighlighted):  # the cursor stays on its row
                self._hold_rows_around(self.index, move=True)

    def action_scroll_top(self) -> None:
        self._hold_rows_around(0)
        super().action_scroll_top()

    def action_scroll_bottom(self) -> None:
        self._hold_rows_around(len(self._keys) - 1)
        super().action_scroll_bottom()

    def _hold_rows_around(self, index: int, *, move: bool = False) -> None:
        """Hold the rows around one and put the cursor on it; the first row held changes only if it must or `move`."""
        if move or not self._start <= index < self._start + MAX_ROWS or self._start + MAX_ROWS > len(self._keys):
            self._start = max(0, min(index - MAX_ROWS // 2, len(self._keys) - MAX_ROWS))
        held, previous = self._keys[self._start : self._start + MAX_ROWS], self._shown_rows
        self._shown_rows = {key: _cells_of(self._rows[key]) for key in held}
        if list(previous) == held:
            for key, cells in self._shown_rows.items():
                if previous[key] is not cells and previous[key] != cells:
                    self._update_row(key, previous[key], cells)
            return
        self.clear()
        for key, cells in self._shown_rows.items():
            self.add_row(*map(_as_text, cells), key=key)
        if held:
            self.move_cursor(row=index - self._start, animate=False)

    def _update_row(self, key: str, previous: Cells, cells: Cells) -> None:
        """Update the cells of a row that differ; comparing is cheaper than updating a cell.

        The table measures the whole column if its width may have changed.
        """
        for title, old, new in zip(self._titles, previous, cells, strict=True):
            if old != new:
                self.update_cell(key, title, _as_text(new), update_width=len(old) != len(new))

    @property
    def row_key(self) -> str | None:
        """Key of the row under the cursor; None in an empty table."""
        if not self.row_count or not 0 <= self.cursor_row < self.row_count:
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value


def _cells_of(row: Cells | Callable[[], Cells]) -> Cells:
    return row() if callable(row) else row


def _as_text(cell: str | Text) -> Text:
    """Return a cell as text; a table takes brackets in strings for markup."""
    return Text(cell) if isinstance(cell, str) else cell
