"""Audits with real processes, real signals and a tiny network."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.cli_runner import Tomoseg, wait_until
from helpers.job_project import FULL_DEVICE, NETWORKS_HOOK, hooked

from tomoseg_tui.io.trainset_file import TrainsetTile, read_training_set, write_training_set
from tomoseg_tui.io.triples_file import read_triples
from tomoseg_tui.jobs.job import Job, JobState
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project

pytestmark = pytest.mark.slow

AUDIT = ("audit", "--network", "tiny", "--epochs", 2, "--seed", 3)
SLOW_STEPS = """
import time
from tomoseg_tui.workflow.audit import audit_request
load = audit_request.load_for_audit
def slowly(path):
    from tomoseg_tui.runners import run_audit
    fit = run_audit.fit
    def slow_fit(*words, on_step, **named):
        def wait(step, steps):
            time.sleep(0.05)
            on_step(step, steps)
        return fit(*words, on_step=wait, **named)
    run_audit.fit = slow_fit
    return load(path)
audit_request.load_for_audit = slowly
"""


def empty_one_mask(project: Project, name: str) -> str:
    """Empty the mask of a positive tile of a training set; return the tile's id."""
    path = project.layout.trainset(name)
    summary, tiles = read_training_set(path)
    spoiled = tiles[2]
    tiles[2] = TrainsetTile(spoiled.metadata, spoiled.densities, spoiled.inside, np.minimum(spoiled.layers, 1))
    write_training_set(path, summary, tiles)
    return spoiled.metadata.id


def listed(project: Project, name: str) -> list[dict[str, Any]]:
    report = json.loads(project.layout.audit_report(name).read_text())
    return [{key: value for key, value in tile.items() if key != "tile"} for tile in report["tiles"]]


@pytest.fixture(scope="module")
def audited(tubes_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the training set `set`, one mask of which is empty, and the undisturbed audit `whole` of it."""
    place = tmp_path_factory.mktemp("audited")
    shutil.copytree(tubes_template.parent, place / "tubes")
    project = Project.open(place / "tubes" / "project")
    tomoseg = Tomoseg(project.layout.root)
    tomoseg("trainset", "build", "set", "--feature", "tube")
    spoiled = empty_one_mask(project, "set")
    env = hooked(place / "tiny", NETWORKS_HOOK)
    done = tomoseg(*AUDIT, "--trainset", "set", "--name", "whole", "--wait", "--json", env=env)
    assert [tile["rank"] for tile in done.json] == [1, 2, 3, 4, 5, 6]
    first = done.json[0]
    assert (first["tile"], first["feature"], first["kind"], first["suspicion"]) == (spoiled, "tube", "positive", 1.0)
    assert first["reason"].startswith("annotated, but the mask of tube is empty")
    assert "1  " + spoiled in done.err
    return project


def require_equal_results(project: Project, name: str, other: Project, other_name: str) -> None:
    assert listed(project, name) == listed(other, other_name)
    one, two = (read_triples(p.layout.audit_triples(n)) for p, n in ((project, name), (other, other_name)))
    assert one.outputs.tobytes() == two.outputs.tobytes()


def test_an_audit_stopped_and_killed_gives_the_result_of_an_uninterrupted_one(audited: Project, tmp_path: Path) -> None:
    tubes_project, tomoseg = audited, Tomoseg(audited.layout.root)
    tiny = hooked(tmp_path / "tiny", NETWORKS_HOOK)
    slow = hooked(tmp_path / "slow", NETWORKS_HOOK, worker=SLOW_STEPS)
    assert tomoseg(*AUDIT, "--trainset", "set", "--name", "torn", "--json", env=slow).json == {"job": "2"}
    job = Job(tubes_project.layout.job_folder("2"))
    wait_until(lambda: "part 2/4" in job.progress().message)
    assert "not finished" in tomoseg("audits", "show", "torn", code=2).err
    tomoseg("jobs", "stop", "2")
    assert job.state() is JobState.STOPPED
    assert (job.partial / "fold_0.npy").is_file()
    tomoseg("jobs", "resume", "2", env=slow)
    wait_until(lambda: "part 3/4, epoch 2" in job.progress().message)
    tomoseg("jobs", "kill", "2")
    tomoseg("jobs", "resume", "2", "--wait", env=tiny)

    require_equal_results(tubes_project, "whole", tubes_project, "torn")
    report = catalog.load_audit_report(tubes_project.layout, "whole")
    assert (report.network, report.epochs, report.folds, report.seed, report.trainset) == ("tiny", 2, 4, 3, "set")
    assert {tile.fold for tile in report.tiles} == {0, 1, 2, 3}
    assert [audit["name"] for audit in tomoseg("audits", "--json").json] == ["torn", "whole"]


def test_an_audit_that_does_not_fit_on_its_device_resumes_on_another(
    tubes_project: Project, tomoseg: Tomoseg, tiny: dict[str, str], tmp_path: Path
) -> None:
    full = hooked(tmp_path / "full", NETWORKS_HOOK, worker=FULL_DEVICE)
    failed = tomoseg(*AUDIT, "--feature", "tube", "--name", "found", "--wait", code=2, env=full)
    assert "does not fit in the memory of the device cpu." in failed.err
    assert "Audit again under another --name on another device: --device gpu." in failed.err
    assert Job(tubes_project.layout.job_folder("1")).state() is JobState.FAILED
    tomoseg("jobs", "resume", "1", "--wait", env=tiny)
    assert len(listed(tubes_project, "found")) == 6


def test_an_audit_resumed_with_other_tiles_starts_again(
    audited: Project, tubes_project: Project, tomoseg: Tomoseg, tiny: dict[str, str], tmp_path: Path
) -> None:
    tomoseg("trainset", "build", "set", "--feature", "tube")
    slow = hooked(tmp_path / "slow", NETWORKS_HOOK, worker=SLOW_STEPS)
    tomoseg(*AUDIT, "--trainset", "set", "--name", "torn", env=slow)
    job = Job(tubes_project.layout.job_folder("1"))
    wait_until(lambda: "part 2/4" in job.progress().message and job.progress().epoch == 2)
    assert job.progress().epochs == 2
    tomoseg("jobs", "stop", "1")
    empty_one_mask(tubes_project, "set")
    resumed = tomoseg("jobs", "resume", "1", "--wait", env=tiny)
    assert "The training set set has changed since this audit began" in resumed.err
    require_equal_results(audited, "whole", tubes_project, "torn")


def test_an_audit_of_features_builds_its_own_training_set_and_shows_the_worst_tiles(
    tubes_project: Project, tomoseg: Tomoseg, tiny: dict[str, str]
) -> None:
    argv = (*AUDIT, "--feature", "tube", "--wait", "--worst", 2, "--renderer", "ascii", "--width", 80)
    done = tomoseg(*argv, env=tiny)
    assert done.out.isascii()
    assert done.out.strip()
    assert "The audit is called tube_1." in done.err
    assert "of 6 tiles should be checked." in done.err
    folder = tubes_project.layout.audit_folder("tube_1")
    assert {path.name for path in folder.iterdir()} == {"audit.json", "job.txt", "trainset.h5", "triples.h5"}
    assert not Job(tubes_project.layout.job_folder("1")).partial.exists()
    tomoseg("features", "rename", "tube", "pipe")
    shown = tomoseg("audits", "show", "tube_1", "--worst", 2, "--json").json
    assert [tile["feature"] for tile in shown] == ["pipe", "pipe"]
