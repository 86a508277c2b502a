"""Decode mask files, whose values have a different meaning in every program. Arrays only; `io` reads the files.

::

    0 and one other value           the other value is the feature: 0/1, 0/255, 0/100 of EMAN2's pen, 0/-1
    integers with -128              bytes written as signed, as IMOD does: -128 is 0, so -128/-127 is 0/1
    fractions from 0 to 1           probabilities; 0.5 and above is the feature
    fractions, some 99 or more      densities painted in EMAN2, which treats 99 and above as painted
    several whole numbers           labels or components; the user must say which is which

The rule is chosen from the whole file, since a single mask may be empty or full.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.errors import UsageError

MAX_LABELS = 255
"""Most label values that are named one by one; one byte holds no more."""
MAX_NUMBERS = 1 << 16
"""Most different values that are counted, such as the numbers of connected components."""
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
    is_empty: bool = False
    """True if no value of the file is the feature."""


def foreground_mask(values: NDArray[np.generic], *, name: str = "The file", command: str = "") -> tuple[Mask, str]:
    """Return the mask of one feature from values written by any program.

    Parameters
    ----------
    values : ndarray of any real type, any shape
        All masks of the file.
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


class SliceReader(Protocol):
    """A volume that is read slice by slice."""

    grid: VoxelGrid

    def read_slices(self, start: int, stop: int) -> NDArray[Any]:
        """Return the slices start .. stop - 1."""
        ...


