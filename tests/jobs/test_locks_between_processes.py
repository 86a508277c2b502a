import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from helpers.cli_runner import wait_until
from helpers.job_project import is_gone

from tomoseg_tui.errors import AlreadyRunningError
from tomoseg_tui.files import locks
from tomoseg_tui.files.locks import Owner

RACER = """
import sys, time
from pathlib import Path
from tomoseg_tui.errors import AlreadyRunningError
from tomoseg_tui.files import locks
claim, go = Path(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
while not go.exists():
    pass
try:
    locks.acquire(claim, locks.this_process())
    print("mine", flush=True)
except AlreadyRunningError:
    print("not mine", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    return tmp_path / "claim.json"


def dead_owner() -> Owner:
    """Return the owner of a process that has ended and was waited for."""
    process = subprocess.Popen(["true"])
    started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    process.wait()
    here = locks.this_process()
    return Owner(here.host, here.boot_id, process.pid, started)


def write(claim: Path, owner: Owner) -> None:
    claim.write_bytes(msgspec.json.encode(owner))


def test_the_current_process_is_alive() -> None:
    assert locks.is_alive(locks.this_process(), lambda: float("inf"))


def test_a_process_that_has_ended_is_dead() -> None:
    assert not locks.is_alive(dead_owner(), lambda: 0.0)


def test_a_zombie_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    here = locks.this_process()
    owner = Owner(here.host, here.boot_id, process.pid, started)
    assert locks.is_alive(owner, lambda: 0.0)
    process.kill()
    wait_until(lambda: is_gone(process.pid))
    os.kill(process.pid, 0)  # its pid still exists
    assert not locks.is_alive(owner, lambda: 0.0)
    process.communicate()


def test_an_owner_whose_pid_was_reused_is_dead() -> None:
    here = locks.this_process()
    assert not locks.is_alive(Owner(here.host, here.boot_id, here.pid, str(int(here.started) + 1)), lambda: 0.0)


def test_a_process_from_before_the_last_boot_is_dead() -> None:
    here = locks.this_process()
    assert not locks.is_alive(Owner(here.host, "another boot", here.pid, here.started), lambda: 0.0)


@pytest.mark.parametrize(("age", "alive"), [(0.0, True), (29.0, True), (31.0, False), (float("inf"), False)])
def test_an_owner_on_another_host_is_alive_while_its_heartbeat_is_recent(age: float, alive: bool) -> None:  # noqa: FBT001
    here = locks.this_process()
    assert locks.is_alive(Owner("elsewhere", "their boot", here.pid, here.started), lambda: age) is alive


def test_the_heartbeat_of_another_host_is_the_age_of_the_claim(claim: Path) -> None:
    write(claim, Owner("elsewhere", "their boot", 1, "1"))
    assert locks.is_held(claim)
    long_ago = claim.stat().st_mtime - 60
    os.utime(claim, (long_ago, long_ago))
    assert not locks.is_held(claim)


def test_a_live_owner_keeps_its_claim(claim: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RACER, str(claim), str(claim.parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert [other.stdout.readline(), other.stdout.readline()] == [b"ready\n", b"mine\n"]
        with pytest.raises(AlreadyRunningError, match=f"in use by process {other.pid}"):
            locks.acquire(claim, locks.this_process())
        other.send_signal(signal.SIGKILL)
        wait_until(lambda: is_gone(other.pid))
        locks.acquire(claim, locks.this_process())
    assert locks.owner_of(claim) == locks.this_process()


@pytest.mark.parametrize("content", [b"", b'{"host": "vm", "pi', b"not json", b"[]"])
def test_an_unreadable_claim_has_no_owner(claim: Path, content: bytes) -> None:
    claim.write_bytes(content)
    assert not locks.is_held(claim)
    locks.acquire(claim, locks.this_process())
    assert locks.owner_of(claim) == locks.this_process()


def test_a_process_releases_only_its_own_claim(claim: Path) -> None:
    other = dead_owner()
    write(claim, other)
    locks.release(claim, locks.this_process())
    assert locks.owner_of(claim) == other
    locks.release(claim, other)
    assert not claim.exists()


def test_a_claim_is_released_after_an_exception(claim: Path) -> None:
    with pytest.raises(ZeroDivisionError), locks.held(claim):
        divmod(int(locks.is_held(claim)), 0)
    assert not claim.exists()


def test_a_short_claim_is_waited_for(claim: Path) -> None:
    here = locks.this_process()
    locks.acquire(claim, here)
    timer = threading.Timer(0.2, locks.release, (claim, here))
    timer.start()
    with locks.held(claim, patience_seconds=10):
        assert locks.is_held(claim)
    timer.join()


def test_waiting_for_a_claim_has_a_limit(claim: Path) -> None:
    locks.acquire(claim, locks.this_process())
    with pytest.raises(AlreadyRunningError), locks.held(claim, patience_seconds=0.1):
        pass


@pytest.mark.parametrize("attempt", range(2))
def test_exactly_one_of_many_processes_acquires_a_dead_owners_claim(claim: Path, attempt: int) -> None:
    write(claim, dead_owner())
    go = claim.with_name("go")
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(claim), str(go)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == b"ready\n"
    go.touch()
    output = {racer.pid: racer.stdout.readline() for racer in racers if racer.stdout is not None}
    owner = locks.owner_of(claim)
    for racer in racers:
        racer.communicate(b"\n")
    assert sorted(output.values()) == [b"mine\n"] + 3 * [b"not mine\n"]
    assert owner is not None
    assert output[owner.pid] == b"mine\n"
    assert [path.name for path in claim.parent.iterdir() if path.name.startswith(".")] == []


def test_a_slow_process_does_not_remove_the_claim_of_a_faster_one(claim: Path) -> None:
    """It has read the dead owner's claim; when it removes the file, it is a live owner's claim."""
    write(claim, dead_owner())
    seen = claim.read_bytes()
    locks.acquire(claim, locks.this_process())
    locks._remove_stale(claim, seen, Owner("elsewhere", "their boot", 1, "1"))
    assert locks.owner_of(claim) == locks.this_process()


def test_a_process_that_died_while_removing_a_claim_does_not_block_others(claim: Path) -> None:
    write(claim, dead_owner())
    right = locks._removal_claim_path(claim, claim.read_bytes())
    write(right, dead_owner())
    locks.acquire(claim, locks.this_process())
    assert locks.owner_of(claim) == locks.this_process()
