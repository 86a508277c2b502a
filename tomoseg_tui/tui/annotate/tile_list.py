"""The list of tiles: unfinished ones first, with a filter."""

from collections.abc import Sequence
from functools import partial

from rich.text import Text

from tomoseg_tui.core.names import ANY_FEATURE
from tomoseg_tui.core.tiles import FeatureState, Tile
from tomoseg_tui.tui.widgets.table import Table

STATE_LABELS = {
    FeatureState.WANTED: "to do",
    FeatureState.ANNOTATED: "done",
    FeatureState.NONE_HERE: "none",
    None: "-",
}
"""States as shown in the list."""
STATE_ORDER = tuple(STATE_LABELS)
"""Order of the states in the list."""
_STYLES = {FeatureState.WANTED: "bold", FeatureState.ANNOTATED: "", FeatureState.NONE_HERE: "dim", None: "dim"}


def state_for(tile: Tile, features: Sequence[str]) -> FeatureState | None:
    """Return the state of a tile for the chosen features: to do if any is, else done, none or nothing."""
    # from the few states of the tile, not from all features; `*` stands for none of any and never outdoes another
    states = {state for feature, state in tile.states.items() if feature in features or feature == ANY_FEATURE}
    return next((state for state in STATE_ORDER if state in states), None) if features else None


def sort_by_state(tiles: Sequence[Tile], features: Sequence[str]) -> list[Tile]:
    """Return the tiles with unfinished ones first; otherwise the order stays."""
    return sorted(tiles, key=lambda tile: STATE_ORDER.index(state_for(tile, features)))


def searchable_text(tile: Tile, features: Sequence[str]) -> str:
    """Return the text of a tile that a filter searches."""
    states = " ".join(f"{feature} {STATE_LABELS[state]}" for feature, state in tile.states.items())
    return f"{tile.location.id} {STATE_LABELS[state_for(tile, features)]} {states}"


def features_to_finish(tile: Tile, chosen: Sequence[str]) -> list[str]:
    """Return the features that enter finishes: the chosen one, or of several those the tile was placed for."""
    if len(chosen) == 1:
        return list(chosen)
    states = {feature: tile.state_of(feature) for feature in chosen}
    return [feature for feature, state in states.items() if state is not None and state.is_positive]


class TileList(Table):
    """One row per tile: its state for the chosen features, and its location."""

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__("state", "tile", id=id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave enter to the tab, where it marks a tile done, which a click must not do."""
        return False if action == "select_cursor" else super().check_action(action, parameters)

    def show_tiles(self, tiles: Sequence[Tile], features: Sequence[str]) -> None:
        """Show tiles in the given order, with their state for the chosen features."""
        self.show_rows([(tile.location.id, partial(_cells, tile, features)) for tile in tiles])


def _cells(tile: Tile, features: Sequence[str]) -> tuple[Text, Text]:
    state, location = state_for(tile, features), tile.location
    return Text(STATE_LABELS[state], style=_STYLES[state]), Text(
        f"{location.tomogram} {location.x},{location.y},{location.z}"
    )
