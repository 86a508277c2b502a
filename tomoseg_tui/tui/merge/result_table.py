"""The result of a merge as a table: labels, voxels, volume, and lost voxels. Pure."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from tomoseg_tui.core.merge import MergedBlock
from tomoseg_tui.project.records import LabelSidecar
from tomoseg_tui.render.colours import Palette
from tomoseg_tui.tui.state.snapshot import TomogramSnapshot

Losses = Mapping[tuple[int, int], int]
"""Voxels by winner and loser, labels from 1."""


def volume_nm3(voxels: int, voxel_size_angstrom: float) -> float:
    """Return the volume of voxels, nm^3."""
    return voxels * (voxel_size_angstrom / 10.0) ** 3


def slice_losses(block: MergedBlock) -> Losses:
    """Return the lost voxels of each pair of labels in a slice."""
    pairs = zip(*block.conflicts.nonzero(), strict=True)
    return {(int(winner) + 1, int(loser) + 1): int(block.conflicts[winner, loser]) for winner, loser in pairs}


def volume_losses(volume: LabelSidecar) -> Losses:
    """Return the lost voxels of each pair of labels in a label volume."""
    return {(conflict.winner, conflict.loser): conflict.voxels for conflict in volume.conflicts}


def result_table(
    palette: Palette, voxel_size_angstrom: float, block: MergedBlock | None, volume: LabelSidecar | None
) -> RenderableType:
    """Return the table of the labels.

    Parameters
    ----------
    block : MergedBlock or None
        The merge of the visible slice; None while it is being read.
    volume : LabelSidecar or None
        The label volume with the same maps and thresholds, if it exists.
    """
    table = RichTable(box=None, pad_edge=False, padding=(0, 1, 0, 0), expand=True, header_style="dim")
    table.add_column("label", no_wrap=True, overflow="ellipsis", ratio=1)
    for title in ("slice", "volume", "nm³"):
        table.add_column(title, justify="right", no_wrap=True)
    for style in palette:
        slice_count = _format_count(int(block.voxels[style.label - 1])) if block is not None else ""
        entry = volume.labels.get(str(style.label)) if volume is not None else None
        cells = (
            [_format_count(entry.voxels), _format_volume(entry.voxels, voxel_size_angstrom)] if entry else ["-", "-"]
        )
        table.add_row(_label(style.label, style.letter, style.name, style.rgb), slice_count, *cells)
    lines = _loss_lines(slice_losses(block) if block else {}, volume_losses(volume) if volume else None)
    return Group(table, Text("\n".join(lines)))


def volume_table(palette: Palette, voxel_size_angstrom: float, volume: LabelSidecar) -> RenderableType:
    """Return the table of a written label volume, from its record."""
    table = RichTable(box=None, pad_edge=False, padding=(0, 1, 0, 0), expand=True, header_style="dim")
    table.add_column("label", no_wrap=True, overflow="ellipsis", ratio=1)
    for title in ("from", "voxels", "nm³"):
        table.add_column(title, justify="right", no_wrap=True)
    for style in palette:
        entry = volume.labels[str(style.label)]
        name = _label(style.label, style.letter, style.name, style.rgb)
        table.add_row(
            name,
            f"{entry.threshold:.2f}",
            _format_count(entry.voxels),
            _format_volume(entry.voxels, voxel_size_angstrom),
        )
    return Group(table, Text("\n".join(_loss_lines({}, volume_losses(volume)))))


def _label(number: int, letter: str, name: str, rgb: tuple[int, int, int]) -> Text:
    return Text.assemble(f"{number} ", (letter, f"bold rgb({rgb[0]},{rgb[1]},{rgb[2]})"), f" {name}")


def _format_count(voxels: int) -> str:
    return f"{voxels:,}"


def _format_volume(voxels: int, voxel_size_angstrom: float) -> str:
    return _format_count(round(volume_nm3(voxels, voxel_size_angstrom)))


def _loss_lines(in_slice: Losses, in_volume: Losses | None) -> Sequence[str]:
    pairs = sorted(set(in_slice) | set(in_volume or {}))
    return [_loss_line(pair, in_slice.get(pair, 0), (in_volume or {}).get(pair)) for pair in pairs] or [
        "no voxel is disputed"
    ]


def _loss_line(pair: tuple[int, int], in_slice: int, in_volume: int | None) -> str:
    winner, loser = pair
    parts = [f"{_format_count(in_slice)} here"] if in_slice else []
    parts += [f"{_format_count(in_volume)} in all"] if in_volume else []
    return f"{loser} lost {', '.join(parts)} to {winner}"


def count_summary(tomogram: TomogramSnapshot) -> str:
    """Return the numbers of maps and label volumes as text."""
    maps, volumes = len(tomogram.maps), len(tomogram.labels)
    return f"{maps} map{'s' * (maps != 1)}, {volumes} label volume{'s' * (volumes != 1)}"
