"""Files that are to be imported, each with its options; and the commands that import them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tomoseg_tui.core.names import name_from_file
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import remember
from tomoseg_tui.tui.path_completion import movable_word
from tomoseg_tui.workflow.tomograms.import_tomograms import (
    Imported,
    ImportRequest,
    Progress,
    import_volumes,
    is_believed,
)
from tomoseg_tui.workflow.tomograms.preview import FileFacts, read_file_facts

BINNINGS = (1, 2, 3, 4, 5, 6, 8)
"""Voxels averaged along each axis, as the key goes through them."""
BYTE_SIGNS = (None, "signed", "unsigned")
"""How bytes are read: as the header says, or as the user says."""


@dataclass(frozen=True)
class Candidate:
    """One file that is to be imported."""

    path: Path
    request: ImportRequest
    header: FileFacts | None
    """None where the file cannot be read."""
    fault: str = ""
    """Why it cannot be read."""

    @property
    def name(self) -> str:
        """Name that it gets in the project."""
        return self.request.name or name_from_file(self.path.name)

    @property
    def voxel_size_angstrom(self) -> float | None:
        """Å/voxel of the file as far as it is believed."""
        if self.request.voxel_size_angstrom is not None:
            return self.request.voxel_size_angstrom
        said = self.header.grid.voxel_size_angstrom if self.header is not None else 0.0
        return said if is_believed(said) else None

    def with_options(self, **changes: Any) -> "Candidate":
        """Return it with other options."""
        return replace(self, request=replace(self.request, **changes))


def read_candidate(path: Path, request: ImportRequest) -> Candidate:
    """Look at a file that somebody wants to import; takes a moment, so only threads call it."""
    try:
        return Candidate(path, request, read_file_facts(path, byte_sign=request.byte_sign))
    except TomosegError as fault:
        return Candidate(path, request, None, f"{fault.fault} {fault.fix}")


def trouble(candidate: Candidate, taken: Collection[str]) -> tuple[str, str]:
    """Return what keeps a file from being imported, in two words and in a sentence; empty if nothing does."""
    request = candidate.request
    if candidate.header is None:
        return "unreadable", candidate.fault
    if candidate.name in taken:
        return "name taken", f"There is a tomogram {candidate.name} already: n gives another name."
    if candidate.voxel_size_angstrom is None:
        return "voxel size?", "The header says 0 or 1 Å/voxel, which nobody has set: v says what it really is."
    if request.link and candidate.header.compressed:
        return "compressed", "A compressed file cannot be linked: l copies it, unpacked."
    if request.link and request.rewrites:
        return "link?", "A linked file stays as it is, without binning or inverting: l copies it."
    return "", ""


def first_trouble(candidates: Sequence[Candidate], taken: Collection[str]) -> int | None:
    """Return the number of the first file that cannot be imported yet, None if all can."""
    seen = set(taken)
    for number, candidate in enumerate(candidates):
        if trouble(candidate, seen)[0]:
            return number
        seen.add(candidate.name)
    return None


def import_words(files: Sequence[Path], request: ImportRequest, root: Path) -> list[str]:
    """Return the arguments of the command that imports files with these options."""
    words = ["import", *(movable_word(file, root) for file in files)]
    words += ["--name", request.name] if request.name else []
    words += ["--link"] if request.link else []
    voxel_size = request.voxel_size_angstrom
    words += ["--voxel-size", f"{voxel_size:g}"] if voxel_size is not None else []
    words += ["--polarity", request.polarity] if request.polarity != "dark" else []
    words += ["--bin", str(request.factor)] if request.factor != 1 else []
    words += ["--invert"] if request.invert else []
    return words + (["--bytes", request.byte_sign] if request.byte_sign is not None else [])


Batch = tuple[list[Path], ImportRequest]
"""Files of one command."""


def batches(candidates: Sequence[Candidate]) -> list[Batch]:
    """Return the files in their order, neighbours with the same options together."""
    found: list[Batch] = []
    for candidate in candidates:
        if found and candidate.request.name is None and found[-1][1] == candidate.request:
            found[-1][0].append(candidate.path)
        else:
            found.append(([candidate.path], candidate.request))
    return found


@dataclass(frozen=True)
class ImportedFiles:
    """What came in."""

    names: tuple[str, ...]
    remarks: tuple[str, ...]


def import_all(project: Project, wanted: Sequence[Batch], on_progress: Progress) -> ImportedFiles:
    """Import batch by batch, and write all but the last into the history: that one is the caller's.

    Raises
    ------
    TomosegError
        If a batch cannot be imported; those before it are in the project, and that is said.
    """
    done: list[Imported] = []
    for number, (files, request) in enumerate(wanted):
        if number:
            remember(project.layout.history, import_words(*wanted[number - 1], project.layout.root))
        try:
            done += import_volumes(project, files, request, _share(on_progress, number, len(wanted)))
        except TomosegError as fault:
            if not done:
                raise
            names = ", ".join(one.name for one in done)
            raise UsageError(f"{fault.fault} Before it came in: {names}.", fault.fix) from fault
    return ImportedFiles(tuple(one.name for one in done), tuple(remark for one in done for remark in one.remarks))


def _share(on_progress: Progress, number: int, batches_in_all: int) -> Progress:
    return lambda part: on_progress((number + part) / batches_in_all)
