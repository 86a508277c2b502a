"""--after and --now on the command line; trainings and applies only wait, so no network is needed."""

import pytest
from helpers.cli_runner import Tomoseg, wait_until
from helpers.stub_worker import Stage, becomes

from tomoseg_tui.jobs.job import JobState, find_job
from tomoseg_tui.project.catalog import Project

pytestmark = pytest.mark.slow


def test_a_chain_can_be_requested_before_its_outputs_exist(
    tubes_project: Project, tomoseg: Tomoseg, stage: Stage
) -> None:
    stage.hold("mt")
    tomoseg("train", "--feature", "tube", "--name", "mt")
    assert tomoseg("apply", "mt", "tubes", "--after", 1, "--json").json == {"job": "2"}
    assert tomoseg("merge", "tubes", "--map", "mt:tube=card", "--after", "2").out == "3\n"
    tomoseg("train", "--feature", "tube", "--name", "mt2", "--from", "mt", "--after", 1)
    assert "There is no network 'mt3'" in tomoseg("apply", "mt3", "tubes", "--after", 1, code=2).err
    assert "There is no job '9'" in tomoseg("apply", "mt", "tubes", "--after", 9, code=2).err
    assert "'tubs'" in tomoseg("apply", "mt", "tubs", "--after", 1, code=2).err
    shown = tomoseg("jobs", "show", 3).out
    assert "waiting for job 2 (apply mt on tubes)" in shown
    assert tomoseg("jobs", "--json").json[1]["after"] == ["2"]
    stage.let_go("mt")
    merge = find_job(tubes_project.layout, "3")
    becomes(merge, JobState.FAILED)  # the apply of this stub makes no map
    assert "mt" in str(merge.record().fault)
    assert merge.record().started is not None
    becomes(find_job(tubes_project.layout, "4"), JobState.DONE)


def test_waiting_for_a_failed_dependency_reports_why(tubes_project: Project, tomoseg: Tomoseg, stage: Stage) -> None:
    stage.hold("mt")
    stage.fail("mt")
    tomoseg("train", "--feature", "tube", "--name", "mt")
    waiting = tomoseg.start("apply", "mt", "tubes", "--after", 1, "--wait")
    wait_until((tubes_project.layout.job_folder("2") / "claim.json").exists)
    stage.let_go("mt")
    _, output = waiting.communicate(timeout=60)
    assert waiting.returncode == 2
    assert "Waiting for job 1 (train mt)" in output
    assert "It depends on job 1 (train mt), which is failed.\n  Resume it first: tomoseg jobs resume 1" in output
    refused = tomoseg("apply", "mt", "tubes", "--after", 1, code=2).err
    assert "Job 1 is failed: a job that depends on it could not start." in refused
    assert "depends on job 1" in tomoseg("jobs", "resume", 2, code=2).err


def test_a_training_with_now_does_not_wait(tubes_project: Project, tomoseg: Tomoseg, stage: Stage) -> None:
    stage.hold("mt")
    tomoseg("train", "--feature", "tube", "--name", "mt")
    tomoseg("train", "--feature", "tube", "--name", "hasty", "--now", "--wait")
    assert find_job(tubes_project.layout, "1").state() is JobState.RUNNING
