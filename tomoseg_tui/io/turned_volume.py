"""A volume read in another direction than it is stored."""

from dataclasses import replace
from typing import Any, final

from numpy.typing import NDArray

from tomoseg_tui.core.image_matching import Turn
from tomoseg_tui.io.volume_reader import VolumeReader


@final
class TurnedVolume(VolumeReader):
    """A volume whose change of direction is undone as it is read; closing it closes the stored one."""

    def __init__(self, stored: VolumeReader, turn: Turn) -> None:
        depth, height, width = stored.grid.shape_zyx
        shape = (depth, width, height) if turn.is_transposed else (depth, height, width)
        super().__init__(
            stored.path,
            replace(stored.grid, shape_zyx=shape),
            stored.dtype,
            kind=stored.kind,
            warnings=stored.warnings,
            compressed=stored.compressed,
        )
        self._stored, self._turn = stored, turn

    def _read_box(self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> NDArray[Any]:
        z, y, x = (
            corner if step == 1 else length - corner - extent
            for corner, extent, length, step in zip(
                corner_zyx, shape_zyx, self.grid.shape_zyx, self._turn.steps_zyx, strict=True
            )
        )
        depth, height, width = shape_zyx
        if self._turn.is_transposed:
            return self._turn.undo(self._stored.read_region((z, x, y), (depth, width, height)))
        return self._turn.undo(self._stored.read_region((z, y, x), shape_zyx))

    def close(self) -> None:
        """Close the stored volume; closing twice is allowed."""
        self._stored.close()
