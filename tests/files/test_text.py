"""Text of others is shown harmless, and whatever is readable in it stays."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.files.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zelle_ä 10 Å, 細胞", "Zelle_ä 10 Å, 細胞"),
        ("a\x1b[2J\x9b2Jb", "a\\x1b[2J\\x9b2Jb"),
        ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
        ("bad\udcff.mrc", "bad\\xff.mrc"),
        ("lab\u202egnp.mrc", "lab\\u202egnp.mrc"),
        ("one\ntwo\tthree\r", "one\\ntwo\\tthree\\x0d"),
        ("\ud800\U000e0041", "\\ud800\\U000e0041"),
        ("[tilt=30] a[/b]", "[tilt=30] a[/b]"),
    ],
)
def test_harmful_characters_are_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_and_tabs_stay_where_they_are_wanted() -> None:
    assert printable("a\tb\nc\x00", preserve="\t\n") == "a\tb\nc\\x00"


@given(st.text(st.characters(exclude_categories=())))
def test_no_control_or_unencodable_character_is_left(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert not [one for one in shown if unicodedata.category(one) in {"Cc", "Cs"}]
    assert printable(shown) == shown
