"""`--estimate` prints the cost of a job and starts nothing."""

from pathlib import Path

import pytest
from helpers.cli_runner import Tomoseg, digest_of, make_card, noise, put_card, write_mrc
from helpers.job_project import hooked, make_tubes_project

from tomoseg_tui.project.catalog import Project

KEYS = {
    "seconds", "memory_bytes", "video_memory_bytes", "disk_bytes", "free_memory_bytes", "free_disk_bytes",
    "measured", "fits",
}  # fmt: skip


@pytest.fixture
def cell(tomoseg: Tomoseg, tmp_path: Path) -> Tomoseg:
    """A project with one tomogram of 6 x 64 x 64 voxels."""
    tomoseg("import", write_mrc(tmp_path / "cell.mrc", noise()))
    return tomoseg


def test_preprocessing_is_measured_on_the_tomogram_itself(cell: Tomoseg, project: Project) -> None:
    before = digest_of(project.layout.root)
    output = cell("preprocess", "cell", "--estimate", "--json").json
    assert output.keys() == KEYS
    assert (output["measured"], output["fits"], output["video_memory_bytes"]) == (True, True, 0)
    assert output["disk_bytes"] == 4 * 6 * 64 * 64
    assert 0 < output["seconds"] < 60
    assert 10e6 < output["memory_bytes"] < 1e9
    assert digest_of(project.layout.root) == before


def test_the_estimate_is_printed_as_text(cell: Tomoseg) -> None:
    output = cell("preprocess", "cell", "--estimate").out
    cost, free = output.splitlines()
    assert cost.startswith("about ")
    assert "measured on this machine" in cost
    assert "98 kB of disk space" in cost
    assert free.startswith("free: ")


@pytest.mark.slow
def test_a_job_that_does_not_fit_is_refused_and_reserves_no_name(tmp_path: Path) -> None:
    tomoseg = Tomoseg(make_tubes_project(tmp_path / "tubes"))
    output = tomoseg.refused("train", "--feature", "tube", "--name", "run", "--batch", 10_000_000)
    assert "of memory" in output
    assert "--batch" in output


@pytest.fixture
def tubes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tomoseg:
    """Annotated tiles, and workers that cannot measure anything."""
    tomoseg = Tomoseg(make_tubes_project(tmp_path / "tubes"))
    for name, value in hooked(tmp_path / "hooks", worker="import os; os._exit(3)").items():
        monkeypatch.setenv(name, value)
    return tomoseg


def test_an_audit_is_estimated_as_the_trainings_of_its_folds(tubes: Tomoseg) -> None:
    output = tubes("audit", "--feature", "tube", "--name", "a", "--estimate", "--json").json
    assert output.keys() == KEYS
    training = tubes("train", "--feature", "tube", "--name", "r", "--estimate", "--json").json
    assert 0.5 < output["seconds"] / training["seconds"] < 2, "four short trainings take about as long as a normal one"
    long = tubes("audit", "--feature", "tube", "--name", "a", "--epochs", 200, "--estimate", "--json").json
    assert long["seconds"] > 4 * output["seconds"]
    assert not (tubes.folder / "audits" / "a").exists()


def test_a_run_is_estimated_for_each_job_and_in_total(tubes: Tomoseg) -> None:
    arguments = ("run", "--feature", "tube", "--all", "--name", "mt", "--estimate")
    output = tubes(*arguments, "--json").json
    assert output.keys() == KEYS | {"jobs"}
    assert [job["job"] for job in output["jobs"]] == ["train mt", "apply mt on tubes", "merge tubes/merged"]
    assert output["seconds"] == pytest.approx(sum(job["seconds"] for job in output["jobs"]), abs=0.2)
    assert output["disk_bytes"] == sum(job["disk_bytes"] for job in output["jobs"])
    assert output["memory_bytes"] == max(job["memory_bytes"] for job in output["jobs"])
    assert output["jobs"][1]["disk_bytes"] > 24 * 160 * 160, "a map, and the copy of a network that does not exist yet"
    assert "train mt: about " in tubes(*arguments).out
    assert tubes("jobs", "--json").json == []


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (("audit", "--feature", "tube"), "Audit fewer features"),
        (("run", "--feature", "tube", "--all"), "Use a smaller --batch"),
        (("apply", "net", "tubes"), "a machine with more memory"),
    ],
)
def test_jobs_that_do_not_fit_are_refused_and_reserve_no_names(
    tubes: Tomoseg, tmp_path: Path, arguments: tuple[str, ...], fix: str
) -> None:
    small = "import psutil, types; psutil.virtual_memory = lambda: types.SimpleNamespace(total=10**8, available=10**8)"
    put_card(Project.open(tubes.folder), make_card("net", network="unet25d"))
    refused = tubes(*arguments, code=2, env=hooked(tmp_path / "small", small)).err
    assert "of memory; 100 MB is available" in refused
    assert fix in refused
    layout = Project.open(tubes.folder).layout
    assert not layout.audits.exists()
    assert [folder.name for folder in layout.networks.iterdir()] == ["net"]
    assert not list(layout.jobs.glob("[0-9]*"))
