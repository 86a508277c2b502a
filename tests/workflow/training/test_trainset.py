"""Training sets: tiles that fit together, the split, and the arrays that a network is trained on."""

from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import bring, digest_of, noise, write_mrc
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tomoseg_tui.core.label_map import parse_label_map
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import NothingLabelledError, ProjectError, TrainingError, UsageError
from tomoseg_tui.io.trainset_file import (
    TileMetadata,
    TrainsetSummary,
    TrainsetTile,
    read_training_set,
    write_training_set,
)
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import FilterStep
from tomoseg_tui.workflow.annotations.import_annotations import import_label_volume, set_none_here
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.training.trainset import (
    TrainsetRequest,
    build_trainset,
    gather_tiles,
    load_patches,
    trainset_summaries,
)

PLACES = [(4, 64, 40), (4, 64, 88), (1, 20, 20), (7, 110, 110)]
REQUEST = TrainsetRequest(("tube",))


def tile(
    project: Project, name: str, places: list[tuple[int, int, int]], *, negative: bool = False, size: int = 64
) -> None:
    place_tiles(project, [tile_placement(TileLocation(name, *at, size), "tube", negative=negative) for at in places])


def annotate(project: Project, name: str, folder: Path, label: int = 1) -> None:
    """Label every 16th column of every slice."""
    labels = np.zeros((8, 128, 128), np.int8)
    labels[:, :, ::16] = label
    path = write_mrc(folder / f"{name}_labels.mrc", labels)
    import_label_volume(project, path, name, parse_label_map(["1=tube"]))


@pytest.fixture
def labelled(cell: Project, tmp_path: Path) -> Project:
    tile(cell, "cell", PLACES)
    annotate(cell, "cell", tmp_path)
    tile(cell, "cell", [(2, 64, 64)], negative=True)
    return cell


def middle(array: NDArray[np.generic]) -> NDArray[np.generic]:
    edge = slice(CONTEXT_PIXELS, -CONTEXT_PIXELS)
    return array[CONTEXT_SLICES, edge, edge]


def test_a_set_counts_its_tiles_by_sign_and_is_listed(labelled: Project) -> None:
    summary = build_trainset(labelled, "first", REQUEST)
    assert (summary.tiles, summary.positive, summary.negative) == (5, {"tube": 4}, {"tube": 1})
    assert (summary.polarity, summary.voxel_size_angstrom, summary.tile_size) == ("dark", 10.0, 64)
    assert [one.name for one in trainset_summaries(labelled)] == ["first"]


def test_below_five_positive_tiles_nothing_is_held_out_and_a_reason_is_given(labelled: Project) -> None:
    summary = build_trainset(labelled, "first", REQUEST)
    assert summary.held_out == 0
    assert summary.held_out_reason


def test_tiles_without_their_annotation_are_noted(labelled: Project) -> None:
    tile(labelled, "cell", [(5, 5, 5), (6, 6, 6)])
    summary = build_trainset(labelled, "first", REQUEST)
    assert summary.tiles == 5
    assert any("2 tiles are not annotated for tube" in note for note in summary.notes)


def test_a_tile_that_is_not_annotated_for_a_feature_is_not_a_positive_of_it(labelled: Project, tmp_path: Path) -> None:
    """All five tiles are annotated for wall; a sixth is annotated for tube, but not for wall."""
    path = write_mrc(tmp_path / "walls.mrc", np.ones((8, 128, 128), np.int8))
    place_tiles(labelled, [tile_placement(TileLocation("cell", *PLACES[0], 64), "wall", negative=False)])
    import_label_volume(labelled, path, "cell", parse_label_map(["1=wall"]))
    place_tiles(
        labelled, [tile_placement(TileLocation("cell", 6, 64, 64, 64), one, negative=False) for one in ("tube", "wall")]
    )
    annotate(labelled, "cell", tmp_path)
    summary, tiles = gather_tiles(labelled, "a", TrainsetRequest(("tube", "wall")))
    assert (summary.positive, summary.negative) == ({"tube": 5, "wall": 5}, {"tube": 1, "wall": 0})
    assert [one.metadata.signs for one in tiles if one.metadata.z == 6] == [(1, 0)]
    assert "1 tiles are not annotated for wall yet." in summary.notes


def test_a_set_without_negatives_is_noted(cell: Project, tmp_path: Path) -> None:
    tile(cell, "cell", PLACES)
    annotate(cell, "cell", tmp_path)
    assert any("No tile is negative for tube" in note for note in build_trainset(cell, "a", REQUEST).notes)


