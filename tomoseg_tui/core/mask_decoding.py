"""Decode mask files, whose values have a different meaning in every program. Arrays only; `io` reads the files.

::

    0 and one other value           the other value is the feature: 0/1, 0/255, 0/100 of EMAN2's pen, 0/-1
    integers with -128              bytes written as signed, as IMOD does: -128 is 0, so -128/-127 is 0/1
    fractions from 0 to 1           probabilities; 0.5 and above is the feature
    fractions, some 99 or more      densities painted in EMAN2, which treats 99 and above as painted
    several integers                labels; the user must say which is which

The rule is chosen from the whole file, since a single mask may be empty or full.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import UsageError

MAX_LABELS = 255
"""Most label values in a file; one byte holds no more."""
EMAN2_PAINTED = 99.0
"""Value from which EMAN2 treats a pixel as painted; its pen writes 100."""
FEATURE_PROBABILITY = 0.5
"""Probability from which a pixel is the feature."""
_SIGNED_ZERO = -128
"""The value of unsigned 0 if bytes are written as signed."""
_PROBABILITY_TOLERANCE = 1e-3
"""Rounding error allowed beyond 0..1."""
_MAX_LISTED = 8
"""Most values listed in a message."""
_CHUNK = 1 << 20
"""Values counted at a time."""

Mask = NDArray[np.bool_]


class AmbiguousMaskError(UsageError):
    """A file has several values, and none is known to be the feature."""


@dataclass(frozen=True)
class MaskRule:
    """Maps the values of a file to a mask."""

    to_mask: Callable[[NDArray[np.generic]], Mask]
    """Returns a mask of the same shape; non-finite values are not the feature."""
    remark: str = ""
    """The assumption made, as a sentence; empty for 0/1 and 0/255."""


def foreground_mask(values: NDArray[np.generic], *, name: str = "The file", command: str = "") -> tuple[Mask, str]:
    """Return the mask of one feature from values written by any program.

    Parameters
    ----------
    values : ndarray of any real type, any shape
        All masks of the file.
    name : str
        Name of the file in messages.
    command : str
        The command to repeat with more options, for messages.

    Returns
    -------
    mask : ndarray of bool, the same shape
        True for the feature.
    remark : str
        The assumption made, empty if none was needed.

    Raises
    ------
    AmbiguousMaskError
        If several values could be the feature.

    Examples
    --------
    >>> mask, remark = foreground_mask(np.array([[-128, -127]], np.int8))
    >>> mask.tolist()
    [[False, True]]
    """
    tally = ValueTally()
    tally.add(values)
    rule = tally.rule(name, command)
    return rule.to_mask(values), rule.remark


def painted_mask(values: NDArray[np.generic], *, name: str = "The stack") -> Mask:
    """Return the mask painted into a stack of densities with EMAN2's pen.

    Raises
    ------
    AmbiguousMaskError
        If the densities themselves come near 99; EMAN2 would treat them as painted too.
    """
    tally = ValueTally()
    tally.add(values)
    if tally.has_high_densities:
        raise AmbiguousMaskError(
            f"The densities of {name} themselves reach 99, so pixels painted with 100 cannot be recognised.",
            "Export the tiles again, which normalises them, and paint on the new stack.",
        )
    return np.asarray(values >= EMAN2_PAINTED)  # type: ignore[operator]


@final
class ValueTally:
    """Counts the values of a file, part by part, and chooses the rule for all of them."""

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
        """Pixels of each value except the background; empty if the values are not labels."""
        counts, zero = self._counts or {}, self._zero
        if any(value != int(value) for value in counts):
            return {}
        return {int(value): count for value, count in sorted(counts.items()) if value != zero}

    @property
    def has_many_values(self) -> bool:
        """True if there are more values than labels can have."""
        return self._counts is None

    @property
    def has_high_densities(self) -> bool:
        """True if densities below 99 come so near to it that others may lie above."""
        if self._unpainted_count == 0:
            return True
        mean = self._unpainted_sum / self._unpainted_count
        sigma = np.sqrt(max(self._unpainted_squares / self._unpainted_count - mean**2, 0.0))
        return bool(mean + 4 * sigma >= EMAN2_PAINTED)

    @property
    def _is_signed(self) -> bool:
        """True if unsigned bytes were written as signed, so that -128 is 0."""
        counts = self._counts or {}
        are_integers = all(value == int(value) for value in counts)
        return are_integers and _SIGNED_ZERO in counts and self._low == _SIGNED_ZERO and self._high <= 127

    @property
    def _zero(self) -> int:
        return _SIGNED_ZERO if self._is_signed else 0

    def rule(self, name: str = "The file", command: str = "") -> MaskRule:
        """Return the rule for the values as masks of one feature.

        Raises
        ------
        AmbiguousMaskError
            If several values could be the feature.
        """
        zero = self._zero
        feature_values = [value for value in self._counts if value != zero] if self._counts is not None else None
        if feature_values is not None and len(feature_values) <= 1:
            return self._single_value_rule(feature_values[0] if feature_values else None, name)
        if feature_values is None or not self.labels:
            return self._fraction_rule(name)
        raise AmbiguousMaskError(
            f"{name} contains {len(feature_values)} values besides {zero}: {_list_values(self.labels)}.",
            f"Name the feature of each: {command or 'tomoseg annotations import FILE'} {format_label_map(self.labels)}",
        )

    def _single_value_rule(self, value: float | None, name: str) -> MaskRule:
        if value is None:
            return MaskRule(_empty_mask, f"{name} is empty: no pixel is marked.")
        remark = "" if value in {1, 255} else f"{name}: {value:g} is taken as the feature."
        if self._is_signed:
            remark = f"{name}: signed bytes, as IMOD writes; {value:g} is taken as the feature, -128 as background."
        tolerance = 1e-5 * abs(value)
        return MaskRule(lambda values: np.asarray(np.abs(values.astype(np.float64) - value) <= tolerance), remark)

    def _fraction_rule(self, name: str) -> MaskRule:
        if self._low >= -_PROBABILITY_TOLERANCE and self._high <= 1 + _PROBABILITY_TOLERANCE:
            remark = f"{name}: values from {self._low:g} to {self._high:g} are taken as probabilities, 0.5 and above "
            return MaskRule(lambda values: np.asarray(values >= FEATURE_PROBABILITY), remark + "as the feature.")  # type: ignore[operator]
        if self._high >= EMAN2_PAINTED and not self.has_high_densities:
            remark = f"{name}: painted densities; 99 and above is taken as the feature, as in EMAN2."
            return MaskRule(lambda values: np.asarray(values >= EMAN2_PAINTED), remark)  # type: ignore[operator]
        raise AmbiguousMaskError(
            f"{name} contains many values from {self._low:g} to {self._high:g}: neither masks nor probabilities.",
            "Save masks as 0 and 1, or labels as integers up to 255.",
        )


def _empty_mask(values: NDArray[np.generic]) -> Mask:
    return np.zeros(values.shape, np.bool_)


def _count_values(values: NDArray[np.generic]) -> list[tuple[float, int]]:
    """Return each value with its count; fractions are rounded to six digits."""
    if values.dtype.itemsize == 1:  # much faster than sorting
        counts = np.bincount(values.view(np.uint8), minlength=256)
        numbers = np.arange(256, dtype=np.uint8).view(values.dtype if values.dtype.kind != "b" else np.uint8)
        return [(float(number), int(count)) for number, count in zip(numbers, counts, strict=True) if count]
    unique_values, counts = np.unique(values, return_counts=True)
    if len(unique_values) > 4 * MAX_LABELS:  # not labels: some more than allowed are enough
        unique_values, counts = unique_values[: 2 * MAX_LABELS], counts[: 2 * MAX_LABELS]
    return [(_round_value(float(value)), int(count)) for value, count in zip(unique_values, counts, strict=True)]


def _round_value(value: float) -> float:
    return value if value == int(value) else float(f"{value:.6g}")


def _list_values(labels: Mapping[int, int]) -> str:
    """Return the first values with their counts, as text."""
    parts = [f"{format_mask_value(value)} ({count:,})" for value, count in list(labels.items())[:_MAX_LISTED]]
    more = f" and {len(labels) - _MAX_LISTED} more" if len(labels) > _MAX_LISTED else ""
    return f"{', '.join(parts)}{more}"


def format_label_map(labels: Mapping[int, int]) -> str:
    """Return command-line options that map each value to a feature, to be filled in by the user."""
    options = [_map_option(value) for value in list(labels)[:_MAX_LISTED]]
    return " ".join(options) + (" ..." if len(labels) > _MAX_LISTED else "")


def _map_option(value: int) -> str:
    text = format_mask_value(value)
    if value < 0:  # an argument that begins with a dash would be parsed as an option
        return f"--map={text}=FEATURE"
    return f"--map '{text}=FEATURE'" if text.startswith("#") else f"--map {text}=FEATURE"


COLOUR_OFFSET = 1 << 24
"""Added to a colour 0xRRGGBB, so that colours differ from labels: #000001 is not label 1."""


def format_mask_value(value: int) -> str:
    """Return a label as users type it: the number, or ``#rrggbb`` for a colour."""
    return f"#{value - COLOUR_OFFSET:06x}" if COLOUR_OFFSET <= value < 2 * COLOUR_OFFSET else str(value)


def parse_mask_value(text: str) -> int:
    """Return the label for a number or ``#rrggbb``; raise ValueError for other text."""
    return COLOUR_OFFSET + int(text[1:], 16) if text.startswith("#") else int(text)
