"""A table that leaves some of its keys to the tab or dialog around it, so that they mean the same everywhere there."""

from collections.abc import Collection

from tomoseg_tui.tui.widgets.table import Table


class PassthroughTable(Table):
    """Rows by key; actions that are given away do nothing here, and their keys go on to the parents.

    Parameters
    ----------
    columns : str
        Titles.
    gives : collection of str
        Actions given away, such as ``select_cursor`` (enter) or ``scroll_top`` (g; home stays).
    id : str or None
        Textual's.
    """

    def __init__(
        self,
        *columns: str,
        passthrough: Collection[str] = ("select_cursor",),
        id: str | None = None,  # noqa: A002  # Textual's word
    ) -> None:
        super().__init__(*columns, id=id)
        self._passthrough = frozenset(passthrough)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave what is given away."""
        return False if action in self._passthrough else super().check_action(action, parameters)
