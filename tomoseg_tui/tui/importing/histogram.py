"""Histogram of densities as bars of block characters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_BINS = 480
"""Number of bins; as many or fewer columns are drawn."""


@dataclass(frozen=True, eq=False)
class DensityHistogram:
    """The distribution of sampled densities."""

    counts: NDArray[np.int64]
    """Shape (bins,): number of densities in each of equal bins from `low` to `high`."""
    low: float
    """The 0.1 percentile, in the unit of the densities; values below it are not counted."""
    high: float
    """The 99.9 percentile, or slightly above `low`."""


def compute_histogram(sample: NDArray[np.generic]) -> DensityHistogram | None:
    """Count the densities of a sample of any shape; None if none is finite. Slow: for threads."""
    finite = sample[np.isfinite(sample)].astype(np.float64)
    if not finite.size:
        return None
    low, high = (float(bound) for bound in np.percentile(finite, (0.1, 99.9)))
    if high <= low:
        low, high = low - 1, low + 1
    counts, _ = np.histogram(finite, bins=_BINS, range=(low, high))
    return DensityHistogram(counts.astype(np.int64), low, high)


def histogram_rows(counts: NDArray[np.int64], columns: int, rows: int) -> list[str]:
    """Draw counts as columns of blocks.

    Parameters
    ----------
    counts : ndarray of int, shape (bins,)
        Number of densities in each bin.
    columns : int
        Width; at most the number of bins.
    rows : int
        Height of the tallest column.

    Returns
    -------
    list of str
        The top row first. A nonempty column is at least an eighth of a row high.
    """
    starts = np.arange(columns) * counts.size // columns
    sums = np.add.reduceat(counts, starts)  # (columns,)
    highest = int(sums.max(initial=0)) or 1
    heights = np.where(sums > 0, np.maximum(np.rint(sums * (8 * rows) / highest), 1), 0).astype(int)  # eighths
    return ["".join(_EIGHTHS[min(max(height - 8 * row, 0), 8)] for height in heights) for row in range(rows)][::-1]


class Histogram(Widget):
    """The histogram of a sample, with both ends named below."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._histogram: DensityHistogram | None = None

    def show(self, histogram: DensityHistogram | None) -> None:
        """Show a histogram, or nothing."""
        self._histogram = histogram
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one row, with as many columns as fit; below them the axis."""
        columns, rows = min(self.size.width, _BINS), self.size.height - 1
        if self._histogram is None or columns < 1 or rows < 1:
            return Strip.blank(self.size.width, self.rich_style)
        low, high = f"{self._histogram.low:.4g}", f"{self._histogram.high:.4g}"
        axis = f"{low}{high:>{max(columns - len(low), 1)}}"
        line = axis if y == rows else histogram_rows(self._histogram.counts, columns, rows)[y]
        return Strip([Segment(line, self.rich_style)])
