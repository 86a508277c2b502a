"""Files to import, each with its options; and the commands that import them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.tomograms import IMPORT
from tomoseg_tui.core.names import name_from_file
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import append_command
from tomoseg_tui.tui.path_completion import path_argument
from tomoseg_tui.workflow.tomograms.header_checks import is_plausible_voxel_size
from tomoseg_tui.workflow.tomograms.import_tomograms import (
    ImportedTomogram,
    ImportRequest,
    Progress,
    import_volumes,
)
from tomoseg_tui.workflow.tomograms.preview import VolumeHeader, read_volume_header

BINNINGS = (1, 2, 3, 4, 5, 6, 8)
"""Binning factors, in the order of the key."""
BYTE_SIGNS = (None, "signed", "unsigned")
"""Sign of bytes: from the header, or set by the user."""


@dataclass(frozen=True)
class ImportFile:
    """A file to import."""

    path: Path
    request: ImportRequest
    header: VolumeHeader | None
    """None if the file cannot be read."""
    fault: str = ""
    """Why it cannot be read."""

    @property
    def name(self) -> str:
        """Its name in the project."""
        return self.request.name or name_from_file(self.path.name)

    @property
    def voxel_size_angstrom(self) -> float | None:
        """Å/voxel of the file; None if it is not known."""
        if self.request.voxel_size_angstrom is not None:
            return self.request.voxel_size_angstrom
        stated = self.header.grid.voxel_size_angstrom if self.header is not None else 0.0
        return stated if is_plausible_voxel_size(stated) else None

    def with_options(self, **changes: Any) -> "ImportFile":
        """Return a copy with changed options."""
        return replace(self, request=replace(self.request, **changes))


def read_import_file(path: Path, request: ImportRequest) -> ImportFile:
    """Inspect a file to import; takes a moment, so only threads call it."""
    try:
        return ImportFile(path, request, read_volume_header(path, byte_sign=request.byte_sign))
    except TomosegError as fault:
        return ImportFile(path, request, None, f"{fault.fault} {fault.fix}")


def import_problem(candidate: ImportFile, used_names: Collection[str]) -> tuple[str, str]:
    """Return why a file cannot be imported, as a label and as a sentence; empty if it can."""
    request = candidate.request
    if candidate.header is None:
        return "unreadable", candidate.fault
    if candidate.name in used_names:
        return "name taken", f"A tomogram {candidate.name} exists already: n sets another name."
    if candidate.voxel_size_angstrom is None:
        return (
            "voxel size?",
            f"The header says {candidate.header.grid.voxel_size_angstrom:g} Å/voxel, no real value: v sets it.",
        )
    if request.link and candidate.header.compressed:
        return "compressed", "A compressed file cannot be linked: l copies and decompresses it."
    if request.link and request.rewrites:
        return "link?", "A linked file cannot be binned or inverted: l copies it."
    return "", ""


def first_problem(candidates: Sequence[ImportFile], used_names: Collection[str]) -> int | None:
    """Return the index of the first file that cannot be imported yet; None if all can."""
    all_names = set(used_names)
    for number, candidate in enumerate(candidates):
        if import_problem(candidate, all_names)[0]:
            return number
        all_names.add(candidate.name)
    return None


def import_argv(files: Sequence[Path], request: ImportRequest, root: Path) -> list[str]:
    """Return the arguments of the command that imports files with these options."""
    return to_argv(IMPORT, request, files=[path_argument(file, root) for file in files])


ImportBatch = tuple[list[Path], ImportRequest]
"""Files of one command."""


def group_into_batches(candidates: Sequence[ImportFile]) -> list[ImportBatch]:
    """Return the files in their order; neighbours with the same options form a batch."""
    groups: list[ImportBatch] = []
    for candidate in candidates:
        if groups and candidate.request.name is None and groups[-1][1] == candidate.request:
            groups[-1][0].append(candidate.path)
        else:
            groups.append(([candidate.path], candidate.request))
    return groups


@dataclass(frozen=True)
class ImportedFiles:
    """The imported files."""

    names: tuple[str, ...]
    remarks: tuple[str, ...]


def import_all(project: Project, batches: Sequence[ImportBatch], on_progress: Progress) -> ImportedFiles:
    """Import batch by batch, and record all but the last in the history; the caller records that one.

    Raises
    ------
    TomosegError
        If a batch cannot be imported. The error names the tomograms that were imported before.
    """
    imported: list[ImportedTomogram] = []
    for number, (files, request) in enumerate(batches):
        if number:
            append_command(project.layout.history, import_argv(*batches[number - 1], project.layout.root))
        try:
            imported += import_volumes(project, files, request, _batch_progress(on_progress, number, len(batches)))
        except TomosegError as fault:
            if not imported:
                raise
            names = ", ".join(tomogram.name for tomogram in imported)
            raise UsageError(f"{fault.fault} Imported before it: {names}.", fault.fix) from fault
    return ImportedFiles(
        tuple(tomogram.name for tomogram in imported),
        tuple(remark for tomogram in imported for remark in tomogram.remarks),
    )


def _batch_progress(on_progress: Progress, number: int, batch_count: int) -> Progress:
    return lambda fraction: on_progress((number + fraction) / batch_count)
