"""The key bindings of a slice canvas."""

from textual.binding import Binding


def _binding(keys: str, action: str, description: str, name: str, tooltip: str) -> Binding:
    return Binding(keys, action, description, show=False, id=f"canvas.{name}", tooltip=tooltip)


CANVAS_BINDINGS = (
    _binding("h,left", "move(0,-1)", "Left", "left", "Move the cursor left"),
    _binding("l,right", "move(0,1)", "Right", "right", "Move the cursor right"),
    _binding("k,up", "move(1,0)", "Up", "up", "Move the cursor up"),
    _binding("j,down", "move(-1,0)", "Down", "down", "Move the cursor down"),
    _binding("H,shift+left", "move(0,-16)", "Far left", "far_left", "Move the cursor left by 16"),
    _binding("L,shift+right", "move(0,16)", "Far right", "far_right", "Move the cursor right by 16"),
    _binding("K,shift+up", "move(16,0)", "Far up", "far_up", "Move the cursor up by 16"),
    _binding("J,shift+down", "move(-16,0)", "Far down", "far_down", "Move the cursor down by 16"),
    _binding("left_square_bracket", "slice(-1)", "Slice below", "z_down", "Go to the slice below"),
    _binding("right_square_bracket", "slice(1)", "Slice above", "z_up", "Go to the slice above"),
    _binding("left_curly_bracket", "slice(-10)", "10 slices down", "z_far_down", "Go 10 slices down"),
    _binding("right_curly_bracket", "slice(10)", "10 slices up", "z_far_up", "Go 10 slices up"),
    _binding("plus,equals_sign", "zoom(1)", "Zoom in", "zoom_in", "Enlarge around the cursor"),
    _binding("minus", "zoom(-1)", "Zoom out", "zoom_out", "Shrink around the cursor"),
    _binding("0", "fit", "Fit", "fit", "Show the whole slice"),
    _binding("c", "contrast", "Contrast", "contrast", "Contrast: usual, strong, soft"),
    _binding("o", "overlay", "Overlay", "overlay", "Labels: painted, outlined, off"),
    _binding("r", "recentre", "Recentre", "recentre", "Centre the view on the cursor"),
)
"""Cursor, slices, zoom, contrast, labels."""
