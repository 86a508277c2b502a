"""State of the paint tools: cursor, tool, width, value, an open shape; and the pixels that it paints.

A state machine without widgets and files. Its results are returned as `ToolOutput`; the caller saves them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, UNLABELLED, Layer
from tomoseg_tui.core.paint_tools import (
    BRUSH_WIDTHS,
    DEFAULT_WIDTHS,
    FREEHAND_TOOLS,
    LINE_WIDTHS,
    SHAPE_TOOLS,
    Mask,
    Pixel,
    Tool,
    brush_mask,
    dilate,
    erode,
    filament_mask,
    fill_mask,
    magic_wand_mask,
    polygon_mask,
    polyline_mask,
    rectangle_mask,
    threshold_mask,
)

Number = TypeVar("Number", int, float)


VALUE_LABELS = {FEATURE: "feature", NOT_FEATURE: "not feature", IGNORED: "ignore", UNLABELLED: "erase"}
"""Labels of the values; the key goes through the first three, the eraser and the right button erase."""
TOLERANCES = tuple(step / 20 for step in range(1, 61))
"""Tolerance of the wand, sigmas of the tomogram."""
WAND_RADII = (4, 6, 8, 12, 16, 24, 32, 48, 96)
"""Radius of the wand, pixels."""
THRESHOLDS = tuple(step / 20 for step in range(1, 20))
"""Probability threshold of the network tool."""
LONG_STEP = 8
"""Length of a long step, pixels."""


@dataclass(frozen=True, eq=False)
class ToolInput:
    """The input of tools."""

    layer: Layer
    """Current layer of the painted feature."""
    densities: NDArray[np.float32]
    """Densities of the tile, sigmas."""
    prediction: NDArray[np.float32] | None = None
    """Predicted probabilities of the feature."""


@dataclass(frozen=True, eq=False)
class ToolOutput:
    """Pixels and their new value."""

    mask: Mask
    value: int
    tool: str
    replaces_feature: bool = False
    """Whether the mask is the whole feature: other pixels of the feature are erased."""


@final
class ToolState:
    """State of the tools, kept from tile to tile.

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
        """Points of the open shape."""
        self.pen_down = False
        """Whether the brush paints as the cursor moves."""
        self._widths = dict(DEFAULT_WIDTHS)
        self._pending_mask: Mask | None = None
        self._drag_start: Pixel | None = None
        self._has_moved = self._is_erasing = False

    # State

    @property
    def width(self) -> int:
        """Width of the tool, pixels; 1 for tools without a width."""
        return self._widths.get(self.tool, 1)

    @property
    def paint_value(self) -> int:
        """The value that the tool paints now."""
        return UNLABELLED if self._is_erasing or self.tool is Tool.ERASER else self.value

    @property
    def pending_output(self) -> ToolOutput | None:
        """The stroke so far, painted but not yet returned."""
        return None if self._pending_mask is None else ToolOutput(self._pending_mask, self.paint_value, self.tool)

    @property
    def is_open(self) -> bool:
        """Whether a shape has points and is not finished, or the pen is down."""
        return bool(self.points) or self.pen_down

    @property
    def is_dragging(self) -> bool:
        """Whether a mouse button is held."""
        return self._drag_start is not None

    @property
    def footprint(self) -> Mask:
        """The pixels under the tool at the cursor."""
        return brush_mask((self.size, self.size), self.cursor_yx, self.width)

    def setting(self) -> str:
        """Return what `adjust_setting` changes, such as ``3 px``; empty for tools without a setting."""
        if self.tool in self._widths:
            return f"{self.width} px"
        if self.tool is Tool.WAND:
            return f"±{self.tolerance:g} r{self.radius}"
        return f"> {self.threshold:g}" if self.tool is Tool.NETWORK else ""

    # Tools and settings

    def select_tool(self, tool: Tool) -> ToolOutput | None:
        """Select a tool; return the stroke so far."""
        output = self.end_stroke()
        self.points.clear()
        self.tool = tool
        return output

    def next_value(self, step: int = 1) -> ToolOutput | None:
        """Select the next of feature, not feature and ignore; return the stroke so far."""
        output, values = self.end_stroke(stay_down=True), (FEATURE, NOT_FEATURE, IGNORED)
        self.value = values[(values.index(self.value) + step) % len(values)]
        return output

    def adjust_setting(self, step: int) -> None:
        """Change width, tolerance or threshold by steps."""
        if self.tool in self._widths:
            widths = BRUSH_WIDTHS if self.tool in FREEHAND_TOOLS else LINE_WIDTHS
            self._widths[self.tool] = _step_value(widths, self.width, step)
        elif self.tool is Tool.WAND:
            self.tolerance = _step_value(TOLERANCES, self.tolerance, step)
        elif self.tool is Tool.NETWORK:
            self.threshold = _step_value(THRESHOLDS, self.threshold, step)

    def adjust_radius(self, step: int) -> None:
        """Change the radius of the wand by steps."""
        self.radius = _step_value(WAND_RADII, self.radius, step)

    # The keyboard

    def move(self, up: int, right: int) -> None:
        """Move the cursor by pixels; with the pen down, this paints."""
        y, x = self.cursor_yx
        self.go_to(y + up, x + right)

    def jump(self, up: int, right: int) -> None:
        """Move the cursor to the border of the tile."""
        self.move(up * self.size, right * self.size)

    def go_to(self, y: int, x: int) -> None:
        """Move the cursor to a pixel, or to the nearest one in the tile; with the pen down, this paints."""
        previous = self.cursor_yx
        self.cursor_yx = min(max(0, y), self.size - 1), min(max(0, x), self.size - 1)
        if self.pen_down:
            self._extend_stroke(polyline_mask((self.size, self.size), [previous, self.cursor_yx], self.width))

    def press(self, tool_input: ToolInput) -> ToolOutput | None:
        """Use the tool at the cursor: a dab, a point of a shape, a region."""
        if self.tool in FREEHAND_TOOLS:
            if not self.pen_down:
                return self._output(self.footprint)
            self._extend_stroke(self.footprint)
            return None
        if self.tool in SHAPE_TOOLS:
            return self._add_point()
        return self._close_shape(self._region(tool_input))

    def toggle_pen(self) -> ToolOutput | None:
        """Lower the pen, so that moving paints, or lift it and return the stroke."""
        if self.pen_down:
            return self.end_stroke()
        output = None if self.tool in FREEHAND_TOOLS else self.select_tool(Tool.BRUSH)
        self.pen_down = True
        self._extend_stroke(self.footprint)
        return output

    def end_stroke(self, *, stay_down: bool = False) -> ToolOutput | None:
        """Return the stroke so far; lift the pen, or continue with the next stroke."""
        output, self._pending_mask = self.pending_output, None
        self.pen_down = self.pen_down and stay_down
        return output

    def finish(self) -> ToolOutput | None:
        """Close the open shape at the cursor and paint it; lift the pen."""
        if not self.points:
            return self.end_stroke()
        if self.points[-1] != self.cursor_yx or self.tool in {Tool.FILAMENT, Tool.BOX}:
            self.points.append(self.cursor_yx)
        return self._close_shape(self._shape_mask(self.points))

    def cancel(self) -> bool:
        """Drop the open shape and the stroke so far; return whether there was any."""
        was_open = self.is_open or self._pending_mask is not None
        self.points.clear()
        self._pending_mask, self._drag_start, self.pen_down, self._is_erasing = None, None, False, False
        return was_open

    # The mouse

    def start_drag(self, y: int, x: int, tool_input: ToolInput, *, erase: bool = False) -> ToolOutput | None:
        """Press a mouse button on a pixel."""
        self._is_erasing, self._has_moved = erase, False
        self.cursor_yx = self._drag_start = min(max(0, y), self.size - 1), min(max(0, x), self.size - 1)
        if self.tool in FREEHAND_TOOLS:
            self._extend_stroke(self.footprint)
            return None
        output = self.press(tool_input)
        if not self.points:
            self._drag_start, self._is_erasing = None, False
        return output

    def drag(self, y: int, x: int) -> None:
        """Move the mouse with its button held; gaps between events are joined by a line."""
        previous = self.cursor_yx
        self.cursor_yx = min(max(0, y), self.size - 1), min(max(0, x), self.size - 1)
        self._has_moved = self._has_moved or self.cursor_yx != previous
        if self.tool in FREEHAND_TOOLS and self._drag_start is not None:
            self._extend_stroke(polyline_mask((self.size, self.size), [previous, self.cursor_yx], self.width))
        elif self.tool is Tool.AREA and self.points and self.points[-1] != self.cursor_yx:
            self.points.append(self.cursor_yx)

    def release(self) -> ToolOutput | None:
        """Release the button: paint the stroke, or the shape if it was drawn in one drag."""
        drag_start, self._drag_start = self._drag_start, None
        if drag_start is None:
            return None
        output = None
        if self.tool in FREEHAND_TOOLS:
            output = self.end_stroke(stay_down=True)
        elif self._has_moved and (len(self.points) == 1 or self.tool is Tool.AREA):
            output = self.finish()
        elif self._has_moved and self.points:
            self._add_point()
        if not self.points:
            self._is_erasing = False
        return output

    # Shapes

    def preview(self, tool_input: ToolInput) -> ToolOutput | None:
        """Return the preview: the open shape up to the cursor, or the region that a tool has found."""
        if self.tool in SHAPE_TOOLS:
            return self._output(self._shape_mask([*self.points, self.cursor_yx])) if self.points else None
        return None if self.tool in FREEHAND_TOOLS else self._region(tool_input)

    def grow(self, layer: Layer, by: int) -> ToolOutput | None:
        """Grow the pixels of the current value; shrink them if negative."""
        mask = layer == self.value
        if not mask.any():
            return None
        if by > 0:
            added = dilate(mask, by) & ~mask & (layer != IGNORED)
            return ToolOutput(added, self.value, "grow")
        return ToolOutput(mask & ~erode(mask, -by), UNLABELLED, "shrink")

    def _add_point(self) -> ToolOutput | None:
        if self.points and (self.tool in {Tool.FILAMENT, Tool.BOX} or self.points[-1] == self.cursor_yx):
            return self.finish()
        self.points.append(self.cursor_yx)
        return None

    def _shape_mask(self, points: list[Pixel]) -> Mask:
        shape = self.size, self.size
        if self.tool is Tool.BOX:
            return rectangle_mask(shape, points[0], points[-1])
        if self.tool is Tool.FILAMENT:
            return filament_mask(shape, points[0], points[-1], self.width)
        return polygon_mask(shape, points) if self.tool is Tool.AREA else polyline_mask(shape, points, self.width)

    def _region(self, tool_input: ToolInput) -> ToolOutput | None:
        """Return the region that wand, fill or network finds at the cursor."""
        if self.tool is Tool.WAND:
            mask = magic_wand_mask(tool_input.densities, self.cursor_yx, tolerance=self.tolerance, radius=self.radius)
            return self._output(mask)
        if self.tool is Tool.FILL:
            return self._output(fill_mask(tool_input.layer == self.value, self.cursor_yx))
        if tool_input.prediction is None:
            return None
        return ToolOutput(
            threshold_mask(tool_input.prediction, self.threshold), FEATURE, self.tool, replaces_feature=True
        )

    def _output(self, mask: Mask) -> ToolOutput:
        return ToolOutput(mask, self.paint_value, self.tool)

    def _close_shape(self, shape: ToolOutput | Mask | None) -> ToolOutput | None:
        """Return the finished shape; no shape is open any more."""
        output = self._output(shape) if isinstance(shape, np.ndarray) else shape
        self.points.clear()
        self._is_erasing = self._is_erasing and self._drag_start is not None
        return output

    def _extend_stroke(self, mask: Mask) -> None:
        self._pending_mask = mask if self._pending_mask is None else self._pending_mask | mask


def _step_value(steps: Sequence[Number], value: Number, by: int) -> Number:
    """Return the value some steps further along, or the last one."""
    nearest = min(range(len(steps)), key=lambda index: abs(steps[index] - value))
    return steps[min(max(0, nearest + by), len(steps) - 1)]
