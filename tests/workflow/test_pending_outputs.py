"""Requests that need the outputs of unfinished jobs: networks, versions and maps."""

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import Listener, bring, make_card, noise, put_card, write_map

from tomoseg_tui.errors import ProjectError, TomosegError, TrainingError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, check_apply_before_outputs
from tomoseg_tui.workflow.job_interface import NO_PENDING_OUTPUTS, PendingOutputs
from tomoseg_tui.workflow.merge.merge_request import MergeRequest, merge_request, run_merge
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest, check_preprocess
from tomoseg_tui.workflow.training.train_request import TrainRequest, check_training

SHAPE = (6, 64, 64)
APPLY = ApplyRequest(run="net", tomograms=("cell",))
NET = PendingOutputs(runs=frozenset({"net"}))


@pytest.fixture
def with_cell(project: Project) -> Project:
    bring(project, "cell", noise(SHAPE))
    return project


def test_a_pending_network_can_be_applied_but_known_errors_are_refused(with_cell: Project) -> None:
    with pytest.raises(TomosegError, match="net"):
        check_apply_before_outputs(with_cell, APPLY, NO_PENDING_OUTPUTS)
    assert check_apply_before_outputs(with_cell, APPLY, NET) == []
    wrong = {"tomograms": ("nowhere",), "z": "9:12", "output": "map.txt"}
    for name, value in wrong.items():
        with pytest.raises(TomosegError):
            check_apply_before_outputs(with_cell, msgspec.structs.replace(APPLY, **{name: value}), NET)


def test_a_network_can_be_applied_to_a_pending_version(with_cell: Project) -> None:
    put_card(with_cell, make_card("net"))
    promised = PendingOutputs(tomograms=frozenset({"cell__preproc"}))
    request = msgspec.structs.replace(APPLY, tomograms=("cell__preproc",))
    assert check_apply_before_outputs(with_cell, request, promised) == []
    with pytest.raises(TomosegError, match="has no feature wall"):
        check_apply_before_outputs(with_cell, msgspec.structs.replace(request, features=("wall",)), promised)
    with pytest.raises(TomosegError):
        check_apply_before_outputs(with_cell, request, NO_PENDING_OUTPUTS)


def test_pending_maps_can_be_merged_and_are_found_when_the_merge_starts(with_cell: Project) -> None:
    promised = PendingOutputs(maps=frozenset({("cell", "net")}))
    options = ["net=card", "old=0.25"]
    write_map(with_cell, "old.wall", np.full(SHAPE, 60, np.int8))
    request = merge_request(with_cell, "cell", options, name="both", output=None, force=False, pending=promised)
    assert request == MergeRequest("cell", (), "both", words=("net=card", "old=0.25"))
    write_map(with_cell, "net.tube", np.full(SHAPE, 100, np.int8), threshold=0.5)
    plain = msgspec.to_builtins(request)
    result = run_merge(with_cell, plain, Listener(with_cell.layout.root / "partial"))
    assert {key: (label["run"], label["feature"], label["threshold"]) for key, label in result["labels"].items()} == {
        "1": ("net", "tube", 0.5), "2": ("old", "wall", 0.25),
    }  # fmt: skip


def test_a_merge_of_pending_maps_is_refused_for_known_errors(with_cell: Project) -> None:
    promised = PendingOutputs(maps=frozenset({("cell", "net")}))
    for options, fault in (
        (["net=2"], "not a threshold"),
        (["net"], "not understood"),
        (["net=card", "absent=1"], "absent"),
    ):
        with pytest.raises(TomosegError, match=fault):
            merge_request(with_cell, "cell", options, name="m", output=None, force=False, pending=promised)


def test_missing_maps_fail_the_merge_with_a_clear_error(with_cell: Project) -> None:
    put_card(with_cell, make_card("net"))
    request = msgspec.to_builtins(MergeRequest("cell", (), words=("net=card",)))
    with pytest.raises(ProjectError, match="no map of cell by net"):
        run_merge(with_cell, request, Listener(with_cell.layout.root / "partial"))


def test_a_pending_version_can_be_preprocessed_and_trained_on(with_cell: Project) -> None:
    promised = PendingOutputs(tomograms=frozenset({"cell__bin2"}))
    check_preprocess(with_cell, PreprocessRequest(("cell__bin2",)), pending=promised.tomograms)
    with pytest.raises(ProjectError, match="cell__bin2 is taken"):
        check_preprocess(with_cell, PreprocessRequest(("cell",), factor=2, filtered=False), pending=promised.tomograms)
    request = TrainRequest(name="net", features=("tube",), version="bin2")
    assert check_training(with_cell, request, pending=promised) is None
    with pytest.raises(TrainingError):
        check_training(with_cell, msgspec.structs.replace(request, network="huge"), pending=promised)
    with pytest.raises(TomosegError):
        check_training(with_cell, request)
