"""What a training set says of itself. Pure."""

from tomoseg_tui.io.trainset_file import TrainsetSummary
from tomoseg_tui.project.records import FilterStep, format_filter_chain
from tomoseg_tui.tui.format import format_time


def summary_line(summary: TrainsetSummary) -> str:
    """Return what tells one set from another in a list."""
    tiles = ", ".join(f"{f} {summary.positive[f]}+ {summary.negative[f]}-" for f in summary.features)
    return f"{tiles}; {summary.held_out} of {summary.tiles} held out; {format_time(summary.created)}"


def detail_lines(summary: TrainsetSummary) -> list[str]:
    """Return all that there is to say, a line a fact."""
    chain = format_filter_chain(tuple(FilterStep(**step) for step in summary.preprocessing))
    return [
        *(f"{f}: {summary.positive[f]} positive tiles, {summary.negative[f]} negative" for f in summary.features),
        f"{summary.tiles} tiles of {summary.tile_size} pixels, from {', '.join(summary.tomograms)}",
        f"{summary.voxel_size_angstrom:g} Å/voxel, protein {summary.polarity}, {chain}",
        f"{summary.held_out} held out: {summary.held_out_reason}",
        *summary.notes,
    ]
