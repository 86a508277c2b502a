"""The plan of a training before it starts."""

import numpy as np
import pytest
from helpers.cli_runner import bring, make_card, noise, put_card, write_mrc

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import NothingLabelledError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import import_masks
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.training.train_request import TrainRequest, plan_training


@pytest.fixture
def annotated(project: Project) -> Project:
    """A tomogram with a positive and a negative tile of tube."""
    bring(project, "cell", noise((24, 96, 96)))
    places = [TileLocation("cell", 6, 48, 48), TileLocation("cell", 18, 48, 48)]
    place_tiles(
        project, [tile_placement(places[0], "tube", negative=False), tile_placement(places[1], "tube", negative=True)]
    )
    mask = np.zeros((1, 64, 64), np.int8)
    mask[0, 20:30] = 1
    opened = Project.open(project.layout.root)
    import_masks(opened, write_mrc(project.layout.root / "mask.mrc", mask), "tube", places[:1])
    return Project.open(project.layout.root)


def test_tiles_are_counted_and_settings_are_the_usual_ones(annotated: Project) -> None:
    plan = plan_training(annotated, TrainRequest(name="run", features=("tube",)))
    assert (plan.summary.positive, plan.summary.negative) == ({"tube": 1}, {"tube": 1})
    assert (plan.settings.network, plan.settings.epochs, plan.steps) == ("slabnet", 50, 25)
    assert "too few" in plan.summary.held_out_reason
    assert not annotated.layout.network_folder("run").exists()


def test_settings_of_the_request_are_planned(annotated: Project) -> None:
    request = TrainRequest(name="run", features=("tube",), network="eman2", epochs=3, learning_rate=0.5, batch=4)
    settings = plan_training(annotated, request).settings
    assert (settings.network, settings.epochs, settings.learning_rate, settings.batch) == ("eman2", 3, 0.5, 4)


def test_starting_from_a_run_uses_its_network_and_a_tenth_of_its_learning_rate(annotated: Project) -> None:
    put_card(annotated, make_card("old", network="eman2", learning_rate=0.02))
    settings = plan_training(annotated, TrainRequest(name="run", features=("tube",), made_from="old")).settings
    assert settings.network == "eman2"
    assert settings.learning_rate == pytest.approx(0.002)


def test_a_feature_that_no_tile_shows_is_refused(annotated: Project) -> None:
    place_tiles(annotated, [tile_placement(TileLocation("cell", 12, 48, 48), "gold", negative=False)])
    with pytest.raises(NothingLabelledError, match="No tile has pixels of gold"):
        plan_training(Project.open(annotated.layout.root), TrainRequest(name="run", features=("gold",)))
