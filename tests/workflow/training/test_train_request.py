"""The checks of a training request before a job is created."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import digest_of, make_card, put_card, write_mrc

from tomoseg_tui.core.label_map import parse_label_map
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import ProjectError, TomosegError, TrainingError, UsageError
from tomoseg_tui.project.catalog import Project, free_name
from tomoseg_tui.project.records import CurvePoint, format_threshold_curve
from tomoseg_tui.workflow.annotations.import_annotations import import_label_volume
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.training.train_request import TrainRequest, check_training
from tomoseg_tui.workflow.training.trainset import TrainsetRequest, build_trainset

REQUEST = TrainRequest(name="new", features=("tube",))


@pytest.fixture
def ready(cell: Project, tmp_path: Path) -> Project:
    """A project with one annotated tile, a training set and a run with the feature tube."""
    place_tiles(cell, [tile_placement(TileLocation("cell", 4, 64, 64), "tube", negative=False)])
    labels = write_mrc(tmp_path / "labels.mrc", np.ones((8, 128, 128), np.int8))
    import_label_volume(cell, labels, "cell", parse_label_map(["1=tube"]))
    build_trainset(cell, "set", TrainsetRequest(("tube",)))
    put_card(cell, make_card("run"))
    return Project.open(cell.layout.root)


def check(project: Project, **changes: object) -> None:
    check_training(project, msgspec.structs.replace(REQUEST, **changes))


def test_a_sound_request_changes_nothing(ready: Project) -> None:
    before = digest_of(ready.layout.root)
    check(ready)
    check(ready, trainset="set", features=(), validation=0.3)
    check(ready, made_from="run")
    assert digest_of(ready.layout.root) == before


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"name": "run"}, ProjectError, "There is a run run already"),
        ({"name": "a/b"}, ProjectError, "cannot be the name of a run"),
        ({"trainset": "lost", "features": ()}, ProjectError, "no training set 'lost'"),
        ({"trainset": "set"}, UsageError, "has its features and versions already"),
        ({"trainset": "set", "features": (), "version": "preproc"}, UsageError, "has its features and versions"),
        ({"features": ("wall",)}, ProjectError, "no feature 'wall'"),
        ({"version": "preproc"}, TrainingError, "no version cell__preproc"),
        ({"network": "lost"}, TomosegError, "lost"),
        ({"made_from": "lost"}, ProjectError, "no network 'lost'"),
    ],
)
def test_an_impossible_training_is_refused(
    ready: Project, changes: dict[str, object], kind: type[TomosegError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        check(ready, **changes)
    assert message in caught.value.fault
    assert caught.value.fix


def test_a_start_from_a_network_of_other_features_scale_or_kind_is_refused(ready: Project) -> None:
    put_card(ready, make_card("two", features=("tube", "wall")))
    put_card(ready, make_card("coarse", voxel_size_angstrom=13.0))
    for run, message in (
        ("two", "has the features tube, wall, the tiles tube"),
        ("coarse", "13 Å/voxel, the tiles are at 10"),
    ):
        with pytest.raises(TrainingError, match=message):
            check(ready, made_from=run)
    with pytest.raises(TrainingError, match="is a network default, not eman2"):
        check(ready, made_from="run", network="eman2")


def test_a_run_without_a_name_gets_a_free_one(ready: Project) -> None:
    networks = ready.layout.networks
    assert free_name(networks, ("tube", "wall"), None) == "tube_wall_1"
    assert free_name(networks, (), "set") == "set_1"
    ready.layout.network_folder("set_1").mkdir()
    assert free_name(networks, (), "set") == "set_2"


def test_a_curve_is_listed_in_tenths_of_the_threshold() -> None:
    curve = tuple(CurvePoint(number / 20, 0.5, number / 20, 1 - number / 20) for number in range(1, 20))
    rows = format_threshold_curve(curve)
    assert list(rows) == ["above", "Dice", "precision", "recall"]
    assert rows["above"] == "0.10  0.20  0.30  0.40  0.50  0.60  0.70  0.80  0.90"
    assert rows["recall"] == "0.90  0.80  0.70  0.60  0.50  0.40  0.30  0.20  0.10"
    assert format_threshold_curve(()) == {}
