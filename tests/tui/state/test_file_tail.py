"""Following a growing file."""

import threading
from pathlib import Path

from textual.message import Message

from tomoseg_tui.tui.state.file_tail import FileTailer, LinesAppended, TailReader


def test_new_lines_are_read_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    tail = TailReader(path)
    assert tail.read() == (b"one\ntwo\n", True)
    assert tail.read() is None
    with path.open("ab") as stream:
        stream.write(b"three\n")
    assert tail.read() == (b"three\n", False)


def test_an_incomplete_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    tail = TailReader(path)
    assert tail.read() == (b"one\n", True)
    with path.open("ab") as stream:
        stream.write(b"o\n")
    assert tail.read() == (b"two\n", False)


def test_a_file_created_later_is_found(tmp_path: Path) -> None:
    tail = TailReader(tmp_path / "log")
    assert tail.read() is None
    tail.path.write_bytes(b"one\n")
    assert tail.read() == (b"one\n", True)


def test_a_replaced_file_is_read_from_its_beginning(tmp_path: Path) -> None:
    path, other = tmp_path / "log", tmp_path / "other"
    path.write_bytes(b"one\ntwo\n")
    tail = TailReader(path)
    tail.read()
    other.write_bytes(b"one\ntwo\nthree\n")
    other.replace(path)
    assert tail.read() == (b"one\ntwo\nthree\n", True)


def test_only_whole_lines_at_the_end_of_a_long_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"line %d\n" % number for number in range(1000)))
    assert TailReader(path, max_initial_bytes=20).read() == (b"line 998\nline 999\n", True)


class Box:
    """Collects posted messages and signals each one."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.came = threading.Event()

    def post(self, message: Message) -> None:
        assert isinstance(message, LinesAppended)
        self.texts.append(message.text)
        self.came.set()

    def wait(self) -> None:
        assert self.came.wait(5)
        self.came.clear()


def test_a_live_file_is_followed_and_then_another_one(tmp_path: Path) -> None:
    first, second, box = tmp_path / "first", tmp_path / "second", Box()
    first.write_bytes(b"a\n")
    second.write_bytes(b"b\n")
    follower = FileTailer(box.post)
    assert follower.follow(first, is_live=True)
    box.wait()
    with first.open("ab") as stream:
        stream.write(b"more\n")
    box.wait()
    assert not follower.follow(first, is_live=True)
    assert follower.follow(second, is_live=False)
    box.wait()
    follower.stop()
    assert box.texts == [b"a\n", b"more\n", b"b\n"]
