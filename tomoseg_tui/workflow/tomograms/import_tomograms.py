"""Import tomograms into the project, copied or linked; all checks are made before anything is written."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.binning import bin_region, binned_shape
from tomoseg_tui.core.filters import FilterChain
from tomoseg_tui.core.grid import ByteSign, VoxelGrid
from tomoseg_tui.core.names import check_name, name_from_file, volume_stem
from tomoseg_tui.core.statistics import Statistics, measure_statistics, sample_bands
from tomoseg_tui.core.tiles import DEFAULT_TILE_SIZE
from tomoseg_tui.errors import ProjectError, TomogramError, UsageError
from tomoseg_tui.files.atomic import draft_path
from tomoseg_tui.files.disk_space import disk_full_error, free_bytes, is_disk_full
from tomoseg_tui.files.text import require_utf8
from tomoseg_tui.io.formats import copy_unpacked, open_volume
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.changes import change_files
from tomoseg_tui.project.file_state import measure_file_state
from tomoseg_tui.project.records import FilterHistory, FilterStep, TomogramRecord, now, write_record
from tomoseg_tui.workflow.tomograms.header_checks import (
    is_plausible_voxel_size,
    unknown_voxel_size_error,
    volume_remarks,
    voxel_size_remarks,
    wrap_remarks,
)

Progress = Callable[[float], None]
"""Called with the share done, from 0 to 1."""


@dataclass(frozen=True)
class ImportRequest:
    """Options of an import."""

    name: str | None = None
    """Name in the project; None to derive it from the file name."""
    link: bool = False
    """Leave the file in its place."""
    voxel_size_angstrom: float | None = None
    """Overrides the header; Å/voxel of the file, before binning."""
    polarity: str = "dark"
    """Appearance of protein in the file."""
    factor: int = 1
    """Binning factor."""
    invert: bool = False
    """Invert densities and polarity."""
    byte_sign: ByteSign | None = None
    """Sign of bytes: `signed`, `unsigned`, or None if the header decides."""
    chain: FilterHistory = ()
    """Filters already applied to the file, if known."""

    @property
    def rewrites(self) -> bool:
        """True if the densities are changed."""
        return self.invert or self.factor > 1


@dataclass(frozen=True)
class ImportedTomogram:
    """An imported tomogram."""

    name: str
    record: TomogramRecord
    remarks: tuple[str, ...]
    """Remarks for the user."""


@dataclass(frozen=True, eq=False)
class _Plan:
    name: str
    source: VolumeReader
    grid: VoxelGrid
    statistics: Statistics
    remarks: tuple[str, ...]


def import_volumes(
    project: Project, files: Sequence[Path], request: ImportRequest, on_progress: Progress = lambda _done: None
) -> list[ImportedTomogram]:
    """Import files, all or none.

    Parameters
    ----------
    files : sequence of Path
        Volumes in any format of `io.formats`.
    request : ImportRequest
        Options; a name is allowed for one file only.
    on_progress : callable
        Called with the share done, from 0 to 1.

    Returns
    -------
    list of ImportedTomogram
        In the order of the files.

    Raises
    ------
    TomosegError
        If any file cannot be used, a name is in use, or the voxel size is unknown; the project is not changed.
    """
    if request.name is not None and len(files) > 1:
        raise UsageError(f"--name gives one name, but there are {len(files)} files.", "Import them one by one.")
    project.require_current_format()
    plans: list[_Plan] = []
    try:
        for file in files:
            plans.append(_plan(project, file, request, {plan.name for plan in plans}))
        return _write_all(project, plans, request, on_progress)
    finally:
        for plan in plans:
            plan.source.close()


def _plan(project: Project, file: Path, request: ImportRequest, used_names: set[str]) -> _Plan:
    """Open a file and check it before anything is written."""
    name, remarks = _choose_name(project, file, request, used_names)
    source = open_volume(file, byte_sign=request.byte_sign)
    with ExitStack() as on_error:
        on_error.callback(source.close)
        grid = replace(source.grid, voxel_size_angstrom=_voxel_size(file, source, request))
        _refuse_link(file, source, request)
        statistics = measure_densities(file, source)
        shape = binned_shape(grid.shape_zyx, request.factor)
        on_error.pop_all()
    remarks += [*source.warnings, *_remarks(file, shape, statistics), *volume_remarks(file, source)]
    remarks += wrap_remarks(file, source, statistics)
    if request.voxel_size_angstrom is None:
        remarks += voxel_size_remarks(file, source)
    return _Plan(name, source, grid, statistics, tuple(remarks))


def _choose_name(project: Project, file: Path, request: ImportRequest, used_names: set[str]) -> tuple[str, list[str]]:
    remarks = []
    name = request.name
    if name is None:
        name = name_from_file(file.name)
        if name != volume_stem(file.name):
            remarks.append(f"{file.name} is named {name} in the project.")
    check_name(name, "tomogram")
    if name in used_names or project.layout.tomogram_folder(name).exists():
        raise ProjectError(f"The name {name} is taken.", "Give another: tomoseg import FILE --name OTHER")
    return name, remarks


def _voxel_size(file: Path, source: VolumeReader, request: ImportRequest) -> float:
    if request.voxel_size_angstrom is not None:
        return request.voxel_size_angstrom
    if not is_plausible_voxel_size(source.grid.voxel_size_angstrom):
        raise unknown_voxel_size_error(file, source)
    return source.grid.voxel_size_angstrom


def _refuse_link(file: Path, source: VolumeReader, request: ImportRequest) -> None:
    if not request.link:
        return
    require_utf8(str(source.path.resolve()))
    if source.compressed:
        is_archive = file.suffix.lower() in {".gz", ".bz2"}
        reason = "is compressed" if is_archive else "has axes or parts that are put in order,"
        raise UsageError(f"{file.name} {reason} and cannot be linked.", "Leave --link out: a copy can be used.")
    if request.rewrites:
        raise UsageError(
            "--link does not change the file, --bin and --invert do.", "Leave --link out, or the other option."
        )


def measure_densities(file: Path, source: VolumeReader) -> Statistics:
    """Return the statistics of a volume for its record; raise TomogramError if no density is finite."""
    statistics = measure_statistics(source, sample_bands(source.grid.shape_zyx))
    if statistics.count == 0:
        statistics = measure_statistics(source, sample_bands(source.grid.shape_zyx, budget=None), min_count=1)
    if statistics.count == 0:
        raise TomogramError(f"{file.name} has no finite density: all values are NaN or infinite.", "Export it again.")
    return statistics


def byte_sign_of(source: VolumeReader) -> ByteSign | None:
    """Return how the bytes of MRC mode 0 are read; None for other volumes."""
    if not source.kind.startswith("MRC mode 0"):
        return None
    return "signed" if source.dtype.kind == "i" else "unsigned"


def _remarks(file: Path, shape: tuple[int, int, int], statistics: Statistics) -> list[str]:
    remarks = []
    if min(shape[1:]) < DEFAULT_TILE_SIZE:
        remarks.append(
            f"{file.name} is smaller than a tile: {shape} voxels (z, y, x), a tile is {DEFAULT_TILE_SIZE} wide."
        )
    if statistics.is_flat:
        remarks.append(f"All sampled densities of {file.name} are equal: sigma is taken as 1.")
    if statistics.non_finite:
        remarks.append(f"{file.name} contains NaN or infinity, which count as the mean.")
    return remarks


def _write_all(
    project: Project, plans: Sequence[_Plan], request: ImportRequest, on_progress: Progress
) -> list[ImportedTomogram]:
    """Write all drafts, then rename them in one change; on an error before that, all are removed."""
    layout = project.layout
    drafts: list[Path] = []
    try:
        records = []
        for index, plan in enumerate(plans):
            drafts.append(_draft_folder(project))
            records.append(_write_draft(drafts[index], plan, request, _progress_share(on_progress, index, len(plans))))
        with change_files(layout, project.entry) as change:
            for plan, draft in zip(plans, drafts, strict=True):
                if layout.tomogram_folder(plan.name).exists():
                    raise ProjectError("The name was taken during the copy.", "Give another: --name OTHER")
                change.use_draft(draft, layout.tomogram_folder(plan.name))
    except BaseException as fault:
        if not layout.change.exists():  # else the next command finishes the import
            for draft in drafts:
                shutil.rmtree(draft, ignore_errors=True)
        if isinstance(fault, Exception) and is_disk_full(fault) and not layout.change.exists():
            missing = _copy_bytes(plans, request) - free_bytes(layout.tomograms)
            raise disk_full_error(
                layout.tomograms, fault, missing=missing, next_step="import again; nothing has changed."
            ) from fault
        if isinstance(fault, OSError):
            raise ProjectError(
                f"The import failed: {fault.strerror}.", "Check the disk and the permissions."
            ) from fault
        raise
    return [ImportedTomogram(plan.name, record, plan.remarks) for plan, record in zip(plans, records, strict=True)]


def _copy_bytes(plans: Sequence[_Plan], request: ImportRequest) -> int:
    """Return the disk space of the copies, bytes."""
    if request.link:
        return 0
    if not request.rewrites:
        return sum(prod(plan.grid.shape_zyx) * plan.source.dtype.itemsize for plan in plans)
    return sum(4 * prod(binned_shape(plan.grid.shape_zyx, request.factor)) for plan in plans)


def _draft_folder(project: Project) -> Path:
    draft = draft_path(project.layout.tomograms / "import")
    draft.mkdir()
    return draft


def _progress_share(on_progress: Progress, index: int, files: int) -> Progress:
    return lambda part: on_progress((index + part) / files)


def _write_draft(draft: Path, plan: _Plan, request: ImportRequest, on_progress: Progress) -> TomogramRecord:
    """Write a tomogram's folder; return its record."""
    statistics = plan.statistics
    target = draft / _file_name(plan, request)
    if request.rewrites:
        _rewrite(target, plan, request, on_progress)
        with open_volume(target) as written:
            statistics = measure_statistics(written, sample_bands(written.grid.shape_zyx))
    elif not request.link:
        copy_unpacked(plan.source.path, target, on_progress)
    record = _record(plan, statistics, request)
    state = measure_file_state(plan.source.path if request.link else target, record.byte_sign)
    record = msgspec.structs.replace(record, file_state=state)
    write_record(draft / "tomogram.json", record)
    return record


