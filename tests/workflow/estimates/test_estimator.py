"""Cost of jobs: the order of sources, the text, and the refusal."""

import pytest

from tomoseg_tui.errors import JobError
from tomoseg_tui.project.timings import Timing
from tomoseg_tui.workflow.estimates.estimator import (
    GUESSED,
    MEASURED,
    Cost,
    FreeResources,
    Speed,
    Work,
    combine_costs,
    estimate,
    format_cost,
    require_resources,
)
from tomoseg_tui.workflow.job_interface import Workload

TIMING = Timing(start_seconds=10.0, unit_seconds=0.5, judging_seconds=0.25, memory_bytes=1000, video_bytes=200)
WORKLOAD = Workload("key", 100, size=6000.0, validations=8, tiles_bytes=500)
WORK = Work("train", WORKLOAD, 70, 4.0, guessed_speed=100.0, guessed_bytes=2000.4, sample={}, device="cpu")
GIGABYTES = 1_000_000_000


def test_a_timing_of_this_machine_comes_first() -> None:
    cost = estimate(WORK, TIMING, Speed(1.0, "7"))
    assert cost == Cost(10 + 50 + 2, 1500, 200, 70, MEASURED, "cpu")
    assert cost.is_measured


def test_an_earlier_job_comes_next_and_then_the_size() -> None:
    assert estimate(WORK, None, Speed(50.0, "7")) == Cost(4 + 120, 2000, 0, 70, "going by job 7", "cpu")
    assert estimate(WORK, None) == Cost(4 + 60, 2000, 0, 70, GUESSED, "cpu")


def test_workers_share_the_work_and_each_needs_its_memory() -> None:
    shared = Work("apply", Workload("key", 25), 70, 1.0, 2.0, 3.0, {}, workers=4, device="gpu")
    assert estimate(shared, TIMING) == Cost(10 + 12.5, 4000, 800, 70, MEASURED, "gpu")
    assert estimate(shared, None).gpu_bytes is None, "nobody has measured the memory of the GPU"


def test_sequential_jobs_take_the_sum_of_times_and_the_maximum_of_memory() -> None:
    one, other = Cost(10.0, 100, 5, 7, MEASURED, "gpu"), Cost(20.0, 300, 6, 8, MEASURED, "gpu")
    assert combine_costs([one, other], is_sequential=True) == Cost(30.0, 300, 6, 15, MEASURED, "gpu")
    assert combine_costs([one, other], is_sequential=False) == Cost(20.0, 400, 11, 15, MEASURED, "gpu")


@pytest.mark.parametrize(
    ("sources", "source"),
    [
        ((MEASURED, MEASURED), MEASURED),
        ((MEASURED, "going by job 7"), "partly going by job 7"),
        (("going by job 7", GUESSED, MEASURED), f"partly {GUESSED}"),
        ((GUESSED, GUESSED), GUESSED),
    ],
)
def test_a_sum_is_as_reliable_as_its_weakest_part(sources: tuple[str, ...], source: str) -> None:
    costs = [Cost(1.0, 1, None, 1, each) for each in sources]
    total = combine_costs(costs, is_sequential=True)
    assert (total.source, total.gpu_bytes) == (source, None)


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (
            Cost(400.0, 640_000_000, 0, 98_304, MEASURED, "cpu"),
            "about 7 min on the CPU, measured on this machine; about 640 MB of memory, 98 kB of disk space",
        ),
        (
            Cost(400.0, 640_000_000, 0, 98_304, MEASURED, "cpu", "auto: no GPU found here"),
            (
                "about 7 min on the CPU (auto: no GPU found here), measured on this machine; about 640 MB of memory, "
                "98 kB of disk space"
            ),
        ),
        (
            Cost(12.3, 1_250_000_000, 3 * GIGABYTES, 98_304, "going by job 7", "gpu:1"),
            "about 12 s on GPU 1, going by job 7; about 1.2 GB of memory, 3.0 GB of video memory, 98 kB of disk space",
        ),
        (
            Cost(9000.0, 1_250_000_000, None, 9000, GUESSED, "gpu"),
            (
                "about 2.5 h on a GPU, a guess from its size; about 1.2 GB of memory, an unknown amount of video "
                "memory, 9 kB of disk space"
            ),
        ),
        (
            Cost(0.2, 99_000_000, 0, 5 * GIGABYTES, GUESSED),
            "about 1 s, a guess from its size; about 99 MB of memory, 5.0 GB of disk space",
        ),
    ],
)
def test_a_cost_is_described_in_one_line(cost: Cost, text: str) -> None:
    assert format_cost(cost) == text


FOUND = Cost(100.0, 8_000, 0, 5 * GIGABYTES, MEASURED)


def require(memory: int, disk: int, *, in_slurm: bool = False) -> None:
    advice = {"less_memory": "Use a smaller --batch.", "less_disk": "choose fewer tomograms"}
    require_resources(FOUND, FreeResources(memory, disk), workers=4, in_slurm=in_slurm, **advice)


def test_a_job_that_fits_is_not_refused() -> None:
    require(8_000, 5 * GIGABYTES)
    require(1, 5 * GIGABYTES, in_slurm=True)


@pytest.mark.parametrize(
    ("memory", "disk", "message"),
    [
        (8_000, 4 * GIGABYTES, "This takes 5.0 GB of disk space; 4.0 GB is free. Free about 1.0 GB on that disk, or "),
        (8_000, 4 * GIGABYTES, "or choose fewer tomograms."),
        (4_100, 5 * GIGABYTES, "Take fewer workers: --workers 2."),
        (1_000, 5 * GIGABYTES, "Use a smaller --batch."),
    ],
)
def test_a_job_that_does_not_fit_is_refused_with_a_fix(memory: int, disk: int, message: str) -> None:
    with pytest.raises(JobError) as caught:
        require(memory, disk)
    assert message in f"{caught.value.fault} {caught.value.fix}"
