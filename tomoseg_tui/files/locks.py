"""Locks between processes: a lock is a file, here called a claim, that names the process that owns it.

A pid is not enough: the system uses numbers again, and an ended child keeps its pid until its parent waits for it. So
an owner is host, boot id, pid and start time of the process. For an owner on another host only the age of the
heartbeat counts. Locks of the file system are not used: they fail over NFS.
"""

import contextlib
import functools
import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from tomoseg_tui.errors import AlreadyRunningError
from tomoseg_tui.files.atomic import create_exclusively
from tomoseg_tui.files.structured import MalformedError, decode_json

HEARTBEAT_SECONDS = 2.0
"""Time between two heartbeats of an owner."""
MAX_CLAIM_BYTES = 65536
"""More is not read; a claim is far shorter."""
HEARTBEAT_LIMIT_SECONDS = 30.0
"""An owner on another host whose heartbeat is older than this is dead."""


class Owner(msgspec.Struct, frozen=True):
    """A process, with all that tells it from any other."""

    host: str
    boot_id: str
    """Identifies the time since the kernel was started."""
    pid: int
    started: str
    """Start of the process in clock ticks since boot (field 22 of /proc/PID/stat, proc(5)); empty if unknown."""


@functools.cache
def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _state_and_start(pid: int) -> tuple[str, str] | None:
    """Return state letter and start time of a process from /proc; None if there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], fields[19]


def command_line_of(pid: int) -> list[str]:
    """Return the command line of a process of this host; empty if there is none, or it may not be read."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:
        return []


def this_process() -> Owner:
    """Return this process as an owner."""
    state_and_start = _state_and_start(os.getpid())
    return Owner(socket.gethostname(), _boot_id(), os.getpid(), state_and_start[1] if state_and_start else "")


def is_alive(owner: Owner, heartbeat_age_seconds: Callable[[], float]) -> bool:
    """Return whether the owner is a living process, and not a zombie.

    Parameters
    ----------
    heartbeat_age_seconds : callable
        Called only if the owner is on another host, or is a process that /proc hides from this user.
    """
    if owner.host != socket.gethostname():
        return heartbeat_age_seconds() < HEARTBEAT_LIMIT_SECONDS
    if owner.boot_id != _boot_id():
        return False
    state_and_start = _state_and_start(owner.pid)
    if state_and_start is None:
        return _is_hidden(owner.pid) and heartbeat_age_seconds() < HEARTBEAT_LIMIT_SECONDS
    state, started = state_and_start
    return state not in {"Z", "X"} and started == owner.started


def has_restarted(owner: Owner) -> bool:
    """Return whether this machine was started again since a process on it became the owner."""
    return owner.host == socket.gethostname() and owner.boot_id != _boot_id()


def _is_hidden(pid: int) -> bool:
    """Return whether this is a process of another user that /proc does not show (hidepid, proc(5))."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return False


def age_seconds(path: Path) -> float:
    """Return how long ago a file was touched; infinity if it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")


def owner_of(claim: Path) -> Owner | None:
    """Return the owner in a claim; None if there is no claim, or it cannot be read."""
    with contextlib.suppress(OSError):
        return _decode_owner(_read_claim(claim) or b"")
    return None


def _read_claim(claim: Path) -> bytes | None:
    try:
        # Where all users may write there may be anything: a pipe would block, a link would lead elsewhere.
        descriptor = os.open(claim, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(MAX_CLAIM_BYTES)


def _decode_owner(content: bytes) -> Owner | None:
    try:
        return decode_json(content, Owner)
    except MalformedError:
        return None


def is_held(claim: Path) -> bool:
    """Return whether a living process holds the claim."""
    owner = owner_of(claim)
    return owner is not None and is_alive(owner, lambda: age_seconds(claim))


def acquire(claim: Path, owner: Owner, *, mode: int | None = None) -> None:
    """Acquire a claim that is free, or whose owner is dead.

    Parameters
    ----------
    mode : int or None
        Mode of the file; None leaves it to the umask.

    Raises
    ------
    AlreadyRunningError
        If a living process holds it.
    PermissionError
        If its owner is dead, and this user may not remove the file.
    """
    text = msgspec.json.encode(owner).decode()
    while not create_exclusively(claim, text, mode=mode):
        content = _read_claim(claim)
        if content is None:
            continue
        holder = _decode_owner(content)
        if holder is not None and is_alive(holder, lambda: age_seconds(claim)):
            holder_text = f"process {holder.pid} on {holder.host}"
            raise AlreadyRunningError(
                f"{claim.parent.name} is in use by {holder_text}.", "Wait until it is done, or stop it."
            )
        _remove_stale(claim, content, owner)


def _remove_stale(claim: Path, content: bytes, owner: Owner) -> None:
    """Remove the claim of a dead owner.

    A process must first hold a second claim for this removal, and then reads the claim again. Otherwise a slow process
    could remove the claim of a living owner that was made in the meantime.
    """
    removal_claim = _removal_claim_path(claim, content)
    acquire(removal_claim, owner)
    try:
        if _read_claim(claim) == content:
            claim.unlink(missing_ok=True)
    finally:
        release(removal_claim, owner)


def _removal_claim_path(claim: Path, content: bytes) -> Path:
    return claim.with_name(f".{claim.name}.{hashlib.sha256(content).hexdigest()[:16]}")


def release(claim: Path, owner: Owner) -> None:
    """Release a claim if this owner holds it."""
    if is_owned_by(claim, owner):
        claim.unlink(missing_ok=True)


def is_owned_by(claim: Path, owner: Owner) -> bool:
    """Return whether a claim names this owner; other content of the file is ignored."""
    return owner_of(claim) == Owner(owner.host, owner.boot_id, owner.pid, owner.started)


def is_ownership_lost(claim: Path, owner: Owner) -> bool:
    """Return whether a claim that this owner acquired is gone or has another owner.

    A file that cannot be read at the moment proves neither.
    """
    try:
        return _decode_owner(_read_claim(claim) or b"") != owner
    except OSError:
        return False


@contextlib.contextmanager
def held(claim: Path, *, patience_seconds: float = 5.0) -> Iterator[None]:
    """Hold a claim during a short change; wait a little if another process holds it.

    Raises
    ------
    AlreadyRunningError
        If a living process holds it for longer than `patience_seconds`.
    """
    owner = this_process()
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            acquire(claim, owner)
            break
        except AlreadyRunningError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    try:
        yield
    finally:
        release(claim, owner)


@contextlib.contextmanager
def heartbeat(held_claims: Callable[[], Iterable[Path]]) -> Iterator[None]:
    """Touch claims every two seconds, in a thread, so that other hosts see that their owner is alive.

    Parameters
    ----------
    held_claims : callable
        Returns the claims that are held at that moment.
    """
    stopped = threading.Event()

    def beat() -> None:
        while not stopped.wait(HEARTBEAT_SECONDS):
            for claim in held_claims():
                with contextlib.suppress(OSError):
                    os.utime(claim)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
