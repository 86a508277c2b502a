"""Timings of done jobs, for estimates of similar jobs."""

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import Tomoseg, bring
from helpers.job_project import hooked

from tomoseg_tui.core.eta import ProgressHistory
from tomoseg_tui.jobs.job import Job
from tomoseg_tui.jobs.job_timing import forecast_from_timing, speed_from_progress, timing_from_progress
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Timing, load_timings, timings_file
from tomoseg_tui.workflow.job_interface import Workload

TRAINING = Workload("key", 40, epochs=4, held_out=5, validations=30, tiles_bytes=100)
LAPS = ProgressHistory(39, 0.975, 78.0, [9.0, 5.0, 5.0])
IDLE = "import os; os.getloadavg = lambda: (0.0, 0.0, 0.0)"
BUSY = "import os; os.getloadavg = lambda: (99999.0, 0.0, 0.0)"


def test_the_timing_of_a_job_predicts_the_same_job() -> None:
    pace = timing_from_progress(TRAINING, LAPS, seconds=130.0, memory_bytes=1100)
    assert pace == Timing(start_seconds=20.0, unit_seconds=2.0, judging_seconds=1.0, memory_bytes=1000)
    assert pace.seconds(TRAINING.units, validated_tiles=TRAINING.validations) == 130.0
    forecast = forecast_from_timing(TRAINING, pace)
    assert forecast is not None
    assert (forecast.start_seconds, forecast.work_seconds, forecast.pause_seconds) == (20.0, 80.0, 5.0)
    assert forecast.closing_seconds == 10.0, "all tiles are evaluated once more after the last epoch"


def test_pauses_without_held_out_tiles_are_part_of_the_work() -> None:
    pace = timing_from_progress(
        Workload("key", 40, epochs=4), ProgressHistory(40, 1.0, 80.0, [4.0, 8.0, 8.0]), seconds=110.0, memory_bytes=1
    )
    assert pace == Timing(start_seconds=10.0, unit_seconds=2.5, memory_bytes=1)


@pytest.mark.parametrize("laps", [ProgressHistory(2, 0.9, 9.0), ProgressHistory(9, 0.3, 9.0), ProgressHistory()])
def test_a_job_with_too_little_measured_progress_has_no_timing(laps: ProgressHistory) -> None:
    assert timing_from_progress(Workload("key", 10), laps, seconds=20.0, memory_bytes=1) is None
    assert speed_from_progress(Workload("key", 10, size=100.0, family="f"), laps, load=1.0) is None


def test_the_speed_of_a_job_includes_its_pauses() -> None:
    workload = Workload("key", 40, epochs=4, size=1000.0, family="training tiny cpu")
    speed = speed_from_progress(workload, LAPS, load=1.5)
    assert speed is not None
    assert (speed.family, speed.load) == ("training tiny cpu", 1.5)
    assert speed.size_per_second == pytest.approx(975 / (78 + 19))


@pytest.fixture
def cell(project: Project) -> Project:
    """A project with a tomogram of 64 x 64 x 64 voxels."""
    bring(project, "cell", np.random.default_rng(1).normal(size=(64, 64, 64)).astype(np.float32))
    return project


def preprocess(project: Project, folder: Path, hook: str, tag: str = "preproc") -> list[Timing]:
    """Preprocess in blocks of a few slices; return the stored timings."""
    small = "from tomoseg_tui.core import filters; filters.BLOCK_VOXELS = 20_000"
    env = hooked(folder / "hooks", hook, worker=small)
    Tomoseg(project.layout.root)("preprocess", "cell", "--tag", tag, "--wait", env=env)
    return list(load_timings(timings_file(os.environ)).values())


def test_the_timing_of_a_done_job_is_stored_and_the_estimate_still_measured(cell: Project, tmp_path: Path) -> None:
    (pace,) = preprocess(cell, tmp_path, IDLE)
    assert 0 < pace.start_seconds < 60
    assert 0 < pace.unit_seconds < 1e-3
    assert 10e6 < pace.memory_bytes < 1e9
    speed = Job(cell.layout.job_folder("1")).record().speed
    assert speed is not None
    assert (speed.family, speed.load) == ("preprocess bin 1", 0.0)
    assert speed.size_per_second == pytest.approx(1 / pace.unit_seconds, rel=0.2)
    output = Tomoseg(cell.layout.root)("preprocess", "cell", "--tag", "next", "--estimate", "--json").json
    assert output["measured"]
    (measured,) = load_timings(timings_file(os.environ)).values()
    assert measured != pace


def test_no_timing_is_stored_on_a_busy_machine(cell: Project, tmp_path: Path) -> None:
    assert preprocess(cell, tmp_path, BUSY) == []
    speed = Job(cell.layout.job_folder("1")).record().speed
    assert speed is not None
    assert speed.load > 1000, "the recorded load shows why"


def test_a_timing_that_cannot_be_stored_does_not_fail_the_job(cell: Project, tmp_path: Path) -> None:
    Path(os.environ["XDG_CACHE_HOME"]).parent.mkdir(exist_ok=True)
    Path(os.environ["XDG_CACHE_HOME"]).touch()
    assert preprocess(cell, tmp_path, IDLE) == []
    assert cell.layout.tomogram_folder("cell__preproc").is_dir()
