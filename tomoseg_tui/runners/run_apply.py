"""Apply a network to whole tomograms, in memory that does not grow with their size.

Each tomogram is divided into slabs. A slab is claimed, predicted block by block, written to disk and then listed as
finished (`runners.slabs`), so that several workers share one volume, and a stopped job resumes with the missing slabs.
Slabs begin at multiples of their thickness from slice 0, and blocks do not depend on the worker, so any number of
workers gives the same bytes if each has as many threads: TensorFlow rounds differently with other numbers.

A run may still be training, so the job uses a copy of its network. The copy and all results are in a folder named
after the weights' digest: a job resumed with other weights starts again, so that no map mixes two networks.
"""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tomoseg_tui.core.grid import MAX_MAP_VALUE
from tomoseg_tui.core.network_settings import network_named
from tomoseg_tui.errors import UnreadableTomogramError
from tomoseg_tui.io.mrc import MrcWriter, copy_sparse
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.ml.inference import Predictor
from tomoseg_tui.ml.tf_devices import prepare_device, usable_cores
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import find_result_change, open_tomogram
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.publish import copy_to_output, publish_volume
from tomoseg_tui.project.records import MapSidecar, NetworkCard, library_versions, now, read_record, write_record
from tomoseg_tui.runners.network_snapshot import NetworkSnapshot, existing_snapshot, snapshot_network
from tomoseg_tui.runners.slabs import WAIT_SECONDS, SlabWorker, WindowReader, slab_blocks
from tomoseg_tui.workflow.apply.apply_request import (
    ApplyRequest,
    check_apply,
    map_names,
    normalisation,
    polarity_sign,
    requested_features,
)
from tomoseg_tui.workflow.apply.output import SLAB, ApplyOutputHeader, ApplyTask, apply_task
from tomoseg_tui.workflow.job_interface import Reporter, parse_request, stop_if_requested
from tomoseg_tui.workflow.volume_names import merge_ranges


