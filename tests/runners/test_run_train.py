"""Trainings with real processes, real signals and a tiny network."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import pytest
from helpers.cli_runner import Tomoseg, interrupt, wait_until
from helpers.job_project import (
    FULL_DEVICE,
    NETWORKS_HOOK,
    PLACES,
    SLOW_STEPS,
    hooked,
    make_tubes_project,
    tubes,
    write_volume,
)
from numpy.typing import NDArray

from tomoseg_tui.io.triples_file import read_split, read_triples
from tomoseg_tui.jobs.job import Job, JobState
from tomoseg_tui.ml.checkpoints import file_digest
from tomoseg_tui.project.catalog import Project, load_network_card
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import FilterStep, NetworkCard, write_record

pytestmark = pytest.mark.slow

TINY = ("train", "--feature", "tube", "--network", "tiny", "--batch", 2, "--seed", 3)


def job_of(project: Project, job_id: str = "1") -> Job:
    return Job(project.layout.job_folder(job_id))


def weights_of(layout: ProjectLayout, run: str) -> dict[str, NDArray[np.generic]]:
    """Return all arrays of a run's weights file."""
    found: dict[str, NDArray[np.generic]] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(layout.network_weights(run)) as file:
        file.visititems(take)
    return found


def assert_same_network(one: tuple[ProjectLayout, str], other: tuple[ProjectLayout, str]) -> None:
    """Compare the weights of two runs to the bit, and their cards."""
    ours, theirs = weights_of(*one), weights_of(*other)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.tobytes() == theirs[name].tobytes(), name
    a, b = load_network_card(*one), load_network_card(*other)
    assert list(a.features.values()) == list(b.features.values())
    assert (a.best_epoch, a.epochs_done, a.seed, a.tile_counts.held_out) == (
        b.best_epoch, b.epochs_done, b.seed, b.tile_counts.held_out,
    )  # fmt: skip


def figures(job: Job) -> list[dict[str, Any]]:
    """Return the metrics of all epochs, without times and names."""
    lines = [{**line, "held_out_dice": list(line["held_out_dice"].values())} for line in job.metrics()]
    return [{key: value for key, value in line.items() if key not in {"seconds", "at"}} for line in lines]


def epochs_of(job: Job) -> int:
    return len(job.metrics())


def slowed(folder: Path, seconds: float) -> dict[str, str]:
    """Return an environment in which a training step takes at least this long."""
    return hooked(folder, NETWORKS_HOOK, worker=SLOW_STEPS.format(seconds=seconds))


def kill_worker(job: Job) -> None:
    owner = job.record().owner
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: job.state() is JobState.LOST, seconds=10)


def test_an_interrupted_training_gives_the_same_network_under_any_names(
    tubes_project: Project, tomoseg: Tomoseg, tiny: dict[str, str], tmp_path: Path
) -> None:
    """Stopped, resumed, killed, resumed; with other names of project, tomogram, feature, run and job."""
    tomoseg(*TINY, "--epochs", 4, "--name", "whole", "--wait", env=tiny)
    other = Project.open(make_tubes_project(tmp_path / "elsewhere", tomogram="cell", feature="pipe"))
    run = Tomoseg(other.layout.root)
    other.layout.job_folder("6").mkdir()
    env = slowed(tmp_path / "slow", 0.08)
    argv = [option if option != "tube" else "pipe" for option in TINY]
    assert run(*argv, "--epochs", 4, "--name", "torn", "--json", env=env).json == {"job": "7"}

    job = job_of(other, "7")
    wait_until(lambda: epochs_of(job) == 1)
    assert 0 < job.progress().progress < 1
    assert job.progress().epochs == 4
    wait_until(lambda: job.progress().progress > 0.3)
    run("jobs", "stop", "7")
    assert (job.state(), job.record().exit_code) == (JobState.STOPPED, 130)
    card = run("networks", "show", "torn", "--json").json
    assert (card["epochs"], card["features"]["pipe"]["held_out_tiles"]) == (4, 1)
    assert load_network_card(other.layout, "torn").epochs_done == epochs_of(job) < 4
    assert load_network_card(other.layout, "torn").weights_digest == file_digest(other.layout.network_weights("torn"))

    kept = epochs_of(job)
    run("jobs", "resume", "7", env=env)
    wait_until(lambda: job.progress().message.startswith("epoch"))
    assert job.progress().progress >= kept / 4
    wait_until(lambda: epochs_of(job) > kept)
    kill_worker(job)
    run("jobs", "resume", "7", "--wait", env=tiny)

    assert_same_network((tubes_project.layout, "whole"), (other.layout, "torn"))
    assert figures(job) == figures(job_of(tubes_project))
    assert [line["epoch"] for line in job.metrics()] == [1, 2, 3, 4]
    assert "is already done" in run("jobs", "resume", "7").err


