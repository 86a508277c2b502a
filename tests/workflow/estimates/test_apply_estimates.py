"""What an apply takes: learned from earlier jobs alike, guessed from the cost of the network else."""

import msgspec
import pytest
from helpers.cli_runner import make_card

from tomoseg_tui.errors import ProjectError
from tomoseg_tui.project.records import TomogramRecord
from tomoseg_tui.workflow.apply_estimates import START_SECONDS, PastApply, estimate_apply

RECORD = TomogramRecord(
    file="cell.mrc", shape_zyx=(100, 1000, 1000), voxel_size_angstrom=10.0, origin_xyz_angstrom=(0, 0, 0),
    nstart_xyz=(0, 0, 0), polarity="dark", type="MRC", mean=0.0, sigma=1.0, imported="",
)  # fmt: skip
CARD = make_card(network="unet25d", features=("tube", "wall"))
PAST = PastApply("unet25d", "cpu", 1, 20_000_000, START_SECONDS + 10, 800_000_000)


def test_time_and_memory_come_from_earlier_jobs_of_the_network() -> None:
    found = estimate_apply(CARD, [RECORD, RECORD], [PAST], features=2)
    assert found.seconds == pytest.approx(START_SECONDS + 100)
    assert (found.memory_bytes, found.disk_bytes, found.from_jobs) == (800_000_000, 400_000_000, 1)


def test_jobs_of_other_networks_and_devices_do_not_count() -> None:
    others = [past_job(network="eman2"), past_job(device="gpu:1")]
    assert estimate_apply(CARD, [RECORD], others, features=1).from_jobs == 0
    assert estimate_apply(CARD, [RECORD], others, features=1, device="gpu").from_jobs == 1


def past_job(**changes: str) -> PastApply:
    known = {"network": PAST.network, "device": PAST.device, **changes}
    return PastApply(known["network"], known["device"], PAST.workers, PAST.voxels, PAST.seconds, PAST.peak_bytes)


def test_the_first_guess_grows_with_the_cost_of_the_network() -> None:
    cheap = estimate_apply(CARD, [RECORD], [], features=2)
    dear = estimate_apply(msgspec.structs.replace(CARD, network="eman2"), [RECORD], [], features=2)
    assert dear.seconds > 3 * cheap.seconds
    assert 0.5e9 < cheap.memory_bytes < 2e9


def test_fewer_slices_and_features_take_less_and_workers_more_memory() -> None:
    part = estimate_apply(CARD, [RECORD], [PAST], features=1, z="0:10", workers=3)
    assert part.disk_bytes == 10_000_000
    assert part.seconds == pytest.approx(START_SECONDS + 5)
    assert part.memory_bytes == 3 * 800_000_000


def test_copies_that_are_averaged_take_their_times() -> None:
    plain = estimate_apply(CARD, [RECORD], [PAST], features=1).seconds - START_SECONDS
    assert estimate_apply(CARD, [RECORD], [PAST], features=1, tta=4).seconds == pytest.approx(START_SECONDS + 4 * plain)
    averaged = PastApply("unet25d", "cpu", 1, 20_000_000, START_SECONDS + 80, 800_000_000, tta=8)
    assert estimate_apply(CARD, [RECORD], [averaged], features=1).seconds == pytest.approx(START_SECONDS + plain)


def test_slices_that_are_not_there_are_refused() -> None:
    with pytest.raises(ProjectError, match="does not fit"):
        estimate_apply(CARD, [RECORD], [], features=1, z="90:110")
