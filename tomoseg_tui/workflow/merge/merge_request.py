"""Merge the maps of a tomogram into one label volume, slab by slab; a stopped job continues with the missing slabs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.core.merge import LARGEST_LABEL, merge_block
from tomoseg_tui.core.names import check_name
from tomoseg_tui.errors import ChangedFileError, ProjectError, ShapeError, UsageError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import find_result_change, require_unchanged
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.publish import copy_to_output, publish_volume, require_result_path
from tomoseg_tui.project.records import (
    Conflict,
    LabelEntry,
    LabelSidecar,
    MapSidecar,
    library_versions,
    now,
    read_record,
    write_record,
)
from tomoseg_tui.workflow.job_interface import (
    NO_PENDING_OUTPUTS,
    FinishedSlabs,
    PendingOutputs,
    Reporter,
    parse_request,
    slab_ranges,
    stop_if_requested,
)
from tomoseg_tui.workflow.volume_names import ZRanges, intersect_ranges

SLAB = 8
"""Slices that are merged, saved and listed together."""
BLOCK_VOXELS = 2**22
"""Voxels of each map in memory at a time; about 100 MB in all for ten maps."""


class MapChoice(msgspec.Struct, frozen=True):
    """One map of a merge."""

    run: str
    feature: str
    threshold: float


class MergeRequest(msgspec.Struct, frozen=True):
    """The maps of a merge, in the order of their labels."""

    tomogram: str
    maps: tuple[MapChoice, ...]
    """Empty if some do not exist yet; then `words` names all of them."""
    name: str = "merged"
    output: str | None = None
    """The labels are also written to this file; a path as `ProjectLayout.stored_path` returns it."""
    force: bool = False
    words: tuple[str, ...] = ()
    """``RUN[:FEATURE]=T`` for each map, if other jobs still have to make some; read when the merge starts."""


class _OutputHeader(msgspec.Struct, frozen=True):
    """The maps that an unfinished label volume was made from."""

    maps: list[MapSidecar]


class _SlabNote(msgspec.Struct, frozen=True):
    """Entry of a finished slab."""

    voxels: list[int]
    """By label."""
    conflicts: list[list[int]]
    """By winner and loser."""


def merge_request(
    project: Project,
    tomogram: str,
    map_specs: Sequence[str],
    *,
    name: str,
    output: Path | None,
    force: bool,
    pending: PendingOutputs = NO_PENDING_OUTPUTS,
) -> MergeRequest:
    """Read and check ``RUN[:FEATURE]=T`` texts before a job is created.

    Parameters
    ----------
    map_specs : sequence of str
        One text per map; the first map gets label 1.
    pending : PendingOutputs
        Maps that will exist when the merge starts.

    Raises
    ------
    TomosegError
        If a map does not exist, a threshold is invalid, or a map has the name already.
    """
    project.require_current_format()
    if not 1 <= len(map_specs) <= LARGEST_LABEL:
        raise UsageError(f"{len(map_specs)} maps were given.", f"Name 1 to {LARGEST_LABEL}: --map RUN=card")
    if tomogram not in pending.tomograms:
        require_unchanged(project.layout, tomogram, catalog.load_tomogram(project.layout, tomogram))
    check_label_name(project, tomogram, name)
    if output is not None:
        require_result_path(output, force=force)
    output_text = None if output is None else project.layout.stored_path(output)
    existing_specs = [
        map_spec for map_spec in map_specs if (tomogram, _parse_map_spec(map_spec)[0]) not in pending.maps
    ]
    choices = tuple(_map_choice(project, tomogram, map_spec) for map_spec in existing_specs)
    if len(existing_specs) < len(map_specs):
        return MergeRequest(tomogram, (), name, output_text, force, tuple(map_specs))
    return MergeRequest(tomogram, choices, name, output_text, force)


def check_label_name(project: Project, tomogram: str, name: str) -> None:
    """Raise an error if a name of a label volume is invalid or belongs to a map.

    Raises
    ------
    TomosegError
        If it is.
    """
    check_name(name, "label volume")
    if sidecar_of(project.layout.maps / tomogram / f"{name}.mrc").exists():
        raise ProjectError(f"{tomogram}/{name} is a map already.", "Choose another --name.")


def _map_choice(project: Project, tomogram: str, map_spec: str) -> MapChoice:
    run, feature, threshold = _parse_map_spec(map_spec)
    sidecar = _find_map(project, tomogram, run, feature)
    return MapChoice(sidecar.run, sidecar.feature, sidecar.threshold if threshold is None else threshold)


def _parse_map_spec(map_spec: str) -> tuple[str, str | None, float | None]:
    """Return run, feature and threshold; the feature is None if not given, the threshold None for the card's."""
    map_name, equals, threshold = map_spec.rpartition("=")
    run, _, feature = map_name.partition(":")
    if not equals or not run:
        raise UsageError(f"--map {map_spec} is not understood.", "Write it as RUN=0.5, RUN:FEATURE=0.5 or RUN=card.")
    return run, feature or None, None if threshold == "card" else parse_threshold(threshold)


