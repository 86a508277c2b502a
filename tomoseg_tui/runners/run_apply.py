"""Apply a network to whole tomograms: slices in, blocks predicted, slices out, in memory that does not grow.

Each tomogram is cut into slabs. A slab is claimed, predicted piece by piece, put on disk and only then
listed (`neural.slabs`); so several workers share one volume, and a stopped job goes on with the slabs that
are missing. Slabs begin at multiples of their thickness counted from slice 0 and pieces do not depend on who
computes them, so that any number of workers gives the same bytes.

A run may be in training still, so the job works with a copy of its network. The copy, and all that is made
with it, lies in a folder named after the weights' digest: a job that is resumed with other weights begins anew,
and no map is of two networks.
"""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tomoseg_tui.core.network_settings import network_named
from tomoseg_tui.errors import UnreadableTomogramError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.mrc import MrcWriter, copy_sparse
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.ml.inference import Predictor
from tomoseg_tui.ml.tf_devices import prepare_device, usable_cores
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.records import MapSidecar, NetworkCard, now, read_record, write_record
from tomoseg_tui.project.software_versions import tested_versions
from tomoseg_tui.runners.network_snapshot import NetworkCopy, copy_network, existing_copy
from tomoseg_tui.runners.slabs import WAIT_SECONDS, SlabWorker, WindowReader, slab_pieces
from tomoseg_tui.workflow.apply.apply_request import (
    ApplyRequest,
    check_apply,
    names_of_maps,
    normaliser,
    sign_between,
    wanted_features,
)
from tomoseg_tui.workflow.apply.output import SLAB, ApplyTask, Prepared, task_of
from tomoseg_tui.workflow.job_interface import Reporter, stop_if_asked
from tomoseg_tui.workflow.merge.merge_request import copy_out, publish
from tomoseg_tui.workflow.volume_names import byte_sign_of, joined_ranges


