"""A tree of folders and files, with vi keys; Textual reads the folders in a thread."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import DirectoryTree


class FileTree(DirectoryTree):
    """Folders, and files with given extensions.

    Parameters
    ----------
    suffixes : collection of str
        Extensions of the files to show, lower case; all if empty.
    """

    ICON_NODE, ICON_NODE_EXPANDED, ICON_FILE = "+ ", "- ", "  "  # characters that every terminal and font has
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down", show=False, id="tree.down"),
        Binding("k", "cursor_up", "Up", show=False, id="tree.up"),
        Binding(
            "h,left,backspace", "up", "Up a folder", show=False, id="tree.parent", tooltip="Close, or go up a folder"
        ),
        Binding("l,right", "into", "Open", show=False, id="tree.open", tooltip="Open the folder"),
    ]

    def __init__(
        self,
        folder: Path,
        suffixes: Collection[str] = (),
        *,
        id: str | None = None,  # noqa: A002  # Textual's word
    ) -> None:
        super().__init__(folder, id=id)
        self._suffixes = tuple(suffixes)
        self.guide_depth = 2

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Leave out hidden entries and files with other extensions."""
        return [
            path
            for path in paths
            if not path.name.startswith(".")
            and (not self._suffixes or path.name.lower().endswith(self._suffixes) or self._safe_is_dir(path))
        ]

    def action_into(self) -> None:
        node = self.cursor_node
        if node is not None and node.allow_expand:
            node.expand()

    def action_up(self) -> None:
        """Close the folder, move to its parent, or show the parent of the root."""
        node = self.cursor_node
        if node is None or node is self.root:
            self.path = Path(self.path).absolute().parent
        elif node.is_expanded:
            node.collapse()
        else:
            self.move_cursor(node.parent)
