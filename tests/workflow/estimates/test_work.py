"""The amount of work of each kind of job."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import bring, make_card, noise, put_card, write_map, write_mrc

from tomoseg_tui.core.network_settings import network_named
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import ProjectError, TomosegError
from tomoseg_tui.jobs import estimate
from tomoseg_tui.jobs.device_request import ResolvedDevice
from tomoseg_tui.jobs.estimate import work_of
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import import_masks
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest
from tomoseg_tui.workflow.audit.audit_request import FOLDS, AuditRequest
from tomoseg_tui.workflow.estimates.estimator import Work
from tomoseg_tui.workflow.merge.merge_request import MapChoice, MergeRequest
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest
from tomoseg_tui.workflow.training.train_request import TrainRequest

SHAPE_ZYX = (20, 64, 80)
VOXELS = 20 * 64 * 80


@pytest.fixture
def cell(project: Project) -> Project:
    """A project with a tomogram, a network of two features and a map."""
    bring(project, "cell", np.random.default_rng(1).normal(size=SHAPE_ZYX).astype(np.float32))
    put_card(project, make_card(features=("tube", "wall"), network="unet25d"))
    write_map(project, "run.tube", np.zeros(SHAPE_ZYX, np.int8))
    return project


@pytest.fixture
def annotated(project: Project) -> Project:
    """Four tiles with tube, far apart."""
    bring(project, "wide", noise((8, 96, 400)))
    places = [TileLocation("wide", 4, 48, x) for x in (48, 148, 248, 348)]
    place_tiles(project, [tile_placement(place, "tube", negative=False) for place in places])
    mask = np.zeros((4, 64, 64), np.int8)
    mask[:, 20:30] = 1
    opened = Project.open(project.layout.root)
    import_masks(opened, write_mrc(project.layout.root / "masks.mrc", mask), "tube", places)
    return Project.open(project.layout.root)


def work(project: Project, kind: str, request: msgspec.Struct) -> Work:
    return work_of(project, kind, msgspec.to_builtins(request))


def apply(project: Project, **changes: object) -> Work:
    return work(project, "apply", msgspec.structs.replace(ApplyRequest(run="run", tomograms=("cell",)), **changes))


def train(project: Project, **changes: object) -> Work:
    return work(project, "train", msgspec.structs.replace(TrainRequest(name="r", features=("tube",)), **changes))


def test_an_apply_writes_a_byte_per_voxel_and_feature(cell: Project) -> None:
    part = apply(cell, z="5:10")
    assert (part.workload.units, part.disk_bytes) == (VOXELS // 4, 2 * VOXELS // 4)
    assert apply(cell, features=("tube",), output="m.mrc").disk_bytes == 2 * VOXELS


def test_the_work_of_an_apply_depends_on_network_and_copies_not_on_workers(cell: Project) -> None:
    plain = apply(cell).workload
    assert plain.size == VOXELS * network_named("unet25d").flops_per_pixel(2)
    assert apply(cell, tta=4).workload.size == 4 * plain.size
    shared = apply(cell, workers=4)
    assert (shared.workload.size, shared.workload.units) == (plain.size, VOXELS / 4)
    assert shared.guessed_bytes == 4 * apply(cell).guessed_bytes
    assert 0.5e9 < apply(cell).guessed_bytes < 2e9
    put_card(cell, make_card("dear", network="eman2"))
    assert apply(cell, run="dear").workload.size > 3 * plain.size


def test_only_jobs_of_one_network_and_kind_of_device_are_compared(cell: Project) -> None:
    put_card(cell, make_card("dear", network="eman2"))
    families = [apply(cell, **changes).workload.family for changes in (
        {}, {"tta": 4}, {"device": "gpu"}, {"device": "gpu:1"}, {"run": "dear"}
    )]  # fmt: skip
    assert families[0] == families[1]
    assert families[2] == families[3]
    assert len(set(families)) == 3
    assert apply(cell, device="gpu").guessed_speed > apply(cell).guessed_speed


def test_auto_counts_as_the_selected_device(cell: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    here = apply(cell)
    assert (here.device, here.device_note) == ("cpu", "auto: no GPU found here")
    assert here.workload.key == apply(cell, device="cpu").workload.key
    assert apply(cell, device="cpu").device_note == ""
    on_gpu = apply(cell, device="gpu")
    monkeypatch.setattr(estimate, "resolve_device", lambda _device: ResolvedDevice("gpu", "auto"))
    assert apply(cell) == replace(on_gpu, device_note="auto")


def test_missing_slices_are_refused(cell: Project) -> None:
    with pytest.raises(ProjectError, match="does not fit"):
        apply(cell, z="10:30")


def test_the_work_of_an_untrained_network_is_predicted(cell: Project) -> None:
    expected = {"next": make_card("next", features=("tube",))}
    request = msgspec.to_builtins(ApplyRequest(run="next", tomograms=("cell",)))
    found = work_of(cell, "apply", request, expected)
    assert found.disk_bytes > VOXELS + 4 * network_named("default").parameters(1)
    assert found.sample == {}, "nobody can measure it yet"
    with pytest.raises(TomosegError, match="next"):
        work_of(cell, "apply", request)


def test_a_merge_is_counted_in_slabs_and_a_preprocess_in_output_voxels(cell: Project) -> None:
    merge = work(cell, "merge", MergeRequest("cell", (MapChoice("run", "tube", 0.5),)))
    assert (merge.workload.units, merge.disk_bytes) == (3, VOXELS)
    later = work(cell, "merge", MergeRequest("cell", (), words=("next=card", "other=card")))
    assert (later.workload.size, later.sample) == (2 * VOXELS, {})
    binned = work(cell, "preprocess", PreprocessRequest(("cell",), factor=2))
    assert (binned.workload.units, binned.disk_bytes) == (VOXELS // 8, 4 * VOXELS // 8)


def test_the_work_of_a_training_grows_with_its_epochs(annotated: Project) -> None:
    short, long = train(annotated, epochs=2), train(annotated, epochs=20)
    assert long.workload.size == 10 * short.workload.size
    assert long.workload.units == 10 * short.workload.units
    assert 5e8 < short.guessed_bytes < 2e9


def test_a_step_of_the_unet_includes_the_surroundings(annotated: Project) -> None:
    workload = train(annotated, network="unet25d", batch=16, epochs=1).workload
    assert workload.size / workload.units == 3 * 38506 * 16 * 96**2


def test_an_audit_counts_one_training_per_fold(annotated: Project) -> None:
    audit = work(annotated, "audit", AuditRequest(name="a", features=("tube",), epochs=5))
    training = train(annotated, epochs=5, validation=0.0)
    assert audit.workload.units == FOLDS * training.workload.units
    assert audit.workload.size == FOLDS * training.workload.size
    assert audit.workload.family == training.workload.family, "each learns from the speed of the other"
    assert audit.workload.key != training.workload.key, "an audit builds more networks"
    assert audit.sample == training.sample
    assert audit.disk_bytes > training.disk_bytes
