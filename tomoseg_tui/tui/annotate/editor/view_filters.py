"""View settings of a tile being painted: filter, contrast, slice and overlay. They change no data."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.project import catalog
from tomoseg_tui.project.file_state import open_tomogram
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.render.greys import MIDDLE_GREY, to_grey, window_from_sample
from tomoseg_tui.tui.canvas.slice_cache import CONTRASTS
from tomoseg_tui.tui.images.tile_images import OVERLAY_MODES
from tomoseg_tui.workflow.annotations.import_annotations import read_tile_values

FILTERS = ("as it is", "smooth", "z-1..z+1")
"""Filters, in the order of the key."""
SMOOTHING_SIGMA = 1.2
"""Sigma of the Gaussian, pixels: less than half the wall of a microtubule at 13.6 Å/voxel."""


@dataclass(frozen=True, eq=False)
class TileSlices:
    """The densities of a tile and of the slices beside it."""

    below: NDArray[np.float32] | None
    """Slice z - 1, sigmas of the tomogram, shape (size, size); None outside the volume."""
    here: NDArray[np.float32]
    """Slice z; 0 outside the volume."""
    above: NDArray[np.float32] | None
    """Slice z + 1."""
    inside: NDArray[np.bool_]
    """Pixels inside the volume."""


def read_tile_slices(layout: ProjectLayout, location: TileLocation) -> TileSlices:
    """Read a tile and the slices beside it; called in threads.

    Raises
    ------
    TomosegError
        If the tomogram cannot be read.
    """
    record = catalog.load_tomogram(layout, location.tomogram)
    cuts = {}
    with open_tomogram(layout, location.tomogram, record) as volume:
        for z in (location.z - 1, location.z, location.z + 1):
            if 0 <= z < record.shape_zyx[0]:
                values, inside = read_tile_values(volume, replace(location, z=z))
                sigmas = (np.nan_to_num(values.astype(np.float32), nan=record.mean) - record.mean) / record.sigma
                cuts[z] = np.where(inside, sigmas, 0).astype(np.float32), inside
    here, inside = cuts.get(
        location.z, (np.zeros((location.size, location.size), np.float32), np.zeros((0,), np.bool_))
    )
    neighbours = [cuts[z][0] if z in cuts else None for z in (location.z - 1, location.z + 1)]
    return TileSlices(
        neighbours[0], here, neighbours[1], np.broadcast_to(inside if inside.size else np.False_, here.shape)
    )


@dataclass(frozen=True)
class ViewSettings:
    """View settings of a tile."""

    filter: int = 0
    """Index into `FILTERS`."""
    contrast: int = 0
    """Index of the contrast."""
    z_offset: int = 0
    """-1 shows the slice below, 1 the one above."""
    overlay: str = OVERLAY_MODES[0]
    """How annotations are shown."""

    def next_filter(self) -> "ViewSettings":
        """Return the settings with the next filter."""
        return replace(self, filter=(self.filter + 1) % len(FILTERS))

    def next_contrast(self) -> "ViewSettings":
        """Return the settings with the next contrast."""
        return replace(self, contrast=(self.contrast + 1) % len(CONTRASTS))

    def next_overlay(self) -> "ViewSettings":
        """Return the settings with the next overlay mode."""
        return replace(self, overlay=OVERLAY_MODES[(OVERLAY_MODES.index(self.overlay) + 1) % len(OVERLAY_MODES)])

    def step_z(self, step: int) -> "ViewSettings":
        """Return the settings one slice up or down, not beyond the neighbours."""
        return replace(self, z_offset=min(max(-1, self.z_offset + step), 1))

    @cached_property
    def description(self) -> str:
        """Differences from the default view as text; empty if there are none."""
        slice_text = {-1: "z-1", 0: "", 1: "z+1"}[self.z_offset]
        filter_text = FILTERS[self.filter] if self.filter else ""
        contrast_text = CONTRASTS[self.contrast][0] if self.contrast else ""
        overlay_text = self.overlay if self.overlay != OVERLAY_MODES[0] else ""
        return " ".join(part for part in (slice_text, filter_text, contrast_text, overlay_text) if part)

    def greys(self, tile_slices: TileSlices) -> NDArray[np.uint8]:
        """Return the selected slice as greys, shape (size, size)."""
        values = self._filtered(tile_slices)
        percent = CONTRASTS[self.contrast][1]
        inside = values[tile_slices.inside]
        grey = to_grey(values, window_from_sample(inside if inside.size else values, percent, 100 - percent))
        return np.where(tile_slices.inside, grey, np.uint8(MIDDLE_GREY))

    def neighbour_greys(self, tile_slices: TileSlices) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None]:
        """Return the slices below and above as greys; None outside the volume."""
        below = replace(self, z_offset=-1).greys(tile_slices) if tile_slices.below is not None else None
        return below, replace(self, z_offset=1).greys(tile_slices) if tile_slices.above is not None else None

    def _filtered(self, tile_slices: TileSlices) -> NDArray[np.float32]:
        selected = {-1: tile_slices.below, 0: tile_slices.here, 1: tile_slices.above}[self.z_offset]
        unfiltered = tile_slices.here if selected is None else selected
        if FILTERS[self.filter] == "smooth":
            from scipy import ndimage  # noqa: PLC0415  # a screen without this filter need not wait for it

            return np.asarray(ndimage.gaussian_filter(unfiltered, SMOOTHING_SIGMA), np.float32)
        if FILTERS[self.filter] == "z-1..z+1" and not self.z_offset:
            slices = [
                values for values in (tile_slices.below, tile_slices.here, tile_slices.above) if values is not None
            ]
            return np.asarray(np.mean(slices, axis=0), np.float32)
        return unfiltered
