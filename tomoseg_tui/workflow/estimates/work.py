"""How much a job of slabs has to do, and under which name its pace is kept; light, for workers that have no network.

What there is to do in a training follows from its tiles (`workflow.estimates`).
"""

from collections.abc import Sequence
from dataclasses import astuple
from math import prod
from typing import Any

import msgspec

from tomoseg_tui.core.blocks import Zyx
from tomoseg_tui.core.filters import binned_shape
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import pace_key
from tomoseg_tui.workflow.job_interface import Load
from tomoseg_tui.workflow.merge.merge_request import SLAB, MergeRequest
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest


def load_of(project: Project, kind: str, asked: dict[str, Any]) -> Load | None:
    """Return how much a job has to do; None of a kind that tells itself or of which nothing is known.

    Raises
    ------
    TomosegError
        If something that the request names is not there.
    """
    if kind == "apply":
        from tomoseg_tui.workflow.apply.apply_request import ApplyRequest  # noqa: PLC0415
        from tomoseg_tui.workflow.apply_estimates import apply_load  # noqa: PLC0415  # wakes HDF5

        return apply_load(project, msgspec.convert(asked, ApplyRequest))
    if kind == "merge":
        return merge_load(project, msgspec.convert(asked, MergeRequest))
    if kind == "preprocess":
        return preprocess_load(project, msgspec.convert(asked, PreprocessRequest))
    return None


def merge_load(project: Project, request: MergeRequest) -> Load:
    """Return the slabs of a merge; maps that are still to be made count."""
    shape_zyx = catalog.tomogram(project.layout, request.tomogram).shape_zyx
    maps = len(request.maps or request.words)
    return Load(pace_key("merge", maps, _plane(shape_zyx)), units=-(-shape_zyx[0] // SLAB))


def preprocess_load(project: Project, request: PreprocessRequest) -> Load:
    """Return the voxels of the versions that are made."""
    shapes = [catalog.tomogram(project.layout, name).shape_zyx for name in request.tomograms]
    return Load(
        pace_key("preprocess", request.factor, *astuple(request.chain), _plane(shapes[0])),
        units=sum(prod(binned_shape(shape_zyx, request.factor)) for shape_zyx in shapes),
        is_typical=are_alike(shapes),
    )


def _plane(shape_zyx: Zyx) -> str:
    return "x".join(map(str, shape_zyx[1:]))


def are_alike(shapes: Sequence[Zyx]) -> bool:
    """Tell whether volumes are of one size, so that what one takes the others take."""
    return len(set(shapes)) == 1
