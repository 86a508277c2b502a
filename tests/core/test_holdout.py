from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tomoseg_tui.core.holdout import HoldOutTile, choose_held_out, pixels_to_ignore
from tomoseg_tui.errors import UsageError

patient = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


def a_tile(index: int, *signs: int, space: str = "a") -> HoldOutTile:
    """Return a tile that overlaps no other."""
    return HoldOutTile(space, 100 * index, 50, 10, 64, signs, f"{index:04}")


@st.composite
def crowds(draw: st.DrawFn) -> list[HoldOutTile]:
    """Draw tiles of one to three features, many of them overlapping, some of them copies."""
    features = draw(st.integers(1, 3))
    one = st.builds(
        HoldOutTile,
        space=st.sampled_from("abc"),
        x=st.integers(0, 400),
        y=st.integers(0, 400),
        z=st.integers(0, 30),
        size=st.sampled_from([16, 64]),
        signs=st.tuples(*[st.sampled_from([-1, 0, 1])] * features),
        digest=st.integers(0, 999).map(str),
    )
    return draw(st.lists(one, min_size=1, max_size=30, unique_by=lambda tile: (tile.space, tile.x, tile.y, tile.z)))


shares = st.floats(0, 0.5)


def test_with_few_positives_nothing_is_held_out() -> None:
    tiles = [a_tile(i, 1) for i in range(4)] + [a_tile(i, -1) for i in range(4, 40)]
    chosen = choose_held_out(tiles, share=0.2)
    assert not chosen.held_out.any()
    assert "4 positive tiles" in chosen.reason


def test_a_tile_of_two_features_is_one_positive_tile() -> None:
    assert not choose_held_out([a_tile(i, 1, 1) for i in range(4)], share=0.2).held_out.any()


@patient
@given(tiles=crowds(), share=shares, data=st.data())
def test_tiles_already_trained_on_and_their_groups_are_not_held_out(
    tiles: list[HoldOutTile], share: float, data: st.DataObject
) -> None:
    seen = np.array(data.draw(st.lists(st.booleans(), min_size=len(tiles), max_size=len(tiles))))
    chosen = choose_held_out(tiles, share=share, already_trained=seen)
    assert not np.isin(chosen.groups[chosen.held_out], chosen.groups[seen]).any()
    if seen.all():
        assert not chosen.held_out.any()


def test_a_share_of_0_holds_out_nothing() -> None:
    chosen = choose_held_out([a_tile(i, 1) for i in range(20)], share=0)
    assert not chosen.held_out.any()
    assert "as requested" in chosen.reason


def test_no_tiles_are_no_error() -> None:
    assert choose_held_out([], share=0.2).groups.shape == (0,)


def test_a_share_is_balanced_by_sign() -> None:
    """A fifth of 20 positive and of 40 negative single tiles is 4 and 8."""
    signs = [1] * 20 + [-1] * 40
    chosen = choose_held_out([a_tile(i, sign) for i, sign in enumerate(signs)], share=0.2)
    assert (int(chosen.held_out[:20].sum()), int(chosen.held_out[20:].sum())) == (4, 8)


def test_a_share_is_balanced_by_feature() -> None:
    signs = [(1, 0)] * 10 + [(-1, 0)] * 20 + [(0, 1)] * 20 + [(0, -1)] * 10
    chosen = choose_held_out([a_tile(i, *pair) for i, pair in enumerate(signs)], share=0.2)
    assert [int(part.sum()) for part in np.split(chosen.held_out, [10, 30, 50])] == [2, 4, 4, 2]


def test_five_positives_are_enough_for_one_validation_tile_of_each_sign() -> None:
    signs = [1] * 5 + [-1] * 5
    chosen = choose_held_out([a_tile(i, sign) for i, sign in enumerate(signs)], share=0.1)
    assert (int(chosen.held_out[:5].sum()), int(chosen.held_out[5:].sum())) == (1, 1)


def test_tiles_linked_through_others_are_one_group() -> None:
    """Boxes of 64 at x = 0, 50, 100 overlap in sequence, each two slices below the last."""
    chain = [HoldOutTile("a", 50 * i, 0, 2 * i, 64, (-1,), f"c{i}") for i in range(3)]
    apart = [a_tile(i, 1) for i in range(10, 20)]
    groups = choose_held_out(chain + apart, share=0.2).groups
    assert len(set(groups[:3].tolist())) == 1
    assert len(set(groups.tolist())) == 11


