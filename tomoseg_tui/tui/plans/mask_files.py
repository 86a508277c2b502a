"""What a file of masks or labels is: read by a thread before anything is imported from it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.names import IGNORE, check_feature_name
from tomoseg_tui.core.tiles import Place
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.io.formats import KNOWN_SUFFIXES, open_stack, open_volume
from tomoseg_tui.io.volumes import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotating import Annotated, import_label_volume, import_masks, label_map
from tomoseg_tui.workflow.volumes import find_volume

MOST_LABELS = 64
"""A volume with more values than this is not taken for labels."""
_PIECE = 1 << 20
"""Voxels that are counted at a time: numpy counts in eight bytes each."""

__all__ = ["IGNORE", "KNOWN_SUFFIXES", "MOST_LABELS", "MaskFile", "MasksWish", "look_at_masks"]


@dataclass(frozen=True)
class MaskFile:
    """A file that can be read, and what is in it."""

    path: Path
    shape_zyx: tuple[int, int, int]
    """Of the volume, or number of masks, y, x."""
    kind: str
    """Type of its values, in words."""
    voxels: Mapping[int, int] = field(default_factory=dict)
    """How many voxels have each value but 0; empty where nobody has counted."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Features of the values, where a label volume of ours tells them."""


@dataclass(frozen=True)
class MasksWish:
    """What is to be imported: a label volume if `labels` has words, else a stack of masks."""

    path: Path
    tomogram: str | None
    """The tomogram whose tiles are annotated; None for `places`."""
    places: tuple[Place, ...] = ()
    labels: tuple[str, ...] = ()
    """Words like ``1=microtubule``."""
    feature: str = ""
    """Of a stack."""
    replace: bool = False

    def words(self) -> list[str]:
        """Return the arguments of the command that does the same."""
        what = [part for word in self.labels for part in ("--map", word)] or ["--feature", self.feature]
        where = ["--tomogram", self.tomogram] if self.tomogram else ["--tiles", *(place.id for place in self.places)]
        return ["annotations", "import", str(self.path), *where, *what, *(["--replace"] if self.replace else [])]

    def check(self) -> None:
        """Refuse what could not be carried out: raise `UsageError` or `ProjectError`."""
        if self.labels:
            label_map(self.labels)
        else:
            check_feature_name(self.feature)

    def carry_out(self, project: Project) -> Annotated:
        """Import; takes a while, so only threads call it."""
        if self.labels and self.tomogram:
            labels = label_map(self.labels)
            return import_label_volume(project, self.path, self.tomogram, labels, replace=self.replace)
        tiles = catalog.tiles_of(project.layout, self.tomogram) if self.tomogram else []
        places = [tile.place for tile in tiles] or list(self.places)
        return import_masks(project, self.path, self.feature, places, replace=self.replace)


def look_at_masks(
    path: Path, volume_shapes: Collection[tuple[int, int, int]], is_over: Callable[[], bool] = lambda: False
) -> MaskFile:
    """Open a file and tell what it is; count the labels if it lies on a tomogram's grid.

    Parameters
    ----------
    path : Path
        MRC, EMAN2 HDF5 or TIFF; a volume or a stack of images.
    volume_shapes : collection of (z, y, x)
        Shapes of the tomograms that it could belong to.
    is_over : callable
        Asked now and then whether nobody wants the answer any more.

    Raises
    ------
    TomosegError
        If the file cannot be read.
    """
    try:
        volume = open_volume(path, flat=True)
    except TomosegError:
        masks = open_stack(path)  # a stack of images in an HDF5 file is no volume
        return MaskFile(path, (len(masks), *masks.shape[1:]), str(masks.dtype))
    with volume:
        shape = volume.grid.shape_zyx
        voxels = _count_values(volume, is_over) if shape in volume_shapes else {}
    names = find_volume(None, str(path)).labels
    known = {int(number): entry.feature for number, entry in names.labels.items()} if names is not None else {}
    return MaskFile(path, shape, volume.kind, voxels, known)


def _count_values(volume: VolumeReader, is_over: Callable[[], bool]) -> dict[int, int]:
    """Return how many voxels have each value but 0; empty if they are too many to be labels."""
    found: dict[int, int] = {}
    for z in range(volume.grid.shape_zyx[0]):
        if is_over() or len(found) > MOST_LABELS:
            return {}
        values = volume.read_slices(z, z + 1).ravel()
        for start in range(0, values.size, _PIECE):
            for value, count in _counts(values[start : start + _PIECE]):
                found[value] = found.get(value, 0) + count
    return dict(sorted((value, count) for value, count in found.items() if value))


def _counts(values: NDArray[np.generic]) -> list[tuple[int, int]]:
    if values.dtype.itemsize == 1:  # counting bytes is much faster than sorting them
        counts = np.bincount(values.view(np.uint8), minlength=256)
        numbers = np.arange(256, dtype=np.uint8).view(values.dtype)
        return [(int(number), int(count)) for number, count in zip(numbers, counts, strict=True) if count]
    whole = np.rint(np.nan_to_num(values.astype(np.float64))).astype(np.int64)
    numbers_there, counts = np.unique(whole, return_counts=True)
    return list(zip(numbers_there.tolist(), counts.tolist(), strict=True))
