"""The slices of a tomogram, with its merged maps or a label volume as overlay."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.message import Message

from tomoseg_tui.core.merge import MergedBlock
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import LabelSidecar, MapSidecar
from tomoseg_tui.render.colours import Palette, make_palette
from tomoseg_tui.tui.canvas.panel import CanvasPanel
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.images.map_overlays import LabelSlices, MapSliceCache, MapSource, MergedSlices
from tomoseg_tui.tui.merge.map_selection import MapEntries, chosen_entries
from tomoseg_tui.tui.state.snapshot import TomogramSnapshot


class MergeView(CanvasPanel):
    """A canvas whose overlay follows the thresholds."""

    class SliceCounted(Message):
        """Another slice is shown, or the shown one has been counted."""

    @dataclass
    class _SliceMerged(Message):
        """A slice has been merged in the thread of the canvas."""

        merged: MergedSlices
        z: int
        block: MergedBlock

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes=classes)
        self._slice_cache = MapSliceCache()
        self._tomogram: TomogramSnapshot | None = None
        self._merged: MergedSlices | None = None
        self._blocks: dict[int, MergedBlock] = {}
        self._shown: object = None
        self._title_name = ""
        self.palette: Palette = ()

    def compose(self) -> ComposeResult:
        yield SliceCanvas(id="merge-canvas")

    @property
    def canvas(self) -> SliceCanvas:
        """The canvas."""
        return self.query_one(SliceCanvas)

    @property
    def block(self) -> MergedBlock | None:
        """The merged maps of the visible slice; None while it is being read."""
        return self._blocks.get(self.canvas.z)

    def open_tomogram(self, layout: ProjectLayout, tomogram: TomogramSnapshot) -> None:
        """Show a tomogram without overlay."""
        self._tomogram, self._shown = tomogram, None
        record = tomogram.record
        path = layout.tomogram_folder(tomogram.name) / record.file  # the path of a linked one is absolute, and stays so
        self.canvas.open_volume(path, name=tomogram.name, byte_sign=record.byte_sign)

    def clear_slices(self) -> None:
        """Read maps and labels again: they have changed on disk."""
        self._slice_cache.clear()
        self._shown = None

    def show_maps(self, layout: ProjectLayout, entries: MapEntries, maps: Sequence[MapSidecar]) -> None:
        """Show the merge of the chosen maps in every slice."""
        tomogram, competing = self._tomogram, chosen_entries(entries)
        if tomogram is None or competing == self._shown:
            return
        self._shown, self._blocks, self._title_name = competing, {}, tomogram.name
        slices = {f"{sidecar.run}:{sidecar.feature}": tuple(sidecar.slices) for sidecar in maps}
        sources = [
            MapSource(
                layout.map_file(tomogram.name, entry.run, entry.feature),
                entry.feature,
                entry.threshold,
                slices.get(entry.key, ()),
            )
            for entry in competing
        ]
        self._merged = MergedSlices(sources, tomogram.record.shape_zyx[1:], self._slice_cache, self._post_merged)
        self._show(self._merged, make_palette({label: entry.feature for label, entry in enumerate(competing, start=1)}))

    def show_volume(self, layout: ProjectLayout, volume: LabelSidecar) -> None:
        """Show a written label volume."""
        tomogram = self._tomogram
        if tomogram is None or volume == self._shown:
            return
        self._slice_cache.clear()
        self._shown, self._blocks, self._title_name, self._merged = volume, {}, f"{tomogram.name}/{volume.name}", None
        path = layout.label_file(tomogram.name, volume.name)
        labels = LabelSlices(path, tomogram.record.shape_zyx[1:], self._slice_cache)
        self._show(labels, make_palette({int(number): entry.feature for number, entry in volume.labels.items()}))

    def _show(self, compute: MergedSlices | LabelSlices, palette: Palette) -> None:
        self.palette = palette
        self.canvas.set_overlay(compute, palette)
        self.border_subtitle = "  ".join(f"{style.letter} {style.name}" for style in palette)
        self._update_title()

    def _post_merged(self, merged: MergedSlices, z: int, block: MergedBlock) -> None:
        self.post_message(self._SliceMerged(merged, z, block))

    @on(_SliceMerged)
    def store_block(self, event: _SliceMerged) -> None:
        """Store the result of a slice, unless the choice has changed since."""
        if event.merged is self._merged:
            self._blocks[event.z] = MergedBlock(event.block.labels[:0], event.block.conflicts, event.block.voxels)
            if event.z == self.canvas.z:
                self.post_message(self.SliceCounted())

    @on(SliceCanvas.Moved)
    def show_position(self) -> None:
        """Show the number of the slice."""
        self._update_title()
        self.post_message(self.SliceCounted())

    def _update_title(self) -> None:
        if self._tomogram is not None:
            self.border_title = f"{self._title_name}  z {self.canvas.z}/{self._tomogram.record.shape_zyx[0]}"

    def step(self, slices: int) -> None:
        """Step through the slices."""
        self.canvas.go_to(z=max(0, self.canvas.z + slices))
