"""What an apply is asked to do, and whether network and tomogram fit. The prediction is neural's business."""

from collections.abc import Sequence

import msgspec
import numpy as np

from tomoseg_tui.core.grid import SCALE_TOLERANCE, differs_in_size
from tomoseg_tui.errors import ProjectError, TrainingError, UsageError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
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
from tomoseg_tui.workflow.pending_outputs import PendingOutputs
from tomoseg_tui.workflow.volume_names import parse_z_range


class ApplyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which network is applied to which tomograms."""

    run: str
    tomograms: tuple[str, ...]
    features: tuple[str, ...] = ()
    """All of the network's if empty."""
    z: str | None = None
    """Slices ``A:B``, B excluded; all if None."""
    threads: int | None = None
    device: str = "cpu"
    """``gpu``: each worker takes one of its own, as far as there are enough."""
    workers: int = 1
    tta: int = 1
    """Turned and mirrored copies of each slice whose probabilities are averaged; 1, 4 or 8."""
    half: bool | None = None
    """Half precision where it is as good; None: on GPUs."""
    output: str | None = None
    """Also written to this file, as `ProjectLayout.stored_path` names it."""
    force: bool = False
    anyway: bool = False
    """Apply to a tomogram that is filtered in another way than those the network learned from."""


def check_apply(project: Project, request: ApplyRequest, *, card: NetworkCard | None = None) -> list[str]:
    """Refuse what would give nonsense; return what the user should know.

    Parameters
    ----------
    card : NetworkCard or None
        That of a network that is still to be trained; the run's own if None.

    Raises
    ------
    TomosegError
        If a name is unknown, voxel sizes or filters do not fit, or options do not go together.
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
    """Check as `check_apply` what is there already; the worker checks the rest when the rest is there.

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
    catalog.volume_path(project.layout, name, record)
    parse_z_range(request.z, record.shape_zyx[0])
    return record


def requested_features(card: NetworkCard, request: ApplyRequest) -> tuple[str, ...]:
    """Return the features whose maps are wanted; refuse a feature that the network does not have."""
    for feature in request.features:
        if feature not in card.features:
            raise TrainingError(
                f"{card.name} has no feature {feature}; it has {', '.join(card.features)}.", "Name one that it has."
            )
    return request.features or tuple(card.features)


def _check_map_name(project: Project, tomogram: str, run: str, feature: str) -> None:
    """Refuse a map whose file would be another's: dots in names can make two of them one."""
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
    """Compare scale, filters and polarity of a network and a tomogram."""
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
        remarks.append(f"{name} is filtered in another way than {card.name} was trained with; applied anyway.")
    if record.polarity != card.polarity:
        remarks.append(f"{name} is turned: its protein is {record.polarity}, that of {card.name} {card.polarity}.")
    return remarks


def _scale_fix(card: NetworkCard, name: str, record: TomogramRecord, ratio: float) -> str:
    factor = round(ratio)
    binned = record.voxel_size_angstrom * factor
    if factor < 2 or differs_in_size(binned, card.voxel_size_angstrom, tolerance=SCALE_TOLERANCE):
        return "No whole binning mends this: train a network at this voxel size, or reconstruct at the network's."
    options = _missing_filters(card.preprocessing, record.chain)
    if options is None:
        return (
            f"Its filters differ too ({format_filter_chain(record.chain)}): start from the unfiltered tomogram with "
            f"tomoseg preprocess TOMOGRAM --bin {factor}"
        )
    return f"Make a version that fits: tomoseg preprocess {name} --bin {factor} {options}"


def _missing_filters(required: FilterHistory, present: FilterHistory) -> str | None:
    """Return the options of `preprocess` that turn one chain into the other, None where no single run does."""
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
        return f"Apply it to {matching[0]}, or say --anyway."
    options = _missing_filters(card.preprocessing, record.chain)
    if options is None:
        return "Import the unfiltered tomogram and preprocess that, or say --anyway."
    return f"Make a version that fits: tomoseg preprocess {name} {options}; or say --anyway."


def polarity_sign(card: NetworkCard, record: TomogramRecord) -> int:
    """Return -1 if the densities have to be turned for the network."""
    return 1 if record.polarity == card.polarity else -1


def normalisation(card: NetworkCard, record: TomogramRecord) -> tuple[np.float32, np.float32]:
    """Return what to subtract from densities, and what to multiply them with then."""
    return np.float32(record.mean), np.float32(polarity_sign(card, record) / record.sigma)


def map_names(request: ApplyRequest, features: Sequence[str]) -> list[str]:
    """Return the names of the maps that a request makes."""
    return [f"{tomogram}/{request.run}.{feature}" for tomogram in request.tomograms for feature in features]
