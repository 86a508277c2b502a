"""Which endings a screen tells: those of jobs that it has seen alive."""

from typing import Any

from tomoseg_tui.tui.state.finished_jobs import FinishedJobs


def job(number: str, state: str) -> dict[str, Any]:
    return {"id": number, "kind": "train", "name": f"run{number}", "state": state}


def test_what_ends_while_one_watches_is_told_once_and_the_worst_first() -> None:
    endings = FinishedJobs()
    assert endings.update([job("1", "done"), job("2", "running"), job("3", "queued")]) == ""
    assert endings.update([job("1", "done"), job("2", "done"), job("3", "failed")]) == "job 3 (train run3) is failed"
    assert endings.update([job("1", "done"), job("2", "done"), job("3", "failed")]) == ""


def test_who_stops_a_job_is_not_told() -> None:
    endings = FinishedJobs()
    endings.update([job("1", "running")])
    assert endings.update([job("1", "stopped")]) == ""
