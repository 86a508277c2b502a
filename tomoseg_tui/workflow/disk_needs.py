"""How much room on the disk the results of a job take, beside what is there already."""

from math import prod
from typing import Any

import msgspec

from tomoseg_tui.core.binning import binned_shape
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, requested_features
from tomoseg_tui.workflow.merge.merge_request import MergeRequest
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest
from tomoseg_tui.workflow.training.train_request import TrainRequest
from tomoseg_tui.workflow.training.training_plan import plan_training
from tomoseg_tui.workflow.volume_names import parse_z_range


def job_disk_bytes(project: Project, kind: str, request: dict[str, Any]) -> int:
    """Return how much room the results of a job take, those in the making among them.

    Parameters
    ----------
    project : Project
    kind : str
        `train`, `apply`, `merge` or `preprocess`; of others nothing is known, 0.
    request : dict
        The recipe's request.

    Raises
    ------
    TomosegError
        If something that the request names is not there any more.
    """
    if kind == "train":
        return plan_training(project, msgspec.convert(request, TrainRequest)).disk_bytes
    if kind == "apply":
        return apply_disk_bytes(project, msgspec.convert(request, ApplyRequest))
    if kind == "merge":
        return merge_disk_bytes(project, msgspec.convert(request, MergeRequest))
    if kind == "preprocess":
        return preprocess_disk_bytes(project, msgspec.convert(request, PreprocessRequest))
    return 0


def apply_disk_bytes(project: Project, request: ApplyRequest) -> int:
    """Return the room for maps, a byte a voxel, and for the job's copy of its network.

    A map that is replaced stays until the new one is complete.
    """
    features = requested_features(catalog.load_network_card(project.layout, request.run), request)
    voxels = 0
    for name in request.tomograms:
        shape_zyx = catalog.load_tomogram(project.layout, name).shape_zyx
        start, stop = parse_z_range(request.z, shape_zyx[0])
        voxels += (stop - start) * prod(shape_zyx[1:])
    weights = project.layout.network_weights(request.run)
    weights_bytes = weights.stat().st_size if weights.is_file() else 0
    return voxels * len(features) * (1 if request.output is None else 2) + weights_bytes


def merge_disk_bytes(project: Project, request: MergeRequest) -> int:
    """Return the room for labels, a byte a voxel, and for the copy that the user wants."""
    shape_zyx = catalog.load_tomogram(project.layout, request.tomogram).shape_zyx
    return prod(shape_zyx) * (1 if request.output is None else 2)


def preprocess_disk_bytes(project: Project, request: PreprocessRequest) -> int:
    """Return the room for the versions that are made, float32."""
    shapes = (catalog.load_tomogram(project.layout, name).shape_zyx for name in request.tomograms)
    return sum(4 * prod(binned_shape(shape_zyx, request.factor)) for shape_zyx in shapes)
