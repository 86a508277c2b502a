"""The maps to merge, their order and thresholds, and the equivalent options. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

from tomoseg_tui.project.records import LabelSidecar, MapSidecar

STEP, BIG_STEP = 0.01, 0.1
"""Threshold step of a key."""
_TOLERANCE = 1e-6
"""Smaller differences of thresholds are ignored; cards have multiples of 1/127."""


@dataclass(frozen=True)
class MapEntry:
    """One map and its threshold."""

    run: str
    feature: str
    card_threshold: float
    """Threshold of the network's card when the map was made."""
    threshold: float
    chosen: bool = True

    @property
    def key(self) -> str:
        """Its name: RUN:FEATURE."""
        return f"{self.run}:{self.feature}"

    @property
    def has_card_threshold(self) -> bool:
        """True if the threshold is that of the card."""
        return abs(self.threshold - self.card_threshold) < _TOLERANCE

    @property
    def option(self) -> str:
        """The argument of --map."""
        return f"{self.key}={'card' if self.has_card_threshold else format(self.threshold, '.4g')}"


MapEntries = tuple[MapEntry, ...]
"""All maps of a tomogram, in the order of their labels; maps that are not chosen get no label."""


def update_entries(maps: Sequence[MapSidecar], previous: MapEntries = ()) -> MapEntries:
    """Return the maps of a tomogram: known ones unchanged, new ones after them.

    Of several networks for one feature, only the first is chosen initially.
    """
    by_key = {f"{sidecar.run}:{sidecar.feature}": sidecar for sidecar in maps}
    entries = [_with_card(entry, by_key[entry.key]) for entry in previous if entry.key in by_key]
    keys = {entry.key for entry in entries}
    features = {entry.feature for entry in entries}
    for key, sidecar in by_key.items():
        if key not in keys:
            is_first = sidecar.feature not in features
            entries.append(MapEntry(sidecar.run, sidecar.feature, sidecar.threshold, sidecar.threshold, is_first))
            features.add(sidecar.feature)
    return tuple(entries)


def _with_card(entry: MapEntry, sidecar: MapSidecar) -> MapEntry:
    """Use the threshold of a changed card, unless the threshold was set by hand."""
    threshold = sidecar.threshold if entry.has_card_threshold else entry.threshold
    return replace(entry, card_threshold=sidecar.threshold, threshold=threshold)


def chosen_entries(entries: MapEntries) -> MapEntries:
    """Return the chosen maps; the k-th is label k."""
    return tuple(entry for entry in entries if entry.chosen)


def label_at(entries: MapEntries, index: int) -> int | None:
    """Return the label of an entry; None if it is not chosen."""
    return sum(entry.chosen for entry in entries[: index + 1]) if entries[index].chosen else None


def toggle_entry(entries: MapEntries, index: int) -> MapEntries:
    """Choose a map, or clear the choice."""
    return _with_change(entries, index, chosen=not entries[index].chosen)


def shift_threshold(entries: MapEntries, index: int, by: float) -> MapEntries:
    """Move a threshold to the next multiples of 0.01, within 0 to 1.

    Examples
    --------
    >>> one = (Entry("net", "tube", 0.283, 0.283),)
    >>> shift_threshold(one, 0, 0.01)[0].threshold, shift_threshold(one, 0, -0.01)[0].threshold
    (0.29, 0.28)
    """
    steps = entries[index].threshold / STEP
    on_grid = floor(steps + _TOLERANCE) if by > 0 else ceil(steps - _TOLERANCE)
    moved = (on_grid + round(by / STEP)) * STEP
    return _with_change(entries, index, threshold=min(max(round(moved, 2), 0.0), 1.0))


def reset_threshold(entries: MapEntries, index: int) -> MapEntries:
    """Restore the threshold of the card."""
    return _with_change(entries, index, threshold=entries[index].card_threshold)


def _with_change(
    entries: MapEntries, index: int, *, threshold: float | None = None, chosen: bool | None = None
) -> MapEntries:
    old = entries[index]
    new = replace(
        old,
        threshold=old.threshold if threshold is None else threshold,
        chosen=old.chosen if chosen is None else chosen,
    )
    return (*entries[:index], new, *entries[index + 1 :])


def move_entry(entries: MapEntries, index: int, by: int) -> tuple[MapEntries, int]:
    """Move a map up or down in the order; return its new index too."""
    target = min(max(index + by, 0), len(entries) - 1)
    remaining = [*entries[:index], *entries[index + 1 :]]
    return (*remaining[:target], entries[index], *remaining[target:]), target


def matches_entries(volume: LabelSidecar, entries: MapEntries, maps: Sequence[MapSidecar]) -> bool:
    """Return whether a label volume has the same maps, order, thresholds and networks."""
    competing = chosen_entries(entries)
    digests = {f"{label.run}.{label.feature}": label.weights_digest for label in maps}
    if len(volume.labels) != len(competing):
        return False
    pairs = ((entry, volume.labels.get(str(number))) for number, entry in enumerate(competing, start=1))
    return all(
        label is not None
        and (label.run, label.feature) == (entry.run, entry.feature)
        and abs(label.threshold - entry.threshold) < _TOLERANCE
        and volume.maps.get(f"{entry.run}.{entry.feature}") == digests.get(f"{entry.run}.{entry.feature}")
        for entry, label in pairs
    )
