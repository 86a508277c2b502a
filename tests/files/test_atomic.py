"""A file is replaced whole or stays unchanged."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tomoseg_tui.errors import ProjectError
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import (
    append_line,
    atomic_output,
    create_exclusively,
    remove_drafts,
    require_writable,
    write_atomically,
)
from tomoseg_tui.files.disk_space import is_disk_full


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "record.json"
    write_atomically(path, "old")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert [entry.name for entry in path.parent.iterdir()] == ["record.json"]


def test_a_failure_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text("old")

    def fail() -> None:
        with atomic_output(path) as draft:
            draft.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_files_have_the_mode_of_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "whole", "x")
        create_exclusively(tmp_path / "new", "x")
        append_line(tmp_path / "lines", "x")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("whole", "new", "lines")}
    assert modes == {0o666 & ~mask}


@pytest.mark.parametrize(
    ("imports", "write"),
    [
        ("from tomoseg_tui.files.atomic import write_atomically", "write_atomically(folder / 'whole', 'x')"),
        ("from tomoseg_tui.files.atomic import create_exclusively", "create_exclusively(folder / f'new{n}', 'x')"),
        ("from tomoseg_tui.files.atomic import append_line", "append_line(folder / 'lines', 'x')"),
        ("from tomoseg_tui.ml.checkpoints import save_checkpoint", "save_checkpoint(folder / 'checkpoint', {}, [])"),
        (
            "from tomoseg_tui.jobs.device_queue import queue_folder",
            "queue_folder({'TOMOSEG_QUEUE_FOLDER': str(folder / f'queue{n}')})",
        ),
    ],
    ids=lambda text: text.partition("(")[0].rpartition(" ")[2],
)
def test_files_of_other_threads_have_the_right_mode_meanwhile(tmp_path: Path, imports: str, write: str) -> None:
    """The umask belongs to the process: reading it by setting it would give files of other threads a wrong mode."""
    script = (
        "import os, sys, threading, time; from pathlib import Path\n"
        f"{imports}\n"
        "os.umask(0o027); folder = Path(sys.argv[1]); modes = set(); errors = []; set_umask = os.umask\n"
        "os.umask = lambda mask: (set_umask(mask), time.sleep(0.01))[0]  # whoever sets it leaves time to be seen\n"
        "def write():\n"
        "    try:\n"
        f"        for n in range(20): {write}\n"
        "    except BaseException as error: errors.append(error)\n"
        "thread = threading.Thread(target=write); thread.start()\n"
        "while True:\n"
        "    with open(folder / 'other', 'w') as stream: modes.add(os.fstat(stream.fileno()).st_mode & 0o777)\n"
        "    os.unlink(folder / 'other')\n"
        "    if not thread.is_alive(): break\n"
        "print(errors, *map(oct, modes))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[] 0o640\n"


def test_only_one_of_two_creates_a_file(tmp_path: Path) -> None:
    path = tmp_path / "claims" / "claim.json"
    assert create_exclusively(path, "first")
    assert not create_exclusively(path, "second")
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_lines_are_appended(tmp_path: Path) -> None:
    for line in ("one", "zwei ä"):
        append_line(tmp_path / "history.jsonl", line)
    assert (tmp_path / "history.jsonl").read_text(encoding="utf-8") == "one\nzwei ä\n"


def test_a_file_of_the_user_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(ProjectError, match="exists") as caught:
        require_writable(tmp_path / "mine", force=False)
    assert "--force" in caught.value.fix
    require_writable(tmp_path / "mine", force=True)
    require_writable(tmp_path / "new", force=False)
    with pytest.raises(ProjectError, match="is a folder"):
        require_writable(tmp_path, force=True)
    with pytest.raises(ProjectError, match="does not exist"):
        require_writable(tmp_path / "nowhere" / "new", force=True)


def test_drafts_of_a_killed_writer_are_swept_and_nothing_else(tmp_path: Path) -> None:
    kept = (".card.json.swp", ".card.jsonl.k3x_81ab", "card.json", "other.json")
    for name in (*kept, ".card.json.k3x_81ab", ".card.json.0011223344556677"):
        (tmp_path / name).write_text("x", encoding="ascii")
    remove_drafts(tmp_path / "card.json", tmp_path / "no folder" / "card.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_a_claim_whose_draft_was_swept_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def swept(draft: str, path: Path) -> None:
        remove_drafts(path)
        link(draft, path)

    link = os.link
    monkeypatch.setattr(os, "link", swept)
    assert not create_exclusively(tmp_path / "claim.json", "x")
    assert list(tmp_path.iterdir()) == []


def test_a_claim_counts_even_if_the_reply_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over NFS the link is then requested again and refused, because its name exists."""

    def answered_late(draft: str, path: Path) -> None:
        link(draft, path)
        link(draft, path)

    link = os.link
    monkeypatch.setattr(os, "link", answered_late)
    claim = tmp_path / "claim.json"
    locks.acquire(claim, locks.this_process())
    assert locks.owner_of(claim) == locks.this_process()
    assert not create_exclusively(claim, "another's")
    assert list(tmp_path.iterdir()) == [claim]


def test_a_line_after_an_incomplete_one_is_separate(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":')
    append_line(path, '{"a":3}')
    append_line(path, '{"a":4}')
    assert path.read_bytes() == b'{"a":1}\n{"a":\n{"a":3}\n{"a":4}\n'


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.ENOSPC, "Can't write data (file write failed: time = Mon, file descriptor = 3, errno = 28, ...)"),
        OSError("Can't write data (file write failed: time = Mon, file descriptor = 3, errno = 28, ...)"),
        RuntimeError("Can't decrement id ref count (file write failed: file descriptor = 3, errno = 28, ...)"),
        OSError("9999 requested and 500 written"),
    ],
    ids=["the system", "HDF5 with a number", "HDF5", "HDF5 as it closes a file", "numpy"],
)
def test_an_error_of_the_system_has_its_number_and_names_the_file(tmp_path: Path, fault: Exception) -> None:
    path = tmp_path / "file"
    with pytest.raises(OSError, match=r"No space left on device: .*/file'$") as caught, atomic_output(path):
        raise fault
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert is_disk_full(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", [RuntimeError("a bug"), ValueError("another")])
def test_an_error_of_another_kind_is_unchanged(tmp_path: Path, fault: Exception) -> None:
    with pytest.raises(type(fault)) as caught, atomic_output(tmp_path / "file"):
        raise fault
    assert caught.value is fault


def test_a_line_that_is_written_only_in_part_is_an_error(tmp_path: Path) -> None:
    """As on a full disk; here a process may write 4 kB and no more."""
    script = (
        "import resource, signal, sys; from pathlib import Path; from tomoseg_tui.files.atomic import append_line\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "path = Path(sys.argv[1]); append_line(path, 'x' * 4000)\n"
        "try: append_line(path, 'y' * 400)\n"
        "except OSError as fault: print(fault.strerror)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "lines")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "No space left on device\n"