def test_metrics_are_neither_lost_nor_doubled_after_a_kill_within_a_line(
    tubes_project: Project, tomoseg: Tomoseg, tiny: dict[str, str], tmp_path: Path
) -> None:
    """The kill comes after the metrics of an epoch and within those of the next, before its checkpoint."""
    tomoseg(*TINY, "--epochs", 3, "--name", "run", env=slowed(tmp_path / "slow", 0.08))
    job = job_of(tubes_project)
    wait_until(lambda: epochs_of(job) == 1)
    wait_until(lambda: (job.progress().epoch, job.progress().epochs) == (2, 3))
    kill_worker(job)
    with job.metrics_file.open("ab") as lines:
        lines.write(b'{"epoch":2,"training_loss":0.0}\n{"epoch":3,"training_l')
    tomoseg("jobs", "resume", "1", "--wait", env=tiny)
    lines_now = job.metrics()
    assert [line["epoch"] for line in lines_now] == [1, 2, 3]
    assert all(line["training_loss"] > 0 for line in lines_now)
    assert job.metrics_file.read_bytes().count(b"\n") == 3


def test_a_training_is_not_resumed_with_a_set_rebuilt_from_other_tiles(
    tubes_project: Project, tomoseg: Tomoseg, tiny: dict[str, str], tmp_path: Path
) -> None:
    """It resumes when the training set is restored."""
    tomoseg("trainset", "build", "set", "--feature", "tube")
    argv = ("train", "--trainset", "set", "--network", "tiny", "--batch", 2, "--epochs", 4, "--name", "run")
    tomoseg(*argv, env=slowed(tmp_path / "slow", 0.08))
    job, path = job_of(tubes_project), tubes_project.layout.trainset("set")
    wait_until(lambda: epochs_of(job) == 1)
    tomoseg("jobs", "stop", "1")
    kept = path.read_bytes()
    path.unlink()
    tomoseg("tiles", "remove", tomoseg("tiles", "list", "--json").json[0]["id"])
    tomoseg("trainset", "build", "set", "--feature", "tube")
    refused = tomoseg("jobs", "resume", "1", "--wait", code=2, env=tiny)
    assert "The training set set has changed since this training began: it had 6 tiles and has 5." in refused.err
    assert "Train again under another --name" in refused.err
    assert (job.state(), epochs_of(job)) == (JobState.FAILED, 1)
    path.write_bytes(kept)
    tomoseg("jobs", "resume", "1", "--wait", env=tiny)
    assert epochs_of(job) == 4


def test_ctrl_c_leaves_the_training_running_and_kill_ends_it(
    tubes_project: Project, tomoseg: Tomoseg, tmp_path: Path
) -> None:
    process = tomoseg.start(*TINY, "--epochs", 50, "--name", "run", "--wait", env=slowed(tmp_path / "slow", 0.08))
    job = job_of(tubes_project)
    wait_until(lambda: job.record_file.exists() and job.progress().progress > 0)
    interrupt(process)
    _, output = process.communicate(timeout=10)
    assert (process.returncode, "Job 1 continues" in output, "Traceback" in output) == (130, True, False)
    assert job.state() is JobState.RUNNING
    tomoseg("jobs", "stop", "1")
    assert job.state() is JobState.STOPPED
    if not epochs_of(job):
        assert "has no finished epoch" in tomoseg("networks", "show", "run", code=2).err


def test_the_default_network_learns_the_tubes_and_its_card_has_the_scores(
    tubes_project: Project, tomoseg: Tomoseg
) -> None:
    argv = ("train", "--feature", "tube", "--name", "run", "--epochs", 4, "--batch", 2, "--seed", 3)
    done = tomoseg(*argv, "--wait", "--json")
    job, folder = job_of(tubes_project), tubes_project.layout.network_folder("run")
    assert done.json["network"] == "run"
    card = tomoseg("networks", "list", "--json").json[0]
    score = card["features"]["tube"]
    assert score["held_out_tiles"] == 1
    assert min(score["dice"], score["precision"], score["recall"]) > 0.6
    assert (card["voxel_size_angstrom"], card["polarity"], card["from"], card["tiles"]) == (10.0, "bright", None, 6)
    assert (card["learning_rate"], card["epochs"], card["seed"]) == (
        load_network_card(tubes_project.layout, "run").learning_rate,
        4,
        3,
    )
    output = [line.split(" ", 1)[1] for line in job.log_file.read_text().splitlines() if line[:2] == "20"]
    assert output[0].startswith("On the CPU: ")
    assert (job.record().asked["device"], job.listing()["device"]) == ("auto", "cpu")
    assert [list(line) for line in job.metrics()] == 4 * [
        ["epoch", "learning_rate", "training_loss", "held_out_loss", "held_out_dice", "best", "seconds", "at"]
    ]
    assert {path.name for path in folder.iterdir()} == {
        "best.weights.h5", "card.json", "job.txt", "trainset.h5", "triples.h5",
    }  # fmt: skip
    assert "There is a run run already" in tomoseg(*argv, code=2).err


