"""The maps to merge: thresholds move in steps and stay in range; order and choice set the labels."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.project.records import LabelEntry, LabelSidecar, MapSidecar
from tomoseg_tui.tui.merge.map_selection import (
    BIG_STEP,
    STEP,
    MapEntries,
    MapEntry,
    chosen_entries,
    label_at,
    matches_entries,
    move_entry,
    reset_threshold,
    shift_threshold,
    toggle_entry,
    update_entries,
)

THREE = (MapEntry("a", "tube", 0.3, 0.3), MapEntry("a", "wall", 0.5, 0.5, chosen=False), MapEntry("b", "dot", 0.7, 0.7))


def made(run: str, feature: str, *, threshold: float = 0.5, digest: str = "d") -> MapSidecar:
    return MapSidecar(
        tomogram="cell", run=run, feature=feature, network="unet25d", weights_digest=digest, threshold=threshold,
        sign=1, mean=0.0, sigma=1.0, chain=(), voxel_size_angstrom=10.0, slices=[(0, 4)],
    )  # fmt: skip


@given(start=st.floats(0, 1), steps=st.lists(st.sampled_from([STEP, -STEP, BIG_STEP, -BIG_STEP]), max_size=40))
def test_a_threshold_stays_from_0_to_1_and_in_steps_once_moved(start: float, steps: Sequence[float]) -> None:
    entries: MapEntries = (MapEntry("net", "tube", start, start),)
    for step in steps:
        before = entries[0].threshold
        entries = shift_threshold(entries, 0, step)
        after = entries[0].threshold
        assert 0 <= after <= 1
        assert after == round(after, 2)
        assert (after >= before) if step > 0 else (after <= before)


def test_the_cards_threshold_is_restored_and_written_as_card() -> None:
    moved = shift_threshold(THREE, 0, STEP)
    assert [entry.option for entry in moved][:1] == ["a:tube=0.31"]
    assert reset_threshold(moved, 0) == THREE
    assert THREE[0].option == "a:tube=card"


def test_only_chosen_maps_have_labels() -> None:
    assert [label_at(THREE, place) for place in range(3)] == [1, None, 2]
    assert [label_at(toggle_entry(THREE, 1), place) for place in range(3)] == [1, 2, 3]


@given(place=st.integers(0, 2), by=st.integers(-3, 3))
def test_moving_keeps_every_map_and_returns_its_new_index(place: int, by: int) -> None:
    moved, target = move_entry(THREE, place, by)
    assert sorted(moved, key=lambda entry: entry.key) == sorted(THREE, key=lambda entry: entry.key)
    assert moved[target] == THREE[place]


def test_the_options_have_the_maps_in_the_order_of_their_labels() -> None:
    entries, _ = move_entry(THREE, 2, -2)
    assert [entry.option for entry in chosen_entries(entries)] == ["b:dot=card", "a:tube=card"]


def test_of_two_networks_for_one_feature_only_the_first_is_chosen_initially() -> None:
    entries = update_entries([made("new", "tube"), made("old", "tube"), made("old", "wall")])
    assert [entry.key for entry in chosen_entries(entries)] == ["new:tube", "old:wall"]


def test_changes_by_the_user_survive_new_maps() -> None:
    before = shift_threshold(toggle_entry(update_entries([made("net", "tube"), made("net", "wall")]), 1), 0, BIG_STEP)
    after = update_entries([made("net", "dot"), made("net", "tube", threshold=0.2), made("net", "wall")], before)
    assert [(entry.key, entry.threshold, entry.chosen) for entry in after] == [
        ("net:tube", 0.6, True), ("net:wall", 0.5, False), ("net:dot", 0.5, True),
    ]  # fmt: skip
    assert after[0].card_threshold == 0.2


def test_an_unchanged_threshold_follows_the_card() -> None:
    before = update_entries([made("net", "tube", threshold=0.5)])
    assert update_entries([made("net", "tube", threshold=0.3)], before)[0].threshold == 0.3


WRITTEN = LabelSidecar(
    tomogram="cell", name="merged", conflicts=[], maps={"net.tube": "d"}, labels={"1": LabelEntry("tube", "net", 0.5)}
)


@pytest.mark.parametrize(
    ("entries", "digest", "same"),
    [
        ((MapEntry("net", "tube", 0.5, 0.5),), "d", True),
        ((MapEntry("net", "tube", 0.5, 0.51),), "d", False),
        ((MapEntry("net", "tube", 0.5, 0.5),), "other", False),
        ((MapEntry("old", "tube", 0.5, 0.5),), "d", False),
        ((MapEntry("net", "tube", 0.5, 0.5), MapEntry("net", "wall", 0.5, 0.5)), "d", False),
        ((MapEntry("net", "tube", 0.5, 0.5), MapEntry("net", "wall", 0.5, 0.5, chosen=False)), "d", True),
    ],
)
def test_a_label_volume_is_recognised_by_maps_thresholds_and_networks(
    entries: MapEntries, digest: str, *, same: bool
) -> None:
    assert matches_entries(WRITTEN, entries, [made("net", "tube", digest=digest)]) is same
