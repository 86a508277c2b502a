"""A picture at rest, shown by a real terminal: Debian's xterm as a VT340 on a virtual screen."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import noise, write_mrc
from numpy.typing import NDArray
from PIL import Image

TOOLS = ("xterm", "Xvfb", "import")
PROGRAM = str(Path(__file__).parents[2] / "helpers" / "canvas_app.py")
COLUMNS, ROWS = 80, 22
CELL_XY = (6, 13)
"""Size of a cell in the font ``6x13``, pixels."""
SIDE = 264
"""Edge of the slices: 44 columns of 6 pixels, so that along x a voxel is a pixel. Half-blocks show 6 pixels as one."""


@pytest.fixture
def display() -> Iterator[str]:
    """An X server without a screen; it chooses its own number."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        text = f"not installed: {', '.join(missing)}; run `make tools` as root (xterm, xvfb, imagemagick)"
        if os.environ.get("CI") == "1":
            pytest.fail(text)
        pytest.skip(text)
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        with os.fdopen(reading) as stream:
            number = stream.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
        server.terminate()


def photograph(display: str) -> NDArray[np.uint8]:
    """Return the screen of the X server: uint8, shape (y, x)."""
    command = ["import", "-display", display, "-window", "root", "-silent", "png:-"]
    done = subprocess.run(command, check=True, capture_output=True)
    return np.asarray(Image.open(BytesIO(done.stdout)).convert("L"))


def likeness(photo: NDArray[np.uint8], voxels: NDArray[np.int8]) -> float:
    """Compare the expected area of the slice on the screen with the slice itself."""
    left, width, height = (COLUMNS - 44) // 2 * CELL_XY[0], 44 * CELL_XY[0], ROWS * CELL_XY[1]
    part = photo[:height, left : left + width]
    upright = Image.fromarray((voxels.astype(np.int16) + 128).astype(np.uint8)[::-1])
    expected = np.asarray(upright.resize((width, height), Image.Resampling.NEAREST))
    return float(np.corrcoef(part.ravel(), expected.ravel())[0, 1]) if np.ptp(part) else 0.0


def test_xterm_shows_the_slice_pixel_by_pixel(display: str, tmp_path: Path) -> None:
    values = noise((6, SIDE, SIDE))
    volume = write_mrc(tmp_path / "volume.mrc", values)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"TMUX", "NO_COLOR", "TOMOSEG_RENDERER", "LC_ALL", "TEXTUAL_COLOR_SYSTEM"}
    }
    command = ["xterm", "-display", display, "-ti", "vt340", "-fn", "6x13", "-b", "0", "-bw", "0", "+sb", "-u8"]
    command += ["-geometry", f"{COLUMNS}x{ROWS + 1}+0+0", "-e", sys.executable, PROGRAM, str(volume)]
    alike = 0.0
    with subprocess.Popen(command, env={**environment, "LANG": "C.UTF-8", "LC_CTYPE": "C.UTF-8"}) as terminal:
        try:
            deadline = time.monotonic() + 40
            while alike < 0.9 and time.monotonic() < deadline and terminal.poll() is None:
                time.sleep(0.3)
                photo = photograph(display)
                alike = likeness(photo, values[3])
        finally:
            terminal.terminate()
    Image.fromarray(photo).save(tmp_path / "photo.png")
    assert alike > 0.9, f"the screen is like the slice by {alike:.2f} only; see {tmp_path / 'photo.png'}"
