"""The empty state of a tab: what belongs here, why, and the key to press next."""

from textual.widgets import Static


class Empty(Static):
    """A title, a text and the key to press."""

    def __init__(self, title: str, text: str, key: str) -> None:
        super().__init__(f"[b]{title}[/b]\n\n{text}\n\n{key}", classes="empty")
