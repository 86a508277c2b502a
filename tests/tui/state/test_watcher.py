"""The polling thread: changes are posted once, and a temporary failure is retried."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from helpers.cli_runner import make_card, put_card
from textual.message import Message

from tomoseg_tui.project.catalog import Project, add_feature
from tomoseg_tui.tui.messages import SnapshotChanged, SystemLoadChanged, TaskFailed
from tomoseg_tui.tui.state.watcher import MAX_FAILED_POLLS, FinishedJobs, ProjectWatcher, error_texts


class Box:
    """Takes messages from the thread, and waits for them."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._came = threading.Condition()

    def post(self, message: Message) -> None:
        with self._came:
            self.messages.append(message)
            self._came.notify_all()

    def wait(self, condition: Callable[[], bool]) -> None:
        with self._came:
            deadline = time.monotonic() + 15
            while not condition():
                assert time.monotonic() < deadline, self.messages
                self._came.wait(0.05)

    @property
    def features(self) -> list[tuple[str, ...]]:
        return [message.snapshot.features for message in list(self.messages) if isinstance(message, SnapshotChanged)]

    @property
    def loads(self) -> list[str]:
        return [message.text for message in list(self.messages) if isinstance(message, SystemLoadChanged)]


@contextmanager
def watching(project: Project) -> Iterator[tuple[ProjectWatcher, Box]]:
    box = Box()
    watcher = ProjectWatcher(project, box.post)
    watcher.start()
    try:
        yield watcher, box
    finally:
        watcher.stop()


def test_the_first_read_and_every_change_are_posted_once(small_project: Project) -> None:
    with watching(small_project) as (watcher, box):
        box.wait(lambda: len(box.features) == 1)
        for _ in range(3):
            watcher.poll_now()
        add_feature(small_project, "actin")
        watcher.poll_now()
        box.wait(lambda: len(box.features) > 1)
        assert box.features == [("microtubule", "membrane"), ("microtubule", "membrane", "actin")]


def test_a_project_that_is_unreadable_for_a_moment_is_read_again(small_project: Project) -> None:
    settings = small_project.layout.settings
    whole = settings.read_text()
    settings.write_text("format = ")
    with watching(small_project) as (watcher, box):
        box.wait(lambda: len(box.loads) > 0)
        assert not box.features
        settings.write_text(whole)
        watcher.poll_now()
        box.wait(lambda: len(box.features) == 1)


def test_a_lasting_failure_is_reported_once_with_its_fix(small_project: Project) -> None:
    put_card(small_project, make_card("net"))
    small_project.layout.network_card("net").write_text("{")
    with watching(small_project) as (watcher, box):
        for looks in range(2 * MAX_FAILED_POLLS):
            watcher.poll_now()
            box.wait(lambda: sum(watcher._failed_polls.values()) > looks)  # noqa: B023  # called immediately
        faults = [message for message in box.messages if isinstance(message, TaskFailed)]
        assert len(faults) == 1
        assert "card.json" in faults[0].fault
        assert faults[0].fix


def test_the_load_of_the_machine_is_posted_in_percent(project: Project) -> None:
    with watching(project) as (_, box):
        box.wait(lambda: len(box.loads) > 0)
        assert box.loads[0].startswith("CPU ")
        assert box.loads[0].endswith("%")


def test_a_stopped_watcher_ends_immediately(project: Project) -> None:
    with watching(project) as (watcher, box):
        box.wait(lambda: len(box.features) == 1)
        watcher.stop()
        watcher._thread.join(timeout=5)
        assert not watcher._thread.is_alive()


def test_a_newer_snapshot_replaces_an_unhandled_one(small_project: Project) -> None:
    with watching(small_project) as (_, box):
        box.wait(lambda: len(box.features) == 1)
    facts = next(message for message in box.messages if isinstance(message, SnapshotChanged))
    assert facts.can_replace(SnapshotChanged(facts.snapshot))
    assert not facts.can_replace(SystemLoadChanged("CPU 3%"))
    assert SystemLoadChanged("CPU 4%").can_replace(SystemLoadChanged("CPU 3%"))


def test_system_errors_are_reported_as_text() -> None:
    assert error_texts(OSError(28, "No space left on device", "/x")) == (
        "No space left on device: /x.",
        "Check the path, its permissions and the disk space.",
    )


def listed(number: str, state: str) -> dict[str, Any]:
    return {"id": number, "kind": "train", "name": f"run{number}", "state": state}


def test_jobs_that_end_are_reported_once_and_the_worst_first() -> None:
    finished = FinishedJobs()
    assert finished.update([listed("1", "done"), listed("2", "running"), listed("3", "queued")]) == ""
    assert (
        finished.update([listed("1", "done"), listed("2", "done"), listed("3", "failed")])
        == "job 3 (train run3) is failed"
    )
    assert finished.update([listed("1", "done"), listed("2", "done"), listed("3", "failed")]) == ""


def test_a_job_stopped_by_the_user_is_not_reported() -> None:
    finished = FinishedJobs()
    finished.update([listed("1", "running")])
    assert finished.update([listed("1", "stopped")]) == ""
