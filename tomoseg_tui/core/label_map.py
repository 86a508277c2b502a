"""Which numbers of a file stand for which feature: parse ``--map``, and compare it with the numbers that are there."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.mask_decoding import (
    COLOUR_OFFSET,
    ValueTally,
    format_label_map,
    format_mask_value,
    format_value_counts,
    parse_mask_value,
)
from tomoseg_tui.core.names import IGNORE, check_feature_name
from tomoseg_tui.errors import UsageError

ALL = "*"
"""Stands for all numbers above 0 that are not named otherwise."""

_SYNTAX = re.compile(r"(?P<low>-?[0-9]{1,7})(-(?P<high>-?[0-9]{1,7}))?|#[0-9a-fA-F]{6}|\*")


@dataclass(frozen=True)
class NumberRange:
    """One number, numbers from one to another, or all above 0."""

    text: str
    """As the user wrote it."""
    low: int
    high: int | None
    """The last one; None for all numbers from `low` that are not named otherwise."""

    def overlaps(self, other: "NumberRange") -> bool:
        """Return whether both name one number; all the others overlap themselves only."""
        if self.high is None or other.high is None:
            return self.high is other.high
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class LabelMap:
    """The numbers of each feature, as the user mapped them."""

    features: Mapping[str, tuple[NumberRange, ...]]
    ignored: tuple[NumberRange, ...] = ()
    """Numbers to ignore in training."""

    @property
    def has_colours(self) -> bool:
        """True if a colour is mapped."""
        return any(part.low >= COLOUR_OFFSET for parts in (*self.features.values(), self.ignored) for part in parts)


@dataclass(frozen=True, eq=False)
class MatchedLabels:
    """The numbers of each feature, as a file holds them."""

    features: Mapping[str, NDArray[np.int64]]
    ignored: NDArray[np.int64]
    voxels: Mapping[str, int]
    """Voxels of each feature in the whole file."""
    summary: str
    """What was taken for what, as one sentence."""


def parse_label_map(options: Sequence[str]) -> LabelMap:
    """Parse options like ``1=microtubule``, ``1-136=vesicle``, ``*=membrane``, ``7=ignore`` or ``#ff0000=membrane``.

    Raises
    ------
    UsageError
        If an option has another form, or a number is named twice.
    """
    features: dict[str, tuple[NumberRange, ...]] = {}
    ignored: tuple[NumberRange, ...] = ()
    for option in options:
        text, _, meaning = option.partition("=")
        part = _parse_range(text)
        if part is None or not meaning:
            raise UsageError(
                f"--map {option} is not understood.",
                "Write it as --map 1=microtubule, --map 1-136=vesicle, --map '*=membrane' (all above 0), "
                "--map 7=ignore, or --map '#ff0000=membrane'.",
            )
        for other in (*ignored, *(other for parts in features.values() for other in parts)):
            if part.overlaps(other):
                raise UsageError(f"--map names label {_shared_label(part, other)} twice.", "Name each label once.")
        if meaning == IGNORE:
            ignored = (*ignored, part)
        else:
            features[check_feature_name(meaning)] = (*features.get(meaning, ()), part)
    if not features:
        raise UsageError("No label is mapped to a feature.", "Map one: --map 1=microtubule")
    return LabelMap(features, ignored)


def _shared_label(part: NumberRange, other: NumberRange) -> str:
    return ALL if part.high is None else format_mask_value(max(part.low, other.low))


def _parse_range(text: str) -> NumberRange | None:
    """Return the numbers that a text names; None if it is not understood."""
    match = _SYNTAX.fullmatch(text)
    if match is None:
        return None
    if text == ALL:
        return NumberRange(text, 1, None)
    low = parse_mask_value(match["low"] or text)
    high = int(match["high"]) if match["high"] else low
    return NumberRange(text, low, high) if low <= high else None


def match_labels(labels: LabelMap, tally: ValueTally, name: str) -> MatchedLabels:
    """Find the mapped numbers among those of a file.

    Bytes are also tried with the other sign, so that 255 finds -1, and 1 finds -127 in a file of IMOD, whose 0 is -128.

    Raises
    ------
    UsageError
        If a feature has no voxel in the file, or the file holds densities.
    """
    numbers = tally.numbers
    if not numbers:
        low, high = tally.value_range
        raise UsageError(
            f"{name} contains fractions or too many values from {low:g} to {high:g}: densities, not labels.",
            "Save labels as whole numbers. Masks and probabilities of one feature need no --map: --feature F",
        )
    for convert, remark in _readings(tally):
        stored = {convert(number): number for number in numbers}
        found = {feature: _find(parts, stored, labels) for feature, parts in labels.features.items()}
        if all(held for parts in found.values() for held in parts):
            rounded = "0.5 and above is taken as 1; " if tally.has_fractions else ""
            return _matched(labels, found, _find(labels.ignored, stored, labels), tally, f"{name}: {rounded}{remark}")
    raise _missing_error(labels, tally, name)


def find_numbers(tally: ValueTally, wanted: Collection[int]) -> tuple[Mapping[int, int], str] | None:
    """Return how wanted numbers are stored in a file, and the assumption made; None if one of them is nowhere in it."""
    for convert, remark in _readings(tally):
        stored = {convert(number): number for number in tally.numbers}
        if all(number in stored for number in wanted):
            return {number: stored[number] for number in wanted}, remark
    return None


def _readings(tally: ValueTally) -> list[tuple[Callable[[int], int], str]]:
    """Return what stored numbers can mean, the most likely first: functions and remarks."""
    readings: list[tuple[Callable[[int], int], str]] = [(int, "")]
    if tally.zero:
        readings.insert(0, (lambda number: number - tally.zero, "signed bytes, as IMOD writes, whose -128 is 0; "))
    if tally.are_bytes:
        readings.append((lambda number: number % 256, "bytes taken as unsigned, so that -1 is 255; "))
        readings.append((lambda number: (number + 128) % 256 - 128, "bytes taken as signed, so that 255 is -1; "))
    return readings


def _find(parts: Sequence[NumberRange], stored: Mapping[int, int], labels: LabelMap) -> list[list[int]]:
    """Return the stored numbers of each part."""
    named = [part for group in (*labels.features.values(), labels.ignored) for part in group if part.high is not None]

    def is_in(number: int, part: NumberRange) -> bool:
        if part.high is not None:
            return part.low <= number <= part.high
        return number >= part.low and not any(is_in(number, other) for other in named)

    return [[held for number, held in stored.items() if is_in(number, part)] for part in parts]


def _matched(
    labels: LabelMap,
    found: Mapping[str, list[list[int]]],
    ignored: list[list[int]],
    tally: ValueTally,
    remark: str,
) -> MatchedLabels:
    numbers = tally.numbers
    features = {feature: [number for part in parts for number in part] for feature, parts in found.items()}
    voxels = {feature: sum(numbers[number] for number in held) for feature, held in features.items()}
    mapped = {number for held in features.values() for number in held} | {n for part in ignored for n in part}
    sentences = [
        f"{feature} is {_describe_numbers(labels.features[feature], held)} ({voxels[feature]:,} voxels)"
        for feature, held in features.items()
    ]
    absent = [part.text for part, held in zip(labels.ignored, ignored, strict=True) if not held]
    sentences += [f"nothing is {', '.join(absent)}, which was to be ignored"] if absent else []
    others = {number: numbers[number] for number in numbers.keys() - mapped - {tally.zero}}
    sentences += (
        [f"not mapped, so not the feature: {format_value_counts(dict(sorted(others.items())))}"] if others else []
    )
    return MatchedLabels(
        {feature: np.array(held, np.int64) for feature, held in features.items()},
        np.array([number for part in ignored for number in part], np.int64),
        voxels,
        remark + "; ".join(sentences) + ".",
    )


def _describe_numbers(parts: Sequence[NumberRange], held: Sequence[int]) -> str:
    if len(held) == len(parts):
        return ", ".join(part.text for part in parts)
    return f"{', '.join(part.text for part in parts)}: {len(held)} numbers from {min(held)} to {max(held)}"


def _missing_error(labels: LabelMap, tally: ValueTally, name: str) -> UsageError:
    """Return the error that lists the numbers that are there."""
    stored = {number: number for number in tally.numbers}
    missing = [
        (part.text, feature)
        for feature, parts in labels.features.items()
        for part, held in zip(parts, _find(parts, stored, labels), strict=True)
        if not held
    ]
    fault = (
        f"{name} has no voxel of {', '.join(f'{text} ({feature})' for text, feature in missing)}. "
        f"Its values, with their voxels: {format_value_counts(tally.numbers)}."
    )
    mapped = [part for parts in (*labels.features.values(), labels.ignored) for part in parts if part.high is not None]
    spare = {
        number: count
        for number, count in tally.numbers.items()
        if number != tally.zero and not any(part.low <= number <= (part.high or 0) for part in mapped)
    }
    if not spare:
        return UsageError(
            fault, "Leave out what is not there. A tile without a feature: tomoseg annotations set ID --none"
        )
    options = format_label_map(spare)
    if len(spare) == 1 == len(missing):
        options = options.replace("FEATURE", missing[0][1])
    return UsageError(fault, f"Map values that are there: {options}")
