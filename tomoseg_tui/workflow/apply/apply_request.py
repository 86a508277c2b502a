"""The request of an apply, and checks that network and tomogram fit; `ml` and `runners` run the prediction."""

from collections.abc import Sequence

import msgspec
import numpy as np

from tomoseg_tui.core.grid import SCALE_TOLERANCE, differs_in_size
from tomoseg_tui.errors import ProjectError, TrainingError, UsageError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import require_unchanged
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.publish import require_result_path
from tomoseg_tui.project.records import (
    FilterHistory,
    MapSidecar,
    NetworkCard,
    TomogramRecord,
    format_filter_chain,
    read_record,
)
from tomoseg_tui.workflow.job_interface import PendingOutputs
from tomoseg_tui.workflow.volume_names import parse_z_range


class ApplyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The network, the tomograms and the options of `apply`."""

    run: str
    tomograms: tuple[str, ...]
    features: tuple[str, ...] = ()
    """All features of the network if empty."""
    z: str | None = None
    """Slices ``A:B``, B excluded; all if None."""
    threads: int | None = None
    device: str = "auto"
    """For ``gpu``, each worker uses a GPU of its own if there are enough."""
    workers: int = 1
    tta: int = 1
    """Number of rotated and mirrored copies of each slice to average: 1, 4 (those that keep the missing wedge) or 8."""
    half: bool | None = None
    """Half precision where its results are as good; if None, on GPUs only."""
    output: str | None = None
    """The map is also written to this file; a path as `ProjectLayout.stored_path` returns it."""
    force: bool = False
    anyway: bool = False
    """Apply to a tomogram whose filters differ from those of the training."""


def check_apply(project: Project, request: ApplyRequest, *, card: NetworkCard | None = None) -> list[str]:
    """Raise an error if network and tomograms do not fit; return remarks for the user.

    Parameters
    ----------
    card : NetworkCard or None
        Card of a network that is not trained yet; the run's own if None.

    Raises
    ------
    TomosegError
        If a name is unknown, voxel sizes or filters do not fit, or options contradict each other.
    """
    project.require_current_format()
    card = card or catalog.load_network_card(project.layout, request.run)
    features = requested_features(card, request)
    _check_options(project, request, len(features))
    remarks = []
    for name in request.tomograms:
        record = _check_tomogram(project, request, name)
        remarks += _check_fit(project, card, name, record, anyway=request.anyway)
        for feature in features:
            _check_map_name(project, name, request.run, feature)
    return remarks


def check_apply_before_outputs(project: Project, request: ApplyRequest, pending: PendingOutputs) -> list[str]:
    """Check the inputs that exist, as `check_apply` does; the worker checks the others when they exist.

    Raises
    ------
    TomosegError
        As `check_apply`.
    """
    existing = [name for name in request.tomograms if name not in pending.tomograms]
    if request.run not in pending.runs and len(existing) == len(request.tomograms):
        return check_apply(project, request)
    project.require_current_format()
    if request.run not in pending.runs:
        requested_features(catalog.load_network_card(project.layout, request.run), request)
    _check_options(project, request, len(request.features) or 1)
    for name in existing:
        _check_tomogram(project, request, name)
    return []


def _check_options(project: Project, request: ApplyRequest, features: int) -> None:
    if request.output is not None:
        if len(request.tomograms) * features != 1:
            raise UsageError(
                f"-o names one file, but there are {len(request.tomograms) * features} maps.",
                "Name one tomogram and one --feature, or use `tomoseg export` afterwards.",
            )
        require_result_path(project.layout.root / request.output, force=request.force)


def _check_tomogram(project: Project, request: ApplyRequest, name: str) -> TomogramRecord:
    record = catalog.load_tomogram(project.layout, name)
    require_unchanged(project.layout, name, record)
    parse_z_range(request.z, record.shape_zyx[0])
    return record


def requested_features(card: NetworkCard, request: ApplyRequest) -> tuple[str, ...]:
    """Return the requested features; raise an error if the network does not have one of them."""
    for feature in request.features:
        if feature not in card.features:
            raise TrainingError(
                f"{card.name} has no feature {feature}; it has {', '.join(card.features)}.", "Name one that it has."
            )
    return request.features or tuple(card.features)


def _check_map_name(project: Project, tomogram: str, run: str, feature: str) -> None:
    """Raise an error if the map's file belongs to something else; with dots in names, two maps could share one file."""
    path = project.layout.map_file(tomogram, run, feature)
    if project.layout.label_file(tomogram, path.stem).exists():
        raise ProjectError(f"{tomogram}/{path.stem} is a label volume already.", "Merge under another --name.")
    if sidecar_of(path).is_file():
        sidecar = read_record(sidecar_of(path), MapSidecar)
        if (sidecar.run, sidecar.feature) != (run, feature):
            raise ProjectError(
                f"{tomogram}/{path.stem} is the map of {sidecar.feature} by {sidecar.run} already.",
                "Rename the feature, or train under another name.",
            )