def parse_threshold(text: str) -> float:
    """Return a threshold from its text.

    Raises
    ------
    UsageError
        If it is not a number from 0 to 1.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"{text!r} is not a threshold.", "Give a number from 0 to 1, or the word card.")
    return value


def _find_map(project: Project, tomogram: str, run: str, feature: str | None) -> MapSidecar:
    run_sidecars = [sidecar for _, sidecar in catalog.maps_of(project.layout, tomogram) if sidecar.run == run]
    matching = [sidecar for sidecar in run_sidecars if feature in {None, sidecar.feature}]
    if len(matching) == 1:
        _require_unchanged_map(project, matching[0])
        return matching[0]
    if matching:
        options = ", ".join(f"{run}:{sidecar.feature}" for sidecar in matching)
        raise UsageError(f"{run} has several maps of {tomogram}: {options}.", "Name one: --map RUN:FEATURE=T")
    if not run_sidecars:
        catalog.load_network_card(project.layout, run)
    map_text = f"{run}:{feature}" if feature else run
    raise ProjectError(f"There is no map of {tomogram} by {map_text}.", f"Make it: tomoseg apply {run} {tomogram}")


def _require_unchanged_map(project: Project, sidecar: MapSidecar) -> None:
    path = project.layout.map_file(sidecar.tomogram, sidecar.run, sidecar.feature)
    change = find_result_change(project.layout, path, sidecar)
    if change:
        raise ChangedFileError(change, f"Make it again: tomoseg apply {sidecar.run} {sidecar.tomogram}")


def run_merge(project: Project, raw_request: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Run a merge job.

    Returns
    -------
    dict
        ``file``, ``labels`` and ``conflicts``, as `merge --json` prints them.
    """
    request = _resolve_maps(project, parse_request(raw_request, MergeRequest))
    paths = [project.layout.map_file(request.tomogram, choice.run, choice.feature) for choice in request.maps]
    sidecars = [read_record(sidecar_of(path), MapSidecar) for path in paths]
    record = catalog.load_tomogram(project.layout, request.tomogram)
    require_unchanged(project.layout, request.tomogram, record)
    for sidecar in sidecars:
        _require_unchanged_map(project, sidecar)
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
    filled = _filled_slices(sidecars)
    if filled != [(0, record.shape_zyx[0])]:
        reporter.log(
            f"Slices filled in all maps: {_format_ranges(filled)}; others are merged from the maps filled there."
        )
    label_sidecar = _sidecar(request, sidecars, finished, filled)
    target = project.layout.label_file(request.tomogram, request.name)
    publish_volume(draft, target, label_sidecar)
    return _result(project, request, target, label_sidecar, reporter.partial / "output_begun")


