"""How a worker ended that could not say so itself."""

import signal
from pathlib import Path

import pytest

from tomoseg_tui.files import locks
from tomoseg_tui.jobs.lost_worker import ending_signal, explain_lost_worker, signal_name

HERE = locks.this_process()


@pytest.mark.parametrize(
    ("number", "fault", "fix"),
    [
        (signal.SIGKILL, "ended by SIGKILL (Killed): by the system, as when memory runs out", "grep -i oom"),
        (signal.SIGILL, "TensorFlow cannot run on this processor: the worker was ended by SIGILL", "newer processor"),
        (signal.SIGBUS, "SIGBUS (Bus error): a crash inside a library", "jobs log 7"),
        (signal.SIGHUP, "SIGHUP (Hangup), from another process", "jobs resume 7"),
        (100, "signal 100", "jobs resume 7"),
    ],
)
def test_a_signal_has_a_name_and_an_explanation(tmp_path: Path, number: int, fault: str, fix: str) -> None:
    (tmp_path / "exit_status").write_text(f"{128 + number}\n")
    explained = explain_lost_worker(tmp_path, HERE, "7")
    assert fault in explained[0]
    assert fix in explained[1]
    assert "jobs resume 7" in explained[1]


def test_missing_processor_instructions_are_reported(tmp_path: Path) -> None:
    (tmp_path / "exit_status").write_text(f"{128 + signal.SIGABRT}\n")
    (tmp_path / "tensorflow.log").write_bytes(
        b"The library was compiled to use AVX instructions, but these aren't available on your machine.\xff\n"
        b"Fatal Python error: Aborted\n\nCurrent thread 0x1:\n  File x\n"
    )
    fault, _ = explain_lost_worker(tmp_path, HERE, "7")
    assert fault.startswith("TensorFlow cannot run on this processor: the worker was ended by SIGABRT")
    assert "AVX instructions" in fault
    assert "File x" not in fault


def test_a_crash_before_the_last_line_for_the_user_is_ignored(tmp_path: Path) -> None:
    crash = "Fatal Python error: Segmentation fault\n"
    (tmp_path / "output.log").write_text(f"2026-01-01T00:00:00Z Begins.\n{crash}")
    assert ending_signal(tmp_path) == signal.SIGSEGV
    (tmp_path / "output.log").write_text(f"{crash}2026-01-01T00:00:00Z Begins.\n")
    assert ending_signal(tmp_path) is None


@pytest.mark.parametrize(
    ("owner", "fault"),
    [
        (locks.Owner(HERE.host, "another boot", 1, "1"), "machine was restarted"),
        (locks.Owner("node17", "b", 1, "1"), "on node17 has not reported"),
        (HERE, "without an error message"),
        (None, "without an error message"),
    ],
)
def test_without_a_signal_the_cause_comes_from_the_machine(
    tmp_path: Path, owner: locks.Owner | None, fault: str
) -> None:
    explained = explain_lost_worker(tmp_path, owner, "7")
    assert fault in explained[0]
    assert "tomoseg jobs resume 7" in explained[1]


def test_every_signal_has_a_name() -> None:
    assert signal_name(9) == "SIGKILL (Killed)"
    assert signal_name(99) == "signal 99"
