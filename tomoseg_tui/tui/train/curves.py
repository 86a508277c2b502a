"""Curves of a training in braille dots: loss on a log scale beside Dice, the best epoch marked.

Lines differ by a letter at their end and by their dash pattern, not by colour alone. The drawing time
depends on the number of columns, not of epochs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.widget import Widget

from tomoseg_tui.render.colours import make_palette
from tomoseg_tui.tui.canvas.draw_style import draw_style_for
from tomoseg_tui.tui.train.runs import Epoch, best_epoch

DOTS_Y, DOTS_X = 4, 2
"""Braille dots per cell."""
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint16)
"""Bit of each dot of a cell, (y, x): the Unicode Standard, block Braille Patterns, U+2800."""
_DASHES = ((1, 1), (2, 3), (1, 2), (3, 5))
"""Dash pattern of each line: how many cells of how many are drawn."""
_AXIS_COLUMNS = 6
"""Columns for the numbers left of a plot."""
_SIDE_BY_SIDE_COLUMNS = 60
"""Below this width the two plots are stacked, if there are enough rows."""
_STACKED_ROWS = 10
_SQUARE = 4
"""Columns per row below which two stacked plots are closer to twice as wide as high than two side by side."""
_TRAINING_RGB, _VALIDATION_RGB = (230, 159, 0), (86, 180, 233)


@dataclass(frozen=True)
class PlotLine:
    """One line of a plot."""

    letter: str
    """Its letter at the end and in the legend."""
    name: str
    points: tuple[tuple[float, float], ...]
    """x and y, by x; epochs without a value are left out."""
    rgb: tuple[int, int, int]
    dashes: int = 0
    """Index of its dash pattern."""

    @property
    def last_value(self) -> float | None:
        """The newest value."""
        return self.points[-1][1] if self.points else None


@dataclass(frozen=True)
class Plot:
    """Lines over the epochs."""

    title: str
    lines: tuple[PlotLine, ...]
    x_last: int
    """Last epoch of the axis; the first is 1."""
    y_range: tuple[float, float]
    """Values at the bottom and the top."""
    is_log: bool = False
    best: int | None = None
    """Epoch to mark."""


def loss_plot(epochs: Sequence[Epoch], x_last: int) -> Plot:
    """Return the losses of a training, on a log scale; on a linear one if a loss is negative, as with EMAN2's."""
    training = _points((epoch.epoch, epoch.training_loss) for epoch in epochs)
    validation = _points((epoch.epoch, epoch.held_out_loss) for epoch in epochs)
    lines = (
        PlotLine("T", "training", training, _TRAINING_RGB, dashes=1),
        PlotLine("V", "validation", validation, _VALIDATION_RGB),
    )
    values = [y for line in lines for _, y in line.points]
    is_log = all(value > 0 for value in values)
    return Plot("loss", lines, x_last, _padded_range(values, is_log=is_log), is_log=is_log, best=best_epoch(epochs))


def dice_plot(epochs: Sequence[Epoch], x_last: int, features: Sequence[str]) -> Plot:
    """Return the held-out Dice of a training, one line per feature, from 0 to 1; letters are those of the project."""
    styles = {style.name: style for style in make_palette(dict(enumerate(features, start=1)))}
    measured = [name for name in styles if any(name in epoch.held_out_dice for epoch in epochs)]
    lines = tuple(
        PlotLine(
            styles[name].letter,
            name,
            _points((epoch.epoch, epoch.held_out_dice.get(name)) for epoch in epochs),
            styles[name].rgb,
            dashes=number % len(_DASHES),
        )
        for number, name in enumerate(measured)
    )
    return Plot("dice", lines, x_last, (0.0, 1.0), best=best_epoch(epochs))


