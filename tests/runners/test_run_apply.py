"""Networks applied to whole tomograms with the real command and real signals."""

import filecmp
import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import Tomoseg, wait_until
from helpers.job_project import (
    GRID,
    NETWORKS_HOOK,
    Held,
    blocks_of,
    held_workers,
    hooked,
    read_volume,
    tubes,
    write_volume,
)
from numpy.typing import NDArray

from tomoseg_tui.files import locks
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.jobs.job import Job, JobState
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout, sidecar_of
from tomoseg_tui.project.records import MapSidecar, read_record

pytestmark = pytest.mark.slow

APPLY = ("apply", "net", "tubes", "--threads", 1)
"""TensorFlow rounds differently with other numbers of threads, and workers share those of the machine."""

SLOW_SLABS = """
import time
from tomoseg_tui.io import mrc
sync = mrc.MrcWriter.sync
def slowly(self):
    time.sleep({seconds})
    sync(self)
mrc.MrcWriter.sync = slowly
"""
SMALL_PIECES = """
from tomoseg_tui.core import blocks
split_into_blocks = blocks.split_into_blocks
def small(*shape, edge, **named):
    found = split_into_blocks(*shape, edge=50, **named)
    print("2026-01-02T03:04:05Z pieces:", len(found), flush=True)
    return found
blocks.split_into_blocks = small
"""


def map_of(project: Project, run: str = "net", tomogram: str = "tubes") -> Path:
    return project.layout.map_file(tomogram, run, "tube")


def are_equal(path: Path, other: Path) -> bool:
    return filecmp.cmp(path, other, shallow=False)


def made(path: Path) -> MapSidecar:
    return read_record(sidecar_of(path), MapSidecar)


def job_of(project: Project, job_id: str = "3") -> Job:
    """Return a job by its number; the first two trained the networks."""
    return Job(project.layout.job_folder(job_id))


def held(folder: Path) -> Held:
    """Return workers that wait after their first slab."""
    return held_workers(folder, NETWORKS_HOOK)


def slabs_listed(job: Job) -> int:
    listed = list(job.partial.glob("*/tubes/finished.jsonl"))
    return listed[0].read_bytes().count(b"\n") if listed else 0


def give_weights_of(layout: ProjectLayout, source: str, target: str) -> None:
    """Replace the weights of a run by those of another, as if its training had continued."""
    shutil.copyfile(layout.network_weights(source), layout.network_weights(target))
    card = json.loads(layout.network_card(source).read_bytes())
    layout.network_card(target).write_text(json.dumps({**card, "name": target}))


