"""How the benchmark of audits corrupts labels."""

import numpy as np
import pytest
from audit import shifted, spoil
from hypothesis import given
from hypothesis import strategies as st

EMPTY = np.ones((64, 64), np.uint8)


@given(st.integers(0, 2**31), st.sampled_from([(20, 40, 6), (16, 16, 3)]))
def test_a_tenth_is_corrupted_a_third_of_each_kind(seed: int, counts: tuple[int, int, int]) -> None:
    positives, negatives, expected = counts
    layers = np.stack([EMPTY] * (positives + negatives))
    layers[:positives, 20:30, 26:38] = 2
    signs = np.array([1] * positives + [-1] * negatives, np.int8)
    before = layers.copy()
    new_signs, new_layers, spoilt = spoil(signs, layers, np.random.default_rng(seed))
    np.testing.assert_array_equal(layers, before)
    kinds = [kind.split()[0] for kind in spoilt.values()]
    assert [kinds.count(kind) for kind in ("emptied", "shifted", "swapped")] == [expected // 3] * 3
    changed = (new_layers != layers).any(axis=(1, 2)) | (new_signs != signs)
    assert set(np.flatnonzero(changed)) == set(spoilt)
    for tile, kind in spoilt.items():
        holds = bool((new_layers[tile] == 2).any())
        assert (holds, int(new_signs[tile])) == {
            "emptied": (False, 1), "shifted": (True, 1), "swapped to negative": (False, -1),
            "swapped to positive": (True, 1),
        }[kind]  # fmt: skip


@pytest.mark.parametrize(("dy", "dx"), [(12, 0), (-12, 0), (0, 12), (0, -12)])
def test_a_shift_moves_the_mask_and_fills_with_background(dy: int, dx: int) -> None:
    layer = EMPTY.copy()
    layer[0:5] = 2
    layer[30:34, 30:34] = 2
    expected = EMPTY.copy()
    rows, columns = np.nonzero(layer == 2)
    rows, columns = rows + dy, columns + dx
    inside = (rows >= 0) & (rows < 64) & (columns >= 0) & (columns < 64)
    expected[rows[inside], columns[inside]] = 2
    np.testing.assert_array_equal(shifted(layer, dy, dx), expected)
