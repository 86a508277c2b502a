"""Facts that travel between threads, tabs and the app."""

from textual.message import Message

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot


class SnapshotChanged(Message):
    """Something in the project is different; sent to the app, which hands it to the open tab."""

    def __init__(self, snapshot: ProjectSnapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """Let a newer look stand for an older one that nobody has seen yet."""
        return isinstance(message, SnapshotChanged)


class SystemLoadChanged(Message):
    """How busy processors are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def can_replace(self, message: Message) -> bool:
        """Let a newer figure stand for an older one."""
        return isinstance(message, SystemLoadChanged)


class TaskDone(Message):
    """A recipe that ran in a thread has ended well."""

    def __init__(self, title: str, result: object, remarks: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.title = title
        self.result = result
        self.remarks = remarks


class TaskFailed(Message):
    """A recipe that ran in a thread has met a fault."""

    def __init__(self, fault: str, fix: str) -> None:
        super().__init__()
        self.fault = fault
        self.fix = fix


class LoadFailed(Message, bubble=False):
    """What a thread was asked to fetch for a widget is not to be had."""

    def __init__(self, fault: TomosegError, request: object = None) -> None:
        super().__init__()
        self.fault = fault
        self.request = request
        """What it was, for a widget that may have asked for something else since."""


class ThreadCrashed(Message, bubble=False):
    """Our bug in the thread of a widget, to be raised where the app sees it."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
