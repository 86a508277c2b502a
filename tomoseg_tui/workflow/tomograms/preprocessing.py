"""Filter and bin tomograms to new versions, block by block, in a job that can be resumed.

Beside the folder that becomes the version are the results of whole passes over the tomogram, and the list of blocks on
disk. They belong to one file and one filter chain; for others the job starts again.
"""

import contextlib
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core import filters
from tomoseg_tui.core.filters import NO_FILTER, FilterChain, preprocess
from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.core.names import check_name, version_name
from tomoseg_tui.core.statistics import measure_statistics, sample_bands
from tomoseg_tui.errors import ProjectError, TomogramError, TomosegError, UsageError
from tomoseg_tui.files.atomic import atomic_output, sync_to_disk
from tomoseg_tui.files.structured import ARRAY_DAMAGE
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import measure_file_state, open_tomogram, require_unchanged
from tomoseg_tui.project.records import FilterStep, TomogramRecord, now, read_record, write_record
from tomoseg_tui.workflow.job_interface import FinishedSlabs, Reporter, parse_request, stop_if_requested
from tomoseg_tui.workflow.tomograms.import_tomograms import binned_grid


class PreprocessRequest(msgspec.Struct, frozen=True):
    """Options of `preprocess` and its tomograms."""

    tomograms: tuple[str, ...]
    lowpass: float = 0.25
    highpass: float = 5.0
    clamp: float = 3.0
    factor: int = 1
    filtered: bool = True
    """False for binning only."""
    tag: str = "preproc"

    @property
    def step(self) -> FilterStep | None:
        """The filters for records; None if all are off."""
        step = FilterStep(self.lowpass, self.highpass, self.clamp)
        return step if self.filtered and step != FilterStep() else None

    @property
    def chain(self) -> FilterChain:
        """The filters for arrays."""
        step = self.step
        return NO_FILTER if step is None else FilterChain(step.lowpass, step.highpass, step.clamp)

    def target(self, name: str) -> str:
        """Return the name of the version."""
        parts = ([f"bin{self.factor}"] if self.factor > 1 else []) + ([self.tag] if self.filtered else [])
        return version_name(name, "_".join(parts))


def version_names(raw_request: Mapping[str, Any]) -> list[str]:
    """Return the names of the versions that a job makes."""
    request = parse_request(raw_request, PreprocessRequest)
    return [request.target(name) for name in request.tomograms]


def check_preprocess(project: Project, request: PreprocessRequest, *, pending: Collection[str] = frozenset()) -> None:
    """Check a request before a job is created.

    Parameters
    ----------
    pending : collection of str
        Tomograms that will exist when the job starts.

    Raises
    ------
    TomosegError
        If a tomogram is unknown, a name is in use, or nothing would be done.
    """
    project.require_current_format()
    if not request.filtered and request.factor == 1:
        raise UsageError("--no-filter without --bin does nothing.", "Give --bin 2, or leave --no-filter out.")
    targets = [check_name(request.target(name), "tomogram") for name in request.tomograms]
    for name, target in zip(request.tomograms, targets, strict=True):
        if project.layout.tomogram_folder(target).exists() or targets.count(target) > 1 or target in pending:
            raise ProjectError(f"The name {target} is taken.", "Choose another --tag, or remove it first.")
        if name in pending:
            continue
        record = catalog.load_tomogram(project.layout, name)
        require_unchanged(project.layout, name, record)
        if min(record.shape_zyx) < request.factor:
            raise TomogramError(
                f"{name} has shape {record.shape_zyx}, too small for binning by {request.factor}.",
                "Use a smaller --bin.",
            )


