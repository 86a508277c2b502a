"""Questions about a tile before it is marked done."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.paint_tools import brush_mask, rectangle_mask
from tomoseg_tui.core.tiles import FeatureState
from tomoseg_tui.workflow.annotations.questions import annotation_warnings

BAND = rectangle_mask((64, 64), (24, 0), (39, 63))
GREY = (np.random.default_rng(7).standard_normal((64, 64)) - 2 * BAND).astype(np.float32)
ONE, TWO = brush_mask((64, 64), (10, 10), 1), brush_mask((64, 64), (50, 10), 1)


def asked(mask: NDArray[np.bool_], state: FeatureState = FeatureState.ANNOTATED, sure: int = 0) -> list[str]:
    opinion = np.zeros((64, 64), np.float32)
    opinion[:sure] = 0.97
    return annotation_warnings("tube", np.where(mask, FEATURE, 0).astype(np.uint8), state, GREY, prediction=opinion)


def test_a_tile_without_problems_has_no_questions() -> None:
    assert asked(BAND) == []
    assert asked(BAND, FeatureState.WANTED, sure=9) == []
    assert asked(np.zeros_like(BAND), FeatureState.NONE_HERE) == []


@pytest.mark.parametrize(
    ("mask", "question"),
    [
        (np.zeros_like(BAND), "No pixel of tube is painted. Does the tile hold none of it?"),
        (ONE, "The painted part of tube is only 1 pixel. Is that intended?"),
        (ONE | TWO, "The painted part of tube is only 2 pixels. Is that intended?"),
        (BAND | ONE, "Beside the mask of tube there is a speck of 1 pixel. Is that intended?"),
        (BAND | ONE | TWO, "Beside the mask of tube there is a group of 2 specks, 2 pixels in all. Is that intended?"),
    ],
)
def test_a_positive_tile_has_questions_about_its_mask(mask: NDArray[np.bool_], question: str) -> None:
    assert asked(mask) == [question]


def test_unlabelled_density_is_questioned() -> None:
    (question,) = asked(BAND & rectangle_mask((64, 64), (0, 0), (63, 40)))
    assert question.startswith("Density that touches the mask of tube looks like it, ")


def test_a_negative_tile_is_questioned_if_the_network_finds_the_feature_or_it_is_painted() -> None:
    assert asked(np.zeros_like(BAND), FeatureState.NONE_HERE, sure=4) == [
        "The network finds tube on 6 % of this tile. Is there none?"
    ]
    assert asked(ONE, FeatureState.NONE_HERE) == ["1 pixel of tube is painted here. Does the tile hold none of it?"]
