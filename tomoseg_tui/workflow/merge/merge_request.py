"""Let the maps of a tomogram compete, and write one label volume. Streams slabs; goes on where it was stopped."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.grid import Grid
from tomoseg_tui.core.merge import HIGHEST, merge_block
from tomoseg_tui.core.names import check_name
from tomoseg_tui.errors import ProjectError, ShapeError, UsageError
from tomoseg_tui.files.atomic import drafted, refuse_existing, sweep_drafts, sync_folder
from tomoseg_tui.io.formats import MRC_SUFFIXES, open_volume
from tomoseg_tui.io.mrc import MrcWriter, copy_sparse
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.records import (
    Conflict,
    LabelEntry,
    LabelSidecar,
    MapSidecar,
    now,
    read_record,
    write_record,
)
from tomoseg_tui.project.software_versions import tested_versions
from tomoseg_tui.workflow.job_interface import FinishedSlabs, Reporter, slab_ranges, stop_if_asked
from tomoseg_tui.workflow.pending_outputs import NOTHING, Promised
from tomoseg_tui.workflow.volume_names import Ranges, common_ranges

SLAB = 8
"""Slices that are settled, put on disk and listed together."""
BLOCK_VOXELS = 2**22
"""Voxels of each map held at a time; with ten maps some 100 MB in all."""


class MapChoice(msgspec.Struct, frozen=True):
    """One map that competes."""

    run: str
    feature: str
    threshold: float


class MergeRequest(msgspec.Struct, frozen=True):
    """Which maps compete, in the order of their labels."""

    tomogram: str
    maps: tuple[MapChoice, ...]
    """Empty if some are still to be made; then `words` names all."""
    name: str = "merged"
    output: str | None = None
    """Also written to this file, as `ProjectLayout.kept` names it."""
    force: bool = False
    words: tuple[str, ...] = ()
    """``RUN[:FEATURE]=T`` of maps that other jobs are still to make; read when the merge begins."""


class _Prepared(msgspec.Struct, frozen=True):
    """Which maps the labels in the making are of."""

    maps: list[MapSidecar]


class _SlabNote(msgspec.Struct, frozen=True):
    """What is listed of a finished slab."""

    voxels: list[int]
    """By label."""
    conflicts: list[list[int]]
    """By winner and loser."""


def merge_request(
    project: Project,
    tomogram: str,
    words: Sequence[str],
    *,
    name: str,
    output: Path | None,
    force: bool,
    promised: Promised = NOTHING,
) -> MergeRequest:
    """Read ``RUN[:FEATURE]=T`` words and check them, before a job is made of them.

    Parameters
    ----------
    project : Project
    tomogram : str
        Whose maps compete.
    words : sequence of str
        The k-th map becomes label k.
    name : str
        Of the label volume.
    output : Path or None
        Where it is written too.
    force : bool
        Replace what is there.
    promised : Promised
        Maps that will be there when the merge begins.

    Raises
    ------
    TomosegError
        If a map does not exist, a threshold is none, or a name is taken by a map.
    """
    project.refuse_newer()
    if not 1 <= len(words) <= HIGHEST:
        raise UsageError(f"{len(words)} maps are named.", "Name 1 to 127: --map RUN=card")
    if tomogram not in promised.tomograms:
        catalog.tomogram(project.layout, tomogram)
    check_label_name(project, tomogram, name)
    if output is not None:
        refuse_result(output, force=force)
    kept = None if output is None else project.layout.kept(output)
    known = [word for word in words if (tomogram, _parts(word)[0]) not in promised.maps]
    choices = tuple(_choice(project, tomogram, word) for word in known)
    if len(known) < len(words):
        return MergeRequest(tomogram, (), name, kept, force, tuple(words))
    return MergeRequest(tomogram, choices, name, kept, force)


def check_label_name(project: Project, tomogram: str, name: str) -> None:
    """Refuse a name for labels that is none, or that of a map.

    Raises
    ------
    TomosegError
        If it is.
    """
    check_name(name, "label volume")
    if sidecar_of(project.layout.maps / tomogram / f"{name}.mrc").exists():
        raise ProjectError(f"{tomogram}/{name} is a map already.", "Choose another --name.")


def _choice(project: Project, tomogram: str, word: str) -> MapChoice:
    run, feature, threshold = _parts(word)
    sidecar = _map_of(project, tomogram, run, feature)
    return MapChoice(sidecar.run, sidecar.feature, sidecar.threshold if threshold is None else threshold)


def _parts(word: str) -> tuple[str, str | None, float | None]:
    """Return run, feature and threshold, None for those that are not said or those of the card."""
    named, equals, threshold = word.rpartition("=")
    run, _, feature = named.partition(":")
    if not equals or not run:
        raise UsageError(f"--map {word} is not understood.", "Write it as RUN=0.5, RUN:FEATURE=0.5 or RUN=card.")
    return run, feature or None, None if threshold == "card" else threshold_of(threshold)


def threshold_of(text: str) -> float:
    """Read a threshold.

    Raises
    ------
    UsageError
        If it is no number from 0 to 1.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"{text!r} is no threshold.", "Take a number from 0 to 1, or the word card.")
    return value


