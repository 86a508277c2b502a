"""`--estimate` says what a job would take and starts nothing."""

from pathlib import Path

import pytest
from helpers.cli_runner import Tomoseg, digest_of, noise, write_mrc
from helpers.job_project import make_tubes_project

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


def test_a_preprocess_is_measured_on_the_very_tomogram(cell: Tomoseg, project: Project) -> None:
    before = digest_of(project.layout.root)
    said = cell("preprocess", "cell", "--estimate", "--json").json
    assert said.keys() == KEYS
    assert (said["measured"], said["fits"], said["video_memory_bytes"]) == (True, True, 0)
    assert said["disk_bytes"] == 4 * 6 * 64 * 64
    assert 0 < said["seconds"] < 60
    assert 10e6 < said["memory_bytes"] < 1e9
    assert digest_of(project.layout.root) == before


def test_people_are_told_in_words(cell: Tomoseg) -> None:
    said = cell("preprocess", "cell", "--estimate").out
    assert [line.split()[0] for line in said.splitlines()] == ["time", "memory", "video", "disk", "known"]
    assert "98 kB, " in said
    assert "from a short measurement on this machine" in said


@pytest.mark.slow
def test_what_cannot_fit_is_refused_and_takes_no_name(tmp_path: Path) -> None:
    tomoseg = Tomoseg(make_tubes_project(tmp_path / "tubes"))
    said = tomoseg.refused("train", "--feature", "tube", "--name", "run", "--batch", 10_000_000)
    assert "of memory" in said
    assert "--batch" in said
