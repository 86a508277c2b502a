"""A real tmux for tests: run the program in it, send keys, read the screen."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

PATIENCE_SECONDS = 120.0
"""Time limit of a wait; the whole walk takes about 45 s on two idle cores, and trainings longer on busy ones."""
_FRAMES = re.compile("[\u2500-\u259f]+")


@dataclass
class Tmux:
    """A separate tmux server with one pane of 80 x 24."""

    folder: Path
    environment: Mapping[str, str]
    name: str = ""
    """Name of the server's socket."""

    def _run(self, *arguments: str) -> str:
        command = ["tmux", "-L", self.name, "-f", "/dev/null", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env={**os.environ, **self.environment}, check=True, capture_output=True, text=True
        ).stdout

    def start(self) -> None:
        """Start the program in the folder in a new server; a line is printed when it has ended."""
        self.name = f"walk-{os.getpid()}-{time.monotonic_ns()}"
        program = shlex.join([sys.executable, "-m", "tomoseg_tui"])
        self._run("new-session", "-d", "-x", "80", "-y", "24", f"{program}; echo ENDED $?; sleep 1000")

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names."""
        self._run("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self._run("send-keys", "-l", "--", text)

    def screen(self) -> str:
        """Return the screen."""
        return self._run("capture-pane", "-p")

    def sees(self, *texts: str) -> bool:
        """Return whether all texts are on the screen, ignoring frames and line ends between their words."""
        seen = " ".join(_FRAMES.sub(" ", self.screen()).split())
        return all(text in seen for text in texts)

    def wait_for(self, *texts: str) -> None:
        """Wait until all texts are on the screen."""
        self.wait_until(lambda: self.sees(*texts), " and ".join(texts))

    def wait_until(self, condition: Callable[[], bool], arguments: str) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            seen = self.screen()
            assert time.monotonic() < deadline, f"never came: {arguments}\n{seen}"
            assert "bug in tomoseg" not in seen, seen
            time.sleep(0.1)

    def press_for(self, key: str, *texts: str) -> None:
        """Press a key and wait for texts on the screen."""
        self.press(key)
        self.wait_for(*texts)

    def type_at(self, line: str, text: str) -> None:
        """Type a text as soon as the cursor is in a given line: the focus moves a moment after a key."""
        self.wait_until(lambda: line in self._line_of_cursor(), f"the cursor at {line!r}")
        self.type(text)

    def _line_of_cursor(self) -> str:
        row = int(self.ask("#{cursor_y}"))
        return self.screen().splitlines()[row]

    def resize(self, columns: int, rows: int) -> None:
        """Give the pane another size."""
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def ask(self, arguments: str) -> str:
        """Return the value of a tmux format, such as ``#{pane_pid}``."""
        return self._run("display-message", "-p", arguments).strip()

    def kill_server(self) -> None:
        """Kill the server and every terminal in it, as an administrator would."""
        subprocess.run(["tmux", "-L", self.name, "kill-server"], check=False, capture_output=True)
