"""What can be held, with its key: the tool in hand stands out; a click takes another."""

from collections.abc import Callable, Mapping
from typing import final

from rich.text import Text
from textual.events import Click
from textual.message import Message
from textual.widgets import Static

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE
from tomoseg_tui.tui.annotate.editor.tool_state import VALUES, Hand, Tool

PATTERNS = {FEATURE: "█", NOT_FEATURE: "\N{BOX DRAWINGS LIGHT DIAGONAL UPPER RIGHT TO LOWER LEFT}", IGNORED: "▚"}
"""How the three values look on the tile."""
PLAIN_PATTERNS = {FEATURE: "#", NOT_FEATURE: "-", IGNORED: "I"}
"""The same in ASCII."""
CHOICES = (FEATURE, NOT_FEATURE, IGNORED)
"""Values in the order of their lines."""
HINTS = (
    ("wider", "width"),
    ("pen", "pen down"),
    ("undo", "undo"),
    ("filter", "filter"),
    ("finish", "done"),
)
"""What stands under the tools as far as there is room."""


@final
class Toolbox(Static):
    """Tools, values and the most used keys, one a line."""

    ALLOW_SELECT = False

    class Resized(Message):
        """There is another amount of room."""

    class ToolChosen(Message):
        """A tool was clicked."""

        def __init__(self, tool: Tool) -> None:
            super().__init__()
            self.tool = tool

    class ValueChosen(Message):
        """A value was clicked."""

        def __init__(self, value: int) -> None:
            super().__init__()
            self.value = value

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__("", id=id, markup=False)
        self._shown: object = None

    def show(
        self,
        hand: Hand,
        keys: Callable[[str], str],
        colours: Mapping[int, str],
        *,
        plain: bool,
        can: Mapping[Tool, bool],
    ) -> None:
        """Show what is in hand.

        Parameters
        ----------
        hand : Hand
        keys : callable
            From the name of an action of the editor to its key.
        colours : mapping of int to str
            Colour of each value.
        plain : bool
            Whether only ASCII is understood.
        can : mapping of Tool to bool
            Tools that there is something for; those that are missing can always be used.
        """
        what = (hand.tool, hand.value, hand.setting(), tuple(colours.items()), plain, tuple(can.items()), self.size)
        if what == self._shown or not self.size.width:
            return
        self._shown = what
        patterns = PLAIN_PATTERNS if plain else PATTERNS
        lines = [self._tool_line(tool, hand, keys, can=can.get(tool, True)) for tool in Tool]
        lines.append(Text())
        for value in CHOICES:
            key = keys("value") if value == hand.value else ""
            line = Text(f"{key:>2} ").append(patterns[value], style=colours[value])
            lines.append(line.append(f" {VALUES[value]}", style="bold underline" if key else ""))
        lines.append(Text())
        for name, words in HINTS:
            key = f"{keys('narrower')}{keys('wider')}" if name == "wider" else keys(name)
            lines.append(Text(f" {key} {words}", style="dim"))
        self.update(Text("\n", no_wrap=True, overflow="crop").join(lines))

    def _tool_line(self, tool: Tool, hand: Hand, keys: Callable[[str], str], *, can: bool) -> Text:
        mine = tool is hand.tool
        name = f" {keys(tool)} {tool}"
        setting = hand.setting().removesuffix(" px") if mine else ""
        width = self.size.width
        words = f"{name}{setting.rjust(width - 1 - len(name))} "
        return Text(words[:width].ljust(width), style="reverse bold" if mine else "" if can else "dim")

    def on_resize(self) -> None:
        """Ask to be shown again."""
        self.post_message(self.Resized())

    def on_click(self, event: Click) -> None:
        """Take what was clicked."""
        tools, value_row = list(Tool), event.y - len(Tool) - 1
        if event.y < len(tools):
            self.post_message(self.ToolChosen(tools[event.y]))
        elif 0 <= value_row < len(CHOICES):
            self.post_message(self.ValueChosen(CHOICES[value_row]))
