"""Apply a network to whole tomograms: slices in, blocks predicted, slices out, in memory that does not grow.

Each tomogram is cut into slabs. A slab is claimed, predicted piece by piece, put on disk and only then
listed; so several workers share one volume, and a stopped job goes on with the slabs that are missing.
Slabs begin at multiples of their thickness counted from slice 0 and pieces do not depend on who computes
them, so that any number of workers gives the same bytes.

A run may be in training still, so the job works with a copy of its network. The copy, and all that is made
with it, lies in a folder named after the weights' digest: a job that is resumed with other weights begins anew,
and no map is of two networks.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.blocks import Piece, pieces
from tomoseg_tui.core.network_settings import NetworkSettings, network_named
from tomoseg_tui.errors import AlreadyRunningError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.mrc import MrcWriter, copy_sparse
from tomoseg_tui.io.volumes import VolumeReader
from tomoseg_tui.learn.devices import prepare_device
from tomoseg_tui.learn.inference import Predictor
from tomoseg_tui.neural.copies import NetworkCopy, copy_network, existing_copy
from tomoseg_tui.project import catalog, claims
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.records import MapSidecar, NetworkCard, now, read_record, write_record
from tomoseg_tui.project.versions import tested_versions
from tomoseg_tui.workflow.apply_folder import ApplyTask, Prepared, task_of
from tomoseg_tui.workflow.applying import (
    ApplyRequest,
    check_apply,
    names_of_maps,
    normaliser,
    sign_between,
    wanted_features,
)
from tomoseg_tui.workflow.merging import copy_out, publish
from tomoseg_tui.workflow.reporting import Reporter, stop_if_asked
from tomoseg_tui.workflow.volumes import byte_sign_of, joined_ranges

EDGE = 768
"""Most pixels along y and x that are predicted at once; what fits is not cut."""
WAIT_SECONDS = 0.1
"""How often a worker looks whether the others have finished their slabs."""


def run_apply(project: Project, asked: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Carry out an apply job.

    Returns
    -------
    dict
        ``maps``: names of the maps made; ``files``: where they lie.
    """
    request = msgspec.convert(asked, ApplyRequest)
    reporter.log(_prepare_device(request))
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
    _work_through(project, request, network, left, reporter, lambda task: _publish(project, request, card, task))
    files = [project.layout.map_file(task.tomogram, request.run, feature) for task in tasks for feature in features]
    return {
        "maps": names_of_maps(request, features),
        "files": [project.layout.kept(file) for file in files],
    }


def help_apply(project: Project, asked: dict[str, Any], reporter: Reporter) -> None:
    """Compute slabs beside the worker that holds the job."""
    request = msgspec.convert(asked, ApplyRequest)
    reporter.log(_prepare_device(request))
    network = existing_copy(reporter.partial)
    tasks = [_task(project, request, network, name) for name in request.tomograms]
    left = [task for task in tasks if not task.published_mark.exists()]
    _work_through(project, request, network, left, reporter, lambda _task: None)


