"""What a job takes, before it is started."""

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import bring, make_card, put_card, write_map

from tomoseg_tui.errors import JobError, TomosegError
from tomoseg_tui.jobs.estimate import work_of
from tomoseg_tui.jobs.kinds import KINDS
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Timing
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest
from tomoseg_tui.workflow.estimates.estimator import Estimate, estimate, require_memory_and_disk
from tomoseg_tui.workflow.estimates.work import Work
from tomoseg_tui.workflow.job_interface import Workload
from tomoseg_tui.workflow.merge.merge_request import MapChoice, MergeRequest
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest

SHAPE_ZYX = (20, 64, 80)
VOXELS = 20 * 64 * 80
PACE = Timing(start_seconds=10.0, unit_seconds=0.5, judging_seconds=0.25, memory_bytes=1000)


@pytest.fixture
def cell(project: Project) -> Project:
    """A project with a tomogram, a network of two features and a map."""
    bring(project, "cell", np.random.default_rng(1).normal(size=SHAPE_ZYX).astype(np.float32))
    put_card(project, make_card(features=("tube", "wall")))
    write_map(project, "run.tube", np.zeros(SHAPE_ZYX, np.int8))
    return project


def work(project: Project, kind: str, request: msgspec.Struct) -> Work:
    return work_of(project, kind, msgspec.to_builtins(request))


def test_an_apply_has_a_byte_a_voxel_and_feature_to_write(cell: Project) -> None:
    found = work(cell, "apply", ApplyRequest(run="run", tomograms=("cell",), z="5:10"))
    assert (found.workload.units, found.disk_bytes) == (VOXELS // 4, 2 * VOXELS // 4)
    copied = work(cell, "apply", ApplyRequest(run="run", tomograms=("cell",), features=("tube",), output="m.mrc"))
    assert copied.disk_bytes == 2 * VOXELS


def test_a_merge_has_slabs_and_a_preprocess_has_voxels_of_what_it_makes(cell: Project) -> None:
    merge = work(cell, "merge", MergeRequest("cell", (MapChoice("run", "tube", 0.5),)))
    assert (merge.workload.units, merge.disk_bytes) == (3, VOXELS)
    binned = work(cell, "preprocess", PreprocessRequest(("cell",), factor=2))
    assert (binned.workload.units, binned.disk_bytes) == (VOXELS // 8, 4 * VOXELS // 8)


def test_what_is_not_there_yet_cannot_be_estimated(cell: Project) -> None:
    with pytest.raises(TomosegError, match="none"):
        work(cell, "apply", ApplyRequest(run="none", tomograms=("cell",)))


def test_an_estimate_is_the_pace_times_the_work() -> None:
    training = Work("train", Workload("key", 100, validations=8, tiles_bytes=500), 70, 1.0, 2.0, {})
    assert estimate(training, PACE) == Estimate(10 + 50 + 2, 1500, 0, 70, is_measured=True)
    shared = Work("apply", Workload("key", 25), 70, 1.0, 2.0, {}, workers=4)
    assert estimate(shared, PACE) == Estimate(10 + 50 / 4, 4000, 0, 70, is_measured=True)


def test_without_a_pace_it_is_a_guess_that_knows_nothing_of_a_gpu() -> None:
    on_gpu = Work("train", Workload("key", 100), 70, 1.5, 2.0, {}, on_gpu=True)
    assert estimate(on_gpu, None) == Estimate(1.5, 2, None, 70, is_measured=False)


FOUND = Estimate(100.0, 8_000, 0, 5_000_000_000, is_measured=True)


def require(kind: str, memory: int, disk: int, workers: int = 1) -> None:
    less = {"less_memory": KINDS[kind].less_memory, "less_disk": KINDS[kind].less_disk}
    require_memory_and_disk(FOUND, memory_bytes=memory, disk_bytes=disk, workers=workers, **less)


def test_what_fits_is_not_refused() -> None:
    require("apply", 8_000, 5_000_000_000)


@pytest.mark.parametrize(
    ("kind", "memory", "disk", "said"),
    [
        ("apply", 8_000, 4_000_000_000, "Make about 1.0 GB of room there, or name fewer tomograms"),
        ("train", 8_000, 4_000_000_000, "copy the project to a disk that has it"),
        ("apply", 4_100, 5_000_000_000, "Take fewer workers: --workers 2"),
        ("apply", 1_000, 5_000_000_000, "a machine with more memory"),
        ("train", 1_000, 5_000_000_000, "Take a smaller --batch"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(kind: str, memory: int, disk: int, said: str) -> None:
    with pytest.raises(JobError) as caught:
        require(kind, memory, disk, 4)
    assert said in caught.value.fix
