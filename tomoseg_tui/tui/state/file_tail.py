"""The thread that follows one growing file, such as a log: it polls the file and posts new lines."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

POLL_SECONDS = 0.4
"""Time between two reads of a growing file, s."""
MAX_INITIAL_BYTES = 1 << 18
"""The most that is read at once of a long file, from its end; a longer line is cut."""


@dataclass
class LinesAppended(Message):
    """Whole lines were added to a file, or the file was replaced."""

    path: Path
    text: bytes
    is_reset: bool
    """True if the lines begin with the start of the file; False if they were added."""


class TailReader:
    """Reads the whole lines that were added to a file since the last read.

    Parameters
    ----------
    path : Path
        The file; it need not exist yet.
    max_initial_bytes : int
        How much of the end of a long file is read at first.
    """

    def __init__(self, path: Path, *, max_initial_bytes: int = MAX_INITIAL_BYTES) -> None:
        self.path, self._max_initial_bytes = path, max_initial_bytes
        self._inode, self._offset = -1, 0

    def read(self) -> tuple[bytes, bool] | None:
        """Return the new lines and whether they replace all earlier ones; None if there are none."""
        try:
            status = self.path.stat()
            is_reset = status.st_ino != self._inode or status.st_size < self._offset
            if not is_reset and status.st_size == self._offset:
                return None
            start = max(0 if is_reset else self._offset, status.st_size - self._max_initial_bytes)
            with self.path.open("rb") as stream:
                stream.seek(start)
                text = stream.read(status.st_size - start)
        except OSError:
            return None
        if start != (0 if is_reset else self._offset) and b"\n" in text:
            text = text.partition(b"\n")[2]  # the first line is incomplete
        is_endless = b"\n" not in text and len(text) >= self._max_initial_bytes
        complete_lines = text if is_endless else text[: text.rfind(b"\n") + 1]
        self._inode, self._offset = status.st_ino, status.st_size - (len(text) - len(complete_lines))
        return (complete_lines, is_reset) if complete_lines or is_reset else None


class FileTailer:
    """Follows one file at a time; what it reads arrives as `LinesAppended`.

    Parameters
    ----------
    post : callable
        Posts a message from any thread; ``post_message`` of a widget.
    """

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._wake_event, self._stop_event = threading.Event(), threading.Event()
        self._tail_reader: TailReader | None = None
        self._is_live = False
        self._thread: threading.Thread | None = None

    @property
    def path(self) -> Path | None:
        """The followed file."""
        return self._tail_reader.path if self._tail_reader is not None else None

    def follow(self, path: Path | None, *, is_live: bool) -> bool:
        """Read a file, and keep reading while it is live; return whether it differs from the previous file."""
        has_changed = path != self.path
        if has_changed:
            self._tail_reader = None if path is None else TailReader(path)
        if has_changed or is_live != self._is_live:
            self._is_live = is_live
            self._start_thread()
            self._wake_event.set()
        return has_changed

    def stop(self) -> None:
        """End the thread."""
        self._stop_event.set()
        self._wake_event.set()

    def _start_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._poll_loop, name="follower", daemon=True)
            self._thread.start()

    def _poll_loop(self) -> None:
        while True:
            self._wake_event.wait(POLL_SECONDS if self._is_live else None)
            self._wake_event.clear()
            if self._stop_event.is_set():
                return
            tail_reader = self._tail_reader
            update = tail_reader.read() if tail_reader is not None else None
            if tail_reader is not None and update is not None:
                self._post(LinesAppended(tail_reader.path, update[0], is_reset=update[1]))
