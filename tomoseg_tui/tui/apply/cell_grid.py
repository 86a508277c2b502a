"""A grid of cells with a cursor; the first column has the names of the rows."""

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.widgets import DataTable

ROW_NAMES = "row-names"
"""Key of the first column."""


class CellGrid(DataTable[Any]):
    """Cells by row and column; enter is left to the parent."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h", "cursor_left", "Left", show=False, id="grid.left"),
        Binding("j", "cursor_down", "Down", show=False, id="grid.down"),
        Binding("k", "cursor_up", "Up", show=False, id="grid.up"),
        Binding("l", "cursor_right", "Right", show=False, id="grid.right"),
        Binding("g", "scroll_top", "Top", show=False, id="grid.top"),
        Binding("G", "scroll_bottom", "Bottom", show=False, id="grid.bottom"),
    ]

    def __init__(self, corner: str, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, cursor_type="cell", fixed_columns=1, show_row_labels=False)
        self._corner = corner
        self._columns: tuple[str, ...] = ()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave enter to the parent."""
        return False if action == "select_cursor" else super().check_action(action, parameters)

    def show_fields(self, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Text]]]) -> None:
        """Show these rows, each a name and its cells, and keep the cursor on its cell."""
        previous = self.field
        if tuple(columns) != self._columns or [row.value for row in self.rows] != [name for name, _ in rows]:
            self._build(columns, [name for name, _ in rows])
            self.select_cell(previous)
        for name, fields in rows:
            for column, field in zip(columns, fields, strict=True):
                if self.get_cell(name, column) != field:
                    self.update_cell(name, column, field, update_width=True)

    def _build(self, columns: Sequence[str], names: Sequence[str]) -> None:
        self.clear(columns=True)
        self._columns = tuple(columns)
        self.add_column(self._corner, key=ROW_NAMES)
        for column in columns:
            self.add_column(column, key=column)
        for name in names:
            self.add_row(name, *[Text()] * len(columns), key=name)

    def select_cell(self, field: tuple[str, str] | None) -> None:
        """Put the cursor on a cell, or on the first one if it is missing."""
        rows, column = [row.value for row in self.rows], 1
        row = rows.index(field[0]) if field is not None and field[0] in rows else 0
        if field is not None and field[1] in self._columns:
            column = self._columns.index(field[1]) + 1
        self.move_cursor(row=row, column=column, animate=False)

    @property
    def field(self) -> tuple[str, str] | None:
        """Names of the row and the column under the cursor; None in an empty grid."""
        if not self.row_count or not self._columns:
            return None
        coordinate = Coordinate(self.cursor_coordinate.row, max(1, self.cursor_coordinate.column))
        keys = self.coordinate_to_cell_key(coordinate)
        return str(keys.row_key.value), str(keys.column_key.value)

    def validate_cursor_coordinate(self, value: Coordinate) -> Coordinate:
        """Keep the cursor off the names of the rows."""
        value = super().validate_cursor_coordinate(value)
        return Coordinate(value.row, max(1, value.column)) if self._columns else value
