"""The plan of a run: its jobs and their order, and which requests are refused."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import bring, make_card, noise, put_card, write_map, write_mrc

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import ProjectError, TomosegError, UsageError
from tomoseg_tui.jobs.dependencies import launch_chain
from tomoseg_tui.jobs.job import all_jobs
from tomoseg_tui.jobs.kinds import KINDS
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import import_masks
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest
from tomoseg_tui.workflow.batch_run import BatchRunRequest, plan_batch_run
from tomoseg_tui.workflow.merge.merge_request import MergeRequest
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.training.train_request import TrainRequest

BOTH = BatchRunRequest(("tube", "wall"), ("cell",), name="mt")


@pytest.fixture
def annotated(project: Project) -> Project:
    """Return a project with tomograms cell and other, and coarse with twice their voxel size; cell is annotated."""
    for name in ("cell", "other"):
        bring(project, name, noise((8, 96, 96)))
    bring(project, "coarse", noise((8, 96, 96)), voxel_size=20.0)
    place = TileLocation("cell", 4, 48, 48)
    mask = np.zeros((1, 64, 64), np.int8)
    mask[0, 20:40] = 1
    file = write_mrc(project.layout.root / "masks.mrc", mask)
    place_tiles(project, [tile_placement(place, feature, negative=False) for feature in ("tube", "wall")])
    for feature in ("tube", "wall"):
        import_masks(Project.open(project.layout.root), file, feature, [place])
    return Project.open(project.layout.root)


def test_a_run_trains_one_network_per_feature_then_applies_and_merges_each_tomogram(annotated: Project) -> None:
    plan = plan_batch_run(annotated, replace(BOTH, tomograms=("cell", "other", "cell"), device="gpu", epochs=3))
    assert [(step.kind, KINDS[step.kind].title(step.request), step.dependencies) for step in plan.jobs] == [
        ("train", "mt_tube", ()),
        ("train", "mt_wall", ()),
        ("apply", "mt_tube on cell", (0,)),
        ("apply", "mt_wall on cell", (1,)),
        ("merge", "cell/merged", (2, 3)),
        ("apply", "mt_tube on other", (0,)),
        ("apply", "mt_wall on other", (1,)),
        ("merge", "other/merged", (5, 6)),
    ]
    trained = msgspec.convert(plan.jobs[1].request, TrainRequest)
    assert trained == TrainRequest(name="mt_wall", features=("wall",), epochs=3, device="gpu")
    applied = msgspec.convert(plan.jobs[2].request, ApplyRequest)
    assert applied == ApplyRequest(run="mt_tube", tomograms=("cell",), device="gpu")
    merged = msgspec.convert(plan.jobs[4].request, MergeRequest)
    assert merged.words == ("mt_tube:tube=card", "mt_wall:wall=card")


def test_one_network_can_be_trained_for_all_features(annotated: Project) -> None:
    plan = plan_batch_run(annotated, replace(BOTH, together=True))
    assert [KINDS[step.kind].title(step.request) for step in plan.jobs] == ["mt", "mt on cell", "cell/merged"]
    assert plan.jobs[2].request["words"] == ("mt:tube=card", "mt:wall=card")


def test_without_names_free_ones_are_used_with_all_tomograms_that_fit(annotated: Project) -> None:
    plan = plan_batch_run(annotated, BatchRunRequest(("tube",)))
    assert (tuple(plan.cards), plan.tomograms) == (("tube_1",), ("cell", "other"))
    assert any(remark.startswith("coarse is left out: coarse has 20") for remark in plan.remarks)


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        (replace(BOTH, features=()), "No feature was given"),
        (replace(BOTH, features=("rib",)), "rib"),
        (replace(BOTH, tomograms=("coarse",)), "20 Å/voxel"),
        (replace(BOTH, tomograms=("nowhere",)), "nowhere"),
        (replace(BOTH, labels="a b"), "a b"),
        (replace(BOTH, name="old"), "There is a run old_tube already"),
    ],
)
def test_an_impossible_run_is_refused_before_the_first_job(
    annotated: Project, request_: BatchRunRequest, fault: str
) -> None:
    put_card(annotated, make_card("old_tube"))
    with pytest.raises(TomosegError) as caught:
        plan_batch_run(annotated, request_)
    assert fault in caught.value.fault
    assert caught.value.fix


def test_labels_with_the_name_of_a_map_are_refused(annotated: Project) -> None:
    write_map(annotated, "run.tube", np.zeros((8, 96, 96), np.int8))
    with pytest.raises(ProjectError, match=r"cell/run\.tube is a map already"):
        plan_batch_run(annotated, replace(BOTH, labels="run.tube"))


def test_names_are_reserved_all_or_none(annotated: Project) -> None:
    plan = plan_batch_run(annotated, BOTH)
    layout = annotated.layout
    layout.network_folder("mt_wall").mkdir(parents=True)
    with pytest.raises(ProjectError, match="The run mt_wall already exists"):
        launch_chain(layout, plan.jobs)
    assert not layout.network_folder("mt_tube").exists()
    assert all_jobs(layout) == []


def test_a_run_without_fitting_tomograms_is_refused(annotated: Project) -> None:
    write_map(annotated, "run.tube", np.zeros((8, 96, 96), np.int8))
    write_map(annotated, "run.tube", np.zeros((8, 96, 96), np.int8), tomogram="other")
    with pytest.raises(ProjectError, match="No tomogram fits"):
        plan_batch_run(annotated, BatchRunRequest(("tube",), labels="run.tube"))
    with pytest.raises(UsageError):
        plan_batch_run(annotated, BatchRunRequest(()))
