"""Tiles in lists and as boxes."""

from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.tui.images.tile_images import layers_palette
from tomoseg_tui.tui.images.tile_marks import (
    TileIndex,
    boxes_for_tiles,
    describe_counts,
    describe_states,
    main_feature,
    tile_letter,
)

PALETTE = layers_palette(("microtubule", "membrane"))[:2]
WANTED, DONE, NONE = FeatureState.WANTED, FeatureState.ANNOTATED, FeatureState.NONE_HERE


def tile(x: int, z: int = 5, **states: FeatureState) -> Tile:
    return Tile(TileLocation("a", z, 50, x), states)


NOTHING = Tile(TileLocation("a", 5, 50, 90), {"*": NONE})


def test_a_tile_has_the_letter_of_its_feature() -> None:
    assert tile_letter(tile(1, microtubule=NONE, membrane=WANTED), PALETTE) == "E"
    assert tile_letter(tile(1, microtubule=DONE), PALETTE) == "M"


def test_a_negative_has_a_lower_case_letter() -> None:
    assert tile_letter(tile(1, microtubule=NONE), PALETTE) == "m"
    assert tile_letter(NOTHING, PALETTE) == "*"


def test_states_are_listed_with_positive_features_first() -> None:
    assert describe_states(tile(1, membrane=NONE, microtubule=DONE), PALETTE) == "M done, E none"
    assert describe_states(NOTHING, PALETTE) == "* none"


def test_counts_include_positives_negatives_and_unfinished_tiles() -> None:
    tiles = [tile(1, microtubule=DONE), tile(2, microtubule=WANTED), tile(3, microtubule=NONE), NOTHING]
    assert describe_counts(tiles, PALETTE) == "4 tiles  M 2+1  * 1  ? 1"
    assert describe_counts([], PALETTE) == "0 tiles"


def test_boxes_are_at_their_tiles_and_the_selected_one_is_highlighted() -> None:
    tiles = [tile(10, microtubule=DONE), tile(20, membrane=NONE)]
    first, second = boxes_for_tiles(tiles, PALETTE, tiles[1].location)
    assert (first.z, first.y, first.x, first.size, first.letter) == (5, 50, 10, 64, "M")
    assert (first.selected, second.selected) == (False, True)
    assert first.rgb != second.rgb


def test_a_tile_without_states_is_drawn_as_none_of_any() -> None:
    assert main_feature(tile(1)) == "*"


def test_a_click_near_the_centre_selects_the_tile() -> None:
    tiles = [tile(100, microtubule=DONE), tile(110, membrane=DONE), tile(100, z=9, membrane=DONE)]
    around = TileIndex.from_tiles(tiles, (24, 200, 200))
    assert around.clicked_tile(5, 50, 108) == tiles[1]
    assert around.clicked_tile(5, 60, 100) == tiles[0]
    assert around.clicked_tile(5, 90, 100) is None
    assert around.clicked_tile(7, 50, 100) is None


def test_a_tile_is_found_by_its_centre() -> None:
    around = TileIndex.from_tiles([tile(100, microtubule=DONE)], (24, 200, 200))
    assert around.tile_at(5, 50, 100) is not None
    assert around.tile_at(5, 50, 101) is None


def test_overlaps_are_found_in_adjacent_slices() -> None:
    around = TileIndex.from_tiles([tile(100, z=7, membrane=DONE)], (24, 200, 200))
    assert [oddity.label for oddity in around.oddities(TileLocation("a", 5, 90, 110), "microtubule")] == ["overlap"]
    assert around.oddities(TileLocation("a", 4, 90, 110), "microtubule") == ()
