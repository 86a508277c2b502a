"""Output recorded from Slurm 22.05, and what it means for a job."""

from collections.abc import Callable, Sequence

import pytest

from tomoseg_tui.jobs.slurm.status import (
    SlurmJobStatus,
    SlurmStatusCache,
    SlurmTaskStatus,
    cause_from_log,
    explain_failure,
    read_sacct,
    read_squeue,
)
from tomoseg_tui.project.project_settings import SlurmSettings

SQUEUE = """\
3|PENDING|main||Resources
4|PENDING|main||JobHeldUser
1|RUNNING|main|node1|None
1|RUNNING|main|node1|None
1|PENDING|main||Resources
2|PENDING|main||BeginTime
17|TIMEOUT|main|node1|TimeLimit
7|COMPLETED|main|node1|None
7|COMPLETED|main|node1|None
12|PENDING|main||(null)
18|FAILED|main|node1|JobLaunchFailure
19|PENDING|gpu||ReqNodeNotAvail, UnavailableNodes:node[1-3]
"""
SACCT = """\
20|TIMEOUT|main|node1
21_0|COMPLETED|main|node1
21_1|OUT_OF_MEMORY|main|node2
22|CANCELLED by 1000|main|None assigned
23_[4-7]|PENDING|main|None assigned
"""


