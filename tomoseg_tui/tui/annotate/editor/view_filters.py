"""What the eye sees of a tile while it is painted: filters and contrast, for the screen only, never written."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.tiles import Place
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.project import catalog
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.render.greys import MIDDLE_GREY, to_grey, window_from_sample
from tomoseg_tui.tui.canvas.slice_cache import CONTRASTS
from tomoseg_tui.workflow.annotations.import_annotations import cut_slice
from tomoseg_tui.workflow.volume_names import byte_sign_of

FILTERS = ("as it is", "smooth", "z-1..z+1")
"""What the key goes through."""
SMOOTHING = 1.2
"""Sigma of the Gaussian, pixels: less than half the wall of a microtubule at 13.6 Å/voxel."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """The densities of a tile and of the slices beside it."""

    below: NDArray[np.float32] | None
    """Slice z - 1, sigmas of the tomogram, shape (size, size); None outside of the volume."""
    here: NDArray[np.float32]
    """0 where the tile sticks out of the volume."""
    above: NDArray[np.float32] | None
    """Slice z + 1."""
    inside: NDArray[np.bool_]
    """Which pixels lie inside the volume."""


def read_sheet(layout: ProjectLayout, place: Place) -> Sheet:
    """Read a tile and the slices beside it; called in threads.

    Raises
    ------
    TomosegError
        If the tomogram cannot be read.
    """
    record = catalog.tomogram(layout, place.tomogram)
    path = catalog.volume_path(layout, place.tomogram, record)
    cuts = {}
    with open_volume(path, byte_sign=byte_sign_of(record)) as volume:
        for z in (place.z - 1, place.z, place.z + 1):
            if 0 <= z < record.shape_zyx[0]:
                values, inside = cut_slice(volume, replace(place, z=z))
                sigmas = (np.nan_to_num(values.astype(np.float32), nan=record.mean) - record.mean) / record.sigma
                cuts[z] = np.where(inside, sigmas, 0).astype(np.float32), inside
    here, inside = cuts.get(place.z, (np.zeros((place.size, place.size), np.float32), np.zeros((0,), np.bool_)))
    beside = [cuts[z][0] if z in cuts else None for z in (place.z - 1, place.z + 1)]
    return Sheet(beside[0], here, beside[1], np.broadcast_to(inside if inside.size else np.False_, here.shape))


@dataclass(frozen=True)
class Sight:
    """How a sheet is looked at."""

    filter: int = 0
    """Which of `FILTERS`."""
    contrast: int = 0
    """Which of the contrasts of slices."""
    beside: int = 0
    """-1 looks at the slice below, 1 at that above."""

    def next_filter(self) -> "Sight":
        """Return the sight with the next filter."""
        return replace(self, filter=(self.filter + 1) % len(FILTERS))

    def next_contrast(self) -> "Sight":
        """Return the sight with the next contrast."""
        return replace(self, contrast=(self.contrast + 1) % len(CONTRASTS))

    def towards(self, step: int) -> "Sight":
        """Return the sight one slice further up or down, not beyond the neighbours."""
        return replace(self, beside=min(max(-1, self.beside + step), 1))

    def words(self) -> str:
        """Say how it differs from the plain tile; empty if it does not."""
        slice_words = {-1: "z-1", 0: "", 1: "z+1"}[self.beside]
        filtered = FILTERS[self.filter] if self.filter else ""
        contrast = CONTRASTS[self.contrast][0] if self.contrast else ""
        return " ".join(word for word in (slice_words, filtered, contrast) if word)

    def greys(self, sheet: Sheet) -> NDArray[np.uint8]:
        """Return a sheet as greys, shape (size, size)."""
        seen = self._filtered(sheet)
        percent = CONTRASTS[self.contrast][1]
        inside = seen[sheet.inside]
        grey = to_grey(seen, window_from_sample(inside if inside.size else seen, percent, 100 - percent))
        return np.where(sheet.inside, grey, np.uint8(MIDDLE_GREY))

    def beside_greys(self, sheet: Sheet) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None]:
        """Return the slices below and above as they are seen beside the tile; None outside of the volume."""
        below = replace(self, beside=-1).greys(sheet) if sheet.below is not None else None
        return below, replace(self, beside=1).greys(sheet) if sheet.above is not None else None

    def _filtered(self, sheet: Sheet) -> NDArray[np.float32]:
        wanted = {-1: sheet.below, 0: sheet.here, 1: sheet.above}[self.beside]
        plain = sheet.here if wanted is None else wanted
        if FILTERS[self.filter] == "smooth":
            from scipy import ndimage  # noqa: PLC0415  # a screen that only looks need not wait for it

            return np.asarray(ndimage.gaussian_filter(plain, SMOOTHING), np.float32)
        if FILTERS[self.filter] == "z-1..z+1" and not self.beside:
            slices = [part for part in (sheet.below, sheet.here, sheet.above) if part is not None]
            return np.asarray(np.mean(slices, axis=0), np.float32)
        return plain
