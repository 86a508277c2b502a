"""The order of the ranked tiles, and the reasons given for them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES, TilePatches
from tomoseg_tui.io.trainset_file import TileMetadata
from tomoseg_tui.project.records import AuditedTile
from tomoseg_tui.workflow.audit.ranking import rank_label_errors

EDGE = 64
GOOD_POSITIVES, GOOD_NEGATIVES = 4, 4
Layers = NDArray[np.uint8]


def facts(number: int) -> TileMetadata:
    return TileMetadata(
        id=f"cell:{number},0,0:64", tomogram="cell", space="cell", x=number, y=0, z=0, size=EDGE, mean=0.0, sigma=1.0,
        sign=1, signs=(1,), group=number, held_out=False, digest=f"{number}",
    )  # fmt: skip


def bar(row: int = 20, column: int = 14) -> Layers:
    layer = np.ones((EDGE, EDGE), np.uint8)
    layer[row : row + 10, column : column + 30] = 2
    return layer


EMPTY = np.ones((EDGE, EDGE), np.uint8)


def rank(
    layer: Layers, seen_by_network: Layers, sign: int, *, images: NDArray[np.float32] | None = None
) -> tuple[AuditedTile, ...]:
    """Rank one tile, number 0, among eight faultless ones."""
    good = [bar(12 + 3 * k) for k in range(GOOD_POSITIVES)] + [EMPTY] * GOOD_NEGATIVES
    layers = np.stack([layer, *good])[:, np.newaxis]  # (n, f, y, x)
    shown = np.stack([seen_by_network, *good])[:, np.newaxis]
    signs = np.array([sign] + [1] * GOOD_POSITIVES + [-1] * GOOD_NEGATIVES, np.int8)[:, np.newaxis]
    shape = (len(layers), 2 * CONTEXT_SLICES + 1, EDGE + 2 * CONTEXT_PIXELS, EDGE + 2 * CONTEXT_PIXELS)
    densities = np.random.default_rng(7).normal(size=shape).astype(np.float32)
    if images is not None:
        densities[: len(images), CONTEXT_SLICES, CONTEXT_PIXELS:-CONTEXT_PIXELS, CONTEXT_PIXELS:-CONTEXT_PIXELS] = (
            images
        )
    patches = TilePatches(densities, layers, signs, np.zeros(len(layers), bool), ("tube",))
    outputs = np.where(shown == 2, np.float32(0.96), np.float32(0.02))
    return rank_label_errors(patches, [facts(k) for k in range(len(layers))], np.arange(len(layers)) % 4, outputs)


def only_reason(ranked: tuple[AuditedTile, ...]) -> str:
    """Return the reason given for tile 0, which must come first and be the only tile with a reason."""
    assert ranked[0].tile == "cell:0,0,0:64"
    assert len(ranked) == 1 + GOOD_POSITIVES + GOOD_NEGATIVES
    assert not any(tile.reasons for tile in ranked[1:])
    (reason,) = ranked[0].reasons
    return reason


def test_nothing_is_reported_if_labels_and_network_agree() -> None:
    assert not any(tile.reasons or tile.suspicion for tile in rank(bar(), bar(), 1))


def test_a_positive_tile_with_an_empty_mask_has_the_highest_score() -> None:
    ranked = rank(EMPTY, bar(), 1)
    assert only_reason(ranked) == "annotated, but the mask of tube is empty; the network predicts it on 7 % of the tile"
    assert ranked[0].suspicion == 1
    assert only_reason(rank(EMPTY, EMPTY, 1)) == "annotated, but the mask of tube is empty"


def test_a_negative_tile_on_which_the_network_predicts_the_feature_is_reported() -> None:
    ranked = rank(EMPTY, bar(), -1)
    assert only_reason(ranked) == "the network predicts tube on 7 % of this negative tile"
    assert ranked[0].suspicion > 0.8
    assert (ranked[0].dice, ranked[0].sign, ranked[0].fold) == (0, -1, 0)


def test_a_positive_tile_on_which_the_network_predicts_nothing_is_reported() -> None:
    reason = only_reason(rank(bar(), EMPTY, 1))
    assert reason == "tube is annotated on 7 % of the tile, and the network finds hardly any of it"


@pytest.mark.parametrize(
    ("moved", "way"),
    [
        (bar(20, 26), "12 pixels to the left"),
        (bar(20, 2), "12 pixels to the right"),
        (bar(8, 14), "12 pixels up"),
        (bar(30, 20), "6 pixels to the left and 10 pixels down"),
    ],
)
def test_a_shifted_mask_is_reported_with_its_shift(moved: Layers, way: str) -> None:
    reason = only_reason(rank(moved, bar(), 1))
    assert reason.startswith("the mask of tube overlaps with the network's output by 0.")
    assert f"; moved {way}, it would overlap by " in reason


def test_any_other_difference_is_reported_in_numbers() -> None:
    wide = np.ones((EDGE, EDGE), np.uint8)
    wide[10:50] = 2
    reason = only_reason(rank(wide, bar(), 1))
    assert reason.startswith("annotation and network differ on tube")
    assert "the network finds 12 % of the annotated pixels, 100 % of its own are annotated" in reason


def test_both_copies_of_an_image_are_reported_with_a_higher_score_if_labels_differ() -> None:
    image = np.random.default_rng(1).normal(size=(EDGE, EDGE)).astype(np.float32)
    ranked = rank(bar(30), bar(30), 1, images=np.stack([image, image]))
    reported = {tile.tile: tile for tile in ranked if tile.reasons}
    assert reported["cell:0,0,0:64"].reasons == ("the same image as cell:1,0,0:64, but annotated differently",)
    assert reported["cell:1,0,0:64"].reasons == ("the same image as cell:0,0,0:64, but annotated differently",)
    same = rank(bar(12), bar(12), 1, images=np.stack([image, image]))
    assert same[0].reasons == ("the same image as cell:1,0,0:64",)
    assert same[0].suspicion < min(tile.suspicion for tile in reported.values())


def test_a_tile_of_unusual_contrast_is_reported() -> None:
    image = 3.1 * np.random.default_rng(1).normal(size=(1, EDGE, EDGE)).astype(np.float32)
    assert only_reason(rank(bar(), bar(), 1, images=image)) == "the contrast is 3.1 times that of the other tiles"
