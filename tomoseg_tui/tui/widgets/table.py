"""A table with the keys of vi and less: j k, g G, ctrl+d ctrl+u; the cursor stays on its row when rows change."""

from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable


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
        self._shown_rows: dict[str, Sequence[str | Text]] = {}

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the keys of some actions to the parent of the table."""
        return False if action in self._passthrough else super().check_action(action, parameters)

    def on_mount(self) -> None:
        for title in self._titles:
            self.add_column(title, key=title)

    def show_rows(self, rows: Sequence[tuple[str, Sequence[str | Text]]]) -> None:
        """Show these rows, each a key and its cells, and keep the cursor on its row."""
        previous, self._shown_rows = self._shown_rows, dict(rows)
        if list(previous) == list(self._shown_rows):
            for key, cells in rows:
                if previous[key] is not cells and previous[key] != cells:
                    self._update_row(key, previous[key], cells)
            return
        selected_key, selected_row = self.row_key, self.cursor_row
        self.clear()
        for key, cells in rows:
            self.add_row(*map(_as_text, cells), key=key)
        new_keys = [key for key, _ in rows]
        if selected_key in new_keys:
            self.move_cursor(row=new_keys.index(selected_key), animate=False)
        elif rows:
            self.move_cursor(row=min(selected_row, len(rows) - 1), animate=False)

    def _update_row(self, key: str, previous: Sequence[str | Text], cells: Sequence[str | Text]) -> None:
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


def _as_text(cell: str | Text) -> Text:
    """Return a cell as text; a table takes brackets in strings for markup."""
    return Text(cell) if isinstance(cell, str) else cell