def test_a_diverged_training_fails_with_a_fix(tubes_project: Project, tomoseg: Tomoseg, tiny: dict[str, str]) -> None:
    argv = ("--epochs", 4, "--name", "run", "--learning-rate", 1000)
    failed = tomoseg(*TINY, *argv, "--wait", code=2, env=tiny)
    assert "diverged" in failed.err
    assert "--learning-rate 100" in failed.err
    assert job_of(tubes_project).state() is JobState.FAILED


def test_a_training_whose_batch_no_longer_fits_suggests_a_smaller_one_and_loses_nothing(
    tubes_project: Project, tomoseg: Tomoseg, tiny: dict[str, str], tmp_path: Path
) -> None:
    argv = (*TINY, "--epochs", 2, "--wait")
    tomoseg(*argv, "--name", "whole", env=tiny)
    full = hooked(tmp_path / "full", NETWORKS_HOOK, worker=FULL_DEVICE)
    failed = tomoseg(*argv, "--name", "run", code=2, env=full)
    assert "A batch of 2 tiles for tiny does not fit in the memory of the device cpu." in failed.err
    assert "--batch 1" in failed.err
    job = job_of(tubes_project, "2")
    assert (job.state(), epochs_of(job)) == (JobState.FAILED, 1)
    tomoseg("jobs", "resume", "2", "--wait", env=tiny)
    assert_same_network((tubes_project.layout, "run"), (tubes_project.layout, "whole"))


def test_a_run_from_another_starts_at_a_tenth_of_its_rate_and_is_validated_on_held_out_tiles_only(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str]
) -> None:
    """Two of the six tiles are removed, so that there are fewer than five positive ones."""
    ids = [tile["id"] for tile in trained("tiles", "list", "--json").json]
    trained("tiles", "remove", *ids[:2])
    argv = ("train", "--feature", "tube", "--name", "next", "--epochs", 1, "--batch", 2)
    done = trained(*argv, "--from", "net", "--wait", env=tiny)
    earlier, card = load_network_card(trained_project.layout, "net"), load_network_card(trained_project.layout, "next")
    assert card.learning_rate == earlier.learning_rate / 10
    assert (card.made_from, card.network) == ("net", "tiny")
    assert "a tenth of that of net" in done.err
    assert any("a tenth of that of net" in note for note in card.notes)
    score = card.features["tube"]
    assert (score.threshold, score.dice, score.precision, score.recall, score.held_out_tiles) == (
        0.5,
        None,
        None,
        None,
        0,
    )
    assert any("held out" in note for note in card.notes)
    plain = trained("networks", "show", "next", "--json").json
    assert plain["features"]["tube"] == {
        "threshold": 0.5, "dice": None, "precision": None, "recall": None, "held_out_tiles": 0, "curve": [],
    }  # fmt: skip
    assert "nothing held out" in trained("networks", "show", "next").out


def test_a_run_from_another_is_validated_only_on_tiles_its_weights_were_not_trained_on(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str]
) -> None:
    """The validation tile of the earlier run is removed, and two tiles apart from all others are added."""
    earlier = read_split(trained_project.layout.network_triples("net"))
    trained("tiles", "remove", *[tile for tile, held_out in earlier.items() if held_out])
    rows = [f"tubes,{x},{y},{z},tube,positive" for x, y, z in ((40, 112, 2), (112, 40, 20))]
    table = trained_project.layout.root.parent / "more.csv"
    table.write_text("\n".join(["tomogram,x,y,z,feature,kind", *rows, ""]))
    trained("tiles", "import", "../more.csv")
    trained("annotations", "import", "../truth.mrc", "--tomogram", "tubes", "--map", "1=tube")
    trained("trainset", "build", "set", "--feature", "tube")
    for name, tiles in (("own", ("--feature", "tube")), ("named", ("--trainset", "set", "--validation", 0.3))):
        argv = ("train", *tiles, "--name", name, "--epochs", 1, "--batch", 2, "--from", "net")
        done = trained(*argv, "--wait", env=tiny)
        split = read_split(trained_project.layout.network_triples(name))
        judges = {tile for tile, held_out in split.items() if held_out}
        assert judges
        assert not judges & earlier.keys()
        card = load_network_card(trained_project.layout, name)
        assert card.tile_counts.held_out == len(judges)
        for output in (done.err, " ".join(card.notes)):
            assert "5 of 7 tiles cannot be used for validation: net was trained on them." in output


