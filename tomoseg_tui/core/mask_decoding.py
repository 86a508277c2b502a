"""What the numbers in a file of masks mean: every program writes its own. Arrays only; files are io's business.

::

    0 and one other number          that number is the feature: 0/1, 0/255, 0/100 of EMAN2's pen, 0/-1
    -128 among whole numbers        bytes written signed, as IMOD does: -128 is 0, so -128/-127 is 0/1
    fractions from 0 to 1           probabilities, the feature from 0.5 on
    fractions, some of 99 or more   densities painted on in EMAN2: it takes 99 and more as painted, and so do we
    several whole numbers           labels: nobody can know which is which, so the user is asked

The whole file is judged at once, since a single mask of it may be empty or full.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import UsageError

MAX_LABELS = 255
"""A file with more values than this holds no labels: one byte has no more."""
EMAN2_PAINTED = 99.0
"""From here on EMAN2 takes a pixel as painted; its pen writes 100."""
FEATURE_PROBABILITY = 0.5
"""Probability from which a pixel is taken as the feature."""
_SIGNED_ZERO = -128
"""What unsigned 0 becomes where bytes are written signed."""
_PROBABILITY_TOLERANCE = 1e-3
"""How far a probability may leave 0..1 by rounding."""
_MAX_LISTED = 8
"""Values that a fault names."""
_CHUNK = 1 << 20
"""Numbers that are looked at at a time."""

Mask = NDArray[np.bool_]


class AmbiguousMaskError(UsageError):
    """A file holds several values, and nobody has said which is the feature."""


@dataclass(frozen=True)
class MaskRule:
    """Which values are the feature."""

    to_mask: Callable[[NDArray[np.generic]], Mask]
    """From values to a mask of the same shape; what is not finite is not the feature."""
    remark: str = ""
    """What was assumed, in words; empty where nothing but 0/1 or 0/255 was found."""


def foreground_mask(values: NDArray[np.generic], *, name: str = "The file", command: str = "") -> tuple[Mask, str]:
    """Tell the feature from the rest in masks of one feature, as whichever program wrote them.

    Parameters
    ----------
    values : ndarray of any real type, any shape
        All masks of the file.
    name : str
        What the user calls the file, for remarks and faults.
    command : str
        The command that the user has typed, to be repeated with more options.

    Returns
    -------
    ndarray of bool, the same shape
        True where the feature is.
    str
        What was assumed, empty where nothing had to be.

    Raises
    ------
    AmbiguousMaskError
        If there are several values that could be the feature.

    Examples
    --------
    >>> mask, remark = foreground(np.array([[-128, -127]], np.int8))
    >>> mask.tolist()
    [[False, True]]
    """
    tally = ValueTally()
    tally.add(values)
    rule = tally.rule(name, command)
    return rule.to_mask(values), rule.remark


def painted_mask(values: NDArray[np.generic], *, name: str = "The stack") -> Mask:
    """Return what was painted into a stack of densities with EMAN2's pen.

    Raises
    ------
    AmbiguousMaskError
        If the densities themselves come near 99, so that nobody can tell; EMAN2 would take them as painted too.
    """
    tally = ValueTally()
    tally.add(values)
    if tally.has_high_densities:
        raise AmbiguousMaskError(
            f"The densities of {name} reach 99 by themselves, so that what is painted with 100 cannot be told.",
            "Export the tiles again, which normalises them, and paint on that stack.",
        )
    return np.asarray(values >= EMAN2_PAINTED)  # type: ignore[operator]


@final
class ValueTally:
    """Counts the values of a file, piece by piece, and judges them as a whole."""

    def __init__(self) -> None:
        self._counts: dict[float, int] | None = {}
        self._low, self._high = np.inf, -np.inf
        self._unpainted_count, self._unpainted_sum, self._unpainted_squares = 0, 0.0, 0.0

    def add(self, values: NDArray[np.generic]) -> None:
        """Count more values, of any real type and shape."""
        flat = np.asarray(values).ravel()
        for start in range(0, flat.size, _CHUNK):
            self._add_chunk(flat[start : start + _CHUNK])

    def _add_chunk(self, values: NDArray[np.generic]) -> None:
        if values.dtype.kind == "f":
            values = values[np.isfinite(values)]
        if values.size == 0:
            return
        self._low, self._high = min(self._low, float(values.min())), max(self._high, float(values.max()))
        unpainted = values[values < EMAN2_PAINTED].astype(np.float64)  # type: ignore[operator]
        self._unpainted_count += unpainted.size
        self._unpainted_sum += float(unpainted.sum())
        self._unpainted_squares += float(np.square(unpainted).sum())
        if self._counts is not None:
            for value, count in _count_values(values):
                self._counts[value] = self._counts.get(value, 0) + count
            if len(self._counts) > MAX_LABELS + 1:
                self._counts = None

    @property
    def labels(self) -> Mapping[int, int]:
        """How many pixels have each value but the background; empty where the values are no labels."""
        counts, zero = self._counts or {}, self._zero
        if any(value != int(value) for value in counts):
            return {}
        return {int(value): count for value, count in sorted(counts.items()) if value != zero}

    @property
    def has_many_values(self) -> bool:
        """Whether there are more values than labels can have."""
        return self._counts is None

    @property
    def has_high_densities(self) -> bool:
        """Whether values below 99 come so near to it that densities may lie beyond."""
        if self._unpainted_count == 0:
            return True
        mean = self._unpainted_sum / self._unpainted_count
        sigma = np.sqrt(max(self._unpainted_squares / self._unpainted_count - mean**2, 0.0))
        return bool(mean + 4 * sigma >= EMAN2_PAINTED)

    @property
    def _is_signed(self) -> bool:
        """Whether unsigned bytes were written signed, so that -128 stands for 0."""
        counts = self._counts or {}
        are_integers = all(value == int(value) for value in counts)
        return are_integers and _SIGNED_ZERO in counts and self._low == _SIGNED_ZERO and self._high <= 127

    @property
    def _zero(self) -> int:
        return _SIGNED_ZERO if self._is_signed else 0

    def rule(self, name: str = "The file", command: str = "") -> MaskRule:
        """Judge the values as masks of one feature.

        Raises
        ------
        AmbiguousMaskError
            If there are several values that could be the feature.
        """
        zero = self._zero
        feature_values = [value for value in self._counts if value != zero] if self._counts is not None else None
        if feature_values is not None and len(feature_values) <= 1:
            return self._single_value_rule(feature_values[0] if feature_values else None, name)
        if feature_values is None or not self.labels:
            return self._fraction_rule(name)
        raise AmbiguousMaskError(
            f"{name} holds {len(feature_values)} values besides {zero}: {_list_values(self.labels)}.",
            f"Say which is which: {command or 'tomoseg annotations import FILE'} {format_label_map(self.labels)}",
        )

    def _single_value_rule(self, value: float | None, name: str) -> MaskRule:
        if value is None:
            return MaskRule(_empty_mask, f"{name} is empty: not one pixel is marked.")
        remark = "" if value in {1, 255} else f"{name}: {value:g} is taken as the feature."
        if self._is_signed:
            remark = f"{name}: bytes written signed, as IMOD does; {value:g} is taken as the feature, -128 as the rest."
        tolerance = 1e-5 * abs(value)
        return MaskRule(lambda values: np.asarray(np.abs(values.astype(np.float64) - value) <= tolerance), remark)

    def _fraction_rule(self, name: str) -> MaskRule:
        if self._low >= -_PROBABILITY_TOLERANCE and self._high <= 1 + _PROBABILITY_TOLERANCE:
            remark = f"{name}: values from {self._low:g} to {self._high:g} are taken as probabilities, 0.5 and above "
            return MaskRule(lambda values: np.asarray(values >= FEATURE_PROBABILITY), remark + "as the feature.")  # type: ignore[operator]
        if self._high >= EMAN2_PAINTED and not self.has_high_densities:
            remark = f"{name}: densities painted on; 99 and above is taken as the feature, as EMAN2 does."
            return MaskRule(lambda values: np.asarray(values >= EMAN2_PAINTED), remark)  # type: ignore[operator]
        raise AmbiguousMaskError(
            f"{name} holds many values from {self._low:g} to {self._high:g}: neither masks nor probabilities.",
            "Save the masks as 0 and 1, or labels as whole numbers up to 255.",
        )


def _empty_mask(values: NDArray[np.generic]) -> Mask:
    return np.zeros(values.shape, np.bool_)


def _count_values(values: NDArray[np.generic]) -> list[tuple[float, int]]:
    """Return each value with its count; fractions to six digits, so that rounding makes no new ones."""
    if values.dtype.itemsize == 1:  # counting bytes is much faster than sorting them
        counts = np.bincount(values.view(np.uint8), minlength=256)
        numbers = np.arange(256, dtype=np.uint8).view(values.dtype if values.dtype.kind != "b" else np.uint8)
        return [(float(number), int(count)) for number, count in zip(numbers, counts, strict=True) if count]
    unique_values, counts = np.unique(values, return_counts=True)
    if len(unique_values) > 4 * MAX_LABELS:  # no labels: a few more than allowed tell as much as all
        unique_values, counts = unique_values[: 2 * MAX_LABELS], counts[: 2 * MAX_LABELS]
    return [(_round_value(float(value)), int(count)) for value, count in zip(unique_values, counts, strict=True)]


def _round_value(value: float) -> float:
    return value if value == int(value) else float(f"{value:.6g}")


def _list_values(labels: Mapping[int, int]) -> str:
    """Return values with their counts, the first few."""
    parts = [f"{format_mask_value(value)} ({count:,})" for value, count in list(labels.items())[:_MAX_LISTED]]
    more = f" and {len(labels) - _MAX_LISTED} more" if len(labels) > _MAX_LISTED else ""
    return f"{', '.join(parts)}{more}"


def format_label_map(labels: Mapping[int, int]) -> str:
    """Return the options that would say which value is which, to be filled in."""
    options = [_map_option(value) for value in list(labels)[:_MAX_LISTED]]
    return " ".join(options) + (" ..." if len(labels) > _MAX_LISTED else "")


def _map_option(value: int) -> str:
    text = format_mask_value(value)
    if value < 0:  # a word that begins with a dash would be taken for an option
        return f"--map={text}=FEATURE"
    return f"--map '{text}=FEATURE'" if text.startswith("#") else f"--map {text}=FEATURE"


COLOUR_OFFSET = 1 << 24
"""Added to a colour 0xRRGGBB, so that colours are labels of their own and #000001 is not the label 1."""


def format_mask_value(value: int) -> str:
    """Return a label as it is typed: the number, or ``#rrggbb`` for a colour."""
    return f"#{value - COLOUR_OFFSET:06x}" if COLOUR_OFFSET <= value < 2 * COLOUR_OFFSET else str(value)


def parse_mask_value(text: str) -> int:
    """Return the label that a number or ``#rrggbb`` names; a word of another form is a ValueError."""
    return COLOUR_OFFSET + int(text[1:], 16) if text.startswith("#") else int(text)
