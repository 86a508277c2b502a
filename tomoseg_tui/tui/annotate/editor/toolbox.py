"""The tools with their keys: the current one is highlighted, a click selects another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

from rich.text import Text
from textual.events import Click
from textual.message import Message
from textual.widgets import Static

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE
from tomoseg_tui.core.paint_tools import Tool
from tomoseg_tui.tui.annotate.editor.tool_state import VALUE_LABELS, ToolState

PATTERNS = {FEATURE: "█", NOT_FEATURE: "\N{BOX DRAWINGS LIGHT DIAGONAL UPPER RIGHT TO LOWER LEFT}", IGNORED: "▚"}
"""Marks of the three values on a tile."""
ASCII_PATTERNS = {FEATURE: "#", NOT_FEATURE: "-", IGNORED: "I"}
"""The same marks in ASCII."""
VALUE_ORDER = (FEATURE, NOT_FEATURE, IGNORED)
"""Values in the order of their lines."""
HINTS = (
    ("wider", "width"),
    ("pen", "pen down"),
    ("undo", "undo"),
    ("filter", "filter"),
    ("finish", "done"),
)
"""Actions below the tools, as many as fit."""


@final
class Toolbox(Static):
    """Tools, values and the most used keys, one per line."""

    ALLOW_SELECT = False

    @dataclass
    class ToolChosen(Message):
        """A tool was clicked."""

        tool: Tool

    @dataclass
    class ValueChosen(Message):
        """A value was clicked."""

        value: int

    def show(
        self,
        tool_state: ToolState,
        key_for: Callable[[str], str],
        colours: Mapping[int, str],
        *,
        ascii_only: bool,
        has_network: bool,
    ) -> None:
        """Show the current tool; `key_for` returns the key of an action, `colours` holds the colour of each value."""
        patterns = ASCII_PATTERNS if ascii_only else PATTERNS
        lines = [
            self._tool_line(tool, tool_state, key_for, is_available=has_network or tool is not Tool.NETWORK)
            for tool in Tool
        ]
        lines.append(Text())
        for value in VALUE_ORDER:
            key = key_for("value") if value == tool_state.value else ""
            line = Text(f"{key:>2} ").append(patterns[value], style=colours[value])
            lines.append(line.append(f" {VALUE_LABELS[value]}", style="bold underline" if key else ""))
        lines.append(Text())
        for name, label in HINTS:
            key = f"{key_for('narrower')}{key_for('wider')}" if name == "wider" else key_for(name)
            lines.append(Text(f" {key} {label}", style="dim"))
        self.update(Text("\n", no_wrap=True, overflow="crop").join(lines))

    def _tool_line(
        self, tool: Tool, tool_state: ToolState, key_for: Callable[[str], str], *, is_available: bool
    ) -> Text:
        is_selected = tool is tool_state.tool
        name = f" {key_for(tool)} {tool}"
        setting = tool_state.setting().removesuffix(" px") if is_selected else ""
        width = self.size.width
        text = f"{name}{setting.rjust(width - 1 - len(name))} "
        return Text(text[:width].ljust(width), style="reverse bold" if is_selected else "" if is_available else "dim")

    def on_click(self, event: Click) -> None:
        """Select the clicked line."""
        tools, value_row = list(Tool), event.y - len(Tool) - 1
        if event.y < len(tools):
            self.post_message(self.ToolChosen(tools[event.y]))
        elif 0 <= value_row < len(VALUE_ORDER):
            self.post_message(self.ValueChosen(VALUE_ORDER[value_row]))
