"""Messages between threads, tabs and the app.

A message is a dataclass, here and beside the widgets that post one. Textual sets its own attributes in
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
    """Something in the project is different; sent to the app, which hands it to the open tab."""

    snapshot: ProjectSnapshot

    def can_replace(self, message: Message) -> bool:
        """Let a newer look stand for an older one that nobody has seen yet."""
        return isinstance(message, SnapshotChanged)


@dataclass
class SystemLoadChanged(Message):
    """How busy processors are."""

    text: str

    def can_replace(self, message: Message) -> bool:
        """Let a newer figure stand for an older one."""
        return isinstance(message, SystemLoadChanged)


@dataclass
class TaskDone(Message):
    """A task that ran in a thread has ended well."""

    title: str
    result: Any
    on_done: Callable[[Any], object] | None = None
    """Called with the result where the sender asked for that."""


@dataclass
class TaskFailed(Message):
    """A task that ran in a thread has met a fault."""

    fault: str
    fix: str


@dataclass
class LoadFailed(Message, bubble=False):
    """What a thread was asked to fetch for a widget is not to be had."""

    fault: TomosegError
    request: object = None
    """What it was, for a widget that may have asked for something else since."""


@dataclass
class ThreadCrashed(Message, bubble=False):
    """Our bug in the thread of a widget, to be raised where the app sees it."""

    error: BaseException
