"""Which maps compete, in which order and from which threshold on; what that is as a command. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

from tomoseg_tui.project.records import LabelSidecar, MapSidecar

STEP, BIG_STEP = 0.01, 0.1
"""How far a key moves a threshold."""
_TOLERANCE = 1e-6
"""Thresholds that differ by less are the same; cards hold multiples of 1/127."""


@dataclass(frozen=True)
class MapEntry:
    """One map and how it competes."""

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
        """True as long as the threshold is the card's."""
        return abs(self.threshold - self.card_threshold) < _TOLERANCE

    @property
    def option(self) -> str:
        """What stands after --map."""
        return f"{self.key}={'card' if self.has_card_threshold else format(self.threshold, '.4g')}"


MapEntries = tuple[MapEntry, ...]
"""All maps of a tomogram, in the order of their labels; those not chosen are passed over in counting."""


def update_entries(maps: Sequence[MapSidecar], previous: MapEntries = ()) -> MapEntries:
    """Return the maps of a tomogram: those known before as they were left, new ones after them.

    Of several networks for one feature the first is chosen at the start; a person adds the others.
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
    """Follow a card that has changed, unless the threshold was moved by hand."""
    threshold = sidecar.threshold if entry.has_card_threshold else entry.threshold
    return replace(entry, card_threshold=sidecar.threshold, threshold=threshold)


def chosen_entries(entries: MapEntries) -> MapEntries:
    """Return the maps that compete; the k-th is label k."""
    return tuple(entry for entry in entries if entry.chosen)


def label_at(entries: MapEntries, index: int) -> int | None:
    """Return the label of the entry at a place, None if it does not compete."""
    return sum(entry.chosen for entry in entries[: index + 1]) if entries[index].chosen else None


def toggle_entry(entries: MapEntries, index: int) -> MapEntries:
    """Take a map in or out."""
    return _with_change(entries, index, chosen=not entries[index].chosen)


def shift_threshold(entries: MapEntries, index: int, by: float) -> MapEntries:
    """Move a threshold to the next multiple of 0.01 and on from there; it stays from 0 to 1.

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
    """Go back to the card's threshold."""
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
    """Move a map up or down in the order; return also where it is now."""
    target = min(max(index + by, 0), len(entries) - 1)
    remaining = [*entries[:index], *entries[index + 1 :]]
    return (*remaining[:target], entries[index], *remaining[target:]), target


def matches_entries(volume: LabelSidecar, entries: MapEntries, maps: Sequence[MapSidecar]) -> bool:
    """Tell whether a label volume is just what would be written now: same maps, order, thresholds, networks."""
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
