"""What a command prints while it waits for a job."""

from argparse import Namespace

import pytest
from helpers.run_project import put_job

from tomoseg_tui.cli.wait_for_jobs import wait_for_job
from tomoseg_tui.jobs.job import log_line
from tomoseg_tui.project.catalog import Project


def test_only_log_lines_for_the_user_are_printed(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    job = put_job(project, "merge", "cell/merged")
    job.log_file.write_text(
        f"{log_line('Slices 0 to 31 are merged.')}\n"
        "2026-01-02 03:04:05.678901: I tensorflow/core/platform/cpu_feature_guard.cc:210] no time of ours\n"
        "2000Z begins like a year\n"
        "Traceback (most recent call last):\n"
        f"{log_line('')}\n"
        f"{log_line('Z 32 is next.')}\n"
        f"{log_line('cut sho')}"
    )
    assert wait_for_job(Namespace(json=False), job) == 0
    assert capsys.readouterr().err.splitlines() == ["Slices 0 to 31 are merged.", "", "Z 32 is next."]
