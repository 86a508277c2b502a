"""States of the features of tiles."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.core.names import ANY_FEATURE
from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation, count_states

FEATURES = ("tube", "wall", "gold")
TILES = st.dictionaries(st.sampled_from([*FEATURES, "lost"]), st.sampled_from(FeatureState)).flatmap(
    lambda own: st.sampled_from([own, {**own, ANY_FEATURE: FeatureState.NONE_HERE}])
)


@given(st.lists(TILES, max_size=8))
def test_counts_are_those_of_the_states_of_single_tiles(states: list[dict[str, FeatureState]]) -> None:
    tiles = [Tile(TileLocation("cell", z, 0, 0), one) for z, one in enumerate(states)]
    expected = {name: Counter(state for tile in tiles if (state := tile.state_of(name))) for name in FEATURES}
    assert count_states(tiles, FEATURES) == expected
