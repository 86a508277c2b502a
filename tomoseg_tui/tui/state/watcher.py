"""The thread that looks at the project and at the machine, and tells the app what has changed."""

import threading
from collections.abc import Callable

from textual.message import Message

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.job_list import JobsSeen
from tomoseg_tui.jobs.system_load import LoadMeter
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.messages import FactsChanged, LoadChanged, RecipeFailed
from tomoseg_tui.tui.state.snapshot import fingerprint, read_facts

LOOK_SECONDS = 0.5
"""How often the project is looked at."""
PATIENCE = 4
"""Looks that may fail one after the other before the fault is told; it is told once."""
LOAD_EVERY = 4
"""Looks between two figures of the machine's load."""


class Watcher:
    """Looks twice a second, at once when asked, and posts only what is new.

    Parameters
    ----------
    project : Project
        What to look at.
    post : callable
        Takes a message from any thread; the app's ``post_message``.
    """

    def __init__(self, project: Project, post: Callable[[Message], object]) -> None:
        self._project, self._post = project, post
        self._wake, self._ended = threading.Event(), threading.Event()
        self._jobs = JobsSeen(project.layout)
        self._seen, self._blind = b"", 0
        self._meter = LoadMeter()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def look_now(self) -> None:
        """Look at once, because something was changed from here."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._wake.set()

    def _watch(self) -> None:
        looks = 0
        while not self._ended.is_set():
            self._look()
            if looks % LOAD_EVERY == 0:
                self._post(LoadChanged(self._meter.look().in_words()))
            looks += 1
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()

    def _look(self) -> None:
        try:
            facts = read_facts(self._project, self._jobs)
        except (TomosegError, OSError) as fault:
            self._blind += 1  # mostly a file between two states: the next look is half a second away
            if self._blind == PATIENCE:
                self._post(RecipeFailed(*words_of(fault)))
            return
        self._blind = 0
        seen = fingerprint(facts)
        if seen != self._seen:
            self._seen = seen
            self._post(FactsChanged(facts))


def words_of(fault: TomosegError | OSError) -> tuple[str, str]:
    """Return what is wrong and what to do about it."""
    if isinstance(fault, TomosegError):
        return fault.fault, fault.fix
    return f"{fault.strerror or fault}: {fault.filename}.", "Check the path, rights and space."
