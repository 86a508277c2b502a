"""A text field for a path: it suggests a completion, and tab completes."""

import asyncio
from collections.abc import Collection
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.suggester import Suggester
from textual.widgets import Input

from tomoseg_tui.tui.path_completion import complete_path


class PathInput(Input):
    """A path; the reader of the value expands wildcards.

    Parameters
    ----------
    suffixes : collection of str
        Extensions of the files to suggest, lower case; all if empty.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "tab", "complete", "Complete", id="path.complete", tooltip="Complete the path, or go to the next field"
        ),
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
        """Complete the path as far as it is unambiguous; if nothing changes, focus the next widget."""
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
    """Reads the folder in a thread; caches nothing, because files change."""

    def __init__(self, suffixes: Collection[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._suffixes = suffixes

    async def get_suggestion(self, value: str) -> str | None:
        """Return the completed path; None if there is none."""
        completed = await asyncio.to_thread(complete_path, value, self._suffixes) if value else value
        return completed if completed != value else None
