"""A frame around a canvas whose titles change with every slice, without the slice being sent again."""

from typing import Any, Self

from textual.containers import Container
from textual.geometry import Region

_TITLES = {"border_title", "border_subtitle"}


class CanvasPanel(Container):
    """A container of which only the frame's upper and lower line are drawn again when a title changes.

    Textual draws all of a widget again, and with it all that lies in it, when ``border_title`` is set: beside a
    slice that is a second frame for each key.
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
        """Draw again: all, the regions, or while a title is set the two lines that bear titles."""
        if self._is_setting_title and not regions:
            (width, height), (left, top) = self.outer_size, self.content_offset  # regions count from the content
            regions = Region(-left, -top, width, 1), Region(-left, height - 1 - top, width, 1)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
