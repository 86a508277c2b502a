"""Unusual tomograms and tile positions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from helpers.cli_runner import bring, noise
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import FilterStep, TomogramRecord
from tomoseg_tui.workflow.tomograms.sanity_checks import rotation_margin, tile_oddities, tomogram_oddities

SHAPE_ZYX = (24, 200, 200)
MIDDLE = TileLocation("a", 12, 100, 100)
USUAL = TomogramRecord(
    file="a.mrc",
    shape_zyx=SHAPE_ZYX,
    voxel_size_angstrom=13.6,
    origin_xyz_angstrom=(0, 0, 0),
    nstart_xyz=(0, 0, 0),
    polarity="dark",
    type="MRC mode 0, signed bytes",
    mean=0.0,
    sigma=20.0,
    imported="",
)


def words(odd: TomogramRecord, *, name: str = "odd") -> list[str]:
    found = tomogram_oddities({"a": USUAL, "b": USUAL, name: odd})
    assert found["a"] == found["b"] == ()
    return [oddity.label for oddity in found[name]]


def changed(**changes: Any) -> TomogramRecord:
    return msgspec.structs.replace(USUAL, **changes)


def test_a_tomogram_of_another_voxel_size_is_reported() -> None:
    assert words(changed(voxel_size_angstrom=6.8)) == ["voxel size"]


def test_voxel_sizes_within_five_percent_are_not_reported() -> None:
    assert words(changed(voxel_size_angstrom=13.6 * 1.04)) == []


def test_a_tomogram_of_the_other_polarity_is_reported() -> None:
    assert words(changed(polarity="bright")) == ["polarity"]


def test_a_tomogram_on_another_scale_is_reported() -> None:
    assert words(changed(sigma=2.0)) == ["scale"]


def test_a_filtered_tomogram_among_unfiltered_ones_is_reported() -> None:
    assert words(changed(chain=(FilterStep(0.25, 5, 3),))) == ["filters"]


def test_a_tomogram_smaller_than_a_tile_is_reported() -> None:
    assert words(changed(shape_zyx=(24, 200, 60))) == ["small"]


def test_a_version_is_compared_with_versions_of_its_tag_only() -> None:
    assert words(changed(voxel_size_angstrom=27.2, sigma=1.0), name="a__bin2_preproc") == []


@given(st.lists(st.sampled_from([6.8, 13.6, 27.2]), min_size=1, max_size=6))
def test_all_tomograms_are_in_the_result(sizes: list[float]) -> None:
    records = {f"t{n}": changed(voxel_size_angstrom=size) for n, size in enumerate(sizes)}
    found = tomogram_oddities(records)
    assert set(found) == set(records)
    assert any(not oddities for oddities in found.values())


def test_similar_real_tomograms_are_not_reported(project: Project) -> None:
    for seed, name in enumerate("ab"):
        bring(project, name, noise((6, 64, 64), seed=seed))
    records = {name: catalog.load_tomogram(project.layout, name) for name in "ab"}
    assert tomogram_oddities(records) == {"a": (), "b": ()}


def place_words(place: TileLocation, *neighbours: Tile, wanted: str | None = "tube") -> list[str]:
    return [oddity.label for oddity in tile_oddities(place, wanted, SHAPE_ZYX, neighbours)]


def test_a_tile_in_the_middle_is_not_reported() -> None:
    assert place_words(MIDDLE) == []


def test_a_centre_outside_the_volume_is_reported() -> None:
    assert place_words(replace(MIDDLE, z=24)) == ["outside"]


def test_a_tile_that_exceeds_the_volume_is_reported() -> None:
    assert place_words(replace(MIDDLE, x=20)) == ["partly outside"]


def test_a_tile_without_margin_for_rotation_is_near_the_edge() -> None:
    reach = rotation_margin(64)
    assert place_words(replace(MIDDLE, x=32 + reach - 1)) == ["near the edge"]
    assert place_words(replace(MIDDLE, x=32 + reach)) == []
    assert place_words(replace(MIDDLE, y=200 - 32 - reach + 1)) == ["near the edge"]


def test_the_corners_of_a_rotated_tile_extend_by_fourteen_pixels() -> None:
    """Half the diagonal of 64 is 45.25, half the edge 32: 13.25 beyond, worked by hand."""
    assert rotation_margin(64) == 14


def tile(x: int, z: int = 12, **states: FeatureState) -> Tile:
    return Tile(TileLocation("a", z, 100, x), states)


def test_a_tile_over_one_of_another_feature_is_reported() -> None:
    assert place_words(MIDDLE, tile(120, membrane=FeatureState.WANTED)) == ["overlap"]


def test_a_tile_over_one_without_its_feature_is_a_contradiction() -> None:
    assert place_words(MIDDLE, tile(120, tube=FeatureState.NONE_HERE)) == ["contradiction"]
    assert place_words(MIDDLE, Tile(TileLocation("a", 12, 100, 120), {"*": FeatureState.NONE_HERE})) == [
        "contradiction"
    ]


def test_tiles_of_one_feature_may_overlap() -> None:
    assert place_words(MIDDLE, tile(120, tube=FeatureState.ANNOTATED)) == []


def test_tiles_apart_in_z_or_side_by_side_do_not_overlap() -> None:
    other = FeatureState.WANTED
    assert place_words(MIDDLE, tile(120, z=15, membrane=other), tile(164, membrane=other)) == []


def test_a_tile_does_not_overlap_itself_and_negatives_are_not_checked() -> None:
    assert place_words(MIDDLE, tile(100, membrane=FeatureState.WANTED)) == []
    assert place_words(MIDDLE, tile(120, membrane=FeatureState.WANTED), wanted=None) == []


def test_a_flat_volume_has_a_scale_of_its_own(project: Project, tmp_path: Path) -> None:
    bring(project, "flat", np.zeros((6, 64, 64), np.int8))
    bring(project, "loud", noise((6, 64, 64)))
    bring(project, "soft", noise((6, 64, 64), seed=8))
    records = {name: catalog.load_tomogram(project.layout, name) for name in ("flat", "loud", "soft")}
    assert [oddity.label for oddity in tomogram_oddities(records)["flat"]] == ["scale"]
