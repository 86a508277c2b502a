"""The slices of a tomogram with what its maps, or a label volume, say over them."""

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.message import Message

from tomoseg_tui.core.merge import MergedBlock
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import LabelSidecar, MapSidecar
from tomoseg_tui.render.overlay import Palette, make_palette
from tomoseg_tui.tui.canvas.panel import CanvasPanel
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.images.map_overlays import LabelSlices, MapSource, MergedSlices, SliceCache
from tomoseg_tui.tui.merge.map_selection import Entries, chosen
from tomoseg_tui.tui.state.snapshot import TomogramFacts
from tomoseg_tui.workflow.volume_names import byte_sign_of


class MergeView(CanvasPanel):
    """A canvas whose overlay follows the thresholds."""

    class Counted(Message):
        """Another slice is seen, or the one that is seen has been counted."""

    class _Merged(Message):
        """A slice has been merged in the thread that reads."""

        def __init__(self, by: MergedSlices, z: int, block: MergedBlock) -> None:
            super().__init__()
            self.by, self.z, self.block = by, z, block

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes=classes)
        self._slices = SliceCache()
        self._tomogram: TomogramFacts | None = None
        self._merged: MergedSlices | None = None
        self._blocks: dict[int, MergedBlock] = {}
        self._seen: object = None
        self._name = ""
        self.palette: Palette = ()

    def compose(self) -> ComposeResult:
        """Make the canvas."""
        yield SliceCanvas(id="merge-canvas")

    @property
    def canvas(self) -> SliceCanvas:
        """The canvas."""
        return self.query_one(SliceCanvas)

    @property
    def block(self) -> MergedBlock | None:
        """What the maps came to in the slice that is seen; None while it is being read."""
        return self._blocks.get(self.canvas.z)

    def open_tomogram(self, layout: ProjectLayout, tomogram: TomogramFacts) -> None:
        """Show a tomogram, nothing over it yet."""
        self._tomogram, self._seen = tomogram, None
        record = tomogram.record
        path = layout.tomogram_folder(tomogram.name) / record.file  # a linked one's is absolute, and stays so
        self.canvas.open_volume(path, name=tomogram.name, byte_sign=byte_sign_of(record))

    def forget_slices(self) -> None:
        """Read maps and labels anew: they have changed on disk."""
        self._slices.clear()
        self._seen = None

    def show_maps(self, layout: ProjectLayout, entries: Entries, maps: Sequence[MapSidecar]) -> None:
        """Let the chosen maps compete in every slice that is seen."""
        tomogram, competing = self._tomogram, chosen(entries)
        if tomogram is None or competing == self._seen:
            return
        self._seen, self._blocks, self._name = competing, {}, tomogram.name
        slices = {f"{made.run}:{made.feature}": tuple(made.slices) for made in maps}
        sources = [
            MapSource(
                layout.map_file(tomogram.name, one.run, one.feature),
                one.feature,
                one.threshold,
                slices.get(one.key, ()),
            )
            for one in competing
        ]
        self._merged = MergedSlices(sources, tomogram.record.shape_zyx[1:], self._slices, self._tell)
        self._show(self._merged, make_palette({k: one.feature for k, one in enumerate(competing, start=1)}))

    def show_volume(self, layout: ProjectLayout, volume: LabelSidecar) -> None:
        """Show a label volume that is written."""
        tomogram = self._tomogram
        if tomogram is None or volume == self._seen:
            return
        self._slices.clear()
        self._seen, self._blocks, self._name, self._merged = volume, {}, f"{tomogram.name}/{volume.name}", None
        path = layout.label_file(tomogram.name, volume.name)
        labels = LabelSlices(path, tomogram.record.shape_zyx[1:], self._slices)
        self._show(labels, make_palette({int(number): one.feature for number, one in volume.labels.items()}))

    def _show(self, compute: MergedSlices | LabelSlices, palette: Palette) -> None:
        self.palette = palette
        self.canvas.set_overlay(compute, palette)
        self.border_subtitle = "  ".join(f"{style.letter} {style.name}" for style in palette)
        self._title()

    def _tell(self, by: MergedSlices, z: int, block: MergedBlock) -> None:
        self.post_message(self._Merged(by, z, block))

    @on(_Merged)
    def keep_block(self, event: _Merged) -> None:
        """Keep what a slice came to, unless the choice has changed since."""
        if event.by is self._merged:
            self._blocks[event.z] = MergedBlock(event.block.labels[:0], event.block.conflicts, event.block.voxels)
            if event.z == self.canvas.z:
                self.post_message(self.Counted())

    @on(SliceCanvas.Moved)
    def take_place(self) -> None:
        """Say which slice is seen."""
        self._title()
        self.post_message(self.Counted())

    def _title(self) -> None:
        if self._tomogram is not None:
            self.border_title = f"{self._name}  z {self.canvas.z}/{self._tomogram.record.shape_zyx[0]}"

    def step(self, slices: int) -> None:
        """Go through the slices."""
        self.canvas.go_to(z=max(0, self.canvas.z + slices))
