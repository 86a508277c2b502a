"""The runs of a project: networks with cards, and trainings without one yet."""

import msgspec
import pytest
from helpers.cli_runner import make_card, put_card
from helpers.run_project import figures, put_job, put_run, tell_progress

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import FeatureScore
from tomoseg_tui.tui.state.snapshot import read_snapshot
from tomoseg_tui.tui.train.runs import best_epoch, list_runs, parse_epochs
from tomoseg_tui.workflow.training.trainset import TrainsetRequest, build_trainset


def test_lines_that_are_not_epochs_are_skipped() -> None:
    text = f'{figures(1, best=True)}\nnonsense\n{{"epoch": "x"}}\n{figures(2)}\n'
    epochs = parse_epochs(text.encode())
    assert [one.epoch for one in epochs] == [1, 2]
    assert best_epoch(epochs) == 1


def test_a_training_without_a_network_is_listed_and_the_newest_is_first(project: Project) -> None:
    put_run(project, "old")
    job = put_job(project, "train", "new", state="failed", fault="It broke.", fix="Mend it.")
    tell_progress(job, 0.3, "loss 0.5", epoch=4, epochs=20)
    put_job(project, "merge", "cell/merged")
    runs = list_runs(read_snapshot(project))
    assert [(run.name, run.state, run.epochs) for run in runs] == [("new", "failed", (4, 20)), ("old", "done", (3, 3))]
    assert runs[0].card is None


def test_a_training_without_a_network_has_its_requested_features(small_project: Project) -> None:
    build_trainset(small_project, "tubes", TrainsetRequest(("microtubule",)))
    put_job(small_project, "train", "one", asked={"name": "one", "features": ["membrane", "microtubule"]})
    put_job(small_project, "train", "two", asked={"name": "two", "trainset": "tubes", "features": []})
    put_job(small_project, "train", "three", asked={"name": "three", "trainset": "gone", "features": []})
    learned = {run.name: run.features for run in list_runs(read_snapshot(small_project))}
    assert learned == {"one": ("membrane", "microtubule"), "two": ("microtubule",), "three": ()}


def test_a_network_whose_job_is_missing_is_done(project: Project) -> None:
    put_card(project, make_card("lonely", epochs_done=2))
    (run,) = list_runs(read_snapshot(project))
    assert (run.state, run.is_live, run.epochs) == ("done", False, (2, 2))


def test_of_several_jobs_of_a_run_the_last_counts(project: Project) -> None:
    put_job(project, "train", "run", state="failed", fault="x", fix="y")
    put_job(project, "train", "run", state="stopped")
    assert [run.state for run in list_runs(read_snapshot(project))] == ["stopped"]


def test_dice_is_the_mean_of_the_features_that_have_one(project: Project) -> None:
    scores = {"a": FeatureScore(0.5, 0.6), "b": FeatureScore(0.5, 0.75), "c": FeatureScore()}
    put_card(project, msgspec.structs.replace(make_card("run"), features=scores))
    (run,) = list_runs(read_snapshot(project))
    assert run.dice == pytest.approx(0.675)
