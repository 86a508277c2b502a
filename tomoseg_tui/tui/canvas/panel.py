"""A frame around a canvas whose titles change with every slice, without sending the slice again."""

from typing import Any, Self

from textual.containers import Container
from textual.geometry import Region

_TITLES = {"border_title", "border_subtitle"}


class CanvasPanel(Container):
    """A container that redraws only the top and bottom lines of its frame when a title changes.

    When ``border_title`` is set, Textual redraws the whole widget and its contents: with a
    slice, this is a second frame for each key.
    """

    _is_setting_title = False

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _TITLES:
            super().__setattr__(name, value)
        elif getattr(self, name) != value:
            self._is_setting_title = True
            super().__setattr__(name, value)
            self._is_setting_title = False

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Redraw everything, the given regions, or while a title is set, the two lines with titles."""
        if self._is_setting_title and not regions:
            (width, height), (left, top) = self.outer_size, self.content_offset  # regions are relative to the content
            regions = Region(-left, -top, width, 1), Region(-left, height - 1 - top, width, 1)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
