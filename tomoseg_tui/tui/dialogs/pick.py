"""Pick one of several by typing a part of its name; or, where allowed, name a new one."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tomoseg_tui.core.names import check_name
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.tui.dialogs.base import Dialog
from tomoseg_tui.tui.widgets.filter_line import matches_filter

Choice = tuple[str, str]
"""A name, and a description beside it."""
_NEW_PREFIX = "+"
"""Marks the entry that creates a new name; no name begins with it."""


class Pick(Dialog[str]):
    """A list with a text field above it; up and down move in the list while typing.

    Parameters
    ----------
    chosen : str or None
        The name that is highlighted at first.
    new_kind : str or None
        The kind of a new name, such as "feature"; None if new names are not allowed.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel", id="pick.cancel"),
        Binding("down,ctrl+n", "move(1)", "Down", show=False, id="pick.down"),
        Binding("up,ctrl+p", "move(-1)", "Up", show=False, id="pick.up"),
    ]

    def __init__(
        self, title: str, choices: Sequence[Choice], *, chosen: str | None = None, new_kind: str | None = None
    ) -> None:
        super().__init__()
        self._title, self._choices, self._chosen, self._new_kind = title, choices, chosen, new_kind

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(self._title, classes="dialog-title")
            yield Input(placeholder="type a part of the name", id="pick-words", compact=True)
            yield OptionList(id="pick-list")
            yield Static(self._hint(), id="pick-hint", classes="dialog-hint", markup=False)

    def _hint(self) -> str:
        return (
            f"enter chooses it; an unknown name makes a new {self._new_kind}" if self._new_kind else "enter chooses it"
        )

    def on_mount(self) -> None:
        self._show_choices("")
        names = [name for name, _ in self._choices]
        if self._chosen in names:
            self.query_one(OptionList).highlighted = names.index(self._chosen)
        self.query_one(Input).focus()

    def _show_choices(self, filter_text: str) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        width = max((len(name) for name, _ in self._choices), default=0)
        for name, detail in self._choices:
            if matches_filter(f"{name} {detail}", filter_text):
                options.add_option(Option(Content.assemble(f"{name:<{width}}  ", (detail, "dim")), id=name))
        typed = filter_text.strip()
        if self._new_kind and typed and typed not in {name for name, _ in self._choices}:
            options.add_option(
                Option(Content.assemble(f"make the {self._new_kind} ", (typed, "bold")), id=f"{_NEW_PREFIX}{typed}")
            )
        if options.option_count:
            options.highlighted = 0

    def on_input_changed(self, event: Input.Changed) -> None:
        self._show_choices(event.value)

    def action_move(self, step: int) -> None:
        options = self.query_one(OptionList)
        if options.option_count:
            options.highlighted = ((options.highlighted or 0) + step) % options.option_count

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._accept(event.option_id)

    def on_input_submitted(self) -> None:
        options = self.query_one(OptionList)
        index = options.highlighted
        self._accept(options.get_option_at_index(index).id if index is not None else None)

    def _accept(self, option_id: str | None) -> None:
        if option_id is None:
            self.query_one("#pick-hint", Static).update("Nothing matches.")
            return
        name = option_id.removeprefix(_NEW_PREFIX)
        try:
            if name != option_id:
                check_name(name, self._new_kind or "")
        except TomosegError as fault:
            self.query_one("#pick-hint", Static).update(f"{fault.fault} {fault.fix}")
            return
        self.dismiss(name)