def run_apply(project: Project, asked: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Carry out an apply job.

    Returns
    -------
    dict
        ``maps``: names of the maps made; ``files``: where they lie.
    """
    request = msgspec.convert(asked, ApplyRequest)
    reporter.log(_prepare_device(request, reporter))
    for remark in check_apply(project, msgspec.structs.replace(request, force=True)):
        reporter.log(remark)
    network = copy_network(project.layout, request.run, reporter.partial)
    card = network.card
    features = wanted_features(card, request)
    tasks = [_task(project, request, network, name) for name in request.tomograms]
    left = [task for task in tasks if not task.published_mark.exists()]
    for task in left:
        _prepare(project, request, card, task, reporter)
    if request.workers > 1:
        reporter.start_helpers(request.workers - 1)
    predictor = _predictor(project, request, network, tasks[0], reporter)
    for task in left:
        _predict(project, request, card, predictor, task, left, reporter)
        _publish(project, request, card, predictor, task)
    files = [project.layout.map_file(task.tomogram, request.run, feature) for task in tasks for feature in features]
    return {
        "maps": names_of_maps(request, features),
        "files": [project.layout.kept(file) for file in files],
    }


def help_apply(project: Project, asked: dict[str, Any], reporter: Reporter) -> None:
    """Compute slabs beside the worker that holds the job."""
    request = msgspec.convert(asked, ApplyRequest)
    reporter.log(_prepare_device(request, reporter))
    while (network := existing_copy(reporter.partial)) is None:
        stop_if_asked(reporter)
        time.sleep(WAIT_SECONDS)
    tasks = [_task(project, request, network, name) for name in request.tomograms]
    left = [task for task in tasks if not task.published_mark.exists()]
    predictor = _predictor(project, request, network, tasks[0], reporter)
    for task in left:
        _help_with(project, request, network.card, predictor, task, left, reporter)


def _help_with(
    project: Project,
    request: ApplyRequest,
    card: NetworkCard,
    predictor: Predictor,
    task: ApplyTask,
    tasks: Sequence[ApplyTask],
    reporter: Reporter,
) -> None:
    """Predict what of one tomogram is free, as soon as its maps are begun; on another node that may be later."""
    while not (task.prepared_file.exists() or task.published_mark.exists()):
        stop_if_asked(reporter)
        time.sleep(WAIT_SECONDS)
    if len(task.finished.all()) == len(task.slabs):
        return
    try:
        _predict(project, request, card, predictor, task, tasks, reporter)
    except UnreadableTomogramError:
        if len(task.finished.all()) < len(task.slabs):
            raise  # else the first worker has put the maps in their place in the meantime


def _prepare_device(request: ApplyRequest, reporter: Reporter) -> str:
    threads = request.threads or max(1, usable_cores() // request.workers)
    return prepare_device(request.device, threads, worker=reporter.number)


def _predictor(
    project: Project, request: ApplyRequest, network: NetworkCopy, first: ApplyTask, reporter: Reporter
) -> Predictor:
    """Load the network; in half precision where that is wanted and as good.

    It is tried on slices in the middle of the first tomogram, so that all workers come to the same verdict.
    """
    card = network.card
    settings = network_named(card.network)
    predictor = Predictor(network.weights, settings, len(card.features), copies=request.tta, say=reporter.log)
    if request.half if request.half is not None else request.device != "cpu":
        with _open(project, first) as volume:
            piece = slab_pieces(first.record.shape_zyx, settings)[0]
            middle = first.record.shape_zyx[0] // 2
            reader = WindowReader(volume, normaliser(card, first.record), settings)
            reporter.log(predictor.try_half(reader.window(piece, middle - middle % settings.slices_out)))
    return predictor


def _open(project: Project, task: ApplyTask) -> VolumeReader:
    path = catalog.volume_path(project.layout, task.tomogram, task.record)
    return open_volume(path, byte_sign=byte_sign_of(task.record))


def _task(project: Project, request: ApplyRequest, network: NetworkCopy, name: str) -> ApplyTask:
    return task_of(catalog.tomogram(project.layout, name), name, network.folder / name, request.z)


def _prepare(project: Project, request: ApplyRequest, card: NetworkCard, task: ApplyTask, reporter: Reporter) -> None:
    """Make the files that slabs are written into: empty, or copies of maps of the same making."""
    if task.prepared_file.exists() and read_record(task.prepared_file, Prepared).slab == SLAB:
        return
    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir()
    kept: dict[str, list[tuple[int, int]]] = {}
    for feature in wanted_features(card, request):
        made = project.layout.map_file(task.tomogram, request.run, feature)
        kept[feature] = _slices_to_keep(request, made, _sidecar(request, card, task, feature, []), reporter)
        if kept[feature]:
            copy_sparse(made, task.draft(feature))
        else:
            out = MrcWriter(task.draft(feature), task.record.grid, np.dtype(np.int8), title="tomoseg map")
            out.close(minimum=0.0, maximum=127.0, mean=-1.0, rms=-1.0)  # -1: not determined (MRC2014)
    write_record(task.prepared_file, Prepared(kept, SLAB))


def _slices_to_keep(
    request: ApplyRequest, made: Path, now_made: MapSidecar, reporter: Reporter
) -> list[tuple[int, int]]:
    """Return the slices of an existing map that stay; only a map of the same making keeps any."""
    if request.z is None or not sidecar_of(made).is_file():
        return []
    present = read_record(sidecar_of(made), MapSidecar)
    if present.same_making(now_made):
        return present.slices
    reporter.log(f"The map {made.stem} there is of another network or settings: all of it is replaced.")
    return []


def _predict(
    project: Project,
    request: ApplyRequest,
    card: NetworkCard,
    predictor: Predictor,
    task: ApplyTask,
    tasks: Sequence[ApplyTask],
    reporter: Reporter,
) -> None:
    """Predict what of one tomogram nobody else has claimed; return when all its slabs are on disk."""
    channels = {feature: list(card.features).index(feature) for feature in wanted_features(card, request)}
    with _open(project, task) as volume:
        reader = WindowReader(volume, normaliser(card, task.record), predictor.settings)
        SlabWorker(predictor, channels, task, reader).run(tasks, reporter)


def _sidecar(
    request: ApplyRequest, card: NetworkCard, task: ApplyTask, feature: str, slices: list[tuple[int, int]]
) -> MapSidecar:
    return MapSidecar(
        tomogram=task.tomogram,
        run=card.name,
        feature=feature,
        network=card.network,
        weights_digest=card.weights_digest,
        threshold=card.features[feature].threshold,
        sign=sign_between(card, task.record),
        mean=task.record.mean,
        sigma=task.record.sigma,
        chain=task.record.chain,
        voxel_size_angstrom=task.record.voxel_size_angstrom,
        slices=slices,
        settings={"tta": request.tta} if request.tta > 1 else {},
        versions=tested_versions(),
        created=now(),
    )


def _publish(project: Project, request: ApplyRequest, card: NetworkCard, predictor: Predictor, task: ApplyTask) -> None:
    kept = read_record(task.prepared_file, Prepared).kept
    for feature in wanted_features(card, request):
        target = project.layout.map_file(task.tomogram, request.run, feature)
        sidecar = _sidecar(request, card, task, feature, joined_ranges([*kept[feature], *task.slabs]))
        if predictor.is_half:
            # Not among the settings: slices made in float32 may stand beside these, a step of a map apart.
            sidecar = msgspec.structs.replace(sidecar, versions={**sidecar.versions, "precision": "float16"})
        publish(task.draft(feature), target, sidecar)
        if request.output is not None:
            begun = task.folder / "output_begun"
            copy_out(target, project.layout.root / request.output, sidecar, begun=begun, force=request.force)
    task.published_mark.touch()
