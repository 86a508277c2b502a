"""A text field for a path: shows how it may go on, and tab completes it."""

import asyncio
from collections.abc import Collection
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.suggester import Suggester
from textual.widgets import Input

from tomoseg_tui.tui.path_completion import complete_path


class PathInput(Input):
    """One path; wildcards are left to whoever reads the value.

    Parameters
    ----------
    suffixes : collection of str
        Endings of files that are offered, lower case; all if empty.
    value : str
        What stands in it at first.
    placeholder : str
        Shown while it is empty.
    id : str or None
        Textual's.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "Complete", id="path.complete", tooltip="Complete the path; at its end go on"),
    ]

    def __init__(
        self,
        suffixes: Collection[str] = (),
        *,
        value: str = "",
        placeholder: str = "",
        id: str | None = None,  # noqa: A002  # Textual's word
    ) -> None:
        super().__init__(
            value,
            placeholder=placeholder,
            suggester=_PathSuggester(suffixes),
            id=id,
            compact=True,
            select_on_focus=False,
        )
        self._suffixes = suffixes

    async def action_complete(self) -> None:
        """Complete as far as there is one way only; where nothing is to complete, go to the next widget."""
        typed = self.value
        completed = await asyncio.to_thread(complete_path, typed, self._suffixes)
        if self.value != typed:
            return
        if completed == typed:
            self.screen.focus_next()
            return
        self.value = completed
        self.cursor_position = len(completed)


class _PathSuggester(Suggester):
    """Looks into the folder in a thread; never remembers, since files come and go."""

    def __init__(self, suffixes: Collection[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._suffixes = suffixes

    async def get_suggestion(self, value: str) -> str | None:
        """Return how the path may go on, None where nobody knows."""
        completed = await asyncio.to_thread(complete_path, value, self._suffixes) if value else value
        return completed if completed != value else None
