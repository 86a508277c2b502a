"""The job queue of one machine, without a daemon: one queue file per job, one lock per device, and workers that poll.

In one folder, open to all users, each waiting or running job has a ticket: a file whose name begins with the time at
which the job was launched, so that sorted names are the queue. A device has a lock, created exclusively. The oldest
ticket whose owner is alive takes the lock. A ticket stays while its job runs, so that waiting jobs can name that job.

Whether an owner is alive is decided as for all claims (`files.locks`), and here the heartbeat counts too: a worker that
hangs on a file system that does not answer must not block the others. In a folder with the sticky bit a file of another
user cannot be deleted. A lock that a dead owner left there is skipped: the next lock of the device is taken, and is
valid only if no other lock of the device has a live owner, so that two jobs never hold one device.
"""

import contextlib
import os
import pwd
import re
import stat
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, final

import msgspec

from tomoseg_tui.errors import AlreadyRunningError, JobError
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import create_exclusively
from tomoseg_tui.files.structured import MalformedError, decode_json
from tomoseg_tui.jobs.device_request import DeviceRequest
from tomoseg_tui.project.user_config import config_file, read_config

FOLDER_VARIABLE = "TOMOSEG_QUEUE_FOLDER"
"""Names the queue's folder and overrides the config; tests use a folder of their own."""
FOLDER_NAME = "tomoseg-queue"
SYSTEM_TEMPORARY = Path("/tmp")  # noqa: S108  # one folder for all users, whatever TMPDIR says; see `_check_folder`
FOLDER_MODE = 0o1777
"""All users may add files; nobody may delete the file of another user."""
FILE_MODE = 0o644
"""All users may read the queue."""
DRAFT_LIMIT_SECONDS = 3600.0
"""An incomplete or unreadable file of this age is removed."""
_DRAFT = re.compile(r"\..+\.(ticket|lock)\..+")
"""Name of an incomplete file; other hidden files in the folder are not ours."""
MAX_LOCKS = 100
"""Dead locks of other users that are skipped before an error is raised."""
MAX_NAMED_JOBS = 2
"""Number of jobs running on a device that are named."""


class Ticket(msgspec.Struct, frozen=True):
    """A job that waits for a device or holds it."""

    owner: locks.Owner
    user: str
    project: str
    """Name of the project's folder."""
    job: str
    devices: tuple[str, ...]
    """Any of these."""


@dataclass(frozen=True)
class QueuePosition:
    """Position of a job in the queue."""

    text: str
    """What it waits for."""
    ahead: int
    """Jobs that wait ahead of it."""

    def pause_seconds(self, waited_seconds: float) -> float:
        """Return the time to the next poll; longer if more jobs are ahead."""
        minimum = min(0.1 + waited_seconds / 40, 1.0)
        return max(minimum, min(0.2 * self.ahead, 5.0))


