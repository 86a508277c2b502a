"""What an apply job keeps while it works: maps in the making, and the list of slices that are on disk.

Whoever applies a network writes here, and screens read here; neither needs to know what a network is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tomoseg_tui.project.records import TomogramRecord, read_record
from tomoseg_tui.workflow.job_interface import FinishedSlabs, slab_ranges
from tomoseg_tui.workflow.volume_names import ZRanges, merge_ranges, parse_z_range

SLAB = 6
"""Slices that are predicted, put on disk and listed together; a multiple of 1, 2 and 3, so that groups of slices
that a network segments at once are not cut."""


class ApplyOutputHeader(msgspec.Struct, frozen=True):
    """What the files in the making began with."""

    kept: dict[str, list[tuple[int, int]]] = {}
    """By feature, slices that were filled already and stay."""
    slab: int = 8
    """Slices of a slab, 8 before this was noted; where it is not today's, the list of finished ones means others."""


@dataclass(frozen=True, eq=False)
class ApplyTask:
    """One tomogram's share of an apply job."""

    tomogram: str
    record: TomogramRecord
    folder: Path
    """Beside the job's network."""
    slabs: Sequence[tuple[int, int]]
    """Ranges of z, the end excluded."""

    @property
    def finished(self) -> FinishedSlabs:
        """Numbers of the slabs that are on disk."""
        return FinishedSlabs(self.folder / "finished.jsonl")

    @property
    def prepared_file(self) -> Path:
        """There as soon as the maps in the making are."""
        return self.folder / "prepared.json"

    @property
    def published_mark(self) -> Path:
        """There as soon as the maps are in their place."""
        return self.folder / "published"

    def draft(self, feature: str) -> Path:
        """Return where the map of a feature is being made."""
        return self.folder / f"{feature}.mrc"

    def claim(self, slab: int) -> Path:
        """Return what a worker holds while it is at a slab."""
        return self.folder / f"slab_{slab}.claim.json"

    def filled(self, feature: str) -> ZRanges:
        """Return the slices of a map in the making that can be read: those kept and those finished."""
        retained = read_record(self.prepared_file, ApplyOutputHeader).kept.get(feature, [])
        return merge_ranges([*retained, *(self.slabs[number] for number in self.finished.read())])


def apply_task(record: TomogramRecord, name: str, folder: Path, z: str | None) -> ApplyTask:
    """Return the share of a tomogram whose results lie in a folder.

    Slabs begin at multiples of `SLAB` counted from slice 0, whatever slices `z` (``A:B``, None for all) names.
    """
    start, stop = parse_z_range(z, record.shape_zyx[0])
    first = start - start % SLAB
    slabs = [(max(a, start), min(b, stop)) for a, b in slab_ranges(first, stop, SLAB)]
    return ApplyTask(name, record, folder, slabs)


def running_task(partial: Path, record: TomogramRecord, name: str, z: str | None) -> ApplyTask | None:
    """Return what a job has of a tomogram so far; None before its maps are begun and after they are published.

    Parameters
    ----------
    partial : Path
        The job's folder for results in the making; in it lies one folder, named after the weights.
    record, name : TomogramRecord, str
        The tomogram.
    z : str or None
        The slices asked for.
    """
    tasks = (apply_task(record, name, folder, z) for folder in partial.glob(f"*/{name}"))
    return next(
        (task for task in tasks if task.prepared_file.exists() and not task.published_mark.exists()),
        None,
    )
