"""Every key of the open tab and of the program, with the action id that rebinds it."""

from typing import ClassVar

from rich.table import Table as RichTable
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from tomoseg_tui.tui.dialogs.base import AnsweredOnce


class Help(AnsweredOnce[None]):
    """The keys, and how to change them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "dismiss", "Close", id="help.close"),
        Binding("j,down", "scroll(1)", "", show=False),
        Binding("k,up", "scroll(-1)", "", show=False),
    ]

    def __init__(self, title: str, bindings: list[ActiveBinding], config: str, intro: str = "") -> None:
        super().__init__()
        self._title, self._help_bindings, self._config, self._intro = title, bindings, config, intro

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide"):
            yield Static(f"Keys of {self._title}", classes="dialog-title")
            if self._intro:
                yield Static(self._intro, classes="dialog-text", markup=False)
            with VerticalScroll(id="help-keys"):
                yield Static(self._build_table())
            yield Static(f'Rebind: [keys] action = "key" in {self._config}   esc closes', classes="dialog-hint")

    def _build_table(self) -> RichTable:
        table = RichTable(box=None, pad_edge=False, expand=True, show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(ratio=1)
        table.add_column(style="dim", no_wrap=True)
        for (action_id, description), keys in self._keys_by_action().items():
            table.add_row(" ".join(keys), description, action_id)
        return table

    def _keys_by_action(self) -> dict[tuple[str, str], list[str]]:
        """Return the keys of each action, those of the tab first."""
        keys_by_action: dict[tuple[str, str], list[str]] = {}
        for active_binding in self._help_bindings:
            binding = active_binding.binding
            description = binding.tooltip or binding.description
            if description and binding.id:
                keys, key_text = (
                    keys_by_action.setdefault((binding.id, description), []),
                    self.app.get_key_display(binding),
                )
                keys += [key_text] if key_text not in keys else []
        return keys_by_action

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help-keys", VerticalScroll).scroll_relative(y=lines, animate=False)
