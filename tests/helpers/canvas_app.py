"""An app with only a slice canvas, for tests of the canvas and to run in a terminal."""

import os
import sys
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from tomoseg_tui.tui.canvas import draw_style
from tomoseg_tui.tui.canvas.frame_pacing import FramePacerApp
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.canvas.terminal_query import TerminalCapabilities, TerminalQuery


class CanvasApp(FramePacerApp):
    """A canvas that fills the screen, or the screen except its last line."""

    CSS = "Screen { layout: vertical; } #area { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "quit", "Quit")]

    def __init__(
        self,
        path: Path | None = None,
        *,
        renderer: str = "auto",
        capabilities: TerminalCapabilities | None = None,
        last_line_free: bool = False,
    ) -> None:
        super().__init__()
        self.requested_renderer, self.terminal_capabilities = renderer, capabilities
        self._path, self._foot = path, int(last_line_free)
        self.moves: list[SliceCanvas.Moved] = []
        self.picks: list[SliceCanvas.Picked] = []

    def compose(self) -> ComposeResult:
        with Container(id="area"):
            yield SliceCanvas()

    def on_mount(self) -> None:
        self.query_one("#area").styles.margin = (0, 0, self._foot, 0)
        self.canvas.focus()
        if self._path is not None:
            self.canvas.open_volume(self._path, name=self._path.name)

    @property
    def canvas(self) -> SliceCanvas:
        return self.query_one(SliceCanvas)

    @on(SliceCanvas.Moved)
    def keep_move(self, event: SliceCanvas.Moved) -> None:
        self.moves.append(event)

    @on(SliceCanvas.Picked)
    def keep_pick(self, event: SliceCanvas.Picked) -> None:
        self.picks.append(event)


if __name__ == "__main__":
    draw_style.finest_blocks = lambda *_: "halfblock"  # type: ignore[attr-defined]  # tests read pixels from the screen
    QUESTION = TerminalQuery.begin(os.environ)
    CanvasApp(Path(sys.argv[1]), capabilities=QUESTION.finish(), last_line_free=True).run()