def test_a_run_from_another_has_its_polarity_and_reports_other_filters(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str]
) -> None:
    """The same tubes are imported as dark ones, and the earlier run is marked as trained on filtered tomograms."""
    layout = trained_project.layout
    before = read_triples(layout.network_triples("net"))
    trained("tiles", "remove", *before.tiles)
    write_volume(layout.root.parent / "inverse.mrc", -tubes()[0])
    trained("import", "../inverse.mrc", "--polarity", "dark")
    rows = [f"inverse,{x},{y},{z},tube,positive" for x, y, z in PLACES]
    (layout.root.parent / "more.csv").write_text("\n".join(["tomogram,x,y,z,feature,kind", *rows, ""]))
    trained("tiles", "import", "../more.csv")
    trained("annotations", "import", "../truth.mrc", "--tomogram", "inverse", "--map", "1=tube")
    trained("trainset", "build", "set", "--feature", "tube")
    card = load_network_card(layout, "net")
    write_record(layout.network_card("net"), msgspec.structs.replace(card, preprocessing=(FilterStep(lowpass=0.25),)))
    for name, tiles in (("own", ("--feature", "tube")), ("named", ("--trainset", "set"))):
        done = trained(
            "train", *tiles, "--name", name, "--epochs", 1, "--batch", 2, "--from", "net", "--wait", env=tiny
        )
        assert "Note: The tiles are filtered in another way (no filter) than net" in done.err
        after = read_triples(layout.network_triples(name))
        images = dict(zip((tile.replace("inverse", "tubes") for tile in after.tiles), after.images, strict=True))
        for tile, image in zip(before.tiles, before.images, strict=True):
            np.testing.assert_allclose(images[tile], image, atol=1e-4)
        card = load_network_card(layout, name)
        assert card.polarity == "bright"
        assert any("bright protein" in note for note in card.notes)
        assert any("filtered in another way" in note for note in card.notes)


def test_a_run_is_the_same_with_a_shared_training_set(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str]
) -> None:
    trained("trainset", "build", "set", "--feature", "tube")
    argv = ("train", "--trainset", "set", "--network", "tiny", "--epochs", 3, "--batch", 2, "--seed", 3)
    trained(*argv, "--name", "same", "--wait", env=tiny)
    assert_same_network((trained_project.layout, "net"), (trained_project.layout, "same"))


@pytest.mark.parametrize(("kilobytes", "torn"), [(20, "checkpoint"), (100, "triples")])
def test_a_full_disk_fails_the_training_with_a_clear_error_and_it_can_be_resumed(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str], kilobytes: int, torn: str
) -> None:
    trained("trainset", "build", "set", "--feature", "tube")
    limit = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes} * 1024, -1))"
    env = hooked(trained_project.layout.root.parent / "limit", NETWORKS_HOOK, worker=limit)
    argv = ("train", "--trainset", "set", "--network", "tiny", "--name", "run", "--epochs", 1, "--batch", 2)
    failed = trained(*argv, "--wait", code=2, env=env)
    job = job_of(trained_project, "3")
    listing = job.listing()
    assert listing["state"] == "failed"
    assert torn in listing["fault"]
    assert listing["fix"]
    assert "Traceback" not in failed.err
    trained("jobs", "resume", "3", "--wait", env=tiny)


def test_a_disk_too_full_for_the_training_set_fails_the_training_with_a_clear_error(
    tubes_project: Project, tomoseg: Tomoseg, tmp_path: Path
) -> None:
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (10**6, -1))"
    env = hooked(tmp_path / "limit", NETWORKS_HOOK, worker=limit)
    failed = tomoseg(*TINY, "--epochs", 1, "--name", "run", "--wait", code=2, env=env)
    assert "Disk full: " in failed.err
    assert job_of(tubes_project).state() is JobState.FAILED


def test_a_card_is_complete_json(trained_project: Project) -> None:
    path = trained_project.layout.network_card("net")
    card = load_network_card(trained_project.layout, "net")
    assert isinstance(card, NetworkCard)
    keys = (
        "name network voxel_size_angstrom polarity preprocessing features tiles learning_rate epochs seed from versions"
    )
    assert set(keys.split()) <= set(json.loads(path.read_bytes()))