def _record(plan: _Plan, statistics: Statistics, request: ImportRequest) -> TomogramRecord:
    grid = binned_grid(plan.grid, request.factor)
    polarity = {"dark": "bright", "bright": "dark"}[request.polarity] if request.invert else request.polarity
    return TomogramRecord(
        file=str(plan.source.path.resolve()) if request.link else _file_name(plan, request),
        linked=request.link,
        shape_zyx=grid.shape_zyx,
        voxel_size_angstrom=grid.voxel_size_angstrom,
        origin_xyz_angstrom=grid.origin_xyz_angstrom,
        nstart_xyz=grid.nstart_xyz,
        polarity=polarity,
        type="MRC mode 2, float32" if request.rewrites else plan.source.kind,
        byte_sign=None if request.rewrites else byte_sign_of(plan.source),
        mean=statistics.mean,
        sigma=statistics.sigma,
        chain=request.chain,
        chain_angstrom=tuple(_describe_in_angstrom(step, plan.grid) for step in request.chain),
        made_from=plan.source.path.name,
        binned=request.factor,
        imported=now(),
    )


def _describe_in_angstrom(step: FilterStep, grid: VoxelGrid) -> dict[str, float | None]:
    chain = FilterChain(step.lowpass, step.highpass, step.clamp)
    return chain.describe(grid.voxel_size_angstrom, grid.shape_zyx[2])