def queue_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the queue's folder; create it if it does not exist.

    Raises
    ------
    SettingsError
        If the user's config cannot be read.
    JobError
        If the folder cannot be used.
    """
    folder_name = environment.get(FOLDER_VARIABLE, "")
    configured = Path(folder_name) if folder_name else read_config(config_file(environment)).queue_folder
    folder = configured if configured is not None else SYSTEM_TEMPORARY / FOLDER_NAME
    _make_folder(folder)
    _check_folder(folder, is_default=configured is None)
    return folder


def _make_folder(folder: Path) -> None:
    """Set the mode before the folder gets its name: another user may use it as soon as it has that name."""
    if os.path.lexists(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    draft.chmod(FOLDER_MODE)
    try:
        draft.rename(folder)
    except OSError:
        draft.rmdir()  # another process was faster


def _check_folder(folder: Path, *, is_default: bool) -> None:
    """Refuse a folder in which another user could replace our files, or that a link of another user names."""
    me, link = os.geteuid(), folder.lstat()
    status = link if is_default or link.st_uid not in {0, me} else folder.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise JobError(f"{folder} is not a folder, so jobs cannot queue there.", _folder_fix())
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid == me and ((is_default and mode != FOLDER_MODE) or (mode & 0o022 and not mode & stat.S_ISVTX)):
        folder.chmod(FOLDER_MODE if is_default else mode | stat.S_ISVTX)
    elif not mode & stat.S_ISVTX and (status.st_uid not in {0, me} or mode & stat.S_IWOTH):
        raise JobError(
            f"Another user can replace files in {folder}: it has no sticky bit.",
            f"Its owner can set it: chmod +t '{folder}'. Or: {_folder_fix()}",
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise JobError(f"You have no access to {folder}, so jobs cannot queue there.", _folder_fix())


def _folder_fix() -> str:
    return f'Name another folder, the same for all users of this machine: queue_folder = "DIR" in {config_file()}'


@final
class QueueSlot:
    """The ticket of a job in the queue, and the device locks that it holds.

    Parameters
    ----------
    folder : Path
        Folder of the queue.
    request : DeviceRequest
        The devices that the job waits for.
    project, job : str
        Shown to users whose jobs wait for this one.
    since_ns : int
        Launch time of the job in nanoseconds since 1970; now if 0.
    """

    def __init__(self, folder: Path, request: DeviceRequest, *, project: str, job: str, since_ns: int = 0) -> None:
        self._folder, self._request = folder, request
        self._owner = locks.this_process()
        self._ticket = Ticket(self._owner, user_name(), project, job, request.devices)
        self._ticket_file = folder / f"{since_ns or time.time_ns():020d}.{self._owner.host}.{self._owner.pid}.ticket"
        self._ticket_cache: dict[str, Ticket | None] = {}
        self._locks: dict[str, Path] = {}

    def __enter__(self) -> Self:
        self._write_ticket()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release_locks()
        with contextlib.suppress(OSError):
            self._ticket_file.unlink()

    def _write_ticket(self) -> None:
        create_exclusively(self._ticket_file, msgspec.json.encode(self._ticket).decode(), mode=FILE_MODE)

    def heartbeat(self) -> None:
        """Show that the owner is alive, and protect the files from programs that clear temporary folders."""
        for file in (self._ticket_file, *self._locks.values()):
            with contextlib.suppress(OSError):
                os.utime(file, follow_symlinks=False)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that this job holds."""
        return tuple(self._locks)

    def try_acquire(self) -> QueuePosition | None:
        """Acquire the devices if it is this job's turn; return None then, else the position in the queue."""
        if not self._ticket_file.exists():  # the folder was cleared
            self._write_ticket()
        lock_owners = _lock_owners(self._folder, self._owner.host)
        running_owners = set(lock_owners.values())
        tickets = self._live_tickets(running_owners)
        older_tickets = [
            ticket
            for name, ticket in tickets
            if name < self._ticket_file.name
            and ticket.owner not in running_owners
            and set(ticket.devices) & set(self._request.devices)
        ]
        reserved = {device for ticket in older_tickets for device in ticket.devices}
        if self._acquire_devices(
            self._request.order_by_preference(set(self._request.devices) - reserved - set(lock_owners))
        ):
            return None
        busy = {lock_owners[device] for device in self._request.devices if device in lock_owners}
        names = [self._describe_ticket(ticket) for _, ticket in tickets if ticket.owner in busy]
        return QueuePosition(_format_waiting(self._request.text, names, len(older_tickets)), len(older_tickets))

    def _acquire_devices(self, devices: Sequence[str]) -> bool:
        """Acquire the requested number of devices, or none."""
        if len(devices) < self._request.count:
            return False
        for device in devices:
            lock = acquire_device_lock(self._folder, device, self._owner)
            if lock is not None:
                self._locks[device] = lock
            if len(self._locks) == self._request.count:
                return True
        self._release_locks()
        return False

    def _release_locks(self) -> None:
        for lock in self._locks.values():
            with contextlib.suppress(OSError):
                locks.release(lock, self._owner)
        self._locks.clear()

    def _live_tickets(self, running_owners: Collection[locks.Owner]) -> list[tuple[str, Ticket]]:
        """Return the older tickets and those of running jobs, oldest first.

        Tickets of dead owners are removed where permissions allow it.
        """
        tickets = []
        names = sorted(path.name for path in self._folder.iterdir())
        self._ticket_cache = {name: self._ticket_cache[name] for name in names if name in self._ticket_cache}
        for name in names:
            path = self._folder / name
            if _DRAFT.fullmatch(name):
                _remove_stale_draft(path)
            elif name.endswith(".ticket") and name != self._ticket_file.name:
                ticket = self._cached_ticket(path)
                is_relevant = ticket is not None and (name < self._ticket_file.name or ticket.owner in running_owners)
                if ticket is not None and is_relevant and _is_live_ticket(path, ticket, self._owner.host):
                    tickets.append((name, ticket))
        return tickets

    def _cached_ticket(self, path: Path) -> Ticket | None:
        """Read a ticket once: it never changes."""
        if path.name not in self._ticket_cache:
            self._ticket_cache[path.name] = read_ticket(path)
        return self._ticket_cache[path.name]

    def _describe_ticket(self, ticket: Ticket) -> str:
        """Return the name of a job for the user of this one."""
        if ticket.user != self._ticket.user:
            return f"job {ticket.job} of {ticket.user}"
        same_project = ticket.project == self._ticket.project
        return f"job {ticket.job}" if same_project else f"job {ticket.job} of {ticket.project}"


