"""What the hand of a painter holds: cursor, tool, width, value, an open shape; and which pixels that paints.

A state machine without widgets and files. What it paints comes back as a `Paint`; who keeps it is not told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar, final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, NOT_LOOKED_AT, Layer
from tomoseg_tui.core.paint_tools import (
    BRUSH_WIDTHS,
    LINE_WIDTHS,
    Mask,
    Pixel,
    above,
    band,
    box,
    dab,
    filled_holes,
    filled_outline,
    grown,
    shrunk,
    stroke,
    wand,
)

Number = TypeVar("Number", int, float)


class Tool(StrEnum):
    """What is held."""

    BRUSH = "brush"
    ERASER = "eraser"
    LINE = "line"
    FILAMENT = "filament"
    AREA = "area"
    BOX = "box"
    FILL = "fill"
    WAND = "wand"
    NETWORK = "network"


VALUES = {FEATURE: "feature", NOT_FEATURE: "not feature", IGNORED: "ignore", NOT_LOOKED_AT: "erase"}
"""Words of what is painted; the first three are chosen by key, erasing is a tool and the right button."""
FREEHAND = (Tool.BRUSH, Tool.ERASER)
"""Tools that paint along the way of the cursor."""
SHAPES = (Tool.LINE, Tool.FILAMENT, Tool.AREA, Tool.BOX)
"""Tools that paint what is spanned between points."""
USUAL_WIDTHS = {Tool.BRUSH: 3, Tool.ERASER: 3, Tool.LINE: 5, Tool.FILAMENT: 15}
"""Pixels. A microtubule, filled, is 25 nm: 15 to 18 pixels at 13.6 Å/voxel and somewhat more."""
TOLERANCES = tuple(step / 20 for step in range(1, 61))
"""What the wand takes for equal, sigmas of the tomogram."""
RADII = (4, 6, 8, 12, 16, 24, 32, 48, 96)
"""How far the wand reaches, pixels."""
THRESHOLDS = tuple(step / 20 for step in range(1, 20))
"""From which probability the network's map is taken."""
FAR = 8
"""Pixels of a long step."""


@dataclass(frozen=True, eq=False)
class Ground:
    """What tools look at."""

    layer: Layer
    """Of the feature painted, as it is now."""
    densities: NDArray[np.float32]
    """Of the tile, sigmas."""
    opinion: NDArray[np.float32] | None = None
    """Probabilities of the feature by a network."""


@dataclass(frozen=True, eq=False)
class Paint:
    """Pixels and what they become."""

    mask: Mask
    value: int
    tool: str
    whole: bool = False
    """Whether the mask is all that the feature is: what was the feature elsewhere is taken away."""