def _map_of(project: Project, tomogram: str, run: str, feature: str | None) -> MapSidecar:
    made = [sidecar for _, sidecar in catalog.maps_of(project.layout, tomogram) if sidecar.run == run]
    fitting = [sidecar for sidecar in made if feature in {None, sidecar.feature}]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        named = ", ".join(f"{run}:{sidecar.feature}" for sidecar in fitting)
        raise UsageError(f"{run} has several maps of {tomogram}: {named}.", "Say which: --map RUN:FEATURE=T")
    if not made:
        catalog.network(project.layout, run)
    wanted = f"{run}:{feature}" if feature else run
    raise ProjectError(f"There is no map of {tomogram} by {wanted}.", f"Make it: tomoseg apply {run} {tomogram}")


def run_merge(project: Project, asked: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Carry out a merge job.

    Returns
    -------
    dict
        ``file``, ``labels`` and ``conflicts``, as `merge --json` prints them.
    """
    request = _with_maps(project, msgspec.convert(asked, MergeRequest))
    paths = [project.layout.map_file(request.tomogram, choice.run, choice.feature) for choice in request.maps]
    sidecars = [read_record(sidecar_of(path), MapSidecar) for path in paths]
    record = catalog.tomogram(project.layout, request.tomogram)
    draft = reporter.partial / "labels.mrc"
    readers = [open_volume(path, byte_sign="signed") for path in paths]
    try:
        for path, reader in zip(paths, readers, strict=True):
            if reader.grid.shape_zyx != record.shape_zyx:
                raise ShapeError(
                    f"{path.name} has shape {reader.grid.shape_zyx}, the tomogram has {record.shape_zyx}.",
                    f"Make the map again: tomoseg apply RUN {request.tomogram}",
                )
        finished = _prepare(draft, record.grid, sidecars)
        _merge_slabs(readers, [choice.threshold for choice in request.maps], draft, finished, reporter)
    finally:
        for reader in readers:
            reader.close()
    filled = _filled(sidecars)
    if filled != [(0, record.shape_zyx[0])]:
        reporter.log(f"All maps together fill z {_in_words(filled)}; elsewhere only those that are filled compete.")
    sidecar = _sidecar(request, sidecars, finished, filled)
    target = project.layout.label_file(request.tomogram, request.name)
    publish(draft, target, sidecar)
    return _result(project, request, target, sidecar, reporter.partial / "output_begun")


def _with_maps(project: Project, request: MergeRequest) -> MergeRequest:
    """Look up maps that were still to be made when they were named."""
    if not request.words:
        return request
    check_label_name(project, request.tomogram, request.name)
    choices = tuple(_choice(project, request.tomogram, word) for word in request.words)
    return msgspec.structs.replace(request, maps=choices)


def _prepare(draft: Path, grid: Grid, sidecars: list[MapSidecar]) -> FinishedSlabs:
    """Make the file that slabs are written into; those of a stopped job stay if they are of the same maps."""
    noted, finished = draft.with_name("prepared.json"), draft.with_name("finished.jsonl")
    prepared = _Prepared(sidecars)
    if not (draft.exists() and noted.exists() and read_record(noted, _Prepared) == prepared):
        noted.unlink(missing_ok=True)
        finished.unlink(missing_ok=True)
        MrcWriter(draft, grid, np.dtype(np.int8), title="tomoseg labels").close()
        write_record(noted, prepared)
    return FinishedSlabs(finished)


def _merge_slabs(
    readers: Sequence[VolumeReader],
    thresholds: Sequence[float],
    draft: Path,
    finished: FinishedSlabs,
    reporter: Reporter,
) -> None:
    slabs = slab_ranges(0, readers[0].grid.shape_zyx[0], SLAB)
    done = finished.all()
    out = MrcWriter.reopen(draft)
    for number, (start, stop) in enumerate(slabs):
        if number in done:
            continue
        stop_if_asked(reporter)
        voxels, conflicts = merge_slab(readers, thresholds, (start, stop), out)
        out.sync()
        finished.add(number, voxels=voxels.tolist(), conflicts=conflicts.tolist())
        reporter.progress((number + 1) / len(slabs), f"slices {start}-{stop - 1}")
    out.close(minimum=0.0, maximum=float(len(readers)), mean=-1.0, rms=-1.0)  # -1: not determined (MRC2014)


def merge_slab(
    readers: Sequence[VolumeReader], thresholds: Sequence[float], z: tuple[int, int], out: MrcWriter
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Settle one slab in bands of rows; return voxels and conflicts by label."""
    start, stop = z
    _, ny, nx = readers[0].grid.shape_zyx
    rows = max(1, BLOCK_VOXELS // (nx * (stop - start)))
    voxels = np.zeros(len(readers), np.int64)
    conflicts = np.zeros((len(readers), len(readers)), np.int64)
    for top in range(0, ny, rows):
        shape = (stop - start, min(rows, ny - top), nx)
        block = merge_block([reader.read_region((start, top, 0), shape) for reader in readers], thresholds)
        if block.voxels.any():  # what nobody claims stays a hole in the file
            out.write_region((start, top, 0), block.labels)
        voxels += block.voxels
        conflicts += block.conflicts
    return voxels, conflicts


def _filled(sidecars: Sequence[MapSidecar]) -> Ranges:
    filled = list(sidecars[0].slices)
    for sidecar in sidecars[1:]:
        filled = common_ranges(filled, sidecar.slices)
    return filled


def _in_words(ranges: Ranges) -> str:
    return ", ".join(f"{start}-{stop - 1}" for start, stop in ranges) or "nothing"


def _sidecar(
    request: MergeRequest, sidecars: Sequence[MapSidecar], finished: FinishedSlabs, filled: Ranges
) -> LabelSidecar:
    notes = [msgspec.convert(note, _SlabNote) for note in finished.all().values()]
    voxels = np.array([note.voxels for note in notes], np.int64).sum(axis=0)  # (k,)
    conflicts = np.array([note.conflicts for note in notes], np.int64).sum(axis=0)  # (k, k)
    return LabelSidecar(
        tomogram=request.tomogram,
        name=request.name,
        labels={
            str(number): LabelEntry(choice.feature, choice.run, choice.threshold, int(voxels[number - 1]))
            for number, choice in enumerate(request.maps, start=1)
        },
        conflicts=[
            Conflict(int(winner) + 1, int(loser) + 1, int(conflicts[winner, loser]))
            for winner, loser in np.argwhere(conflicts)
        ],
        maps={f"{sidecar.run}.{sidecar.feature}": sidecar.weights_digest for sidecar in sidecars},
        slices=filled,
        versions=tested_versions(),
        created=now(),
    )


def publish(draft: Path, target: Path, sidecar: msgspec.Struct) -> None:
    """Put a finished volume and its sidecar in their place; what stood there is replaced.

    The old sidecar goes first, so that at no moment a sidecar speaks of another volume. The draft stays where it
    is, under a second name of the same file: whoever is cut off here can do all of it again, and has left nothing
    beside the target.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    second, told = draft.with_name(f"_{draft.name}"), draft.with_name(f"_{draft.name}.json")
    second.unlink(missing_ok=True)
    second.hardlink_to(draft)
    write_record(told, sidecar)
    sidecar_of(target).unlink(missing_ok=True)
    second.replace(target)
    told.replace(sidecar_of(target))
    sync_folder(target.parent)


def refuse_result(target: Path, *, force: bool) -> None:
    """Refuse a place for a result and its sidecar that is taken, or whose ending promises another format.

    Raises
    ------
    UsageError
        If the name does not end as those of MRC files do.
    ProjectError
        If something is there and not `force`, or the folder does not exist.
    """
    if target.suffix.lower() not in MRC_SUFFIXES:
        raise UsageError(
            f"{target.name} is no name of an MRC file.",
            "Name a file that ends in .mrc; `tomoseg export` writes the other formats afterwards.",
        )
    for path in (target, sidecar_of(target)):
        refuse_existing(path, force=force)


def copy_out(source: Path, target: Path, sidecar: msgspec.Struct, *, begun: Path, force: bool) -> None:
    """Write a result also where the user wants it, with its sidecar beside it.

    Parameters
    ----------
    source, target : Path
    sidecar : Struct
    begun : Path
        A file in the job's folder, made with the first try: what is at `target` after that is the job's own.
    force : bool
        Replace what was there before the job.
    """
    refuse_result(target, force=force or begun.exists())
    begun.touch()
    sweep_drafts(target, sidecar_of(target))
    with drafted(target) as draft:
        copy_sparse(source, draft)
    write_record(sidecar_of(target), sidecar)


def _result(
    project: Project, request: MergeRequest, target: Path, sidecar: LabelSidecar, begun: Path
) -> dict[str, Any]:
    """Return what `merge --json` prints, the copy for the user made."""
    file = target
    if request.output is not None:
        file = project.layout.root / request.output
        copy_out(target, file, sidecar, begun=begun, force=request.force)
    plain = msgspec.to_builtins(sidecar)
    return {"file": project.layout.kept(file), "labels": plain["labels"], "conflicts": plain["conflicts"]}