def run_preprocess(project: Project, raw_request: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Run a preprocess job; existing versions are skipped."""
    request = parse_request(raw_request, PreprocessRequest)
    versions = []
    for index, name in enumerate(request.tomograms):
        target = request.target(name)
        versions.append(target)
        if not project.layout.tomogram_folder(target).exists():
            _preprocess_one(project, request, name, reporter, index)
        reporter.progress((index + 1) / len(request.tomograms), f"{target} is done")
    return {"tomograms": versions}


class VersionOutputHeader(msgspec.Struct, frozen=True):
    """Inputs of an unfinished version."""

    record: TomogramRecord
    """Record of the tomogram."""
    bytes: int
    """Length of its file."""
    modified_ns: int
    """Time of the file's last change, nanoseconds since 1970."""
    chain: dict[str, float]
    factor: int
    piece_voxels: int
    """Determines the corners of the blocks."""


class VersionFolder:
    """An unfinished version; a `PreprocessCheckpoint`.

    Parameters
    ----------
    folder : Path
        A folder within the job's folder of unfinished results.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self.draft = folder / "version"
        """Becomes the tomogram's folder."""
        self.volume = self.draft / f"{name}.mrc"
        self._header_file = folder / "prepared.json"
        self._finished = FinishedSlabs(folder / "finished.jsonl")
        self._pieces: set[tuple[int, ...]] = set()

    @property
    def pieces(self) -> int:
        """Number of blocks on disk."""
        return len(self._pieces)

    @property
    def readings(self) -> int:
        """Number of finished passes."""
        return len(list(self._folder.glob("*.npy")))

    @property
    def is_begun(self) -> bool:
        """True if an earlier attempt left an unfinished version, whatever its inputs."""
        return self._header_file.exists()

    def resume(self, header: VersionOutputHeader) -> bool:
        """Resume the stored version if its inputs are the same; return whether they are."""
        try:
            is_same = read_record(self._header_file, VersionOutputHeader) == header
            MrcWriter.reopen(self.volume).close()
        except TomosegError:
            return False
        if is_same:
            self._pieces = {_corner(note) for note in self._finished.read().values()}
            self._remove_half_written()
        return is_same

    def _remove_half_written(self) -> None:
        """Remove all files but the volume from the future tomogram folder, where the record is written last."""
        for path in self.draft.iterdir():
            if path != self.volume:
                path.unlink()

    def begin(self, header: VersionOutputHeader, grid: VoxelGrid, title: str) -> None:
        """Create an empty version, replacing a stored one."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._pieces = set()
        self.draft.mkdir(parents=True)
        with MrcWriter(self.volume, grid, np.dtype(np.float32), title=title) as writer:
            writer.sync()
        write_record(self._header_file, header)

    def load_result(self, reading: str) -> NDArray[Any] | None:
        """Return the stored result of a pass over the whole tomogram; None if the pass did not finish."""
        path = self._folder / f"{reading}.npy"
        with contextlib.suppress(*ARRAY_DAMAGE):  # without it the pass is made again
            values: NDArray[Any] = np.load(path, allow_pickle=False)
            return values
        return None

    def save_result(self, reading: str, values: NDArray[Any]) -> None:
        """Store the result of a pass."""
        with atomic_output(self._folder / f"{reading}.npy") as draft, draft.open("wb") as stream:
            np.save(stream, values, allow_pickle=False)

    def has_block(self, corner_zyx: tuple[int, int, int]) -> bool:
        """Return whether the block with this corner is on disk."""
        return corner_zyx in self._pieces

    def add_piece(self, corner_zyx: tuple[int, int, int], values: NDArray[Any], writer: MrcWriter) -> None:
        """Write a block, and list it when it is on disk."""
        writer.write_region(corner_zyx, values)
        writer.sync()
        self._finished.add(len(self._pieces), corner_zyx=corner_zyx)
        self._pieces.add(corner_zyx)

    def remove(self) -> None:
        """Remove the remaining files after the version has been published."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _corner(note: dict[str, object]) -> tuple[int, ...]:
    return tuple(msgspec.convert(note["corner_zyx"], list[int]))


@dataclass(frozen=True)
class _Regions:
    """A reader as a `RegionSource`."""

    reader: VolumeReader

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        return self.reader.grid.shape_zyx

    def read_region(self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> NDArray[Any]:
        return self.reader.read_region(corner_zyx, shape_zyx)


def _preprocess_one(project: Project, request: PreprocessRequest, name: str, reporter: Reporter, index: int) -> None:
    record, target = catalog.load_tomogram(project.layout, name), request.target(name)
    path = require_unchanged(project.layout, name, record)
    version = _open_version(request, name, record, path, reporter)

    def on_piece(done: int, pieces: int) -> None:
        stop_if_requested(reporter)
        reporter.progress((index + done / pieces) / len(request.tomograms), f"{name} to {target}")

    with (
        open_tomogram(project.layout, name, record) as source,
        MrcWriter.reopen(version.volume) as writer,
    ):
        blocks = preprocess(
            _Regions(source), request.chain, factor=request.factor, scale=record.scale,
            block_voxels=filters.BLOCK_VOXELS, on_block=on_piece, checkpoint=version,
        )  # fmt: skip
        for corner, values in blocks:
            version.add_piece(corner, values, writer)
    write_record(version.draft / "tomogram.json", _version_record(request, name, record, version.volume))
    version.draft.rename(project.layout.tomogram_folder(target))
    sync_to_disk(project.layout.tomograms)
    version.remove()


def _open_version(
    request: PreprocessRequest, name: str, record: TomogramRecord, path: Path, reporter: Reporter
) -> VersionFolder:
    """Return the version to write, resumed or new; log which if there was an earlier attempt."""
    file_stat, target = path.stat(), request.target(name)
    chain = asdict(request.chain)
    header = VersionOutputHeader(
        record, file_stat.st_size, file_stat.st_mtime_ns, chain, request.factor, filters.BLOCK_VOXELS
    )
    version = VersionFolder(reporter.partial / target, target)
    if version.resume(header):
        if version.readings or version.pieces:
            progress_text = f"{version.readings} passes over {name} and {version.pieces} blocks are finished"
            reporter.log(f"{target} is resumed: {progress_text}.")
        return version
    if version.is_begun:
        reporter.log(f"{target} is started again: {name} or the filters have changed.")
    version.begin(header, binned_grid(record.grid, request.factor), f"tomoseg preprocess {name}"[:80])
    return version


def _version_record(request: PreprocessRequest, name: str, record: TomogramRecord, volume_path: Path) -> TomogramRecord:
    grid, step = binned_grid(record.grid, request.factor), request.step
    with open_volume(volume_path) as volume:
        statistics = measure_statistics(volume, sample_bands(grid.shape_zyx))
    described = [request.chain.describe(grid.voxel_size_angstrom, grid.shape_zyx[2])] if step is not None else []
    return TomogramRecord(
        file=volume_path.name,
        shape_zyx=grid.shape_zyx,
        voxel_size_angstrom=grid.voxel_size_angstrom,
        origin_xyz_angstrom=grid.origin_xyz_angstrom,
        nstart_xyz=grid.nstart_xyz,
        polarity=record.polarity,
        type="MRC mode 2, float32",
        mean=statistics.mean,
        sigma=statistics.sigma,
        chain=(*record.chain, step) if step is not None else record.chain,
        chain_angstrom=(*record.chain_angstrom, *described),
        made_from=name,
        binned=request.factor,
        imported=now(),
        file_state=measure_file_state(volume_path),
    )