def _resolve_maps(project: Project, request: MergeRequest) -> MergeRequest:
    """Find the maps that did not exist yet when they were named."""
    if not request.words:
        return request
    check_label_name(project, request.tomogram, request.name)
    choices = tuple(_map_choice(project, request.tomogram, map_spec) for map_spec in request.words)
    return msgspec.structs.replace(request, maps=choices)


def _prepare(draft: Path, grid: VoxelGrid, sidecars: list[MapSidecar]) -> FinishedSlabs:
    """Create the file for the labels; finished slabs of a stopped job are kept if they were made from the same maps."""
    header_file, finished = draft.with_name("prepared.json"), draft.with_name("finished.jsonl")
    header = _OutputHeader(sidecars)
    if not (draft.exists() and header_file.exists() and read_record(header_file, _OutputHeader) == header):
        header_file.unlink(missing_ok=True)
        finished.unlink(missing_ok=True)
        MrcWriter(draft, grid, np.dtype(np.int8), title="tomoseg labels").close()
        write_record(header_file, header)
    return FinishedSlabs(finished)


def _merge_slabs(
    readers: Sequence[VolumeReader],
    thresholds: Sequence[float],
    draft: Path,
    finished: FinishedSlabs,
    reporter: Reporter,
) -> None:
    slabs = slab_ranges(0, readers[0].grid.shape_zyx[0], SLAB)
    done = finished.read()
    writer = MrcWriter.reopen(draft)
    for number, (start, stop) in enumerate(slabs):
        if number in done:
            continue
        stop_if_requested(reporter)
        voxels, conflicts = merge_slab(readers, thresholds, (start, stop), writer)
        writer.sync()
        finished.add(number, voxels=voxels.tolist(), conflicts=conflicts.tolist())
        reporter.progress((number + 1) / len(slabs), f"slices {start}-{stop - 1}")
    writer.close(minimum=0.0, maximum=float(len(readers)), mean=-1.0, rms=-1.0)  # -1: not determined (MRC2014)


def merge_slab(
    readers: Sequence[VolumeReader], thresholds: Sequence[float], z: tuple[int, int], writer: MrcWriter
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Merge one slab in bands of rows; return the numbers of voxels and conflicts by label."""
    start, stop = z
    _, ny, nx = readers[0].grid.shape_zyx
    rows = max(1, BLOCK_VOXELS // (nx * (stop - start)))
    voxels = np.zeros(len(readers), np.int64)
    conflicts = np.zeros((len(readers), len(readers)), np.int64)
    for top in range(0, ny, rows):
        shape = (stop - start, min(rows, ny - top), nx)
        block = merge_block([reader.read_region((start, top, 0), shape) for reader in readers], thresholds)
        if block.voxels.any():  # an empty block stays a hole in the file
            writer.write_region((start, top, 0), block.labels)
        voxels += block.voxels
        conflicts += block.conflicts
    return voxels, conflicts


def _filled_slices(sidecars: Sequence[MapSidecar]) -> ZRanges:
    filled = list(sidecars[0].slices)
    for sidecar in sidecars[1:]:
        filled = intersect_ranges(filled, sidecar.slices)
    return filled


def _format_ranges(ranges: ZRanges) -> str:
    return ", ".join(f"{start}-{stop - 1}" for start, stop in ranges) or "none"


def _sidecar(
    request: MergeRequest, sidecars: Sequence[MapSidecar], finished: FinishedSlabs, filled: ZRanges
) -> LabelSidecar:
    notes = [msgspec.convert(note, _SlabNote) for note in finished.read().values()]
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
        versions=library_versions(),
        created=now(),
    )


def _result(
    project: Project, request: MergeRequest, target: Path, sidecar: LabelSidecar, begun_mark: Path
) -> dict[str, Any]:
    """Write the user's copy, and return what `merge --json` prints."""
    file = target
    if request.output is not None:
        file = project.layout.root / request.output
        copy_to_output(target, file, sidecar, begun_mark=begun_mark, force=request.force)
    listing = msgspec.to_builtins(sidecar)
    return {"file": project.layout.stored_path(file), "labels": listing["labels"], "conflicts": listing["conflicts"]}
