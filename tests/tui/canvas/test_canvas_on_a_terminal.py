"""The canvas on a real pseudo-terminal: it shows the slice, and sends frames no faster than replies arrive."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import noise, write_mrc
from helpers.pseudo_terminal import ASK, Terminal
from numpy.typing import NDArray

pytestmark = pytest.mark.slow

PROGRAM = str(Path(__file__).parents[2] / "helpers" / "canvas_app.py")
SIDE = 44
"""Edge of the slices: with 22 rows of cells, a voxel is a pixel."""
SIXEL = re.compile(rb"\x1b7\x1b\[(\d+);(\d+)H(\x1bP.*?\x1b\\)\x1b8", re.DOTALL)


@pytest.fixture(scope="module")
def values() -> NDArray[np.int8]:
    return noise((12, SIDE, SIDE))


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.int8]) -> Path:
    return write_mrc(tmp_path_factory.mktemp("terminal") / "volume.mrc", values)


@pytest.fixture(autouse=True)
def _no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TMUX", "TOMOSEG_RENDERER", "LC_ALL"):
        monkeypatch.delenv(name, raising=False)


def grey_on(terminal: Terminal) -> NDArray[np.float64]:
    """Return the greys of the displayed slice, y pointing up."""
    left = (80 - SIDE) // 2
    return terminal.screen().pixels()[: 2 * 22, left : left + SIDE, 0][::-1].astype(np.float64)


def likeness(shown: NDArray[np.float64], voxels: NDArray[np.int8]) -> float:
    return float(np.corrcoef(shown.ravel(), voxels.ravel())[0, 1]) if np.ptp(shown) else 0.0


def has_frame(output: bytes) -> bool:
    """Return whether a frame was sent after the first queries."""
    return ASK in output.partition(b"\x1b[c")[2]


def test_a_terminal_shows_the_voxels_of_the_slice(volume: Path, values: NDArray[np.int8]) -> None:
    with Terminal([sys.executable, PROGRAM, str(volume)], size=(80, 23)) as terminal:
        terminal.wait_for(has_frame)
        terminal.wait_for(lambda _output: likeness(grey_on(terminal), values[6]) > 0.95)
        terminal.send("]")
        terminal.wait_for(lambda _output: likeness(grey_on(terminal), values[7]) > 0.95)
        terminal.send("q")
        assert terminal.process.wait(10) == 0


def test_a_slow_line_gets_coarse_frames_in_motion_and_full_quality_at_rest(
    volume: Path, values: NDArray[np.int8]
) -> None:
    """A frame has about 40 kB; at 150 kB/s only a few keys per second can give frames."""
    with Terminal([sys.executable, PROGRAM, str(volume)], size=(80, 23), bytes_a_second=150_000) as terminal:
        terminal.wait_for(has_frame)
        for key in "[[[[]]]]" * 5:
            terminal.send(key)
            terminal._thread.join(0.02)
        terminal.wait_for(lambda _output: likeness(grey_on(terminal), values[6]) > 0.95)
        assert terminal.output.count(ASK) < 30


def test_a_sixel_is_written_over_the_slice_when_no_key_is_pressed(volume: Path) -> None:
    with Terminal([sys.executable, PROGRAM, str(volume)], size=(80, 23), sixel=True) as terminal:
        terminal.wait_for(SIXEL.search)
        terminal.wait_until_quiet()
        found = SIXEL.search(terminal.output)
        assert found is not None
        assert (int(found[1]), int(found[2])) == (1, (80 - SIDE) // 2 + 1)
        assert f'"1;1;{SIDE * 10};{22 * 20}'.encode() in found[3]
        count = len(SIXEL.findall(terminal.output))
        terminal.send("]]]]")
        terminal.wait_for(lambda output: len(SIXEL.findall(output)) > count)
        terminal.wait_until_quiet()
        at_rest = b"\x1b\\\x1b8" + ASK
        terminal.wait_for(lambda output: output.endswith(at_rest))  # the picture at rest is the last output


def test_every_cell_is_written_again_before_the_next_frame_to_remove_sixels(
    volume: Path, values: NDArray[np.int8]
) -> None:
    with Terminal([sys.executable, PROGRAM, str(volume)], size=(80, 23), sixel=True) as terminal:
        terminal.wait_for(SIXEL.search)
        terminal.wait_until_quiet()
        before = len(terminal.output)
        terminal.send("l")
        terminal.wait_for(lambda output: ASK in output[before:])
        rows = set(re.findall(rb"\x1b\[(\d+);", terminal.output[before:]))
        assert {str(row).encode() for row in range(1, 23)} <= rows


def test_a_terminal_without_sixels_gets_none(volume: Path) -> None:
    with Terminal([sys.executable, PROGRAM, str(volume)], size=(80, 23)) as terminal:
        terminal.wait_for(has_frame)
        terminal.send("]")
        terminal.wait_until_quiet()
        assert b"\x1bP" not in terminal.output
