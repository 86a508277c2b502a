"""Keys that go through the slices while a list beside the canvas has the focus; the canvas has the same ones."""

from textual.binding import Binding

_STEPS = {
    "left_square_bracket": ("z_down", -1, "One slice down"),
    "right_square_bracket": ("z_up", 1, "One slice up"),
    "left_curly_bracket": ("z_far_down", -10, "Ten slices down"),
    "right_curly_bracket": ("z_far_up", 10, "Ten slices up"),
}


def slice_bindings(tab: str) -> list[Binding]:
    """Return bindings for a tab that has an action ``step``."""
    return [
        Binding(key, f"step({step})", description, show=False, id=f"{tab}.{name}", tooltip=description)
        for key, (name, step, description) in _STEPS.items()
    ]