@pytest.mark.parametrize(
    "other",
    [
        HoldOutTile("a", 64, 0, 0, 64, (1,), "x"),  # side by side
        HoldOutTile("a", 0, 64, 0, 64, (1,), "x"),
        HoldOutTile("a", 0, 0, 3, 64, (1,), "x"),  # three slices below
        HoldOutTile("b", 0, 0, 0, 64, (1,), "x"),  # another tomogram
    ],
)
def test_tiles_that_do_not_overlap_are_two_groups(other: HoldOutTile) -> None:
    tiles = [HoldOutTile("a", 0, 0, 0, 64, (1,), "o"), other]
    assert len(set(choose_held_out(tiles, share=0.2).groups.tolist())) == 2


def test_a_group_of_more_than_a_quarter_of_the_positives_is_split() -> None:
    together = [HoldOutTile("a", 0, 0, z, 64, (1,), f"t{z}") for z in range(3)]
    eight = [a_tile(i, 1) for i in range(10, 18)]
    nine = [*eight, a_tile(18, 1)]
    assert len(set(choose_held_out(together + eight, share=0.2).groups[:3].tolist())) == 3  # 3 of 11
    assert len(set(choose_held_out(together + nine, share=0.2).groups[:3].tolist())) == 1  # 3 of 12


def test_copies_stay_together_when_their_group_is_split() -> None:
    copies = [HoldOutTile(space, 0, 0, 0, 64, (1,), "same") for space in "bcd"]
    neighbour = HoldOutTile("b", 10, 0, 0, 64, (1,), "other")
    groups = choose_held_out([*copies, neighbour, *[a_tile(i, 1) for i in range(6)]], share=0.2).groups
    assert len(set(groups[:3].tolist())) == 1
    assert groups[3] != groups[0]


@patient
@given(crowds(), shares)
def test_no_held_out_pixel_is_ever_trained_on(tiles: list[HoldOutTile], share: float) -> None:
    held = choose_held_out(tiles, share=share).held_out
    judges = [tile for tile, out in zip(tiles, held, strict=True) if out]
    judged = {(tile.space, tile.z): np.zeros((500, 500), bool) for tile in tiles}
    for tile in judges:
        judged[tile.space, tile.z][window(tile)] = True
    for tile in (tile for tile, out in zip(tiles, held, strict=True) if not out):
        assert not judged[tile.space, tile.z][window(tile)][~pixels_to_ignore(tile, judges)].any()
        assert tile.digest not in {judge.digest for judge in judges}