def test_densities_have_their_context_and_the_dtype_of_the_file(labelled: Project) -> None:
    values = noise((8, 128, 128))
    build_trainset(labelled, "first", REQUEST)
    _, tiles = read_training_set(labelled.layout.trainset("first"))
    found = {(one.metadata.z, one.metadata.y, one.metadata.x): one for one in tiles}
    whole = found[4, 64, 40]
    assert whole.densities.shape == (9, 128, 128)
    assert whole.densities.dtype == np.int8
    # The tile has slices 0 to 8 and columns -24 to 103; the volume has 8 slices.
    np.testing.assert_array_equal(whole.densities[:8, :, 24:], values[:, :, :104])
    assert whole.inside[:8, :, 24:].all()
    assert not whole.inside[8].any()
    assert not whole.inside[:, :, :24].any()


def test_a_layer_is_0_where_the_tile_is_outside_the_volume(labelled: Project) -> None:
    _, tiles = gather_tiles(labelled, "x", REQUEST)
    (corner,) = [one for one in tiles if one.metadata.x == 20]
    np.testing.assert_array_equal(corner.layers[0] != 0, middle(corner.inside))


def test_nothing_labelled_is_refused(cell: Project, tmp_path: Path) -> None:
    tile(cell, "cell", PLACES[:2])
    with pytest.raises(NothingLabelledError, match=r"No tile has pixels of tube \(2 are not annotated yet\)"):
        build_trainset(cell, "a", REQUEST)
    for place in PLACES[:2]:
        set_none_here(cell, TileLocation("cell", *place, 64), "tube")
    with pytest.raises(NothingLabelledError, match="No tile has pixels of tube"):
        build_trainset(cell, "a", REQUEST)
    assert not list(cell.layout.trainsets.iterdir())


def test_a_mixture_of_tile_sizes_is_refused(labelled: Project) -> None:
    tile(labelled, "cell", [(3, 64, 64)], negative=True, size=32)
    with pytest.raises(TrainingError, match=r"several sizes: .*:32"):
        build_trainset(labelled, "a", REQUEST)


def test_a_mixture_of_filters_is_refused_and_every_tomogram_named(labelled: Project, tmp_path: Path) -> None:
    for name, chain in (("b__preproc", (FilterStep(0.25, 5, 3),)), ("c", ())):
        bring(labelled, name, noise((8, 128, 128), seed=9), chain=chain)
        tile(labelled, name, PLACES[:1])
        annotate(labelled, name, tmp_path)
    with pytest.raises(TrainingError) as caught:
        build_trainset(labelled, "a", REQUEST)
    assert all(f"{name}: " in caught.value.fault for name in ("b__preproc", "c", "cell"))
    assert "--version" in caught.value.fix


@pytest.mark.parametrize(("voxel_size", "refused"), [(10.4, False), (10.6, True)])
def test_voxel_sizes_may_differ_by_5_percent(
    labelled: Project, tmp_path: Path, voxel_size: float, *, refused: bool
) -> None:
    bring(labelled, "b", noise((8, 128, 128), seed=9), voxel_size=voxel_size)
    tile(labelled, "b", PLACES[:1])
    annotate(labelled, "b", tmp_path)
    if not refused:
        assert build_trainset(labelled, "a", REQUEST).tomograms == ("b", "cell")
        return
    with pytest.raises(TrainingError, match=r"cell has 10 Å, b has 10.6 Å"):
        build_trainset(labelled, "a", REQUEST)


def test_a_tomogram_of_the_other_polarity_is_inverted_and_noted(labelled: Project, tmp_path: Path) -> None:
    bring(labelled, "b", -noise((8, 128, 128)), polarity="bright")
    tile(labelled, "b", PLACES[:1])
    annotate(labelled, "b", tmp_path)
    summary = build_trainset(labelled, "a", REQUEST)
    assert "Inverted to dark protein: b." in summary.notes
    _, patches, facts = load_patches(labelled.layout.trainset("a"))
    same = [index for index, one in enumerate(facts) if (one.z, one.x) == (4, 40)]
    assert sorted(facts[index].tomogram for index in same) == ["b", "cell"]
    np.testing.assert_allclose(patches.densities[same[0]], patches.densities[same[1]], atol=0.05)