@pytest.fixture(scope="session")
def whole_maps(trained_template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the maps of both networks, each made by one uninterrupted worker."""
    place = tmp_path_factory.mktemp("whole")
    shutil.copytree(trained_template.parent, place / "trained")
    project, env = Project.open(place / "trained" / "project"), hooked(place / "tiny", NETWORKS_HOOK)
    for run in ("net", "other"):
        Tomoseg(project.layout.root)("apply", run, *APPLY[2:], "--wait", env=env)
    return {run: map_of(project, run) for run in ("net", "other")}


def test_a_map_is_made_in_several_steps_and_its_sidecar_names_the_network(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str], whole_maps: dict[str, Path]
) -> None:
    """First some slices, then others, then those of another network with the same name."""
    path = map_of(trained_project)
    trained(*APPLY, "--z", "10:18", "--wait", env=tiny)
    values = read_volume(path)
    assert made(path).slices == [(10, 18)]
    assert not values[:10].any()
    assert not values[18:].any()
    assert blocks_of(path) < path.stat().st_size * 2 / 3
    with open_volume(path) as volume:
        assert (volume.grid, volume.dtype) == (GRID, np.dtype(np.int8))

    done = trained(*APPLY, "--z", "0:9", "--wait", "--json", env=tiny)
    assert done.json == {"maps": ["tubes/net.tube"], "files": [str(path)]}
    assert made(path).slices == [(0, 9), (10, 18)]
    trained(*APPLY, "--z", "9:24", "--wait", env=tiny)
    assert made(path).slices == [(0, 24)]
    assert are_equal(path, whole_maps["net"])
    assert 0 <= read_volume(path).min() <= read_volume(path).max() <= 127

    give_weights_of(trained_project.layout, "other", "net")
    done = trained(*APPLY, "--z", "10:18", "--wait", env=tiny)
    assert "all of it is replaced" in done.err
    assert made(path).slices == [(10, 18)]
    assert not read_volume(path)[:10].any()


def test_the_tubes_are_found(whole_maps: dict[str, Path]) -> None:
    found, truth = read_volume(whole_maps["net"]), tubes()[1] > 0
    assert found[truth].mean() > 1.5 * found[~truth].mean()


def test_a_stopped_job_keeps_its_slabs_and_resumes_to_the_same_bytes(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str], whole_maps: dict[str, Path], tmp_path: Path
) -> None:
    trained(*APPLY, env=held(tmp_path / "held").env)
    job = job_of(trained_project)
    wait_until(lambda: slabs_listed(job) == 1)
    wait_until(lambda: 0 < job.progress().progress < 1)  # the worker waits, so only its heartbeat writes
    trained("jobs", "stop", "3")
    assert (job.state(), slabs_listed(job)) == (JobState.STOPPED, 1)
    assert not map_of(trained_project).exists()
    trained("jobs", "resume", "3", "--wait", env=tiny)
    assert are_equal(map_of(trained_project), whole_maps["net"])
    wait_until(lambda: not job.partial.exists())


def test_weights_that_change_between_stop_and_resume_do_not_mix(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str], whole_maps: dict[str, Path], tmp_path: Path
) -> None:
    trained(*APPLY, env=held(tmp_path / "held").env)
    job = job_of(trained_project)
    wait_until(lambda: slabs_listed(job) == 1)
    trained("jobs", "stop", "3")
    give_weights_of(trained_project.layout, "other", "net")
    trained("jobs", "resume", "3", "--wait", env=tiny)
    path = map_of(trained_project)
    assert are_equal(path, whole_maps["other"])
    assert (
        made(path).weights_digest
        == json.loads(trained_project.layout.network_card("other").read_bytes())["weights_digest"]
    )


def test_weights_that_change_while_they_are_applied_do_not_mix(
    trained_project: Project, trained: Tomoseg, whole_maps: dict[str, Path], tmp_path: Path
) -> None:
    """The job's second worker starts after the first has finished a slab with the old weights."""
    workers = held(tmp_path / "held")
    trained(*APPLY, "--workers", 2, env=workers.env)
    job = job_of(trained_project)
    wait_until(lambda: slabs_listed(job) > 0)
    digest = job.partial.glob("*").__next__().name
    give_weights_of(trained_project.layout, "other", "net")
    workers.let_go()
    wait_until(lambda: job.state().is_over)
    path = map_of(trained_project)
    assert (job.state(), are_equal(path, whole_maps["net"])) == (JobState.DONE, True)
    assert made(path).weights_digest == digest


def test_two_workers_give_the_bytes_of_one_even_if_one_dies_within_a_slab(
    trained_project: Project, trained: Tomoseg, whole_maps: dict[str, Path], tmp_path: Path
) -> None:
    workers = held_workers(tmp_path / "held", NETWORKS_HOOK, worker=SLOW_SLABS.format(seconds=1.0))
    trained(*APPLY, "--workers", 2, env=workers.env)
    job = job_of(trained_project)
    owner = job.record().owner
    assert owner is not None

    def helpers_at_work() -> list[int]:
        held = [locks.owner_of(claim) for claim in job.partial.glob("*/tubes/slab_*.claim.json")]
        return [one.pid for one in held if one is not None and one.pid != owner.pid]

    wait_until(lambda: bool(helpers_at_work()))
    os.kill(helpers_at_work()[0], signal.SIGKILL)
    workers.let_go()
    wait_until(lambda: job.state().is_over)
    assert job.state() is JobState.DONE
    assert are_equal(map_of(trained_project), whole_maps["net"])


def test_helpers_end_with_their_worker(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str], whole_maps: dict[str, Path], tmp_path: Path
) -> None:
    trained(*APPLY, "--workers", 2, env=held(tmp_path / "held").env)
    job = job_of(trained_project)
    owner = job.record().owner
    assert owner is not None
    wait_until(lambda: slabs_listed(job) > 0)
    group = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _group_of(path) == owner.pid]
    assert len(group) == 2
    os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: job.state() is JobState.LOST, seconds=10)
    trained("jobs", "resume", "3", "--wait", env=tiny)
    assert are_equal(map_of(trained_project), whole_maps["net"])
    wait_until(lambda: not any(_group_of(Path(f"/proc/{pid}")) == owner.pid for pid in group), seconds=10)


