"""The order of the tile list, and its filter."""

from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.tui.annotate.tile_list import searchable_text, sort_by_state, state_for
from tomoseg_tui.tui.widgets.filter_line import matches_filter

FEATURES = ("microtubule", "membrane")
states = st.dictionaries(st.sampled_from([*FEATURES, "*"]), st.sampled_from(FeatureState))


def tiles_of(found: list[dict[str, FeatureState]]) -> list[Tile]:
    return [Tile(TileLocation("cell", z, 40, 40), known) for z, known in enumerate(found)]


@given(found=st.lists(states, max_size=8), chosen=st.sampled_from([FEATURES, FEATURES[:1], ()]))
def test_sorting_keeps_every_tile_and_puts_unfinished_ones_first(
    found: list[dict[str, FeatureState]], chosen: tuple[str, ...]
) -> None:
    tiles = tiles_of(found)
    listed = sort_by_state(tiles, chosen)
    assert sorted(listed, key=lambda tile: tile.location) == tiles
    to_do = [state_for(tile, chosen) is FeatureState.WANTED for tile in listed]
    assert to_do == sorted(to_do, reverse=True)


def test_a_tile_is_to_do_if_it_is_for_any_chosen_feature() -> None:
    tile = Tile(TileLocation("cell", 1, 2, 3), {"microtubule": FeatureState.ANNOTATED, "membrane": FeatureState.WANTED})
    assert state_for(tile, FEATURES) is FeatureState.WANTED
    assert state_for(tile, ("microtubule",)) is FeatureState.ANNOTATED
    assert state_for(tile, ("actin",)) is None
    assert state_for(Tile(tile.location, {"*": FeatureState.NONE_HERE}), ("actin",)) is FeatureState.NONE_HERE


def test_a_filter_matches_name_location_feature_and_state() -> None:
    text = searchable_text(
        Tile(TileLocation("cell_a", 14, 188, 34), {"membrane": FeatureState.ANNOTATED}), ("membrane",)
    )
    assert all(matches_filter(text, text_filter) for text_filter in ("cell_a done", "34,188,14", "MEMBRANE", ""))
    assert not matches_filter(text, "cell_a to do")
