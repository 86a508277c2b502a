"""Images of triples."""

import numpy as np

from tomoseg_tui.tui.images.triple_images import (
    comparison_picture,
    format_triple_origin,
    format_triple_score,
    sort_triples,
    triple_picture,
)
from tomoseg_tui.workflow.views import TripleView


def triple(*, wrong: int = 0, dice: float = 1.0, held_out: bool = True, feature: bool = True) -> TripleView:
    layer = np.ones((64, 64), np.uint8)
    output = np.zeros((64, 64), np.float32)
    if feature:
        layer[:8] = 2
        layer[8:16] = 3
        output[:8] = 0.9
    image = np.random.default_rng(3).normal(size=(64, 64)).astype(np.float32)
    return TripleView("cell:1,2,3:64", "tube", held_out, image, layer, output, dice, wrong)


def test_the_worst_held_out_tiles_come_first() -> None:
    views = [triple(wrong=3), triple(wrong=9, held_out=False), triple(wrong=7)]
    assert [view.wrong_pixels for view in sort_triples(views, is_best_first=False)] == [7, 3, 9]


def test_the_best_tiles_show_the_feature() -> None:
    views = [triple(dice=0.4), triple(dice=1.0, feature=False), triple(dice=0.8), triple(dice=0.9, held_out=False)]
    assert [view.dice for view in sort_triples(views, is_best_first=True)] == [0.8, 0.4, 1.0, 0.9]


def test_annotation_is_white_for_the_feature_and_grey_for_ignored_pixels() -> None:
    picture = triple_picture(triple())
    assert picture.grey.shape == (64, 3 * 64 + 4)
    annotated = picture.grey[:, 66:130]
    assert (annotated[:8] == 255).all()
    assert ((annotated[8:16] > 0) & (annotated[8:16] < 255)).all()
    assert (annotated[16:] == 0).all()
    assert (picture.grey[:8, 132:] == 230).all()


def test_annotation_and_prediction_are_drawn_over_the_image_with_the_features_letter() -> None:
    for network, ignored in ((False, 2), (True, 0)):
        picture = comparison_picture(triple(), ["membrane", "tube"], {"tube": 0.5}, show_network=network)
        assert picture.labels is not None
        over = picture.labels[:, 66:]
        assert (over[:8] == 1).all()
        assert (over[8:16] == ignored).all()
        assert not picture.labels[:, :64].any()
        assert picture.palette[0].letter == "T"


def test_a_removed_feature_is_still_drawn() -> None:
    assert comparison_picture(triple(), [], {}, show_network=True).labels is not None


def test_the_text_has_the_tile_and_its_score() -> None:
    view = triple(wrong=12, dice=0.5)
    assert format_triple_score(view) == "tube  Dice 0.50  12 pixels differ"
    assert format_triple_origin(view) == "cell:1,2,3:64  held out"