def _points(pairs: Iterable[tuple[int, float | None]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in pairs if y is not None)


def _padded_range(values: Sequence[float], *, is_log: bool) -> tuple[float, float]:
    """Return the range of some values; if they are nearly equal, a range around them."""
    low, high = min(values, default=0.1), max(values, default=1.0)
    if high - low > 0.05 * abs(high):
        return low, high
    return (low / 1.5, high * 1.5) if is_log else (low - 0.5, high + 0.5)


def column_spans(
    line: PlotLine, plot: Plot, dots_yx: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return which dots of each column a line covers.

    Parameters
    ----------
    dots_yx : tuple of int
        Number of dots of the picture.

    Returns
    -------
    columns, highest, lowest : ndarray of int, shape (c,)
        Columns that the line crosses, and the first and last row of dots in each, counted from the top. Of
        several epochs in a column, the extremes are drawn; neighbouring columns are joined half way.
    """
    height, width = dots_yx
    values = np.array(line.points)  # (n, 2)
    x = (values[:, 0] - 1) / max(plot.x_last - 1, 1) * (width - 1)
    rows = (1 - _fractions(values[:, 1], plot)) * (height - 1)
    positions = np.clip(np.rint(x), 0, width - 1).astype(np.intp)
    columns = np.arange(positions[0], positions[-1] + 1)
    level = np.interp(columns, x, rows)
    middle = (level[1:] + level[:-1]) / 2
    highest = np.minimum(level, np.minimum(np.r_[level[0], middle], np.r_[middle, level[-1]]))
    lowest = np.maximum(level, np.maximum(np.r_[level[0], middle], np.r_[middle, level[-1]]))
    np.minimum.at(highest, positions - positions[0], rows)
    np.maximum.at(lowest, positions - positions[0], rows)
    return columns, np.rint(highest).astype(np.intp), np.rint(lowest).astype(np.intp)


def _fractions(values: NDArray[np.float64], plot: Plot) -> NDArray[np.float64]:
    """Return the position of values between the bottom (0) and the top (1) of a plot."""
    low, high = plot.y_range
    if plot.is_log:
        values, low, high = np.log(np.maximum(values, low)), float(np.log(low)), float(np.log(high))
    return np.clip((values - low) / (high - low), 0, 1)


def draw_lines(plot: Plot, cells_yx: tuple[int, int], *, ascii_only: bool) -> tuple[NDArray[np.str_], NDArray[np.intp]]:
    """Draw the lines of a plot.

    Parameters
    ----------
    cells_yx : tuple of int
        Rows and columns, each at least 1.
    ascii_only : bool
        Draw with the lines' letters alone, for terminals without braille.

    Returns
    -------
    characters : ndarray of str, shape (rows, columns)
    owners : ndarray of int, shape (rows, columns)
        Index of the line in each cell, -1 for none.
    """
    rows, columns = cells_yx
    bits = np.zeros(cells_yx, np.uint16)
    characters, owners = np.full(cells_yx, " "), np.full(cells_yx, -1, np.intp)
    for number, line in reversed(list(enumerate(plot.lines))):
        if not line.points:
            continue
        lit = _dots(line, plot, (rows * DOTS_Y, columns * DOTS_X))
        line_bits = np.einsum("rycx,yx->rc", lit.reshape(rows, DOTS_Y, columns, DOTS_X), _BITS).astype(np.uint16)
        bits |= line_bits
        owners[line_bits > 0] = number
        characters[line_bits > 0] = line.letter
    if not ascii_only:
        characters = np.where(bits > 0, np.array([chr(0x2800 + bit) for bit in range(256)])[bits], " ")
    _letter_ends(plot, characters, owners)
    return characters, owners


def _dots(line: PlotLine, plot: Plot, dots_yx: tuple[int, int]) -> NDArray[np.bool_]:
    lit = np.zeros(dots_yx, np.bool_)
    drawn, period = _DASHES[line.dashes]
    columns, highest, lowest = column_spans(line, plot, dots_yx)
    is_drawn = (columns // DOTS_X) % period < drawn
    is_drawn[-1] = True
    for column, top, bottom in zip(columns[is_drawn], highest[is_drawn], lowest[is_drawn], strict=True):
        lit[top : bottom + 1, column] = True
    return lit


def _letter_ends(plot: Plot, characters: NDArray[np.str_], owners: NDArray[np.intp]) -> None:
    """Put each line's letter at its end; if two end in one cell, the second moves back."""
    rows, columns = characters.shape
    occupied: set[tuple[int, int]] = set()
    for number, line in enumerate(plot.lines):
        if not line.points:
            continue
        line_columns, highest, lowest = column_spans(line, plot, (rows * DOTS_Y, columns * DOTS_X))
        cell = (int(highest[-1] + lowest[-1]) // 2 // DOTS_Y, int(line_columns[-1]) // DOTS_X)
        while cell in occupied and cell[1] > 0:
            cell = cell[0], cell[1] - 1
        occupied.add(cell)
        characters[cell], owners[cell] = line.letter, number


def _format_number(value: float) -> str:
    """Return a number of the axis, at most 5 characters."""
    if 0.01 <= abs(value) < 10 or value == 0:
        return f"{value:.2f}"
    if 10 <= abs(value) < 1000:
        return f"{value:.0f}"
    return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")


def draw_plot(plot: Plot, columns: int, rows: int, *, ascii_only: bool = False) -> list[Text]:
    """Draw a plot with legend, axes and a mark at the best epoch.

    Parameters
    ----------
    columns, rows : int
        Size in cells, at least 12 columns and 3 rows.

    Returns
    -------
    list of Text
        One line per row, of the given width.
    """
    if columns < 12 or rows < 3:
        return [Text(" " * columns) for _ in range(rows)]
    inner = columns - _AXIS_COLUMNS
    cells, owners = draw_lines(plot, (rows - 2, inner), ascii_only=ascii_only)
    low, high = plot.y_range
    lines = [_legend(plot, columns)]
    for row in range(rows - 2):
        number = _format_number(high) if row == 0 else _format_number(low) if row == rows - 3 else ""
        text = Text(f"{number:>{_AXIS_COLUMNS - 1}}", "dim")
        text.append("|" if ascii_only else "│", "dim")
        text.append_text(_coloured(cells[row], owners[row], plot.lines))
        lines.append(text)
    lines.append(Text(" " * _AXIS_COLUMNS).append_text(_axis(plot, inner, ascii_only=ascii_only)))
    return lines


def _coloured(characters: NDArray[np.str_], owners: NDArray[np.intp], lines: Sequence[PlotLine]) -> Text:
    text = Text()
    for owner, group in groupby(zip(characters, owners, strict=True), key=lambda cell: int(cell[1])):
        segment = "".join(character for character, _ in group)
        text.append(segment, _style(lines[owner]) if owner >= 0 else "")
    return text


def _style(line: PlotLine) -> Style:
    return Style(color="#{:02x}{:02x}{:02x}".format(*line.rgb))


def _legend(plot: Plot, columns: int) -> Text:
    """Return the title and the lines with their newest values; if narrow, without names, digits, then values."""
    for named, digits, gap in ((True, 3, "  "), (False, 3, "  "), (False, 2, " "), (False, 0, " ")):
        text = Text(f"{plot.title:<{_AXIS_COLUMNS}}", "bold")
        for line in plot.lines:
            value = "" if line.last_value is None or not digits else f" {line.last_value:.{digits}g}"
            text.append(line.letter, Style(bold=True) + _style(line))
            text.append(f"{f' {line.name}' if named else ''}{value}{gap}", _style(line))
        if text.cell_len - len(gap) <= columns:
            break
    text.truncate(columns, pad=True)
    return text


def _axis(plot: Plot, columns: int, *, ascii_only: bool) -> Text:
    """Return the axis below: first and last epoch, and the best one at its place."""
    labels = Text(f"1{plot.x_last:>{columns - 1}}", "dim")
    if plot.best is None:
        return labels
    column = round((plot.best - 1) / max(plot.x_last - 1, 1) * (columns - 1))
    arrow = "^" if ascii_only else "▲"
    mark = f"{arrow}best {plot.best}"
    start = column if column + len(mark) <= columns else max(0, column - len(mark) + 1)
    marker = Text(mark if start == column else f"{mark[1:]}{arrow}", "bold")
    end = start + len(mark)
    tail = labels[end:] if end < columns - len(str(plot.x_last)) else Text(" " * (columns - end))
    return Text.assemble(labels[:start], marker, tail)


class Curves(Widget):
    """Loss and Dice of one training; two plots side by side, or stacked if the widget is narrow."""

    DEFAULT_CSS = "Curves { height: 1fr; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._plots: tuple[Plot, Plot] | None = None
        self._empty_text = ""

    def show(
        self, epochs: Sequence[Epoch], total: int | None, features: Sequence[str], *, empty_text: str = ""
    ) -> None:
        """Draw these epochs.

        Parameters
        ----------
        epochs : sequence of Epoch
            Finished epochs.
        total : int or None
            Planned number of epochs, the length of the axis; the finished ones if None.
        features : sequence of str
            Features of the project; their order sets letters and colours.
        empty_text : str
            Text to show while there is no epoch.
        """
        x_last = max([total or 1, *(epoch.epoch for epoch in epochs)])
        plots = (loss_plot(epochs, x_last), dice_plot(epochs, x_last, features)) if epochs else None
        if (plots, empty_text) != (self._plots, self._empty_text):
            self._plots, self._empty_text = plots, empty_text
            self.refresh()

    def render(self) -> RenderResult:
        """Draw at the current size."""
        width, height = self.size
        ascii_only = draw_style_for(self.app).renderer == "ascii"
        if self._plots is None:
            return Text(self._empty_text, "dim")
        loss, dice = self._plots
        if not dice.lines or all(line.last_value is None for line in dice.lines):
            return Text("\n").join(draw_plot(loss, width, height, ascii_only=ascii_only))
        if height >= _STACKED_ROWS and width < max(_SIDE_BY_SIDE_COLUMNS, _SQUARE * height):
            upper = height // 2
            plots = [(loss, width, upper), (dice, width, height - upper)]
            return Text("\n").join(
                line for plot, columns, rows in plots for line in draw_plot(plot, columns, rows, ascii_only=ascii_only)
            )
        left = (width - 2) // 2
        halves = zip(
            draw_plot(loss, left, height, ascii_only=ascii_only),
            draw_plot(dice, width - 2 - left, height, ascii_only=ascii_only),
            strict=True,
        )
        return Text("\n").join(Text.assemble(left_line, "  ", right_line) for left_line, right_line in halves)
