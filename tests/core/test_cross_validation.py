from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.core.cross_validation import assign_folds

crowds = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([-1, 0, 1])), max_size=60)


@given(crowds, st.integers(1, 6))
def test_tiles_of_one_group_share_a_fold(crowd: list[tuple[int, int]], folds: int) -> None:
    groups = np.array([group for group, _ in crowd], np.int64)
    dealt = assign_folds(groups, np.array([[sign] for _, sign in crowd], np.int8).reshape(-1, 1), folds=folds)
    assert dealt.shape == groups.shape
    assert ((dealt >= 0) & (dealt < folds)).all()
    for group in set(groups.tolist()):
        assert len(set(dealt[groups == group].tolist())) == 1


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 6))
def test_single_tiles_are_spread_evenly_by_sign(positives: int, negatives: int, folds: int) -> None:
    signs = np.array([1] * positives + [-1] * negatives, np.int8).reshape(-1, 1)
    dealt = assign_folds(np.arange(len(signs)), signs, folds=folds)
    for sign in (1, -1):
        counts = np.bincount(dealt[signs[:, 0] == sign], minlength=folds)
        assert counts.max() - counts.min() <= 1


@given(crowds, st.randoms())
def test_folds_do_not_depend_on_the_order_of_the_tiles(crowd: list[tuple[int, int]], chance: Random) -> None:
    order = list(range(len(crowd)))
    chance.shuffle(order)
    groups = np.array([group for group, _ in crowd], np.int64)
    signs = np.array([sign for _, sign in crowd], np.int8).reshape(-1, 1)
    dealt = assign_folds(groups, signs, folds=4)
    np.testing.assert_array_equal(assign_folds(groups[order], signs[order], folds=4), dealt[order])
