"""A small part of a job's work in a separate process, to estimate the whole."""

import os
from pathlib import Path

import msgspec
import pytest
from helpers.cli_runner import Tomoseg
from helpers.job_project import NETWORKS_HOOK, hooked

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Timing, load_timings, timings_file

pytestmark = pytest.mark.slow


def test_trainings_and_applies_are_timed_once(
    trained_project: Project, trained: Tomoseg, tiny: dict[str, str], tmp_path: Path
) -> None:
    env = {**tiny, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    argv = ("train", "--feature", "tube", "--network", "tiny", "--epochs", 3, "--batch", 2, "--name", "next")
    first = trained(*argv, "--estimate", "--json", env=env).json
    assert first["measured"]
    assert 1 < first["seconds"] < 600
    assert 200e6 < first["memory_bytes"] < 3e9
    assert not trained_project.layout.network_folder("next").exists()
    applied = trained("apply", "net", "tubes", "--estimate", "--json", env=env).json
    weights = trained_project.layout.network_weights("net").stat().st_size
    assert applied["disk_bytes"] == 24 * 160 * 160 + weights, "the job works with a copy of its network"
    kept = tmp_path / "cache" / "tomoseg" / "paces.json"
    train, apply = msgspec.json.decode(kept.read_bytes(), type=dict[str, Timing]).values()
    assert train.unit_seconds > 0
    assert train.judging_seconds > 0
    assert apply.unit_seconds > 0
    os.utime(kept, (1, 1))
    assert trained(*argv, "--estimate", "--json", env=env).json["seconds"] == first["seconds"]
    assert kept.stat().st_mtime == 1, "nothing was measured again"
    assert [folder.name for folder in trained_project.layout.jobs.iterdir() if not folder.name.isdigit()] == []


def test_a_finished_training_gives_the_forecast_of_the_next(tomoseg: Tomoseg, tmp_path: Path) -> None:
    idle = "import os; os.getloadavg = lambda: (0.0, 0.0, 0.0)"
    env = {**hooked(tmp_path / "hooks", NETWORKS_HOOK, idle), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    argv = ("train", "--feature", "tube", "--network", "tiny", "--epochs", 2, "--batch", 2)
    tomoseg(*argv, "--name", "first", "--wait", env=env)
    (pace,) = load_timings(timings_file(env)).values()
    assert 1 < pace.start_seconds < 600
    assert 0 < pace.unit_seconds < 10
    assert 200e6 < pace.memory_bytes < 3e9
    estimate = tomoseg(*argv, "--name", "second", "--estimate", "--json", env=env).json
    assert estimate["measured"]
    assert estimate["seconds"] > pace.start_seconds
    assert list(load_timings(timings_file(env)).values()) == [pace], "nothing was measured"
