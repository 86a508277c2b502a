"""Records as text."""

import msgspec
from helpers.cli_runner import make_card

from tomoseg_tui.project.records import CurvePoint, FeatureScore, describe_network


def test_a_card_lists_the_scores_of_each_feature() -> None:
    curve = tuple(CurvePoint(level / 20, 0.5, 0.6, 0.7) for level in range(1, 20))
    scores = {"tube": FeatureScore(0.4, 0.8, 0.7, 0.9, 1, curve), "wall": FeatureScore(0.3, 0.5, 0.6, 0.7, 12)}
    rows = describe_network(msgspec.structs.replace(make_card("run"), features=scores))
    assert rows["tube"] == "Dice 0.800, precision 0.700, recall 0.900 on 1 held-out tile; threshold 0.400"
    assert rows["tube above"].startswith("0.10  0.20")
    assert rows["tube Dice"].startswith("0.50  0.50")
    assert rows["wall"] == "Dice 0.500, precision 0.600, recall 0.700 on 12 held-out tiles; threshold 0.300"


def test_a_card_without_held_out_tiles_says_so() -> None:
    rows = describe_network(msgspec.structs.replace(make_card("run"), features={"tube": FeatureScore()}))
    assert rows["tube"] == "nothing held out; threshold 0.500"