def run_apply(project: Project, raw_request: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Run an apply job.

    Returns
    -------
    dict
        ``maps``: names of the maps; ``files``: their paths as stored in the project.
    """
    request = _on_device(parse_request(raw_request, ApplyRequest), reporter)
    for remark in check_apply(project, msgspec.structs.replace(request, force=True)):
        reporter.log(remark)
    snapshot = snapshot_network(project.layout, request.run, reporter.partial)
    card = snapshot.card
    features = requested_features(card, request)
    tasks = [_apply_task(project, request, snapshot, name) for name in request.tomograms]
    remaining = [task for task in tasks if not task.published_mark.exists()]
    for task in remaining:
        _prepare_maps(project, request, card, task, reporter)
    if request.workers > 1:
        reporter.start_helpers(request.workers - 1)
    predictor = _load_predictor(project, request, snapshot, tasks[0], reporter)
    for task in remaining:
        _predict_slabs(project, request, card, predictor, task, remaining, reporter)
        _publish_maps(project, request, card, predictor, task)
    files = [project.layout.map_file(task.tomogram, request.run, feature) for task in tasks for feature in features]
    return {
        "maps": map_names(request, features),
        "files": [project.layout.stored_path(file) for file in files],
    }


def run_apply_helper(project: Project, raw_request: dict[str, Any], reporter: Reporter) -> None:
    """Compute slabs in parallel to the worker that owns the job."""
    request = _on_device(parse_request(raw_request, ApplyRequest), reporter)
    while (snapshot := existing_snapshot(reporter.partial)) is None:
        stop_if_requested(reporter)
        time.sleep(WAIT_SECONDS)
    tasks = [_apply_task(project, request, snapshot, name) for name in request.tomograms]
    remaining = [task for task in tasks if not task.published_mark.exists()]
    predictor = _load_predictor(project, request, snapshot, tasks[0], reporter)
    for task in remaining:
        _help_with_task(project, request, snapshot.card, predictor, task, remaining, reporter)


def _help_with_task(
    project: Project,
    request: ApplyRequest,
    card: NetworkCard,
    predictor: Predictor,
    task: ApplyTask,
    tasks: Sequence[ApplyTask],
    reporter: Reporter,
) -> None:
    """Predict free slabs of one tomogram once its maps are prepared, which may be later on another node."""
    while not (task.prepared_file.exists() or task.published_mark.exists()):
        stop_if_requested(reporter)
        time.sleep(WAIT_SECONDS)
    if len(task.finished.read()) == len(task.slabs):
        return
    try:
        _predict_slabs(project, request, card, predictor, task, tasks, reporter)
    except UnreadableTomogramError:
        if len(task.finished.read()) < len(task.slabs):
            raise  # otherwise the first worker has published the maps meanwhile


def _on_device(request: ApplyRequest, reporter: Reporter) -> ApplyRequest:
    """Prepare the device, and return the request with its name."""
    threads = request.threads or max(1, usable_cores() // request.workers)
    device = prepare_device(request.device, threads, worker=reporter.number)
    reporter.set_device(*device)
    return msgspec.structs.replace(request, device=device.name)


def _load_predictor(
    project: Project, request: ApplyRequest, snapshot: NetworkSnapshot, first_task: ApplyTask, reporter: Reporter
) -> Predictor:
    """Load the network, in half precision if that is requested and close enough.

    It is compared on middle slices of the first tomogram, so that all workers decide alike.
    """
    card = snapshot.card
    settings = network_named(card.network)
    predictor = Predictor(snapshot.weights, settings, len(card.features), tta=request.tta, log=reporter.log)
    if request.half if request.half is not None else request.device != "cpu":
        with _open_tomogram(project, first_task) as volume:
            block = slab_blocks(first_task.record.shape_zyx, settings)[0]
            middle_slice = first_task.record.shape_zyx[0] // 2
            reader = WindowReader(volume, normalisation(card, first_task.record), settings)
            reporter.log(predictor.try_half(reader.window(block, middle_slice - middle_slice % settings.slices_out)))
    return predictor


def _open_tomogram(project: Project, task: ApplyTask) -> VolumeReader:
    return open_tomogram(project.layout, task.tomogram, task.record)


def _apply_task(project: Project, request: ApplyRequest, snapshot: NetworkSnapshot, name: str) -> ApplyTask:
    return apply_task(catalog.load_tomogram(project.layout, name), name, snapshot.folder / name, request.z)


def _prepare_maps(
    project: Project, request: ApplyRequest, card: NetworkCard, task: ApplyTask, reporter: Reporter
) -> None:
    """Create the files for the slabs: empty, or copies of maps with the same inputs."""
    if task.prepared_file.exists() and read_record(task.prepared_file, ApplyOutputHeader).slab == SLAB:
        return
    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir()
    reused_slices: dict[str, list[tuple[int, int]]] = {}
    for feature in requested_features(card, request):
        map_path = project.layout.map_file(task.tomogram, request.run, feature)
        reused_slices[feature] = _reusable_slices(
            request, map_path, _make_sidecar(request, card, task, feature, []), reporter
        )
        if reused_slices[feature]:
            copy_sparse(map_path, task.draft(feature))
        else:
            writer = MrcWriter(task.draft(feature), task.record.grid, np.dtype(np.int8), title="tomoseg map")
            writer.close(minimum=0.0, maximum=float(MAX_MAP_VALUE), mean=-1.0, rms=-1.0)  # -1: not determined (MRC2014)
    write_record(task.prepared_file, ApplyOutputHeader(reused_slices, SLAB))


def _reusable_slices(
    request: ApplyRequest, map_path: Path, new_sidecar: MapSidecar, reporter: Reporter
) -> list[tuple[int, int]]:
    """Return the slices of an existing map to preserve; none unless it has the same inputs."""
    if request.z is None or not sidecar_of(map_path).is_file():
        return []
    existing = read_record(sidecar_of(map_path), MapSidecar)
    change = find_result_change(None, map_path, existing)
    if change:
        reporter.log(f"{change} All of it is replaced.")
        return []
    if existing.has_same_inputs(new_sidecar):
        return existing.slices
    reporter.log(f"The existing map {map_path.stem} is from another network or other settings: all of it is replaced.")
    return []


def _predict_slabs(
    project: Project,
    request: ApplyRequest,
    card: NetworkCard,
    predictor: Predictor,
    task: ApplyTask,
    tasks: Sequence[ApplyTask],
    reporter: Reporter,
) -> None:
    """Predict the slabs of one tomogram that no other worker has claimed; see `SlabWorker.run`."""
    channels = {feature: list(card.features).index(feature) for feature in requested_features(card, request)}
    with _open_tomogram(project, task) as volume:
        reader = WindowReader(volume, normalisation(card, task.record), predictor.settings)
        SlabWorker(predictor, channels, task, reader).run(tasks, reporter)


def _make_sidecar(
    request: ApplyRequest, card: NetworkCard, task: ApplyTask, feature: str, slices: list[tuple[int, int]]
) -> MapSidecar:
    return MapSidecar(
        tomogram=task.tomogram,
        run=card.name,
        feature=feature,
        network=card.network,
        weights_digest=card.weights_digest,
        threshold=card.features[feature].threshold,
        sign=polarity_sign(card, task.record),
        mean=task.record.mean,
        sigma=task.record.sigma,
        chain=task.record.chain,
        voxel_size_angstrom=task.record.voxel_size_angstrom,
        slices=slices,
        settings={"tta": request.tta} if request.tta > 1 else {},
        versions=library_versions(),
        created=now(),
    )


def _publish_maps(
    project: Project, request: ApplyRequest, card: NetworkCard, predictor: Predictor, task: ApplyTask
) -> None:
    reused_slices = read_record(task.prepared_file, ApplyOutputHeader).kept
    for feature in requested_features(card, request):
        target = project.layout.map_file(task.tomogram, request.run, feature)
        sidecar = _make_sidecar(request, card, task, feature, merge_ranges([*reused_slices[feature], *task.slabs]))
        if predictor.is_half:
            # Not among the settings: slices in float32, at most a map step apart, may be in the same map.
            sidecar = msgspec.structs.replace(sidecar, versions={**sidecar.versions, "precision": "float16"})
        publish_volume(task.draft(feature), target, sidecar)
        if request.output is not None:
            output_mark = task.folder / "output_begun"
            copy_to_output(
                target, project.layout.root / request.output, sidecar, begun_mark=output_mark, force=request.force
            )
    task.published_mark.touch()
