"""Every key of the open tab and of the program, with its action id, by which it can be rebound."""

from typing import ClassVar

from rich.table import Table as RichTable
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static


class Help(ModalScreen[None]):
    """The keys, and where they are changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "dismiss", "Close", id="help.close"),
        Binding("j,down", "scroll(1)", "", show=False),
        Binding("k,up", "scroll(-1)", "", show=False),
    ]

    def __init__(self, title: str, bindings: list[ActiveBinding], config: str, words: str = "") -> None:
        super().__init__()
        self._title, self._active, self._config, self._words = title, bindings, config, words

    def compose(self) -> ComposeResult:
        """Make the table of keys."""
        with Vertical(classes="dialog wide"):
            yield Static(f"Keys of {self._title}", classes="dialog-title")
            if self._words:
                yield Static(self._words, classes="dialog-text", markup=False)
            with VerticalScroll(id="help-keys"):
                yield Static(self._keys())
            yield Static(f'Rebind: \\[keys] action = "key" in {self._config}   esc closes', classes="dialog-hint")

    def _keys(self) -> RichTable:
        table = RichTable(box=None, pad_edge=False, expand=True, show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(ratio=1)
        table.add_column(style="dim", no_wrap=True)
        for (action_id, words), keys in self._by_action().items():
            table.add_row(" ".join(keys), words, action_id)
        return table

    def _by_action(self) -> dict[tuple[str, str], list[str]]:
        """Return the keys of each action, tab first."""
        found: dict[tuple[str, str], list[str]] = {}
        for active in self._active:
            binding = active.binding
            words = binding.tooltip or binding.description
            if words and binding.id:
                keys, shown = found.setdefault((binding.id, words), []), self.app.get_key_display(binding)
                keys += [shown] if shown not in keys else []
        return found

    def action_scroll(self, lines: int) -> None:
        """Scroll the table."""
        self.query_one("#help-keys", VerticalScroll).scroll_relative(y=lines, animate=False)