def window(tile: HoldOutTile) -> tuple[slice, slice]:
    """Return the pixels of a tile on a plane that begins at -40."""
    y, x = (slice(centre + 40 - tile.size // 2, centre + 40 + tile.size // 2) for centre in (tile.y, tile.x))
    return y, x


@patient
@given(crowds(), shares, st.randoms(use_true_random=False), st.permutations("abc"))
def test_order_and_names_do_not_matter(
    tiles: list[HoldOutTile], share: float, chance: object, names: list[str]
) -> None:
    features = list(range(len(tiles[0].signs)))
    order = list(range(len(tiles)))
    chance.shuffle(features)  # type: ignore[attr-defined]
    chance.shuffle(order)  # type: ignore[attr-defined]
    called = dict(zip("abc", names, strict=True))
    other = [
        replace(tiles[i], space=called[tiles[i].space], signs=tuple(tiles[i].signs[f] for f in features)) for i in order
    ]
    first, second = choose_held_out(tiles, share=share), choose_held_out(other, share=share)
    np.testing.assert_array_equal(first.held_out[order], second.held_out)
    np.testing.assert_array_equal(first.groups[order], second.groups)
    assert first.reason == second.reason


@patient
@given(crowds(), shares)
def test_groups_are_never_split_and_positives_never_all_held_out(tiles: list[HoldOutTile], share: float) -> None:
    chosen = choose_held_out(tiles, share=share)
    assert not set(chosen.groups[chosen.held_out].tolist()) & set(chosen.groups[~chosen.held_out].tolist())
    for positive in (np.array([tile.signs for tile in tiles]) > 0).T:
        assert not positive.any() or not chosen.held_out[positive].all()


@given(st.integers(5, 40), st.integers(5, 40), st.floats(0.1, 0.4), st.integers(0, 9))
def test_the_share_is_reached_within_one_group(positives: int, negatives: int, share: float, seed: int) -> None:
    """The share is exceeded by more than a group only if a sign would otherwise be missing."""
    signs = np.random.default_rng(seed).permutation([1] * positives + [-1] * negatives)
    tiles = [replace(a_tile(i, int(sign)), x=40 * (i // 2) + 100 * (i // 4)) for i, sign in enumerate(signs)]
    chosen = choose_held_out(tiles, share=share)
    excess = chosen.held_out.sum() - share * len(tiles)
    assert chosen.held_out[signs > 0].any()
    assert chosen.held_out[signs < 0].any()
    assert excess >= -np.bincount(chosen.groups).max()
    for group in set(chosen.groups[chosen.held_out].tolist()):
        others = chosen.held_out & (chosen.groups != group)
        both = (others & (signs > 0)).any() and (others & (signs < 0)).any()
        assert excess <= (chosen.groups == group).sum() or not both


def two_tomograms(second: int) -> list[HoldOutTile]:
    """Return 20 tiles, `second` of them in tomogram b, half positive."""
    return [a_tile(i, 1 - 2 * (i % 2), space="b" if i < second else "a") for i in range(20)]


@pytest.mark.parametrize("second", [2, 4, 6])
def test_a_tomogram_with_10_to_30_percent_of_the_tiles_is_held_out_whole(second: int) -> None:
    chosen = choose_held_out(two_tomograms(second), share=0.2)
    assert chosen.held_out.tolist() == [i < second for i in range(20)]
    assert "whole tomogram" in chosen.reason


@pytest.mark.parametrize(("second", "share"), [(1, 0.2), (7, 0.2), (4, 0.05), (4, 0.35)])
def test_a_tomogram_beyond_the_bounds_is_not_held_out_whole(second: int, share: float) -> None:
    assert "whole" not in choose_held_out(two_tomograms(second), share=share).reason


def test_of_several_tomograms_the_nearest_to_the_share_is_held_out() -> None:
    places = ["b"] * 6 + ["c"] * 4 + ["d"] * 2 + ["a"] * 8
    tiles = [a_tile(i, 1 - 2 * (i % 2), space=space) for i, space in enumerate(places)]
    assert choose_held_out(tiles, share=0.12).held_out.nonzero()[0].tolist() == [10, 11]
    assert choose_held_out(tiles, share=0.3).held_out.nonzero()[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_tomogram_must_have_its_share_of_every_feature() -> None:
    """Tomogram b has 4 of 20 tiles of one feature and none of the other."""
    tiles = [replace(tile, signs=(*tile.signs, 0 if tile.space == "b" else 1)) for tile in two_tomograms(4)]
    assert "whole" not in choose_held_out(tiles, share=0.2).reason


def test_a_tomogram_with_a_copy_elsewhere_is_not_held_out_whole() -> None:
    tiles = two_tomograms(4)
    tiles[10] = replace(tiles[10], digest=tiles[0].digest)
    chosen = choose_held_out(tiles, share=0.2)
    assert "whole" not in chosen.reason
    assert chosen.held_out[0] == chosen.held_out[10]


def test_a_tomogram_without_a_positive_cannot_be_held_out() -> None:
    tiles = [a_tile(i, -1 if i < 4 else 1, space="b" if i < 4 else "a") for i in range(20)]
    chosen = choose_held_out(tiles, share=0.2)
    assert chosen.held_out[4:].any()


def test_pixels_in_a_held_out_box_are_ignored() -> None:
    tile = HoldOutTile("a", 100, 100, 10, 64, (1,), "t")
    judge = HoldOutTile("a", 140, 90, 14, 64, (1,), "j")
    expected = np.zeros((64, 64), bool)
    expected[:54, 40:] = True  # y 68..121 of 68..131, x 108..131 of 68..131
    np.testing.assert_array_equal(pixels_to_ignore(tile, [judge]), expected)


@pytest.mark.parametrize(("space", "x", "z"), [("a", 100, 15), ("b", 100, 10), ("a", 164, 10)])
def test_pixels_outside_every_held_out_box_are_kept(space: str, x: int, z: int) -> None:
    tile = HoldOutTile("a", 100, 100, 10, 64, (1,), "t")
    assert not pixels_to_ignore(tile, [HoldOutTile(space, x, 100, z, 64, (1,), "j")]).any()


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="share"):
        choose_held_out([a_tile(0, 1)], share=share)
