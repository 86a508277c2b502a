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


def test_a_tile_that_looks_safe_is_not_asked_about() -> None:
    assert asked(BAND) == []
    assert asked(BAND, FeatureState.WANTED, sure=9) == []
    assert asked(np.zeros_like(BAND), FeatureState.NONE_HERE) == []


@pytest.mark.parametrize(
    ("mask", "question"),
    [
        (np.zeros_like(BAND), "No pixel of tube is painted. Does the tile hold none of it?"),
        (ONE, "All that is painted of tube is 1 pixel. Is that meant?"),
        (ONE | TWO, "All that is painted of tube is 2 pixels. Is that meant?"),
        (BAND | ONE, "Beside the mask of tube there is a speck of 1 pixel. Is that meant?"),
        (BAND | ONE | TWO, "Beside the mask of tube there is a sprinkle of 2 specks, 2 pixels in all. Is that meant?"),
    ],
)
def test_a_positive_is_asked_about_its_mask(mask: NDArray[np.bool_], question: str) -> None:
    assert asked(mask) == [question]


def test_density_that_was_left_out_is_asked_about() -> None:
    (question,) = asked(BAND & rectangle_mask((64, 64), (0, 0), (63, 40)))
    assert question.startswith("Density that touches the mask of tube looks like it, ")


def test_a_negative_is_asked_about_where_the_network_is_sure_or_something_is_painted() -> None:
    assert asked(np.zeros_like(BAND), FeatureState.NONE_HERE, sure=4) == [
        "The network is sure of tube on 6 % of this tile. Is there none?"
    ]
    assert asked(ONE, FeatureState.NONE_HERE) == ["1 pixel of tube is painted here. Does the tile hold none of it?"]
