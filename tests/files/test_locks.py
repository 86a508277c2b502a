"""A claim is held by a live process, and taken over from a dead one."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from tomoseg_tui.errors import AlreadyRunningError
from tomoseg_tui.files import locks
from tomoseg_tui.files.locks import HEARTBEAT_LIMIT_SECONDS, Owner, this_process


def other_host() -> Owner:
    return msgspec.structs.replace(this_process(), host="elsewhere")


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    return tmp_path / "job" / "claim.json"


def test_a_claim_names_its_owner_and_is_released(claim: Path) -> None:
    me = this_process()
    locks.acquire(claim, me)
    assert locks.owner_of(claim) == me
    assert locks.is_held(claim)
    locks.release(claim, msgspec.structs.replace(me, pid=1))
    assert claim.exists()
    locks.release(claim, me)
    assert not claim.exists()
    assert not locks.is_held(claim)


def test_the_claim_of_a_live_owner_is_not_taken(claim: Path) -> None:
    locks.acquire(claim, this_process())
    with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()} on"):
        locks.acquire(claim, other_host())


@pytest.mark.parametrize("changes", [{"boot_id": "earlier"}, {"started": "1"}, {"pid": 2**22 + 1}])
def test_the_claim_of_a_dead_owner_is_taken_over(claim: Path, changes: dict[str, object]) -> None:
    locks.acquire(claim, msgspec.structs.replace(this_process(), **changes))
    assert not locks.is_held(claim)
    locks.acquire(claim, this_process())
    assert locks.owner_of(claim) == this_process()
    assert list(claim.parent.iterdir()) == [claim]


def test_a_zombie_process_is_not_alive(claim: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        known = locks._state_and_start(child.pid)
        assert known is not None
        owner = msgspec.structs.replace(this_process(), pid=child.pid, started=known[1])
        assert locks.is_alive(owner, lambda: 0.0)
        assert child.stdin is not None
        child.stdin.close()
        while locks._state_and_start(child.pid)[0] != "Z":  # type: ignore[index]
            pass
        assert not locks.is_alive(owner, lambda: 0.0)


def test_a_claim_is_lost_to_another_owner_or_removal_but_not_to_a_disk_error(
    claim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = this_process()
    assert locks.is_ownership_lost(claim, me)
    locks.acquire(claim, me)
    assert not locks.is_ownership_lost(claim, me)
    assert locks.is_ownership_lost(claim, other_host())

    def stale(*_: object) -> int:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(os, "open", stale)
    assert not locks.is_ownership_lost(claim, other_host())


def test_on_another_host_only_the_heartbeat_counts(claim: Path) -> None:
    assert locks.is_alive(other_host(), lambda: HEARTBEAT_LIMIT_SECONDS - 1)
    assert not locks.is_alive(other_host(), lambda: HEARTBEAT_LIMIT_SECONDS + 1)
    locks.acquire(claim, other_host())
    assert locks.is_held(claim)
    os.utime(claim, (0, 0))
    assert not locks.is_held(claim)


@pytest.mark.parametrize("content", ["", "{", '{"host": 3}'])
def test_an_unreadable_claim_has_no_owner(claim: Path, content: str) -> None:
    claim.parent.mkdir()
    claim.write_text(content)
    with locks.held(claim):
        assert locks.owner_of(claim) == this_process()
    assert not claim.exists()


def test_a_short_change_waits_briefly_for_others(claim: Path) -> None:
    with locks.held(claim), pytest.raises(AlreadyRunningError), locks.held(claim, patience_seconds=0.05):
        pytest.fail("held twice")


@pytest.mark.parametrize(("age", "living"), [(1.0, True), (HEARTBEAT_LIMIT_SECONDS + 1, False)])
def test_a_process_hidden_in_proc_is_judged_by_its_heartbeat(
    monkeypatch: pytest.MonkeyPatch, age: float, *, living: bool
) -> None:
    """With hidepid=2, proc(5), other users' processes are not in /proc, but signals tell that they are there."""

    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(locks, "_state_and_start", lambda _pid: None)
    monkeypatch.setattr(os, "kill", refuse)
    owner = Owner(this_process().host, this_process().boot_id, 4711, "17")
    assert locks.is_alive(owner, lambda: age) is living


def test_a_claim_names_a_process_that_may_read_it(claim: Path) -> None:
    locks.acquire(claim, this_process(), mode=0o604)
    assert claim.stat().st_mode & 0o777 == 0o604


def test_a_pipe_in_place_of_a_claim_blocks_nothing(claim: Path) -> None:
    claim.parent.mkdir()
    os.mkfifo(claim)
    locks.acquire(claim, this_process())
    assert locks.is_held(claim)


def test_a_heartbeat_is_renewed_until_it_is_released(claim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT_SECONDS", 0.01)
    locks.acquire(claim, other_host())
    gone = claim.with_name("gone.claim.json")
    with locks.heartbeat(lambda: [gone, claim]):
        for _ in range(3):
            os.utime(claim, (0, 0))
            while not locks.is_held(claim):
                time.sleep(0.01)
    os.utime(claim, (0, 0))
    time.sleep(0.05)
    assert not locks.is_held(claim)
    assert not gone.exists()
