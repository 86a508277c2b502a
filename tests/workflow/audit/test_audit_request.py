"""The request of an audit; no network is trained on pixels that it is evaluated on."""

from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import write_mrc

from tomoseg_tui.core.annotation import FEATURE, IGNORED
from tomoseg_tui.core.label_map import parse_label_map
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import NothingLabelledError, ProjectError, TomosegError
from tomoseg_tui.io.trainset_file import read_training_set
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import import_label_volume
from tomoseg_tui.workflow.audit import audit_request
from tomoseg_tui.workflow.audit.audit_request import FOLDS, AuditRequest
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.training.train_request import training_settings
from tomoseg_tui.workflow.training.trainset import TrainsetRequest, build_trainset

PLACES = [(4, 40, 40), (4, 44, 88), (1, 88, 40), (7, 90, 90), (5, 44, 92), (2, 64, 64)]
"""Positions (z, y, x); many of the tiles overlap."""


@pytest.fixture
def labelled(cell: Project, tmp_path: Path) -> Project:
    """A project with a training set `set` of six partly overlapping tiles; every 16th column is tube."""
    place_tiles(cell, [tile_placement(TileLocation("cell", *at), "tube", negative=False) for at in PLACES])
    labels = np.zeros((8, 128, 128), np.int8)
    labels[:, :, ::16] = 1
    import_label_volume(cell, write_mrc(tmp_path / "labels.mrc", labels), "cell", parse_label_map(["1=tube"]))
    build_trainset(cell, "set", TrainsetRequest(("tube",), 0.2))
    return cell


def test_every_tile_is_evaluated_once_by_a_network_not_trained_on_its_box(labelled: Project) -> None:
    path = labelled.layout.trainset("set")
    _, patches, facts = audit_request.load_for_audit(path)
    folds = audit_request.choose_folds(patches, facts)
    _, tiles = read_training_set(path)
    judged = 0
    for fold in range(FOLDS):
        inside = np.zeros((8, 128, 128), bool)
        for one, own in zip(facts, folds == fold, strict=True):
            if own:
                half = one.size // 2
                low = max(one.z - 4, 0)
                inside[low : one.z + 5, one.y - half : one.y + half, one.x - half : one.x + half] = True
        learned = audit_request.training_tiles(patches, facts, folds, fold)
        others = [one for one, own in zip(facts, folds == fold, strict=True) if not own]
        for one, layer in zip(others, learned.layers[:, 0], strict=True):
            half = one.size // 2
            box = inside[one.z, one.y - half : one.y + half, one.x - half : one.x + half]
            assert (layer[box] == IGNORED).all()
            assert (layer[~box] != IGNORED).all()
        own_tiles = audit_request.validation_tiles(patches, folds, fold)
        np.testing.assert_array_equal(
            own_tiles.layers[:, 0], [tile.layers[0] for tile, own in zip(tiles, folds == fold, strict=True) if own]
        )
        assert not learned.held_out.any()
        judged += len(own_tiles.layers)
    assert judged == len(PLACES)


def test_tiles_of_one_group_are_evaluated_by_one_network(labelled: Project) -> None:
    _, patches, facts = audit_request.load_for_audit(labelled.layout.trainset("set"))
    folds = audit_request.choose_folds(patches, facts)
    for group in {one.group for one in facts}:
        assert len({fold for fold, one in zip(folds, facts, strict=True) if one.group == group}) == 1


def test_too_few_separate_tiles_are_refused_before_the_first_training(labelled: Project) -> None:
    _, patches, facts = audit_request.load_for_audit(labelled.layout.trainset("set"))
    patches.layers[1:][patches.layers[1:] == FEATURE] = 1
    with pytest.raises(NothingLabelledError, match="tube is on too few separate tiles"):
        audit_request.choose_folds(patches, facts)


def test_four_folds_with_a_quarter_of_the_epochs_cost_about_one_training(labelled: Project) -> None:
    plan = audit_request.plan_audit(labelled, AuditRequest(name="a", features=("tube",)))
    settings = audit_request.fold_settings(
        labelled, AuditRequest(name="a", features=("tube",), seed=5), training_tile_count=4, features=1
    )
    usual = training_settings(
        labelled,
        audit_request.to_train_request(AuditRequest(name="a", features=("tube",))),
        training_tile_count=6,
        features=1,
    )
    assert settings.epochs == plan.settings.epochs
    assert abs(FOLDS * plan.settings.epochs - usual.epochs) <= FOLDS / 2
    assert settings.seed == 5
    few = AuditRequest(name="a", trainset="set", epochs=3)
    assert audit_request.fold_settings(labelled, few, training_tile_count=4, features=1).epochs == 3
    assert audit_request.plan_audit(labelled, few).settings.epochs == 3


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (AuditRequest(name="a", trainset="set", features=("tube",)), "features and versions already"),
        (AuditRequest(name="a", trainset="other"), "no training set 'other'"),
        (AuditRequest(name="a", features=("wall",)), "no feature 'wall'"),
        (AuditRequest(name="a/b", features=("tube",)), "a/b"),
        (AuditRequest(name="a", features=("tube",), network="huge"), "huge"),
    ],
)
def test_an_impossible_audit_is_refused(labelled: Project, request_: AuditRequest, message: str) -> None:
    with pytest.raises(TomosegError, match=message):
        audit_request.check_audit(labelled, request_)


def test_a_name_is_used_once(labelled: Project) -> None:
    audit_request.check_audit(labelled, AuditRequest(name="tube_1", features=("tube",)))
    labelled.layout.audit_folder("tube_1").mkdir(parents=True)
    with pytest.raises(ProjectError, match="tube_1 already"):
        audit_request.check_audit(labelled, AuditRequest(name="tube_1", features=("tube",)))