def _group_of(process: Path) -> int | None:
    """Return the process group of a running process."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[2])


def test_blocks_of_slices_agree_with_whole_slices_to_a_map_step(
    trained_project: Project, trained: Tomoseg, whole_maps: dict[str, Path], tmp_path: Path
) -> None:
    env = hooked(tmp_path / "small", NETWORKS_HOOK, worker=SMALL_PIECES)
    assert "pieces: 16" in trained(*APPLY, "--wait", env=env).err
    path = map_of(trained_project)
    whole: NDArray[np.int16] = read_volume(whole_maps["net"]).astype(np.int16)
    assert np.abs(read_volume(path).astype(np.int16) - whole).max() <= 1


def test_several_tomograms_are_one_job_and_inverted_ones_give_the_same(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str], tmp_path: Path
) -> None:
    """The second has the same densities inverted, NaN in a corner, and edges that are no multiples of the stride."""
    densities = -tubes()[0][:, :157, :155]
    densities[:, 150:, 150:] = np.nan
    write_volume(tmp_path / "turned.mrc", densities, replace(GRID, shape_zyx=densities.shape))
    trained("import", tmp_path / "turned.mrc", "--polarity", "dark", "--voxel-size", "10")
    done = trained("apply", "net", "tubes", "turned", "--wait", "--json", env=tiny)
    assert done.json["maps"] == ["tubes/net.tube", "turned/net.tube"]
    assert "turned is inverted" in done.err
    first, second = (read_volume(map_of(trained_project, tomogram=name)).astype(int) for name in ("tubes", "turned"))
    inner = np.s_[:, :140, :140]
    assert np.corrcoef(first[inner].ravel(), second[inner].ravel())[0, 1] > 0.99
    assert made(map_of(trained_project, tomogram="turned")).sign == -1


def test_averaged_copies_change_a_map_and_half_precision_does_not(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str], whole_maps: dict[str, Path]
) -> None:
    path = map_of(trained_project)
    done = trained(*APPLY, "--z", "0:9", "--half", "--wait", env=tiny)
    assert "half precision, which differs from float32 by at most" in done.err
    assert made(path).versions["precision"] == "float16"
    halved = read_volume(path).astype(int)
    done = trained(*APPLY, "--z", "9:24", "--wait", env=tiny)
    assert made(path).slices == [(0, 24)]
    done = trained(*APPLY, "--z", "0:9", "--tta", "4", "--wait", env=tiny)
    assert "all of it is replaced" in done.err
    assert (made(path).settings, made(path).slices) == ({"tta": 4}, [(0, 9)])
    averaged = read_volume(path).astype(int)
    whole = read_volume(whole_maps["net"]).astype(int)
    assert np.abs(halved[:9] - whole[:9]).max() <= 1
    assert np.abs(averaged[:9] - whole[:9]).max() > 1
    assert np.corrcoef(averaged[:9].ravel(), whole[:9].ravel())[0, 1] > 0.5


def test_a_map_is_also_written_to_the_users_file(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str], whole_maps: dict[str, Path], tmp_path: Path
) -> None:
    target = tmp_path / "map.mrc"
    target.write_text("mine")
    assert "--force" in trained.refused(*APPLY, "-o", target)
    trained(*APPLY, "-o", target, "--force", "--wait", env=tiny)
    np.testing.assert_array_equal(read_volume(target), read_volume(whole_maps["net"]))
    assert made(target).run == "net"


def test_a_damaged_network_fails_the_job_with_a_clear_error(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str]
) -> None:
    weights = trained_project.layout.network_weights("net")
    weights.write_bytes(weights.read_bytes()[:-100])
    failed = trained(*APPLY, "--wait", code=2, env=tiny)
    assert "does not match its weights" in failed.err


def test_requests_that_do_not_fit_the_network_are_refused_with_a_fix(
    trained_project: Project, trained: Tomoseg, tmp_path: Path
) -> None:
    folder = trained_project.layout.root.parent
    trained("import", folder / "tubes.mrc", "--name", "fine", "--voxel-size", "5")
    message = trained.refused("apply", "net", "fine")
    assert "fine has 5 Å/voxel, the network net was trained at 10" in message
    assert "tomoseg preprocess fine --bin 2 --no-filter" in message
    trained("import", folder / "tubes.mrc", "--name", "coarse", "--voxel-size", "20")
    assert "binning cannot match them" in trained.refused("apply", "net", "coarse")
    trained("preprocess", "tubes", "--wait")
    message = trained.refused("apply", "net", "tubes__preproc")
    assert "the network net was trained with no filter" in message
    assert "Apply it to tubes" in message
    for argv, expected in (
        (("--z", "20:30"), "the slices are 0 to 23"),
        (("--z", "5"), "is not understood"),
        (("--feature", "other"), "has no feature other"),
        (("--workers", "0"), "whole number from 1"),
        (("--tta", "2"), "is not 1, 4 or 8"),
    ):
        assert expected in trained.refused("apply", "net", "tubes", *argv)
    assert "There is no network 'no'" in trained.refused("apply", "no", "tubes")
    assert "-o names one file" in trained.refused("apply", "net", "tubes", "fine", "-o", tmp_path / "m.mrc")
