"""The images of a tile: voxels, colours and the network of the prediction."""

import numpy as np
import pytest
from helpers.cli_runner import make_card, noise, put_card, write_map

from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.io.triples_file import TripleSet, write_triples
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import MapSidecar, NetworkCard
from tomoseg_tui.tui.images.tile_images import (
    PredictionSources,
    TileImages,
    annotated_picture,
    layers_palette,
    prediction_picture,
    read_tile_images,
    tile_prediction,
)

PLACE = TileLocation("alpha", 12, 50, 40)
TILE = Tile(PLACE, {"microtubule": FeatureState.WANTED})


def prediction_sources(project: Project, *cards: NetworkCard) -> PredictionSources:
    maps: tuple[MapSidecar, ...] = tuple(made for _, made in catalog.maps_of(project.layout, "alpha"))
    return PredictionSources(cards, maps)


def test_the_three_slices_have_one_grey_window(small_project: Project) -> None:
    shown = read_tile_images(small_project.layout, TILE, ["microtubule"], PredictionSources((), ()))
    assert shown.below is not None
    assert shown.above is not None
    values = noise((24, 96, 96), seed=0)[11:14, 18:82, 8:72]
    greys = np.stack([shown.below, shown.image, shown.above])
    order = np.argsort(values.ravel(), kind="stable")
    assert (np.diff(greys.ravel()[order].astype(int)) >= 0).all()
    assert shown.prediction is None


def test_slices_outside_the_volume_are_none(small_project: Project) -> None:
    ends = [Tile(TileLocation("alpha", z, 48, 48), {}) for z in (0, 23)]
    first, last = (read_tile_images(small_project.layout, tile, [], PredictionSources((), ())) for tile in ends)
    assert first.below is None
    assert first.above is not None
    assert last.above is None
    assert last.below is not None


def test_pixels_outside_the_volume_are_middle_grey(small_project: Project) -> None:
    shown = read_tile_images(
        small_project.layout, Tile(TileLocation("alpha", 5, 0, 48), {}), [], PredictionSources((), ())
    )
    assert (shown.image[:32] == 128).all()
    assert shown.image[32:].std() > 10


def test_a_missing_tomogram_is_an_error(small_project: Project) -> None:
    with pytest.raises(ProjectError, match="There is no tomogram 'gone'"):
        read_tile_images(small_project.layout, Tile(TileLocation("gone", 5, 5, 5), {}), [], PredictionSources((), ()))


def shown_with(**layers: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> TileImages:
    grey = np.zeros((64, 64), np.uint8)
    return TileImages(TILE, None, grey, None, layers, None)


def test_each_feature_has_its_label_and_the_first_selected_is_on_top() -> None:
    microtubule, membrane = np.ones((64, 64), np.uint8), np.ones((64, 64), np.uint8)
    microtubule[:20], membrane[10:30], membrane[40:50] = 2, 2, 3
    features = ("microtubule", "membrane")
    picture = annotated_picture(
        shown_with(microtubule=microtubule, membrane=membrane), features, features, overlay="overlay"
    )
    assert picture.labels is not None
    assert [int(picture.labels[row, 0]) for row in (5, 15, 25, 35, 45)] == [1, 1, 2, 0, 3]
    assert [style.name for style in picture.palette] == ["microtubule", "membrane", "ignore"]


def test_unselected_features_are_hidden() -> None:
    layer = np.full((64, 64), 2, np.uint8)
    picture = annotated_picture(
        shown_with(microtubule=layer), ("microtubule", "membrane"), ("membrane",), overlay="outline"
    )
    assert picture.labels is not None
    assert not picture.labels.any()
    assert picture.outlined


def test_letters_of_a_palette_differ() -> None:
    letters = [style.letter for style in layers_palette(("microtubule", "membrane", "ignored_thing"))]
    assert len(set(letters)) == 4


# Predictions


def put_triples(project: Project, run: str, *, held_out: bool, output: float) -> None:
    size = (1, 1, 64, 64)
    path = project.layout.network_triples(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    outputs = np.full(size, output, np.float32)
    images = np.zeros(size[1:], np.float32)
    triples = TripleSet((PLACE.id,), ("microtubule",), np.array([held_out]), images, np.ones(size, np.uint8), outputs)
    write_triples(path, triples)


def test_the_newest_network_with_the_feature_is_used(small_project: Project) -> None:
    old = make_card("old", features=("microtubule",), created="2026-01-01T00:00:00Z")
    new = make_card("new", features=("microtubule",), created="2026-02-01T00:00:00Z")
    other = make_card("other", features=("membrane",), created="2026-03-01T00:00:00Z")
    for card in (old, new, other):
        put_card(small_project, card)
    put_triples(small_project, "old", held_out=True, output=0.25)
    sources = prediction_sources(small_project, old, new, other)
    prediction = tile_prediction(small_project.layout, PLACE, "microtubule", sources)
    assert prediction is not None
    assert (prediction.run, prediction.source) == ("old", "held out")
    put_triples(small_project, "new", held_out=False, output=0.5)
    prediction = tile_prediction(small_project.layout, PLACE, "microtubule", sources)
    assert prediction is not None
    assert (prediction.run, prediction.source) == ("new", "learned")
    assert np.unique(prediction_picture(prediction).grey).tolist() == [128]


def test_a_map_is_used_only_in_its_filled_slices(small_project: Project) -> None:
    card = make_card("net", features=("microtubule",))
    put_card(small_project, card)
    values = np.full((24, 96, 96), 127, np.int8)
    write_map(small_project, "net.microtubule", values, tomogram="alpha", slices=[(0, 12)])
    sources = prediction_sources(small_project, card)
    assert tile_prediction(small_project.layout, PLACE, "microtubule", sources) is None
    below = tile_prediction(small_project.layout, TileLocation("alpha", 11, 50, 40), "microtubule", sources)
    assert below is not None
    assert below.source == "map"
    assert (below.probability == 1).all()
