"""The key bindings of the paint editor."""

from textual.binding import Binding

from tomoseg_tui.core.paint_tools import Tool
from tomoseg_tui.tui.annotate.editor.tool_state import LONG_STEP

QUICK_START = (
    "The quickest way to paint a microtubule: t, move to a point on its axis, space, move to another one, space. "
    "Shift moves by 8, home, end, page up and page down to the border; [ and ] set the width until the band fits. "
    "enter marks the tile done and goes to the next."
)
"""The quickest sequence, for the help."""
TOOL_KEYS = {
    Tool.BRUSH: ("b", "Brush: dabs, and strokes with the pen down"),
    Tool.ERASER: ("e", "Eraser: back to unlabelled"),
    Tool.LINE: ("s", "Straight lines: space sets points, enter ends"),
    Tool.FILAMENT: ("t", "Filament through two points, from border to border"),
    Tool.AREA: ("a", "Area: space sets corners, enter fills"),
    Tool.BOX: ("r", "Rectangle between two corners"),
    Tool.FILL: ("g", "Fill a closed outline"),
    Tool.WAND: ("w", "Wand: pixels as grey as under the cursor"),
    Tool.NETWORK: ("m", "The network's map above a threshold"),
}
"""Key and description of each tool."""


def _binding(keys: str, action: str, description: str, name: str, tooltip: str, *, show: bool = False) -> Binding:
    return Binding(keys, action, description, show=show, id=f"paint.{name}", tooltip=tooltip, priority=True)


PAINT_BINDINGS = (
    _binding("space", "press", "Paint", "press", "Use the tool at the cursor", show=True),
    _binding("d", "pen", "Pen", "pen", "Pen down: moving paints; again: pen up"),
    _binding(
        "enter", "finish", "Done", "finish", "End the open shape; else mark the tile done and go to the next", show=True
    ),
    _binding("n", "step(1)", "Next", "next", "Go to the next tile", show=True),
    _binding("N", "step(-1)", "Previous tile", "before", "Go to the previous tile"),
    _binding("u", "undo", "Undo", "undo", "Undo the last stroke", show=True),
    _binding("ctrl+r", "redo", "Redo", "redo", "Redo the last undone stroke"),
    _binding("escape", "leave", "List", "leave", "Drop the open shape; else return to the list", show=True),
    _binding("B", "none_here", "None here", "none", "Mark that the tile has none of the feature"),
    *(_binding(key, f"tool('{tool}')", tool.capitalize(), tool, tooltip) for tool, (key, tooltip) in TOOL_KEYS.items()),
    _binding("left_square_bracket", "wider(-1)", "Narrower", "narrower", "Width, tolerance or threshold: less"),
    _binding("right_square_bracket", "wider(1)", "Wider", "wider", "Width, tolerance or threshold: more"),
    _binding("left_parenthesis", "reach(-1)", "Nearer", "nearer", "Smaller radius of the wand"),
    _binding("right_parenthesis", "reach(1)", "Farther", "farther", "Larger radius of the wand"),
    _binding("x", "value(1)", "Value", "value", "Paint: feature, not feature, ignore (not used for training)"),
    _binding("X", "value(-1)", "Previous value", "value_back", "The previous value"),
    _binding("f", "feature(1)", "Feature", "feature", "Paint the next feature"),
    _binding("F", "feature(-1)", "Previous feature", "feature_back", "Paint the previous feature"),
    _binding("greater_than_sign", "grow(1)", "Grow", "grow", "Grow the paint by a pixel"),
    _binding("less_than_sign", "grow(-1)", "Shrink", "shrink", "Shrink the paint by a pixel"),
    _binding("C", "copy", "Copy", "copy", "Copy the paint of the nearest slice at this place"),
    _binding("i", "between", "Interpolate", "between", "Interpolate between the painted slices below and above"),
    _binding("o", "overlay", "View", "overlay", "Paint as overlay, outline, or off"),
    _binding("v", "filter", "Filter", "filter", "View only: as it is, smooth, mean of z-1..z+1"),
    _binding("c", "contrast", "Contrast", "contrast", "View only: contrast usual, strong, soft"),
    _binding("left_curly_bracket", "beside(-1)", "Slice below", "below", "View the slice below instead"),
    _binding("right_curly_bracket", "beside(1)", "Slice above", "above", "View the slice above instead"),
    _binding("plus,equals_sign", "zoom(1)", "Zoom in", "zoom_in", "Enlarge around the cursor"),
    _binding("minus", "zoom(-1)", "Zoom out", "zoom_out", "Shrink around the cursor"),
    _binding("0", "zoom(0)", "Fit", "fit", "Show most of the tile"),
    _binding("h,left", "move(0,-1)", "Left", "left", "Move the cursor left"),
    _binding("l,right", "move(0,1)", "Right", "right", "Move the cursor right"),
    _binding("k,up", "move(1,0)", "Up", "up", "Move the cursor up"),
    _binding("j,down", "move(-1,0)", "Down", "down", "Move the cursor down"),
    _binding("H,shift+left", f"move(0,-{LONG_STEP})", "Far left", "far_left", f"Move the cursor left by {LONG_STEP}"),
    _binding(
        "L,shift+right", f"move(0,{LONG_STEP})", "Far right", "far_right", f"Move the cursor right by {LONG_STEP}"
    ),
    _binding("K,shift+up", f"move({LONG_STEP},0)", "Far up", "far_up", f"Move the cursor up by {LONG_STEP}"),
    _binding("J,shift+down", f"move(-{LONG_STEP},0)", "Far down", "far_down", f"Move the cursor down by {LONG_STEP}"),
    _binding("home", "jump(0,-1)", "Left border", "left_border", "Move the cursor to the left border"),
    _binding("end", "jump(0,1)", "Right border", "right_border", "Move the cursor to the right border"),
    _binding("pageup", "jump(1,0)", "Upper border", "upper_border", "Move the cursor to the upper border"),
    _binding("pagedown", "jump(-1,0)", "Lower border", "lower_border", "Move the cursor to the lower border"),
    _binding("comma", "half", "Half", "half", "If pixels share a cell: the mouse selects the upper or lower one"),
)
"""Tools, values, view, cursor, tiles. They have priority, so that a key acts before the click that follows it: over a
slow line both arrive together, a click goes directly to the widget under it, and a key without priority passes
through the app first."""
