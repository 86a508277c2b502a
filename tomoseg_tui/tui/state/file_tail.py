"""The thread that follows one growing file, such as a log: it looks a few times a second and posts what is new."""

import threading
from collections.abc import Callable
from pathlib import Path

from textual.message import Message

LOOK_SECONDS = 0.4
"""How often a file that still grows is looked at."""
FIRST_BYTES = 1 << 18
"""Of a long file only so much of its end is read at first."""


class Grown(Message):
    """Whole lines have been added to a file, or it has been written anew."""

    def __init__(self, path: Path, text: bytes, *, afresh: bool) -> None:
        super().__init__()
        self.path = path
        self.text = text
        self.afresh = afresh
        """True if this is the file from its beginning, and not what was added."""


class Tail:
    """Reads the whole lines that were added to a file since the last look.

    Parameters
    ----------
    path : Path
        May be missing yet.
    first_bytes : int
        How much of the end of a long file the first look takes.
    """

    def __init__(self, path: Path, *, first_bytes: int = FIRST_BYTES) -> None:
        self.path, self._first_bytes = path, first_bytes
        self._inode, self._told = -1, 0

    def read(self) -> tuple[bytes, bool] | None:
        """Return what is new and whether it replaces all before; None if nothing is."""
        try:
            facts = self.path.stat()
            afresh = facts.st_ino != self._inode or facts.st_size < self._told
            start = max(0, facts.st_size - self._first_bytes) if afresh else self._told
            if not afresh and facts.st_size == self._told:
                return None
            with self.path.open("rb") as stream:
                stream.seek(start)
                text = stream.read(facts.st_size - start)
        except OSError:
            return None
        if afresh and start:
            text = text.partition(b"\n")[2]  # the first line is a part of one
        whole = text[: text.rfind(b"\n") + 1]
        self._inode, self._told = facts.st_ino, facts.st_size - (len(text) - len(whole))
        return (whole, afresh) if whole or afresh else None


class Follower:
    """Follows one file at a time; what it reads arrives as `Grown`.

    Parameters
    ----------
    post : callable
        Takes a message from any thread; a widget's ``post_message``.
    """

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._wake, self._ended = threading.Event(), threading.Event()
        self._tail: Tail | None = None
        self._live = False
        self._thread: threading.Thread | None = None

    @property
    def path(self) -> Path | None:
        """The file that is followed."""
        return self._tail.path if self._tail is not None else None

    def follow(self, path: Path | None, *, live: bool) -> bool:
        """Read a file, and go on reading while it is live; tell whether it is another one than before."""
        changed = path != self.path
        if changed:
            self._tail = None if path is None else Tail(path)
        if changed or live != self._live:
            self._live = live
            self._begin()
            self._wake.set()
        return changed

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._wake.set()

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="follower", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        while True:
            self._wake.wait(LOOK_SECONDS if self._live else None)
            self._wake.clear()
            if self._ended.is_set():
                return
            tail = self._tail
            found = tail.read() if tail is not None else None
            if tail is not None and found is not None:
                self._post(Grown(tail.path, found[0], afresh=found[1]))
