"""What --map says is compared with the numbers of the file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tomoseg_tui.core.label_map import MatchedLabels, match_labels, parse_label_map
from tomoseg_tui.core.mask_decoding import AmbiguousMaskError, ValueTally
from tomoseg_tui.errors import ProjectError, UsageError


@pytest.mark.parametrize(
    "words",
    [
        ["1"],
        ["=tube"],
        ["1="],
        ["x=tube"],
        ["--1=tube"],
        ["1.5=tube"],
        ["²=tube"],
        ["1=tube", "1=wall"],
        ["7=ignore"],
        ["1-5=tube", "5=wall"],
        ["*=tube", "*=wall"],
        ["5-1=tube"],
        ["-=tube"],
        [],
    ],
)
def test_an_invalid_mapping_is_refused(words: Sequence[str]) -> None:
    with pytest.raises(UsageError):
        parse_label_map(words)


def test_a_mapping_to_an_invalid_name_is_refused() -> None:
    with pytest.raises(ProjectError):
        parse_label_map(["1=*"])


def match(values: NDArray[Any], *words: str) -> MatchedLabels:
    tally = ValueTally()
    tally.add(values)
    return match_labels(parse_label_map(words), tally, "l.mrc")


@pytest.mark.parametrize(
    ("values", "dtype", "words", "stored"),
    [
        ([0, 255], "u1", "255=f", [255]),
        ([0, -1], "i1", "255=f", [-1]),  # 255 without statistics, read as signed
        ([0, 255], "u1", "-1=f", [255]),
        ([-128, -127], "i1", "1=f", [-127]),  # IMOD's signed 0 and 1
        ([-128, -127], "i1", "-127=f", [-127]),
        ([-128, 127], "i1", "255=f", [127]),
        ([-128, -126, 5], "i1", "*=f", [-126, 5]),
        ([-3, 0, 2, 9, 400], "i2", "*=f", [2, 9, 400]),
        ([0, 2, 9, 400], "i2", "2-10=f", [2, 9]),
        ([0, 2, 9, 400], "f4", "-5--1=g;9=f", None),
        ([0.0, 0.2, 0.8], "f4", "1=f", [1]),  # probabilities
        ([0.0, 0.99999], "f4", "1=f", [1]),
    ],
)
def test_mapped_numbers_are_found_as_they_are_stored(
    values: Sequence[float], dtype: str, words: str, stored: Sequence[int] | None
) -> None:
    if stored is None:
        with pytest.raises(UsageError, match="no voxel of"):
            match(np.array(values, dtype), *words.split(";"))
    else:
        matched = match(np.array(values, dtype), *words.split(";"))
        assert sorted(matched.features["f"].tolist()) == sorted(stored)
        assert matched.voxels["f"] == len(stored)


def test_a_star_leaves_what_is_named_otherwise() -> None:
    matched = match(np.arange(300, dtype=np.int16), "5=wall", "*=tube", "7-8=ignore")
    assert set(matched.features["tube"].tolist()) == set(range(1, 300)) - {5, 7, 8}
    assert matched.ignored.tolist() == [7, 8]


@pytest.mark.parametrize("words", ["2=f", "-127=f", "128-200=f", "#000001=f"])
def test_what_is_not_there_is_refused_with_what_is(words: str) -> None:
    with pytest.raises(UsageError) as caught:
        match(np.array([0, 0, 0, 1], np.uint8), words)
    assert "0 (3), 1 (1)" in caught.value.fault
    assert "--map 1=f" in caught.value.fix


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(UsageError, match="no voxel"):
        match(np.zeros(9, np.uint8), "*=f")


def test_densities_are_refused() -> None:
    with pytest.raises(UsageError, match="densities"):
        match(np.linspace(-3, 3, 1000, dtype=np.float32), "1=f")


def test_one_line_says_what_was_taken_and_what_not() -> None:
    summary = match(np.array([0, 0, 1, 1, 3], np.uint8), "1=tube", "7=ignore").summary
    assert summary == (
        "l.mrc: tube is 1 (2 voxels); nothing is 7, which was to be ignored; not mapped, so not the feature: 3 (1)."
    )


@given(st.lists(st.integers(-300, 300), min_size=1, max_size=30), st.integers(-300, 300))
def test_a_number_matches_itself_or_nothing(numbers: list[int], wanted: int) -> None:
    values = np.array(numbers, np.int16)
    if wanted in numbers and not (values.min() == -128 and values.max() <= 127):
        assert match(values, f"{wanted}=f").features["f"].tolist() == [wanted]
    elif wanted not in numbers and values.min() != -128:
        with pytest.raises(UsageError):
            match(values, f"{wanted}=f")


def test_hundreds_of_components_are_listed_with_the_word_for_all() -> None:
    tally = ValueTally()
    tally.add(np.arange(301, dtype=np.int16))
    assert len(tally.numbers) == 301
    with pytest.raises(AmbiguousMaskError, match=r"300 values besides 0: 1 \(1\)") as caught:
        tally.rule("l.mrc")
    assert "--map '*=FEATURE'" in caught.value.fix