def user_name() -> str:
    """Return the user of this process."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container knows users by number only
        return str(os.geteuid())


def read_ticket(path: Path) -> Ticket | None:
    """Return a ticket; None if it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)  # other users may put anything here
        with os.fdopen(descriptor, "rb") as stream:
            return decode_json(stream.read(locks.MAX_CLAIM_BYTES), Ticket)
    except (OSError, MalformedError):
        _remove_stale_draft(path)
        return None


def _is_live_ticket(path: Path, ticket: Ticket, host: str) -> bool:
    """Return whether a ticket has a live owner; remove it if not, unless it is another user's."""
    if ticket.owner.host != host:
        return False
    age = locks.age_seconds(path)
    if not locks.is_alive(ticket.owner, lambda: age):
        with contextlib.suppress(OSError):
            path.unlink()
        return False
    return age < locks.HEARTBEAT_LIMIT_SECONDS


def _remove_stale_draft(path: Path) -> None:
    """Remove an old incomplete file."""
    if DRAFT_LIMIT_SECONDS < locks.age_seconds(path) < float("inf"):
        with contextlib.suppress(OSError):
            path.unlink()


def acquire_device_lock(folder: Path, device: str, owner: locks.Owner) -> Path | None:
    """Acquire the lock of a device; return None if another job has the device.

    Raises
    ------
    JobError
        If the folder is full of dead locks of other users, or cannot be written.
    """
    for level in range(MAX_LOCKS):
        lock = folder / f"{owner.host}.{device}.{level}.lock"
        try:
            locks.acquire(lock, owner, mode=FILE_MODE)
        except AlreadyRunningError:
            return None
        except OSError as fault:
            if lock.exists() or lock.is_symlink():  # of a dead process of another user
                continue
            raise JobError(
                f"{fault.strerror or fault}: {folder}.", "Free disk space there, or correct its permissions."
            ) from fault
        if _is_only_lock(lock, owner):
            return lock
        locks.release(lock, owner)
        return None
    raise JobError(f"{folder} is full of dead locks of other users.", "Ask them or the administrator to remove it.")


def _is_only_lock(lock: Path, owner: locks.Owner) -> bool:
    """Return whether no other lock of the same device has a live owner.

    Each job creates its lock before this check, so that of two jobs the later one always sees the other.
    """
    device = _device_of(lock.name, owner.host)
    other_locks = (
        path for path in _lock_files(lock.parent) if path != lock and _device_of(path.name, owner.host) == device
    )
    return not any(locks.is_held(path) for path in other_locks)


def _lock_owners(folder: Path, host: str) -> dict[str, locks.Owner]:
    """Return the live owner of each device of this host."""
    owners: dict[str, locks.Owner] = {}
    for lock in _lock_files(folder):
        device = _device_of(lock.name, host)
        if device and locks.is_held(lock):
            owner = locks.owner_of(lock)
            if owner is not None:
                owners[device] = owner
    return owners


def _lock_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.name.endswith(".lock") and not path.name.startswith("."))


def _device_of(name: str, host: str) -> str:
    """Return the device of a lock file; empty if it is of another host."""
    match = re.fullmatch(rf"{re.escape(host)}\.(.+)\.\d+\.lock", name)
    return match[1] if match else ""


def _format_waiting(device_text: str, running_jobs: Collection[str], ahead: int) -> str:
    """Return what a job waits for.

    Examples
    --------
    >>> _format_waiting("the CPU", ["job 3 of alice"], 2)
    'waiting for the CPU: job 3 of alice is running, 2 jobs ahead'
    """
    named = [
        *sorted(running_jobs)[:MAX_NAMED_JOBS],
        *([f"{len(running_jobs) - MAX_NAMED_JOBS} more"] if len(running_jobs) > MAX_NAMED_JOBS else []),
    ]
    verb = "is" if len(running_jobs) == 1 else "are"
    parts = [f"{' and '.join(named)} {verb} running"] if named else []
    parts += [f"{ahead} job{'s' * (ahead > 1)} ahead"] if ahead else []
    return f"waiting for {device_text}" + (f": {', '.join(parts)}" if parts else "")
