"""From an empty folder to a merged label volume by keyboard alone, in a real tmux."""

import json
from pathlib import Path

import pytest
from helpers.cli_runner import Tomoseg
from helpers.tmux_session import Tmux

from tomoseg_tui.jobs.job import JobState, find_job
from tomoseg_tui.project.catalog import Project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    (tmp_path / "lab").mkdir()
    return tmp_path / "lab"


@pytest.mark.slow
def test_an_empty_folder_becomes_a_merged_label_volume(tmux: Tmux, folder: Path, sample_data: Path) -> None:
    tmux.start()
    tmux.wait_for("Create a project there?")
    tmux.press("y", "Enter")
    import_tomograms(tmux, sample_data)
    place_tiles(tmux, sample_data)
    import_annotations(tmux, sample_data)
    start_training(tmux)
    project = Project.open(folder)
    tmux.wait_until(lambda: find_job(project.layout, "1").progress().progress > 0, "a first epoch")
    tmux.wait_until(lambda: "tomoseg train" in project.layout.history.read_text(), "the history of it")
    tmux.kill_server()
    tmux.start()
    find_it_running(tmux, project)
    apply_to_the_other(tmux)
    merge_the_maps(tmux)
    see_the_jobs_and_leave(tmux)
    check_what_was_made(folder, sample_data)


def import_tomograms(tmux: Tmux, sample_data: Path) -> None:
    tmux.wait_for("No tomogram yet", "Press i")
    tmux.press_for("i", "Add tomograms")
    tmux.type(f"{sample_data}/cell_?.mrc")
    tmux.press_for("Enter", "2 to import", "13.6")
    tmux.press_for("Enter", "tomograms (2)", "cell_b")


def place_tiles(tmux: Tmux, sample_data: Path) -> None:
    tmux.press_for("2", "space Place", "z 24/")
    tmux.press_for("I", "Import tiles")
    tmux.type(f"{sample_data}/tiles.csv")
    tmux.press_for("Enter", "64 tiles", "2 features")


def import_annotations(tmux: Tmux, sample_data: Path) -> None:
    tmux.press_for("3", "64 tiles", "I Masks")
    tmux.press_for("I", "Import annotations")
    tmux.type(f"{sample_data}/cell_a_labels.mrc.gz")
    tmux.wait_for("be cropped at its 64 tiles", "1 is")
    tmux.press("Enter", "Tab")
    tmux.type_at("1 is", "microtubule")
    tmux.wait_for("1 is microtubule")
    tmux.press("Tab")
    tmux.type_at("2 is", "membrane")
    tmux.wait_for("2 is membrane")
    tmux.press_for("C-s", "done cell_a", "0 to do")


def start_training(tmux: Tmux) -> None:
    tmux.press_for("4", "No training yet", "Press t")
    tmux.press_for("t", "Train a network", "[ ] M microtubule")
    tmux.press_for("Space", "[x] M microtubule")
    tmux.press("Down")
    tmux.press_for("Space", "[x] E membrane")
    tmux.press("Tab", "Tab", "Tab")
    tmux.type_at("Epochs", "3")
    tmux.wait_for("Epochs 3")
    tmux.press_for("C-s", "1 job running")


def find_it_running(tmux: Tmux, project: Project) -> None:
    tmux.wait_for("1 Import", "1 job running")
    assert find_job(project.layout, "1").state() is JobState.RUNNING
    tmux.press_for("4", "running", "epoch")
    tmux.wait_for("no job runs")


def apply_to_the_other(tmux: Tmux) -> None:
    tmux.press_for("5", "networks and tomograms", "cell_b", "Not applied yet")
    tmux.press("j")
    tmux.wait_for("empty: cell_b by")
    tmux.press_for("Space", "1 marked")
    tmux.press_for("Enter", "of disk space", "Start (enter)")
    tmux.press_for("Enter", "1 job running")
    tmux.wait_for("done: cell_b by", "no job runs")
    tmux.wait_for("cell_b z", "mapped", "M microtubule")


def merge_the_maps(tmux: Tmux) -> None:
    tmux.press_for("6", "cell_b: 2 of 2 maps", "card")
    tmux.press("Right", "Right")
    tmux.wait_for("label slice volume")
    tmux.press("=")
    tmux.press_for("Enter", "and all of merged")


def see_the_jobs_and_leave(tmux: Tmux) -> None:
    tmux.press_for("7", "train", "apply", "merge", "done")
    tmux.press_for("q", "ENDED 0")


def check_what_was_made(folder: Path, sample_data: Path) -> None:
    argv = ["evaluate", "cell_b/merged", sample_data / "cell_b_labels.mrc.gz", "--label", 1, "--label", 2, "--json"]
    found = Tomoseg(folder)(*argv).json["labels"]
    assert found["1"]["dice"] > 0.3
    assert found["2"]["dice"] > 0.2
    lines = (folder / "history.jsonl").read_text().splitlines()
    commands = [json.loads(line)["command"] for line in lines]
    verbs = ("init", "import", "tiles import", "annotations import", "train", "apply", "merge")
    assert len(commands) == len(verbs), commands
    assert all(command.startswith(f"tomoseg {verb} ") for command, verb in zip(commands, verbs, strict=True)), commands
