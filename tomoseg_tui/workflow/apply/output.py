"""The unfinished output of an apply job: maps in the job's folder, and the list of finished slices.

Runners write here and screens read; neither networks nor TensorFlow are needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tomoseg_tui.project.records import TomogramRecord, read_record
from tomoseg_tui.workflow.job_interface import FinishedSlabs, slab_ranges
from tomoseg_tui.workflow.volume_names import ZRanges, merge_ranges, parse_z_range

SLAB = 6
"""Slices that are predicted, saved and listed together; a multiple of 1, 2 and 3, so that no group of slices that a
network predicts together is divided."""


class ApplyOutputHeader(msgspec.Struct, frozen=True):
    """The initial state of the unfinished maps."""

    kept: dict[str, list[tuple[int, int]]] = {}
    """Per feature, slices that were filled before and stay."""
    slab: int = 8
    """Slices per slab; 8 in old files without it. Finished slabs of another size than today's are not valid."""


@dataclass(frozen=True, eq=False)
class ApplyTask:
    """The part of an apply job that belongs to one tomogram."""

    tomogram: str
    record: TomogramRecord
    folder: Path
    """Folder of the results, next to the job's network."""
    slabs: Sequence[tuple[int, int]]
    """Ranges of z, the end excluded."""

    @property
    def finished(self) -> FinishedSlabs:
        """The saved slabs, by number."""
        return FinishedSlabs(self.folder / "finished.jsonl")

    @property
    def prepared_file(self) -> Path:
        """Exists once the unfinished maps are created."""
        return self.folder / "prepared.json"

    @property
    def published_mark(self) -> Path:
        """Exists once the maps are published."""
        return self.folder / "published"

    def draft(self, feature: str) -> Path:
        """Return the path of the unfinished map of a feature."""
        return self.folder / f"{feature}.mrc"

    def claim(self, slab: int) -> Path:
        """Return the path of the lock that a worker holds while it predicts a slab."""
        return self.folder / f"slab_{slab}.claim.json"

    def filled(self, feature: str) -> ZRanges:
        """Return the readable slices of an unfinished map: those kept and those finished."""
        retained = read_record(self.prepared_file, ApplyOutputHeader).kept.get(feature, [])
        return merge_ranges([*retained, *(self.slabs[number] for number in self.finished.read())])


def apply_task(record: TomogramRecord, name: str, folder: Path, z: str | None) -> ApplyTask:
    """Return the task of one tomogram, with results in `folder`.

    Slabs begin at multiples of `SLAB` from slice 0, whatever slices `z` (``A:B``, None for all) selects.
    """
    start, stop = parse_z_range(z, record.shape_zyx[0])
    first = start - start % SLAB
    slabs = [(max(a, start), min(b, stop)) for a, b in slab_ranges(first, stop, SLAB)]
    return ApplyTask(name, record, folder, slabs)


def running_task(partial: Path, record: TomogramRecord, name: str, z: str | None) -> ApplyTask | None:
    """Return the task of a tomogram in a job; None before its maps are created and after they are published.

    Parameters
    ----------
    partial : Path
        The job's folder for unfinished results; it contains one folder, named after the weights.
    record, name : TomogramRecord, str
        The tomogram.
    z : str or None
        The requested slices.
    """
    tasks = (apply_task(record, name, folder, z) for folder in partial.glob(f"*/{name}"))
    return next(
        (task for task in tasks if task.prepared_file.exists() and not task.published_mark.exists()),
        None,
    )
