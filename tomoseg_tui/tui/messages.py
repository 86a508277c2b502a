"""Messages between threads, tabs and the app.

A message is a dataclass, here or in the module of the widget that posts it. Textual sets its own attributes in
``__post_init__``, which the ``__init__`` of a dataclass calls:

>>> @dataclass
... class TileCounted(Message):
...     tile: str
>>> TileCounted("alpha:48,48,0:64").time > 0
True
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textual.message import Message

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot


@dataclass
class SnapshotChanged(Message):
    """The project has changed; sent to the app, which passes it to the open tab."""

    snapshot: ProjectSnapshot

    def can_replace(self, message: Message) -> bool:
        """Replace an older snapshot that was not handled yet."""
        return isinstance(message, SnapshotChanged)


@dataclass
class SystemLoadChanged(Message):
    """The load of the processors."""

    text: str

    def can_replace(self, message: Message) -> bool:
        """Replace an older value that was not handled yet."""
        return isinstance(message, SystemLoadChanged)


@dataclass
class TaskDone(Message):
    """A task that ran in a thread has succeeded."""

    title: str
    result: Any
    on_done: Callable[[Any], object] | None = None
    """Called with the result, if the sender set it."""


@dataclass
class TaskFailed(Message):
    """A task that ran in a thread has raised an error."""

    fault: str
    fix: str


@dataclass
class LoadFailed(Message, bubble=False):
    """A thread could not load what a widget requested."""

    fault: TomosegError
    request: object = None
    """The request, so that a widget can ignore the failure of an older one."""


@dataclass
class ThreadCrashed(Message, bubble=False):
    """An internal error in the thread of a widget, to be raised on the UI thread."""

    error: BaseException
