"""What a tab says while it has nothing to show: what belongs here, why, and the one key to press next."""

from textual.widgets import Static


class Empty(Static):
    """An empty state."""

    def __init__(self, title: str, text: str, key: str) -> None:
        super().__init__(f"[b]{title}[/b]\n\n{text}\n\n{key}", classes="empty")
