"""A pseudo-terminal for tests and benchmarks: answers queries, can be slow, and records the output."""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

ASK = b"\x1b[6n"
_QUESTION = re.compile(rb"\x1b\[6n|\x1b\[c|\x1b\[16t|\x1b_Gi=31[^\x1b]*\x1b\\|\x1b\[\?2;1;0S")
_TOKEN = re.compile(
    r"\x1b\[(?P<args>[\d;?<>=$ ]*)(?P<kind>[A-Za-z@`])|\x1b[P_\]].*?(?:\x1b\\|\x07)|\x1b.|(?P<text>[^\x1b]+)", re.DOTALL
)
_INCOMPLETE = re.compile(r"\x1b(?:\[[\d;?<>=$ ]*|[P_\]](?:(?!\x1b\\|\x07).)*)?\Z", re.DOTALL)
"""A sequence whose end has not arrived."""
_KEPT = 64
"""Longest part of a query at the end of a read, bytes."""


class Terminal:
    """A program on a pseudo-terminal.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    size : tuple of int
        Columns and rows.
    environment : mapping of str to str
        Added to that of this process.
    bytes_a_second : float
        Speed of the line; infinite by default.
    sixel : bool
        Whether it reports sixel support, with cells of 10 x 20 pixels.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        size: tuple[int, int] = (80, 24),
        environment: Mapping[str, str] | None = None,
        bytes_a_second: float = float("inf"),
        sixel: bool = False,
    ) -> None:
        self.size, self._rate, self._sixel = size, bytes_a_second, sixel
        self.pieces: list[tuple[float, bytes]] = []
        """Each piece of output and its time, seconds of `time.monotonic`."""
        self._arrived = threading.Condition()
        self._screen, self._processed, self._unprocessed = Screen(size), 0, ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={
                # COLUMNS and LINES, which pytest-xdist exports, would overrule the size of the terminal.
                **{name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}},
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                "LANG": "C.UTF-8",
                **(environment or {}),
            },
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # only this call runs there
        )
        os.close(slave)
        self._thread = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._thread.join()
        os.close(self._master)

    @property
    def output(self) -> bytes:
        """All output so far."""
        with self._arrived:
            return b"".join(piece for _, piece in self.pieces)

    def send(self, keys: str) -> float:
        """Type keys; return the time."""
        os.write(self._master, keys.encode())
        return time.monotonic()

    def wait_for(self, condition: Callable[[bytes], object], *, seconds: float = 20.0) -> float:
        """Wait until a condition holds for the output; return the time of the last piece."""
        deadline = time.monotonic() + seconds
        with self._arrived:
            while not condition(b"".join(piece for _, piece in self.pieces)):
                left = deadline - time.monotonic()
                assert left > 0, f"never came; the screen:\n{self.screen().text}"
                self._arrived.wait(left)
            return self.pieces[-1][0]

    def wait_until_quiet(self, seconds: float = 0.5) -> None:
        """Wait until there is no output for a while."""
        with self._arrived:
            while self._arrived.wait(seconds):
                pass

    def screen(self) -> "Screen":
        """Return the current screen; only what has arrived since the last call is processed."""
        with self._arrived:
            new = b"".join(piece for _, piece in self.pieces[self._processed :])
            self._processed = len(self.pieces)
            data = self._unprocessed + self._decoder.decode(new)
            cut = _INCOMPLETE.search(data, max(0, data.rfind("\x1b", 0, data.rfind("\x1b"))))
            end = cut.start() if cut is not None else len(data)
            self._screen.feed(data[:end])
            self._unprocessed = data[end:]
            return self._screen

    def _read(self) -> None:
        free_at, cut = 0.0, b""
        while True:
            try:
                if not select.select([self._master], [], [], 0.5)[0]:
                    if self.process.poll() is not None:
                        return
                    continue
                piece = os.read(self._master, 4096)
            except OSError:
                return  # the other end is closed
            free_at = max(free_at, time.monotonic()) + len(piece) / self._rate
            time.sleep(max(0.0, free_at - time.monotonic()))
            with self._arrived:
                self.pieces.append((time.monotonic(), piece))
                self._arrived.notify_all()
            cut = self._answer(cut + piece)

    def _answer(self, data: bytes) -> bytes:
        """Answer the queries in the output; return its end, which may be an incomplete query."""
        place = 0
        for question in _QUESTION.finditer(data):
            place = question.end()
            answer = self._answer_to(question[0])
            if answer:
                os.write(self._master, answer)
        return data[max(place, len(data) - _KEPT) :]

    def _answer_to(self, question: bytes) -> bytes:
        if question == ASK:
            return b"\x1b[1;1R"
        if question == b"\x1b[c":
            return b"\x1b[?62;4;22c" if self._sixel else b"\x1b[?62;22c"
        return b"\x1b[6;20;10t" if question == b"\x1b[16t" and self._sixel else b""


class Screen:
    """Cells of a screen after escape sequences: characters and colours.

    Positions, colours and text are handled, as Textual and the canvas write them; other sequences are ignored.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.columns, self.rows = size
        self.characters = np.full((self.rows, self.columns), " ", dtype="<U1")
        self.inks = np.zeros((self.rows, self.columns, 3), dtype=np.uint8)
        self.grounds = np.zeros((self.rows, self.columns, 3), dtype=np.uint8)
        self._row = self._column = 0
        self._ink = self._ground = (0, 0, 0)

    @property
    def text(self) -> str:
        """The characters, one line per row."""
        return "\n".join("".join(row) for row in self.characters.tolist())

    def feed(self, data: str) -> None:
        """Process output of the program."""
        for token in _TOKEN.finditer(data):
            if token["text"] is not None:
                self._write(token["text"])
            elif token["kind"] == "m":
                self._colour([int(number or 0) for number in token["args"].split(";")])
            elif token["kind"] == "H":
                row, _, column = token["args"].partition(";")
                self._row, self._column = int(row or 1) - 1, int(column or 1) - 1

    def pixels(self) -> NDArray[np.uint8]:
        """Return the two pixels of each cell: uint8, shape (2 * rows, columns, 3)."""
        upper_is_ink = np.isin(self.characters, ["▀", "█"])[..., np.newaxis]
        lower_is_ink = np.isin(self.characters, ["▄", "█"])[..., np.newaxis]
        halves = [np.where(is_ink, self.inks, self.grounds) for is_ink in (upper_is_ink, lower_is_ink)]
        return np.stack(halves, axis=1).reshape(2 * self.rows, self.columns, 3)

    def _write(self, text: str) -> None:
        for character in text:
            if character == "\r":
                self._column = 0
            elif character == "\n":
                self._row += 1
            elif character >= " " and self._row < self.rows and self._column < self.columns:
                self.characters[self._row, self._column] = character
                self.inks[self._row, self._column] = self._ink
                self.grounds[self._row, self._column] = self._ground
                self._column += 1

    def _colour(self, numbers: list[int]) -> None:
        while numbers:
            code = numbers.pop(0)
            if code == 0:
                self._ink = self._ground = (0, 0, 0)
            elif code in {38, 48}:
                kind = numbers.pop(0)
                red, green, blue = (numbers.pop(0) for _ in range(3)) if kind == 2 else _xterm_colour(numbers.pop(0))
                if code == 38:
                    self._ink = (red, green, blue)
                else:
                    self._ground = (red, green, blue)


def _xterm_colour(index: int) -> tuple[int, int, int]:
    """Return one of xterm's 256 colours; the first sixteen, which themes change, are black here."""
    if index >= 232:
        return (8 + 10 * (index - 232),) * 3
    steps = (0, 95, 135, 175, 215, 255)
    red, green, blue = (index - 16) // 36, (index - 16) // 6 % 6, (index - 16) % 6
    return (0, 0, 0) if index < 16 else (steps[red], steps[green], steps[blue])


def memory_bytes(process_id: int) -> int:
    """Return the peak resident size of a process."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def processor_seconds(process_id: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
