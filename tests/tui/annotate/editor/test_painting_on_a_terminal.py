"""The editor on a real pseudo-terminal: bytes sent for a dab, and a mouse with positions within cells."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from helpers.pseudo_terminal import Terminal

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.paint_tools import brush_mask, rectangle_mask
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project

WANTED = TileLocation("alpha", 12, 50, 40)
MOST_BYTES = 1500
"""Limit for one dab."""


@contextmanager
def painting(project: Project, size: tuple[int, int], *, mouse_pixels: bool = False) -> Iterator[Terminal]:
    """Open the program with the first tile in the editor."""
    command = [sys.executable, "-m", "tomoseg_tui", str(project.layout.root)]
    with Terminal(command, size=size, environment={"TEXTUAL_ANIMATIONS": "none"}) as terminal:
        terminal.wait_for(lambda output: b"Jobs" in output and b"tomograms" in output)
        if mouse_pixels:  # in-band sizes, in cells and in pixels of 10 x 20 per cell, turn pixel positions on
            terminal.send(f"\x1b[?2048;1$y\x1b[48;{size[1]};{size[0]};{size[1] * 20};{size[0] * 10}t")
            terminal.wait_for(lambda output: b"\x1b[?1016h" in output)
        terminal.send("3")
        terminal.wait_for(lambda _output: "to do" in terminal.screen().text)
        terminal.send("p")
        terminal.wait_for(lambda _output: "on disk" in terminal.screen().text)
        terminal.wait_until_quiet()
        yield terminal


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=["80x24", "200x60"])
def test_a_dab_sends_only_its_cells(small_project: Project, size: tuple[int, int]) -> None:
    with painting(small_project, size) as terminal:
        for depth, way in enumerate(("LL", "K", "HHH"), start=1):
            terminal.send(way)
            terminal.wait_until_quiet()
            before = len(terminal.output)
            terminal.send(" ")
            terminal.wait_for(lambda _output, depth=depth: f"undo {depth}" in terminal.screen().text)  # type: ignore[misc]
            terminal.wait_until_quiet()
            assert 0 < len(terminal.output) - before < MOST_BYTES
        layer = read_layer(small_project.layout, WANTED, "microtubule")
        assert layer is not None
        assert (layer == FEATURE).sum() == 3 * brush_mask((64, 64), (32, 48), 3).sum()


@pytest.mark.slow
def test_with_pixel_positions_the_mouse_reaches_both_halves_of_a_cell(small_project: Project) -> None:
    """A cell is 10 x 20 pixels of the terminal; at x1 it contains two pixels of the tile, one above the other."""
    with painting(small_project, (80, 24), mouse_pixels=True) as terminal:
        terminal.send("[[")
        terminal.wait_until_quiet()
        column, row = 20, 3 + 9
        for offset in (5, 15):
            place = f"{column * 10 + 5};{row * 20 + offset}"
            terminal.send(f"\x1b[<0;{place}M\x1b[<0;{place}m")
            terminal.wait_until_quiet()
        terminal.wait_for(lambda _output: "undo 2" in terminal.screen().text and "on disk" in terminal.screen().text)
        layer = read_layer(small_project.layout, WANTED, "microtubule")
        assert layer is not None
        ys = np.flatnonzero((layer == FEATURE).any(axis=1)).tolist()
        assert len(ys) == 2
        assert np.array_equal(layer == FEATURE, rectangle_mask((64, 64), (ys[0], column), (ys[0] + 1, column)))