@final
class ValueTally:
    """Counts the values of a file, part by part, and chooses the rule for all of them."""

    def __init__(self) -> None:
        self._counts: dict[float, int] | None = {}
        self._rounded: dict[float, int] | None = {}
        self._low, self._high, self._fraction = np.inf, -np.inf, 0.0
        self._unpainted_count, self._unpainted_sum, self._unpainted_squares = 0, 0.0, 0.0
        self.are_bytes = True
        """True if each value so far was stored in one byte."""

    def add(self, values: NDArray[np.generic]) -> None:
        """Count more values, of any real type and shape."""
        flat = np.asarray(values).ravel()
        self.are_bytes &= flat.dtype.itemsize == 1
        for start in range(0, flat.size, _CHUNK):
            self._add_chunk(flat[start : start + _CHUNK])

    def add_slices(self, volume: SliceReader, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Count the values of a volume, until nobody waits for them any more."""
        for z in range(volume.grid.shape_zyx[0]):
            if is_cancelled():
                return
            self.add(volume.read_slices(z, z + 1))

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
        pairs = _count_values(values) if self._counts is not None or values.dtype.kind != "f" else []
        self._counts = _add_counts(self._counts, pairs)
        if values.dtype.kind == "f":
            whole = np.rint(values.astype(np.float64))
            self._fraction = max(self._fraction, float(np.abs(values - whole).max()))
            pairs = _count_values(whole) if self._rounded is not None else []
        self._rounded = _add_counts(self._rounded, pairs)

    @property
    def numbers(self) -> Mapping[int, int]:
        """Voxels of each whole number, ascending; empty if the values are neither whole numbers nor probabilities."""
        if self._rounded is None or not (self._fraction <= _PROBABILITY_TOLERANCE or self._are_probabilities):
            return {}
        return {int(number): count for number, count in sorted(self._rounded.items())}

    @property
    def labels(self) -> Mapping[int, int]:
        """Pixels of each value except the background; empty if the values are not labels, or too many to be named."""
        counts, zero = self._counts or {}, self.zero
        if any(value != int(value) for value in counts):
            return {}
        labels = {int(value): count for value, count in sorted(counts.items()) if value != zero}
        return labels if len(labels) <= MAX_LABELS else {}

    @property
    def value_range(self) -> tuple[float, float]:
        """Least and greatest finite value."""
        return self._low, self._high

    @property
    def has_fractions(self) -> bool:
        """True if some values are not whole numbers, beyond rounding."""
        return self._fraction > _PROBABILITY_TOLERANCE

    @property
    def has_high_densities(self) -> bool:
        """True if densities below 99 come so near to it that others may lie above."""
        if self._unpainted_count == 0:
            return True
        mean = self._unpainted_sum / self._unpainted_count
        sigma = np.sqrt(max(self._unpainted_squares / self._unpainted_count - mean**2, 0.0))
        return bool(mean + 4 * sigma >= EMAN2_PAINTED)

    @property
    def zero(self) -> int:
        """The value of the background: -128 if unsigned bytes were written as signed, else 0."""
        counts = self._counts or {}
        are_integers = all(value == int(value) for value in counts)
        is_signed = _SIGNED_ZERO in counts and self._low == _SIGNED_ZERO and self._high <= 127
        return _SIGNED_ZERO if are_integers and is_signed else 0

    @property
    def _are_probabilities(self) -> bool:
        return self._low >= -_PROBABILITY_TOLERANCE and self._high <= 1 + _PROBABILITY_TOLERANCE

    def rule(self, name: str = "The file", command: str = "") -> MaskRule:
        """Return the rule for the values as masks of one feature.

        Raises
        ------
        AmbiguousMaskError
            If several values could be the feature.
        """
        command = command or "tomoseg annotations import FILE"
        feature_values = [value for value in self._counts if value != self.zero] if self._counts is not None else None
        if feature_values is not None and len(feature_values) <= 1:
            return self._single_value_rule(feature_values[0] if feature_values else None, name)
        labels = self.labels or self._components
        if not labels:
            return self._fraction_rule(name)
        all_option = "" if min(labels) < self.zero else "Map all above 0 to one feature: --map '*=FEATURE'. Or name"
        raise AmbiguousMaskError(
            f"{name} contains {len(labels)} values besides {self.zero}: {format_value_counts(labels)}.",
            f"{all_option or 'Name'} the feature of each: {command} {format_label_map(labels)}",
        )

    @property
    def _components(self) -> Mapping[int, int]:
        """Voxels of more numbers than are named one by one; empty if some are below the background, as densities."""
        numbers = {number: count for number, count in self.numbers.items() if number != self.zero}
        are_components = not self.has_fractions and len(numbers) > MAX_LABELS and min(numbers) > self.zero
        return numbers if are_components else {}

    def _single_value_rule(self, value: float | None, name: str) -> MaskRule:
        if value is None:
            return MaskRule(_empty_mask, f"{name} is empty: no pixel is marked.", is_empty=True)
        remark = "" if value in {1, 255} else f"{name}: {value:g} is taken as the feature."
        if self.zero:
            remark = f"{name}: signed bytes, as IMOD writes; {value:g} is taken as the feature, -128 as background."
        tolerance = 1e-5 * abs(value)
        return MaskRule(lambda values: np.asarray(np.abs(values.astype(np.float64) - value) <= tolerance), remark)

    def _fraction_rule(self, name: str) -> MaskRule:
        if self._are_probabilities:
            remark = f"{name}: values from {self._low:g} to {self._high:g} are taken as probabilities, 0.5 and above "
            return MaskRule(
                lambda values: np.asarray(values >= FEATURE_PROBABILITY),  # type: ignore[operator]
                remark + "as the feature.",
                is_empty=self._high < FEATURE_PROBABILITY,
            )
        if self._high >= EMAN2_PAINTED and not self.has_high_densities:
            remark = f"{name}: painted densities; 99 and above is taken as the feature, as in EMAN2."
            return MaskRule(lambda values: np.asarray(values >= EMAN2_PAINTED), remark)  # type: ignore[operator]
        raise AmbiguousMaskError(
            f"{name} contains many values from {self._low:g} to {self._high:g}: neither masks nor probabilities.",
            "Save masks as 0 and 1, or labels as whole numbers.",
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
    if len(unique_values) > MAX_NUMBERS:  # not labels: some more than allowed are enough
        unique_values, counts = unique_values[: 2 * MAX_NUMBERS], counts[: 2 * MAX_NUMBERS]
    return [(_round_value(float(value)), int(count)) for value, count in zip(unique_values, counts, strict=True)]


def _add_counts(counts: dict[float, int] | None, pairs: list[tuple[float, int]]) -> dict[float, int] | None:
    """Add to counts; return None once there are more different values than are counted."""
    if counts is None:
        return None
    for value, count in pairs:
        counts[value] = counts.get(value, 0) + count
    return counts if len(counts) <= MAX_NUMBERS else None


def _round_value(value: float) -> float:
    return value if value == int(value) else float(f"{value:.6g}")


def format_value_counts(labels: Mapping[int, int]) -> str:
    """Return the first values with their counts, as text; "none" for no value."""
    parts = [f"{format_mask_value(value)} ({count:,})" for value, count in list(labels.items())[:_MAX_LISTED]]
    more = f" and {len(labels) - _MAX_LISTED} more" if len(labels) > _MAX_LISTED else ""
    return f"{', '.join(parts)}{more}" or "none"


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
