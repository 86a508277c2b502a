"""Which maps compete, in which order and from which threshold on; what that is as a command. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

from tomoseg_tui.project.records import LabelSidecar, MapSidecar

STEP, BIG_STEP = 0.01, 0.1
"""How far a key moves a threshold."""
_NEARLY = 1e-6
"""Thresholds that differ by less are the same; cards hold multiples of 1/127."""


@dataclass(frozen=True)
class Entry:
    """One map and how it competes."""

    run: str
    feature: str
    card: float
    """Threshold of the network's card when the map was made."""
    threshold: float
    chosen: bool = True

    @property
    def key(self) -> str:
        """Its name: RUN:FEATURE."""
        return f"{self.run}:{self.feature}"

    @property
    def is_of_card(self) -> bool:
        """True as long as the threshold is the card's."""
        return abs(self.threshold - self.card) < _NEARLY

    @property
    def word(self) -> str:
        """What stands after --map."""
        return f"{self.key}={'card' if self.is_of_card else format(self.threshold, '.4g')}"


Entries = tuple[Entry, ...]
"""All maps of a tomogram, in the order of their labels; those not chosen are passed over in counting."""


def entries_of(maps: Sequence[MapSidecar], before: Entries = ()) -> Entries:
    """Return the maps of a tomogram: those known before as they were left, new ones after them.

    Of several networks for one feature the first is chosen at the start; a person adds the others.
    """
    by_key = {f"{made.run}:{made.feature}": made for made in maps}
    kept = [_with_card(entry, by_key[entry.key]) for entry in before if entry.key in by_key]
    known = {entry.key for entry in kept}
    seen = {entry.feature for entry in kept}
    for key, made in by_key.items():
        if key not in known:
            chosen = made.feature not in seen
            kept.append(Entry(made.run, made.feature, made.threshold, made.threshold, chosen))
            seen.add(made.feature)
    return tuple(kept)


def _with_card(entry: Entry, made: MapSidecar) -> Entry:
    """Follow a card that has changed, unless the threshold was moved by hand."""
    threshold = made.threshold if entry.is_of_card else entry.threshold
    return replace(entry, card=made.threshold, threshold=threshold)


def chosen(entries: Entries) -> Entries:
    """Return the maps that compete; the k-th is label k."""
    return tuple(entry for entry in entries if entry.chosen)


def label_of(entries: Entries, place: int) -> int | None:
    """Return the label of the entry at a place, None if it does not compete."""
    return sum(entry.chosen for entry in entries[: place + 1]) if entries[place].chosen else None


def toggle(entries: Entries, place: int) -> Entries:
    """Take a map in or out."""
    return _changed(entries, place, chosen=not entries[place].chosen)


def shift_threshold(entries: Entries, place: int, by: float) -> Entries:
    """Move a threshold to the next multiple of 0.01 and on from there; it stays from 0 to 1.

    Examples
    --------
    >>> one = (Entry("net", "tube", 0.283, 0.283),)
    >>> shift_threshold(one, 0, 0.01)[0].threshold, shift_threshold(one, 0, -0.01)[0].threshold
    (0.29, 0.28)
    """
    steps = entries[place].threshold / STEP
    on_grid = floor(steps + _NEARLY) if by > 0 else ceil(steps - _NEARLY)
    moved = (on_grid + round(by / STEP)) * STEP
    return _changed(entries, place, threshold=min(max(round(moved, 2), 0.0), 1.0))


def reset_threshold(entries: Entries, place: int) -> Entries:
    """Go back to the card's threshold."""
    return _changed(entries, place, threshold=entries[place].card)


def _changed(entries: Entries, place: int, *, threshold: float | None = None, chosen: bool | None = None) -> Entries:
    old = entries[place]
    new = replace(
        old,
        threshold=old.threshold if threshold is None else threshold,
        chosen=old.chosen if chosen is None else chosen,
    )
    return (*entries[:place], new, *entries[place + 1 :])


def move(entries: Entries, place: int, by: int) -> tuple[Entries, int]:
    """Move a map up or down in the order; return also where it is now."""
    target = min(max(place + by, 0), len(entries) - 1)
    rest = [*entries[:place], *entries[place + 1 :]]
    return (*rest[:target], entries[place], *rest[target:]), target


def merge_words(tomogram: str, entries: Entries, name: str) -> list[str]:
    """Return the arguments of the command that writes this label volume."""
    maps = [word for entry in chosen(entries) for word in ("--map", entry.word)]
    return ["merge", tomogram, *maps, "--name", name]


def is_of(volume: LabelSidecar, entries: Entries, maps: Sequence[MapSidecar]) -> bool:
    """Tell whether a label volume is just what would be written now: same maps, order, thresholds, networks."""
    competing = chosen(entries)
    digests = {f"{made.run}.{made.feature}": made.weights_digest for made in maps}
    if len(volume.labels) != len(competing):
        return False
    pairs = ((entry, volume.labels.get(str(number))) for number, entry in enumerate(competing, start=1))
    return all(
        made is not None
        and (made.run, made.feature) == (entry.run, entry.feature)
        and abs(made.threshold - entry.threshold) < _NEARLY
        and volume.maps.get(f"{entry.run}.{entry.feature}") == digests.get(f"{entry.run}.{entry.feature}")
        for entry, made in pairs
    )
