"""HDF5 files that would crash, hang or betray this process are refused before it opens them."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tomoseg_tui.errors import ProjectError, UnreadableTomogramError
from tomoseg_tui.files.structured import MalformedError
from tomoseg_tui.io import hdf5_check
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.hdf5_check import require_sound
from tomoseg_tui.io.trainset_file import read_summary
from tomoseg_tui.io.triples_file import read_triples


def soft(file: h5py.File) -> None:
    file["tiles"] = h5py.SoftLink("/nowhere")


def outside(file: h5py.File) -> None:
    file["tiles"] = h5py.ExternalLink("/etc/other.h5", "/")


def external(file: h5py.File) -> None:
    file.create_dataset("held_out", (16,), "u1", external=[("/etc/passwd", 0, 16)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource("other.h5", "data", (4,))
    file.create_virtual_dataset("images", layout)


def huge(file: h5py.File) -> None:
    file.create_dataset("images", (1 << 20, 1 << 20), "f4", chunks=(64, 64))


def huge_chunk(file: h5py.File) -> None:
    file.create_dataset("images", (1 << 14, 1 << 16), "u1", chunks=(1 << 14, 1 << 16), compression="gzip")
    file["ballast"] = np.random.default_rng(0).integers(0, 255, 1 << 20, np.uint8)


def loop(file: h5py.File) -> None:
    file.create_group("a")["b"] = file["/"]


@pytest.mark.parametrize("make", [soft, outside, external, virtual, huge, huge_chunk, loop])
def test_what_reaches_outside_or_takes_all_memory_is_refused(tmp_path: Path, make: Callable[[h5py.File], None]) -> None:
    path = tmp_path / "set.h5"
    with h5py.File(path, "w") as file:
        make(file)
    with pytest.raises(MalformedError):
        require_sound(path)
    for read in (read_summary, read_triples):
        with pytest.raises(ProjectError, match=r"set\.h5"):
            read(path)
    with pytest.raises(UnreadableTomogramError):
        open_volume(path)


def test_a_sound_file_is_read_once_by_the_process_that_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "set.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.arange(5)
    require_sound(path)
    monkeypatch.setattr(hdf5_check._CHECKER, "check", lambda *_: "asked again")
    require_sound(path)
    with h5py.File(path, "r+") as file:
        file["more"] = 1
    with pytest.raises(MalformedError, match="asked again"):
        require_sound(path)


def test_a_crash_or_a_hang_of_the_library_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "set.h5"
    path.write_bytes(b"x")
    checker = hdf5_check._Checker()
    checker.check(path, 20)
    assert checker._process is not None
    checker._process.send_signal(11)
    assert "crashes the HDF5 library" in checker.check(path, 20)
    assert "needs more than 0 s" in checker.check(path, 0)
    assert checker.check(path, 20)
    checker.close()