@final
class Hand:
    """What is held over one tile after the other.

    Parameters
    ----------
    size : int
        Edge of the tile, pixels.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.cursor_yx: Pixel = (size // 2, size // 2)
        self.tool = Tool.BRUSH
        self.value = FEATURE
        self.tolerance, self.radius, self.threshold = 0.5, 16, 0.5
        self.points: list[Pixel] = []
        """Of the open shape."""
        self.pen_down = False
        """Whether the brush paints as the cursor moves."""
        self._widths = dict(USUAL_WIDTHS)
        self._held: Mask | None = None
        self._grip: Pixel | None = None
        self._is_pulled = self._erasing = False

    # State

    @property
    def width(self) -> int:
        """Width of the tool, pixels; 1 for tools without one."""
        return self._widths.get(self.tool, 1)

    @property
    def paints(self) -> int:
        """The value that goes onto the tile now."""
        return NOT_LOOKED_AT if self._erasing or self.tool is Tool.ERASER else self.value

    @property
    def held(self) -> Paint | None:
        """The stroke in hand: painted, but not given away yet."""
        return None if self._held is None else Paint(self._held, self.paints, self.tool)

    @property
    def is_open(self) -> bool:
        """Whether a shape has points and waits for more, or the pen is down."""
        return bool(self.points) or self.pen_down

    @property
    def is_dragging(self) -> bool:
        """Whether a button of the mouse is held."""
        return self._grip is not None

    @property
    def footprint(self) -> Mask:
        """The pixels under the tool at the cursor."""
        return dab((self.size, self.size), self.cursor_yx, self.width)

    def setting(self) -> str:
        """Say what `wider` changes, such as ``3 px``; empty for tools without."""
        if self.tool in self._widths:
            return f"{self.width} px"
        if self.tool is Tool.WAND:
            return f"±{self.tolerance:g} r{self.radius}"
        return f"> {self.threshold:g}" if self.tool is Tool.NETWORK else ""

    # Choosing

    def choose(self, tool: Tool) -> Paint | None:
        """Take another tool; what is in hand is given away first."""
        given = self.lift()
        self.points.clear()
        self.tool = tool
        return given

    def next_value(self, step: int = 1) -> Paint | None:
        """Paint the next of feature, not feature and ignore; what is in hand is given away first."""
        given, values = self.lift(keep_down=True), (FEATURE, NOT_FEATURE, IGNORED)
        self.value = values[(values.index(self.value) + step) % len(values)]
        return given

    def wider(self, step: int) -> None:
        """Make the tool wider, more tolerant, or its threshold higher, by steps."""
        if self.tool in self._widths:
            widths = BRUSH_WIDTHS if self.tool in FREEHAND else LINE_WIDTHS
            self._widths[self.tool] = _stepped(widths, self.width, step)
        elif self.tool is Tool.WAND:
            self.tolerance = _stepped(TOLERANCES, self.tolerance, step)
        elif self.tool is Tool.NETWORK:
            self.threshold = _stepped(THRESHOLDS, self.threshold, step)

    def reach(self, step: int) -> None:
        """Let the wand reach farther."""
        self.radius = _stepped(RADII, self.radius, step)

    # The keyboard

    def move(self, up: int, right: int) -> None:
        """Move the cursor by pixels; with the pen down that paints."""
        y, x = self.cursor_yx
        self.go_to(y + up, x + right)

    def jump(self, up: int, right: int) -> None:
        """Move the cursor to the border of the tile."""
        self.move(up * self.size, right * self.size)

    def go_to(self, y: int, x: int) -> None:
        """Put the cursor on a pixel, or on the nearest that there is; with the pen down that paints."""
        before = self.cursor_yx
        self.cursor_yx = min(max(0, y), self.size - 1), min(max(0, x), self.size - 1)
        if self.pen_down:
            self._hold(stroke((self.size, self.size), [before, self.cursor_yx], self.width))

    def press(self, ground: Ground) -> Paint | None:
        """Do at the cursor what the tool does: a dab, a point of a shape, a region."""
        if self.tool in FREEHAND:
            if not self.pen_down:
                return self._paint(self.footprint)
            self._hold(self.footprint)
            return None
        if self.tool in SHAPES:
            return self._add_point()
        return self._given(self._region(ground))

    def toggle_pen(self) -> Paint | None:
        """Put the pen down, so that moving paints, or lift it and give the stroke away."""
        if self.pen_down:
            return self.lift()
        given = None if self.tool in FREEHAND else self.choose(Tool.BRUSH)
        self.pen_down = True
        self._hold(self.footprint)
        return given

    def lift(self, *, keep_down: bool = False) -> Paint | None:
        """Give away the stroke in hand and lift the pen, or go on with the next stroke."""
        held, self._held = self.held, None
        self.pen_down = self.pen_down and keep_down
        return held

    def finish(self) -> Paint | None:
        """Close the open shape at the cursor and paint it; the pen is lifted."""
        if not self.points:
            return self.lift()
        if self.points[-1] != self.cursor_yx or self.tool in {Tool.FILAMENT, Tool.BOX}:
            self.points.append(self.cursor_yx)
        return self._given(self._shape(self.points))

    def cancel(self) -> bool:
        """Forget the open shape and the stroke in hand; tell whether there was any."""
        was_open = self.is_open or self._held is not None
        self.points.clear()
        self._held, self._grip, self.pen_down, self._erasing = None, None, False, False
        return was_open

    # The mouse

    def take_hold(self, y: int, x: int, ground: Ground, *, erase: bool = False) -> Paint | None:
        """Press a button of the mouse on a pixel."""
        self._erasing, self._is_pulled = erase, False
        self.cursor_yx = self._grip = min(max(0, y), self.size - 1), min(max(0, x), self.size - 1)
        if self.tool in FREEHAND:
            self._hold(self.footprint)
            return None
        given = self.press(ground)
        if not self.points:
            self._grip, self._erasing = None, False
        return given

    def drag(self, y: int, x: int) -> None:
        """Move the mouse with its button held: moves that were lost are joined by a line."""
        before = self.cursor_yx
        self.cursor_yx = min(max(0, y), self.size - 1), min(max(0, x), self.size - 1)
        self._is_pulled = self._is_pulled or self.cursor_yx != before
        if self.tool in FREEHAND and self._grip is not None:
            self._hold(stroke((self.size, self.size), [before, self.cursor_yx], self.width))
        elif self.tool is Tool.AREA and self.points and self.points[-1] != self.cursor_yx:
            self.points.append(self.cursor_yx)

    def release(self) -> Paint | None:
        """Release the button: a stroke or a shape that was drawn in one pull is painted."""
        grip, self._grip = self._grip, None
        if grip is None:
            return None
        given = None
        if self.tool in FREEHAND:
            given = self.lift(keep_down=True)
        elif self._is_pulled and (len(self.points) == 1 or self.tool is Tool.AREA):
            given = self.finish()
        elif self._is_pulled and self.points:
            self._add_point()
        if not self.points:
            self._erasing = False
        return given

    # Shapes

    def tentative(self, ground: Ground) -> Paint | None:
        """Return what would be painted: the open shape up to the cursor, or the region that a tool has found."""
        if self.tool in SHAPES:
            return self._paint(self._shape([*self.points, self.cursor_yx])) if self.points else None
        return None if self.tool in FREEHAND else self._region(ground)

    def grow(self, layer: Layer, by: int) -> Paint | None:
        """Let what holds the value that is painted grow by pixels; shrink it if negative."""
        mask = layer == self.value
        if not mask.any():
            return None
        if by > 0:
            fresh = grown(mask, by) & ~mask & (layer != IGNORED)
            return Paint(fresh, self.value, "grow")
        return Paint(mask & ~shrunk(mask, -by), NOT_LOOKED_AT, "shrink")

    def _add_point(self) -> Paint | None:
        if self.points and (self.tool in {Tool.FILAMENT, Tool.BOX} or self.points[-1] == self.cursor_yx):
            return self.finish()
        self.points.append(self.cursor_yx)
        return None

    def _shape(self, points: list[Pixel]) -> Mask:
        shape = self.size, self.size
        if self.tool is Tool.BOX:
            return box(shape, points[0], points[-1])
        if self.tool is Tool.FILAMENT:
            return band(shape, points[0], points[-1], self.width)
        return filled_outline(shape, points) if self.tool is Tool.AREA else stroke(shape, points, self.width)

    def _region(self, ground: Ground) -> Paint | None:
        """Return what wand, fill and network find at the cursor."""
        if self.tool is Tool.WAND:
            found = wand(ground.densities, self.cursor_yx, tolerance=self.tolerance, radius=self.radius)
            return self._paint(found)
        if self.tool is Tool.FILL:
            return self._paint(filled_holes(ground.layer == self.value, self.cursor_yx))
        if ground.opinion is None:
            return None
        return Paint(above(ground.opinion, self.threshold), FEATURE, self.tool, whole=True)

    def _paint(self, mask: Mask) -> Paint:
        return Paint(mask, self.paints, self.tool)

    def _given(self, paint: Paint | Mask | None) -> Paint | None:
        """Give a shape away: nothing is open any more."""
        given = self._paint(paint) if isinstance(paint, np.ndarray) else paint
        self.points.clear()
        self._erasing = self._erasing and self._grip is not None
        return given

    def _hold(self, mask: Mask) -> None:
        self._held = mask if self._held is None else self._held | mask


def _stepped(steps: Sequence[Number], at: Number, by: int) -> Number:
    """Return the value some steps further along, or the last that there is."""
    nearest = min(range(len(steps)), key=lambda place: abs(steps[place] - at))
    return steps[min(max(0, nearest + by), len(steps) - 1)]