def binned_grid(grid: VoxelGrid, factor: int) -> VoxelGrid:
    """Return the grid after averaging `factor` voxels along each axis; the remainder is cropped.

    The origin is unchanged, because it is the corner of the volume.
    """
    if factor == 1:
        return grid
    nx, ny, nz = grid.nstart_xyz
    return VoxelGrid(
        binned_shape(grid.shape_zyx, factor),
        grid.voxel_size_angstrom * factor,
        grid.origin_xyz_angstrom,
        (nx // factor, ny // factor, nz // factor),
    )


def _file_name(plan: _Plan, request: ImportRequest) -> str:
    if request.rewrites:
        return f"{plan.name}.mrc"
    suffixes = [suffix.lower() for suffix in plan.source.path.suffixes if suffix.lower() not in {".gz", ".bz2"}]
    return f"{plan.name}{suffixes[-1] if suffixes else '.mrc'}"


def _rewrite(target: Path, plan: _Plan, request: ImportRequest, on_progress: Progress) -> None:
    factor, grid = request.factor, binned_grid(plan.grid, request.factor)
    with MrcWriter(target, grid, np.dtype(np.float32)) as writer:
        for z in range(grid.shape_zyx[0]):
            slab = plan.source.read_slices(z * factor, (z + 1) * factor).astype(np.float32)
            values = bin_region(_finite(slab, plan.statistics.mean), factor)  # (1, y, x)
            writer.write_slices(z, -values if request.invert else values)
            on_progress((z + 1) / grid.shape_zyx[0])


def _finite(values: NDArray[np.float32], mean: float) -> NDArray[np.float32]:
    return np.where(np.isfinite(values), values, np.float32(mean))