class Slurm:
    """Returns recorded answers and counts the queries."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, str | None] = {"squeue": SQUEUE, "sacct": SACCT}
        self.now = 100.0
        self.desk = SlurmStatusCache(self.ask, lambda: self.now)

    def ask(self, arguments: Sequence[str]) -> str | None:
        self.asked.append(arguments[0])
        return self.answers[arguments[0]]


@pytest.fixture
def cluster() -> Slurm:
    return Slurm()


@pytest.mark.parametrize(
    ("job", "alive", "running", "waits_for", "ended_as"),
    [
        ("1", True, True, "", ""),
        ("2", True, False, "waiting in Slurm: BeginTime", ""),
        ("3", True, False, "waiting in Slurm: Resources", ""),
        ("7", False, False, "", "COMPLETED"),
        ("17", False, False, "", "TIMEOUT"),
        ("18", False, False, "", "FAILED"),
        ("19", True, False, "waiting in Slurm: ReqNodeNotAvail, UnavailableNodes:node[1-3]", ""),
    ],
)
def test_the_status_is_read_from_squeue(job: str, *, alive: bool, running: bool, waits_for: str, ended_as: str) -> None:
    look = read_squeue(SQUEUE)[job]
    assert (look.is_alive, look.is_running, look.waits_for, look.ended_as) == (alive, running, waits_for, ended_as)


def test_a_task_without_a_reason_is_described_by_its_state() -> None:
    assert SlurmJobStatus((SlurmTaskStatus("CONFIGURING", reason="None"),)).waits_for == "waiting in Slurm: configuring"


def test_sacct_gives_the_worst_end_of_an_array_without_the_user() -> None:
    found = read_sacct(SACCT)
    assert [found[job].ended_as for job in ("20", "21", "22", "23")] == ["TIMEOUT", "OUT_OF_MEMORY", "CANCELLED", ""]


@pytest.mark.parametrize(
    "printed",
    [
        "", "\n", "nonsense", "slurm_load_jobs error: Unable", "5", "|||||", "5|", "5|Welcome|to|node1|None", "5 | 6",
        "5_batch", "5.batch|COMPLETED|main|node1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("read", [read_squeue, read_sacct])
def test_a_line_that_is_not_about_a_job_is_skipped(
    printed: str, read: Callable[[str], dict[str, SlurmJobStatus]]
) -> None:
    assert read(printed) == {}


def test_jobs_are_found_among_banners_and_empty_lines() -> None:
    squeue = f"*** Welcome | to ***\n\n{SQUEUE}\n \nCLUSTER: slaking\n\x1b[32m30|RUNNING|main|node1|None\x1b[0m\r\n"
    assert read_squeue(squeue) == read_squeue(SQUEUE) | {
        "30": SlurmJobStatus((SlurmTaskStatus("RUNNING", "main", "node1", "None"),))
    }
    assert read_sacct(f"\nWelcome\n\n{SACCT}\n\n20.batch|FAILED|main|n") == read_sacct(SACCT)
    assert read_sacct("24+1|COMPLETED+|main|node1")["24"].ended_as == "COMPLETED"


def test_one_query_serves_all_jobs_for_seconds(cluster: Slurm) -> None:
    cluster.desk.query(["1", "2", "3"])
    cluster.now += 2
    assert cluster.desk.query(["3", "1"])["3"] == SlurmJobStatus((SlurmTaskStatus("PENDING", "main", "", "Resources"),))
    assert cluster.asked == ["squeue"]
    cluster.now += 2
    cluster.desk.query(["1", "2"])
    assert cluster.asked == ["squeue", "squeue"]


def test_jobs_that_squeue_has_forgotten_are_queried_once_in_sacct(cluster: Slurm) -> None:
    found = cluster.desk.query(["1", "20", "99"])
    assert found["20"] is not None
    assert (found["20"].ended_as, found["99"]) == ("TIMEOUT", SlurmJobStatus())
    cluster.now += 60
    cluster.desk.query(["1", "20", "99"])
    assert cluster.asked == ["squeue", "sacct", "squeue"]


def test_slurm_is_queried_again_later_if_it_does_not_answer(cluster: Slurm) -> None:
    cluster.answers["squeue"] = None
    assert cluster.desk.query(["1"]) == {"1": None}
    cluster.answers["squeue"] = SQUEUE
    assert cluster.desk.query(["1"]) == {"1": None}
    cluster.now += 31
    assert cluster.desk.query(["1"])["1"] is not None


def test_a_cluster_without_sacct_works(cluster: Slurm) -> None:
    cluster.answers["sacct"] = None
    assert cluster.desk.query(["20"]) == {"20": SlurmJobStatus()}


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        (
            "slurmstepd-node1: error: *** JOB 17 ON node1 CANCELLED AT 2026-11-25T19:19:11 DUE TO TIME LIMIT ***",
            "TIMEOUT",
        ),
        ("slurmstepd: error: *** JOB 5 ON n CANCELLED AT 2026-11-25T19:18:11 DUE TO NODE FAILURE, SEE", "NODE_FAIL"),
        ("slurmstepd: error: *** JOB 5 ON n CANCELLED AT 2026-11-25T19:18:11 DUE TO PREEMPTION ***", "PREEMPTED"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=5.batch.", "OUT_OF_MEMORY"),
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=5.batch cgroup.", "OUT_OF_MEMORY"),
        ("slurmstepd-node1: error: *** JOB 18 ON node1 CANCELLED AT 2026-11-25T19:18:11 ***", ""),
        ("", ""),
    ],
)
def test_the_cause_is_read_from_the_log(log: str, cause: str) -> None:
    begins = "2026-11-25T19:19:01Z Submitted as Slurm's job 5.\n"
    assert cause_from_log(f"{begins}{log}\n", "5") == cause
    assert cause_from_log(f"{log}\n{begins}", "5") == ""  # that was an earlier run


@pytest.mark.parametrize(
    ("cause", "fault", "fix"),
    [
        ("TIMEOUT", "time limit of 1:00:00", "tomoseg jobs resume 3 --slurm time=HOURS:00:00"),
        ("OUT_OF_MEMORY", "more memory than requested (4G)", "tomoseg jobs resume 3 --slurm memory=8G"),
        ("NODE_FAIL", "Its node failed.", "tomoseg jobs resume 3"),
        ("PREEMPTED", "preempted it for another job", "tomoseg jobs resume 3"),
        ("CANCELLED", "was cancelled in Slurm", "tomoseg jobs resume 3"),
        ("FAILED", "Its state in Slurm is failed", "tomoseg jobs resume 3"),
        ("", "ended without an error message", "tomoseg jobs resume 3"),
    ],
)
def test_each_end_in_slurm_has_a_fault_and_a_fix(cause: str, fault: str, fix: str) -> None:
    reported = explain_failure(cause, SlurmSettings(time="1:00:00", memory="4G"), "3")
    assert fault in str(reported.fault)
    assert str(reported.fix).endswith(fix)
