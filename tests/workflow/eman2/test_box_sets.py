"""Meanings of EMAN2's box sets, and sets whose meaning the user must give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.core.names import check_feature_name
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.workflow.eman2.box_sets import (
    Meaning,
    feature_name,
    format_set_map,
    guess_meanings,
    parse_set_map,
    resolve_meanings,
    sounds_negative,
)


@pytest.mark.parametrize(
    "name", ["bad", "_bad", "bad2", "mt_bad", "Neg", "negative_01", "none", "not-mt", "junk", "bg"]
)
def test_a_negative_name_is_recognised(name: str) -> None:
    assert sounds_negative(name)


@pytest.mark.parametrize("name", ["good", "badge", "microtubule", "particles_00", "negri_body", "nucleus", "mt_no1"])
def test_other_names_are_features(name: str) -> None:
    assert not sounds_negative(name)


@given(st.text(max_size=120))
def test_any_name_of_a_set_gives_a_valid_feature(name: str) -> None:
    check_feature_name(feature_name(name))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["good", "bad"], {"good": "good", "bad": "good:negative"}),
        (["mt", "mem", "bad"], {"mt": "mt", "mem": "mem", "bad": "*:negative"}),
        (["mt_good", "mem_good", "mem_bad"], {"mem_bad": "mem_good:negative"}),
        (["bad"], {"bad": "*:negative"}),
    ],
)
def test_a_negative_set_belongs_to_the_most_similar_other(names: list[str], expected: dict[str, str]) -> None:
    assert {name: guess_meanings(names)[name].text for name in expected} == expected


def test_meanings_given_by_the_user_are_used_for_negative_sets() -> None:
    given = parse_set_map(["good=microtubule"])
    assert guess_meanings(["good", "bad"], given)["bad"].text == "microtubule:negative"


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.sampled_from(["mt", "mt:negative", "*:negative", "ignore"])))
def test_meanings_survive_conversion_to_options_and_back(options: dict[str, str]) -> None:
    meanings = parse_set_map([f"{name}={option}" for name, option in options.items()])
    assert parse_set_map(format_set_map(meanings)) == meanings


@pytest.mark.parametrize(
    "option", ["", "good", "=mt", "good=", "good=*", "good=a b", "good=ignore:negative", "a=:negative"]
)
def test_an_invalid_map_option_is_refused(option: str) -> None:
    with pytest.raises(TomosegError) as caught:
        parse_set_map([option])
    assert caught.value.fix


def test_negative_sets_need_a_meaning_and_the_fix_is_a_complete_command() -> None:
    with pytest.raises(UsageError) as caught:
        resolve_meanings(["good", "bad"], {"good": Meaning("mt")}, "tomoseg import --eman2 D")
    assert caught.value.fix == "Name it, as in: tomoseg import --eman2 D --map good=mt --map bad=mt:negative"
    with pytest.raises(UsageError, match="no set 'x'"):
        resolve_meanings(["good"], {"x": Meaning("mt")}, "")
    with pytest.raises(UsageError, match="twice"):
        parse_set_map(["a=b", "a=c"])
