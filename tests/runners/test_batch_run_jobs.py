"""`run` from tiles to labels in real processes, with a tiny network."""

import shutil

import pytest
from helpers.cli_runner import Tomoseg, wait_until

from tomoseg_tui.jobs.job import Job, JobState
from tomoseg_tui.project.catalog import Project

pytestmark = pytest.mark.slow


def test_a_run_trains_applies_and_merges_and_one_bad_tomogram_stops_no_other(
    tubes_project: Project, tomoseg: Tomoseg, tiny: dict[str, str]
) -> None:
    """The second tomogram's file is removed during the training."""
    layout = tubes_project.layout
    tomoseg("import", "../tubes.mrc", "--name", "bad", "--polarity", "bright")
    tomoseg("preprocess", "tubes", "--bin", 2, "--no-filter", "--wait")
    argv = ("run", "--feature", "tube", "--all", "--network", "tiny", "--epochs", 2, "--name", "mt", "--json")
    process = tomoseg.start(*argv, "--wait", env=tiny)
    train = Job(layout.job_folder("2"))
    wait_until(lambda: train.record_file.exists() and train.state() is JobState.RUNNING, seconds=120)
    shutil.move(layout.tomogram_folder("bad") / "bad.mrc", layout.root / "away.mrc")
    out, err = process.communicate(timeout=900)
    assert process.returncode == 2, err
    assert out == '{"jobs": ["2", "3", "4", "5", "6"]}\n'
    assert "tubes__bin2 is left out: tubes__bin2 has 20 Å/voxel" in err
    states = {job["id"]: (job["kind"], job["name"], job["state"]) for job in tomoseg("jobs", "--json").json}
    assert states == {
        "1": ("preprocess", "tubes__bin2", "done"),
        "2": ("train", "mt", "done"),
        "3": ("apply", "mt on bad", "failed"),
        "4": ("merge", "bad/merged", "failed"),
        "5": ("apply", "mt on tubes", "done"),
        "6": ("merge", "tubes/merged", "done"),
    }
    assert "job 3 (apply mt on bad), which is failed" in err
    card = tomoseg("networks", "show", "mt", "--json").json
    merged = Job(layout.job_folder("6")).result()["labels"]["1"]
    assert (merged["feature"], merged["run"]) == ("tube", "mt")
    assert merged["threshold"] == card["features"]["tube"]["threshold"]

    shutil.move(layout.root / "away.mrc", layout.tomogram_folder("bad") / "bad.mrc")
    assert "Jobs that depend on it continue too: 4" in tomoseg("jobs", "resume", "3", env=tiny).err
    last = Job(layout.job_folder("4"))
    wait_until(lambda: last.state().is_over, seconds=600)
    assert last.state() is JobState.DONE
    assert layout.label_file("bad", "merged").exists()
