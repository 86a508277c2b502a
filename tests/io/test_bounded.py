"""Files that would take gigabytes or never end are refused, or read in part."""

import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tomoseg_tui.errors import UnreadableTomogramError
from tomoseg_tui.io.eman2_info import read_commands
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.png import read_png
from tomoseg_tui.tui.state.file_tail import TailReader


def test_pages_that_form_a_loop_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "loop.tif"
    tifffile.imwrite(path, np.zeros((3, 8, 8), np.uint8), photometric="minisblack", metadata=None)
    content = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", content, 4)[0]
    next_at = first + 2 + 12 * struct.unpack_from("<H", content, first)[0]
    for target in (first, next_at - 2):
        struct.pack_into("<I", content, next_at, target)
        path.write_bytes(content)
        with pytest.raises(UnreadableTomogramError):
            open_volume(path)


def test_a_page_that_cannot_be_in_its_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    tifffile.imwrite(path, np.zeros((2, 64, 64), np.uint8), photometric="minisblack", metadata=None, compression="zlib")
    content = path.read_bytes()
    for tag in (256, 257):  # width and length of both pages
        content = content.replace(struct.pack("<HHI", tag, 3, 1), struct.pack("<HHI", tag, 4, 1))
    path.write_bytes(content.replace(struct.pack("<I", 64), struct.pack("<I", 1 << 20)))
    with pytest.raises(UnreadableTomogramError):
        open_volume(path)


def test_a_png_of_gigabytes_is_refused(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 9_000, 9_000, 8, 6, 0, 0, 0)
    path = tmp_path / "huge.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(UnreadableTomogramError, match="9000 x 9000"):
        read_png(path)


def test_endless_lines_take_no_time(tmp_path: Path) -> None:
    path = tmp_path / ".eman2log.txt"
    path.write_bytes(b'a\tb\tc\te2x.py "' + b"'\\" * (1 << 20) + b"\na\te2y.py in\n")
    before = time.process_time()
    assert read_commands(path)[-1] == ["e2y.py", "in"]
    tail = TailReader(path, max_initial_bytes=1000)
    path.write_bytes(b"x" * 100_000)
    assert tail.read() == (b"x" * 1000, True)
    assert time.process_time() - before < 2