def _check_fit(project: Project, card: NetworkCard, name: str, record: TomogramRecord, *, anyway: bool) -> list[str]:
    """Compare voxel size, filters and polarity of a network and a tomogram; return remarks."""
    ratio = card.voxel_size_angstrom / record.voxel_size_angstrom
    if differs_in_size(record.voxel_size_angstrom, card.voxel_size_angstrom, tolerance=SCALE_TOLERANCE):
        raise TrainingError(
            f"{name} has {record.voxel_size_angstrom:g} Å/voxel, "
            f"the network {card.name} was trained at {card.voxel_size_angstrom:g}.",
            _scale_fix(card, name, record, ratio),
        )
    remarks = []
    if record.chain != card.preprocessing:
        if not anyway:
            raise TrainingError(
                f"{name} has {format_filter_chain(record.chain)}, "
                f"the network {card.name} was trained with {format_filter_chain(card.preprocessing)}.",
                _chain_fix(project, card, name, record),
            )
        remarks.append(f"The filters of {name} differ from those of {card.name}; it is applied anyway.")
    if record.polarity != card.polarity:
        remarks.append(f"{name} is inverted: its protein is {record.polarity}, that of {card.name} {card.polarity}.")
    return remarks


def _scale_fix(card: NetworkCard, name: str, record: TomogramRecord, ratio: float) -> str:
    factor = round(ratio)
    binned = record.voxel_size_angstrom * factor
    if factor < 2 or differs_in_size(binned, card.voxel_size_angstrom, tolerance=SCALE_TOLERANCE):
        return (
            "Train a network at this voxel size, or reconstruct the tomogram at that of the network; binning cannot "
            "match them."
        )
    options = _missing_filters(card.preprocessing, record.chain)
    if options is None:
        return (
            f"Preprocess the unfiltered tomogram, since the filters differ too ({format_filter_chain(record.chain)}): "
            f"tomoseg preprocess TOMOGRAM --bin {factor}"
        )
    return f"Make a version that fits: tomoseg preprocess {name} --bin {factor} {options}"


def _missing_filters(required: FilterHistory, present: FilterHistory) -> str | None:
    """Return options of `preprocess` that lead from one filter history to the other; None if one run cannot."""
    if required == present:
        return "--no-filter"
    if len(required) == len(present) + 1 and required[: len(present)] == present:
        return required[-1].as_options()
    return None


def _chain_fix(project: Project, card: NetworkCard, name: str, record: TomogramRecord) -> str:
    matching = [
        version
        for version in catalog.versions_sharing_tiles(project.layout, name)
        if catalog.load_tomogram(project.layout, version).chain == card.preprocessing
    ]
    if matching:
        return f"Apply it to {matching[0]}, or give --anyway."
    options = _missing_filters(card.preprocessing, record.chain)
    if options is None:
        return "Import the unfiltered tomogram and preprocess it, or give --anyway."
    return f"Make a version that fits: tomoseg preprocess {name} {options}; or give --anyway."


def polarity_sign(card: NetworkCard, record: TomogramRecord) -> int:
    """Return -1 if the densities must be inverted for the network, else 1."""
    return 1 if record.polarity == card.polarity else -1


def normalisation(card: NetworkCard, record: TomogramRecord) -> tuple[np.float32, np.float32]:
    """Return the value to subtract from densities, and the factor to multiply the result with."""
    return np.float32(record.mean), np.float32(polarity_sign(card, record) / record.sigma)


def map_names(request: ApplyRequest, features: Sequence[str]) -> list[str]:
    """Return the names of the maps of a request."""
    return [f"{tomogram}/{request.run}.{feature}" for tomogram in request.tomograms for feature in features]