def _prepare_device(request: ApplyRequest) -> str:
    threads = request.threads or max(1, len(os.sched_getaffinity(0)) // request.workers)
    return prepare_device(request.device, threads)


def _task(project: Project, request: ApplyRequest, network: NetworkCopy, name: str) -> ApplyTask:
    return task_of(catalog.tomogram(project.layout, name), name, network.folder / name, request.z)


def _prepare(project: Project, request: ApplyRequest, card: NetworkCard, task: ApplyTask, reporter: Reporter) -> None:
    """Make the files that slabs are written into: empty, or copies of maps of the same making."""
    if task.prepared_file.exists():
        return
    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir()
    kept: dict[str, list[tuple[int, int]]] = {}
    for feature in wanted_features(card, request):
        made = project.layout.map_file(task.tomogram, request.run, feature)
        kept[feature] = _slices_to_keep(request, made, _sidecar(card, task, feature, []), reporter)
        if kept[feature]:
            copy_sparse(made, task.draft(feature))
        else:
            out = MrcWriter(task.draft(feature), task.record.grid, np.dtype(np.int8), title="tomoseg map")
            out.close(minimum=0.0, maximum=127.0, mean=-1.0, rms=-1.0)  # -1: not determined (MRC2014)
    write_record(task.prepared_file, Prepared(kept))


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


def _work_through(
    project: Project,
    request: ApplyRequest,
    network: NetworkCopy,
    tasks: Sequence[ApplyTask],
    reporter: Reporter,
    on_finished: Callable[[ApplyTask], None],
) -> None:
    """Predict every slab that nobody else has claimed; tell of each tomogram whose slabs are all on disk."""
    card = network.card
    predictor = Predictor(network.weights, network_named(card.network), len(card.features))
    for task in tasks:
        with open_volume(
            catalog.volume_path(project.layout, task.tomogram, task.record), byte_sign=byte_sign_of(task.record)
        ) as volume:
            _SlabWorker(request, card, predictor, task, volume).run(tasks, reporter)
        on_finished(task)


class _SlabWorker:
    """Predicts slabs of one tomogram."""

    def __init__(
        self, request: ApplyRequest, card: NetworkCard, predictor: Predictor, task: ApplyTask, volume: VolumeReader
    ) -> None:
        self._predictor, self._task, self._volume = predictor, task, volume
        self._normaliser = normaliser(card, task.record)
        self._features = wanted_features(card, request)
        self._channels = [list(card.features).index(feature) for feature in self._features]
        self._owner = claims.this_process()

    def run(self, tasks: Sequence[ApplyTask], reporter: Reporter) -> None:
        """Predict what is free; wait for what others hold; return when all slabs are listed."""
        while missing := set(range(len(self._task.slabs))) - set(self._task.finished.all()):
            tried = [self._try_slab(number, tasks, reporter) for number in sorted(missing)]
            if not any(tried):
                time.sleep(WAIT_SECONDS)

    def _try_slab(self, number: int, tasks: Sequence[ApplyTask], reporter: Reporter) -> bool:
        """Predict a slab unless another process is at it; tell whether it is on disk now."""
        stop_if_asked(reporter)
        claim = self._task.folder / f"slab_{number}.claim.json"
        try:
            claims.take(claim, self._owner)
        except AlreadyRunningError:
            return False
        try:
            if number not in self._task.finished.all():
                self._predict_slab(self._task.slabs[number])
                self._task.finished.add(number)
        finally:
            claims.release(claim, self._owner)
        done = sum(len(task.finished.all()) for task in tasks)
        reporter.progress(done / sum(len(task.slabs) for task in tasks), self._task.tomogram)
        return True

    def _predict_slab(self, z: tuple[int, int]) -> None:
        outs = [MrcWriter.reopen(self._task.draft(feature)) for feature in self._features]
        for piece in slab_pieces(self._task.record.shape_zyx, self._predictor.settings, z):
            found = self._predict_piece(piece, z)  # (z, y, x, feature)
            for out, channel in zip(outs, self._channels, strict=True):
                out.write_region((z[0], *piece.inside_corner_zyx[1:]), as_bytes(found[..., channel]))
        for out in outs:
            out.sync()
            out.close()

    def _predict_piece(self, piece: Piece, z: tuple[int, int]) -> NDArray[np.float32]:
        settings = self._predictor.settings
        densities = self._read(piece, z, settings)
        found = self._predictor.predict(densities)
        _, rows, columns = piece.inside_of_read
        return found[:, rows, columns]

    def _read(self, piece: Piece, z: tuple[int, int], settings: NetworkSettings) -> NDArray[np.float32]:
        """Return normalised densities with the slices around, 0 outside the volume, padded to the network's stride."""
        context, (nz, _, _) = settings.context_slices, self._task.record.shape_zyx
        low, high = max(z[0] - context, 0), min(z[1] + context, nz)
        (_, top, left), (_, height, width) = piece.read_corner_zyx, piece.read_shape_zyx
        padded = [-(-length // settings.stride) * settings.stride for length in (height, width)]
        densities = np.zeros((z[1] - z[0] + 2 * context, padded[0], padded[1]), np.float32)
        mean, factor = self._normaliser
        for at in range(low, high):
            values = self._volume.read_region((at, top, left), (1, height, width))[0].astype(np.float32)
            values -= mean
            values *= factor
            values[~np.isfinite(values)] = 0
            densities[at - z[0] + context, :height, :width] = values
        return densities


def slab_pieces(shape_zyx: tuple[int, int, int], settings: NetworkSettings, z: tuple[int, int]) -> list[Piece]:
    """Return the pieces in y and x of one slab; whole slices where they fit."""
    _, ny, nx = shape_zyx
    margin = settings.margin_pixels
    return pieces(
        (z[1] - z[0], ny, nx), slab=z[1] - z[0], edge=EDGE, halo_zyx=(0, margin, margin), stride=settings.stride
    )


def as_bytes(probabilities: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return probabilities as a map stores them: 0..127 for 0..1, rounded."""
    return np.asarray(np.rint(np.clip(probabilities, 0, 1) * np.float32(127)), np.int8)


def _sidecar(card: NetworkCard, task: ApplyTask, feature: str, slices: list[tuple[int, int]]) -> MapSidecar:
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
        versions=tested_versions(),
        created=now(),
    )


def _publish(project: Project, request: ApplyRequest, card: NetworkCard, task: ApplyTask) -> None:
    kept = read_record(task.prepared_file, Prepared).kept
    for feature in wanted_features(card, request):
        target = project.layout.map_file(task.tomogram, request.run, feature)
        sidecar = _sidecar(card, task, feature, joined_ranges([*kept[feature], *task.slabs]))
        publish(task.draft(feature), target, sidecar)
        if request.output is not None:
            copy_out(target, project.layout.root / request.output, sidecar, force=request.force)
    task.published_mark.touch()
