"""Tables for people."""

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from tomoseg_tui.cli.common import MIN_WIDTH, format_table

WORDS = st.lists(st.text(string.ascii_lowercase, min_size=1, max_size=12), max_size=12).map(" ".join)


@settings(deadline=None)
@given(rows=st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=5), width=st.integers(3 * MIN_WIDTH + 4, 100))
def test_a_table_fits_its_width_and_loses_no_text(rows: list[tuple[str, str, str]], width: int) -> None:
    titles = ("one", "two", "three")
    lines = list(
        format_table(
            [dict(zip(titles, row, strict=True)) for row in rows], dict(zip(titles, titles, strict=True)), width
        )
    )
    assert max(map(len, lines)) <= width
    letters = sorted("".join(lines).replace(" ", ""))
    assert letters == sorted("".join(["onetwothree", *("".join(row).replace(" ", "") for row in rows)]))


def test_columns_are_aligned_with_their_titles() -> None:
    rows = [{"id": 500, "name": "alpha/merged", "fault": None}, {"id": 1, "name": "mt", "fault": "disk full"}]
    assert list(format_table(rows, {"id": "id", "name": "name", "fault": "fault"}, 80)) == [
        "id   name          fault",
        "500  alpha/merged",
        "1    mt            disk full",
    ]
