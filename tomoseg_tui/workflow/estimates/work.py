"""How much a job of slabs has to do, and under which name its pace is kept; light, for workers that have no network.

What there is to do in a training follows from its tiles (`workflow.estimates`).
"""

from collections.abc import Sequence
from dataclasses import astuple
from math import prod
from typing import Any

import msgspec

from tomoseg_tui.core.binning import binned_shape
from tomoseg_tui.core.blocks import Zyx
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import timing_key
from tomoseg_tui.workflow.job_interface import Workload
from tomoseg_tui.workflow.merge.merge_request import SLAB, MergeRequest
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest


def workload_for(project: Project, kind: str, request: dict[str, Any]) -> Workload | None:
    """Return how much a job has to do; None of a kind that tells itself or of which nothing is known.

    Raises
    ------
    TomosegError
        If something that the request names is not there.
    """
    if kind == "apply":
        from tomoseg_tui.workflow.apply.apply_request import ApplyRequest  # noqa: PLC0415
        from tomoseg_tui.workflow.apply_estimates import apply_workload  # noqa: PLC0415  # wakes HDF5

        return apply_workload(project, msgspec.convert(request, ApplyRequest))
    if kind == "merge":
        return merge_workload(project, msgspec.convert(request, MergeRequest))
    if kind == "preprocess":
        return preprocess_workload(project, msgspec.convert(request, PreprocessRequest))
    return None


def merge_workload(project: Project, request: MergeRequest) -> Workload:
    """Return the slabs of a merge; maps that are still to be made count."""
    shape_zyx = catalog.load_tomogram(project.layout, request.tomogram).shape_zyx
    maps = len(request.maps or request.words)
    return Workload(timing_key("merge", maps, _plane_size(shape_zyx)), units=-(-shape_zyx[0] // SLAB))


def preprocess_workload(project: Project, request: PreprocessRequest) -> Workload:
    """Return the voxels of the versions that are made."""
    shapes = [catalog.load_tomogram(project.layout, name).shape_zyx for name in request.tomograms]
    return Workload(
        timing_key("preprocess", request.factor, *astuple(request.chain), _plane_size(shapes[0])),
        units=sum(prod(binned_shape(shape_zyx, request.factor)) for shape_zyx in shapes),
        is_typical=same_shape(shapes),
    )


def _plane_size(shape_zyx: Zyx) -> str:
    return "x".join(map(str, shape_zyx[1:]))


def same_shape(shapes: Sequence[Zyx]) -> bool:
    """Tell whether volumes are of one size, so that what one takes the others take."""
    return len(set(shapes)) == 1