def test_densities_are_read_from_another_version_than_the_tiles_were_placed_on(labelled: Project) -> None:
    bring(labelled, "cell__soft", noise((8, 128, 128)) // 2, chain=(FilterStep(0.25, 5, 3),))
    summary = build_trainset(labelled, "soft", TrainsetRequest(("tube",), version="soft"))
    assert summary.tomograms == ("cell__soft",)
    assert summary.preprocessing == [{"lowpass": 0.25, "highpass": 5.0, "clamp": 3.0}]
    assert build_trainset(labelled, "plain", REQUEST).tomograms == ("cell",)
    with pytest.raises(TrainingError, match="has no version cell__bin2"):
        build_trainset(labelled, "none", TrainsetRequest(("tube",), version="bin2"))


@pytest.mark.parametrize(
    "request_",
    [
        TrainsetRequest(()),
        TrainsetRequest(("tube", "tube")),
    ],
)
def test_an_invalid_request_is_refused(labelled: Project, request_: TrainsetRequest) -> None:
    with pytest.raises(UsageError):
        build_trainset(labelled, "a", request_)


def test_names_in_use_and_unknown_features_are_refused_and_nothing_changes(labelled: Project) -> None:
    build_trainset(labelled, "first", REQUEST)
    before = digest_of(labelled.layout.root)
    with pytest.raises(ProjectError, match="training set first already"):
        build_trainset(labelled, "first", REQUEST)
    with pytest.raises(ProjectError, match="no feature 'wall'"):
        build_trainset(labelled, "second", TrainsetRequest(("wall",)))
    with pytest.raises(ProjectError, match="cannot be the name"):
        build_trainset(labelled, "a b", REQUEST)
    assert digest_of(labelled.layout.root) == before


def test_the_same_tiles_give_the_same_set_under_any_name(labelled: Project) -> None:
    assert build_trainset(labelled, "a", REQUEST).digest == build_trainset(labelled, "b", REQUEST).digest


def test_densities_are_normalised_by_the_tomogram_and_0_outside(labelled: Project) -> None:
    build_trainset(labelled, "first", REQUEST)
    _, patches, facts = load_patches(labelled.layout.trainset("first"))
    values = noise((8, 128, 128)).astype(np.float64)
    normal = (values - values.mean()) / values.std()
    index = next(index for index, one in enumerate(facts) if (one.z, one.x) == (4, 40))
    np.testing.assert_allclose(patches.densities[index][:8, :, 24:], normal[:, :, :104], atol=1e-5)
    assert not patches.densities[index][8].any()
    assert not patches.densities[index][:, :, :24].any()


def test_nan_counts_as_the_mean(cell: Project, tmp_path: Path) -> None:
    values = noise((8, 128, 128)).astype(np.float32)
    values[4, 60, 60] = np.nan
    values[4, 61, 61] = np.inf
    bring(cell, "holes", values)
    tile(cell, "holes", PLACES[:1])
    annotate(cell, "holes", tmp_path)
    build_trainset(cell, "a", REQUEST)
    _, patches, _ = load_patches(cell.layout.trainset("a"))
    assert np.isfinite(patches.densities).all()
    assert patches.densities[0][4, 60, 60 + 24] == 0


def _tile_at(z: int, y: int, x: int, size: int) -> TrainsetTile:
    shape = (9, size + 64, size + 64)
    facts = TileMetadata(
        id=f"cell:{x},{y},{z}:{size}", tomogram="cell", space="cell", x=x, y=y, z=z, size=size, mean=0.0, sigma=1.0,
        sign=1, signs=(1,), group=0, held_out=False, digest=f"{x},{y},{z}",
    )  # fmt: skip
    return TrainsetTile(
        facts, np.zeros(shape, np.int8), np.ones(shape, np.bool_), np.full((1, size, size), 2, np.uint8)
    )


places = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 90), st.integers(0, 90)), min_size=5, max_size=14, unique=True
)


@settings(max_examples=25)
@given(places=places, share=st.sampled_from([0.1, 0.2, 0.5]))
def test_no_held_out_pixel_is_ever_trained_on(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int, int]], share: float
) -> None:
    """Pixels of a training tile within 4 slices of a held-out box are ignored; all others are unchanged."""
    size = 32
    path = tmp_path_factory.mktemp("law") / "set.h5"
    tiles = [_tile_at(*place, size) for place in places]
    summary = _summary_of(len(tiles), size)
    write_training_set(path, summary, tiles)
    _, patches, facts = load_patches(path, validation=share)
    held = np.zeros((20, 160, 160), np.bool_)  # shifted by 4 slices and 16 pixels
    for one in facts:
        if one.held_out:
            held[one.z : one.z + 9, one.y : one.y + size, one.x : one.x + size] = True
    for index, one in enumerate(facts):
        hidden = held[one.z + 4, one.y : one.y + size, one.x : one.x + size]
        expected = np.full((size, size), 2) if one.held_out else np.where(hidden, 3, 2)
        np.testing.assert_array_equal(patches.layers[index, 0], expected)
    assert patches.held_out.tolist() == [one.held_out for one in facts]


def _summary_of(tiles: int, size: int) -> TrainsetSummary:
    return TrainsetSummary(
        name="law", features=("tube",), tile_size=size, voxel_size_angstrom=10.0, polarity="dark", preprocessing=[],
        tomograms=("cell",), tiles=tiles, positive={"tube": tiles}, negative={"tube": 0}, held_out=0,
        held_out_reason="", validation=0.0,
    )  # fmt: skip
