"""Tables of tiles, valid and invalid."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoseg_tui.errors import ProjectError
from tomoseg_tui.io.coordinates import TileRow, read_tile_rows

HEADER = "tomogram,x,y,z,feature,kind\n"
SAMPLE = Path(__file__).parents[2] / "sample_data" / "tiles.csv"


def rows_of(folder: Path, text: str, encoding: str = "utf-8") -> list[TileRow]:
    path = folder / "tiles.csv"
    path.write_bytes(text.encode(encoding))
    return read_tile_rows(path)


def fault_of(folder: Path, text: str) -> str:
    with pytest.raises(ProjectError) as caught:
        rows_of(folder, text)
    assert caught.value.fix
    assert "tiles.csv" in caught.value.fault
    return caught.value.fault


def test_the_sample_has_the_documented_number_of_tiles() -> None:
    rows = read_tile_rows(SAMPLE)
    signs = [(row.feature, row.kind) for row in rows]
    assert {sign: signs.count(sign) for sign in signs} == {
        (feature, kind): 16 for feature in ("microtubule", "membrane") for kind in ("positive", "negative")
    }
    assert rows[0] == TileRow(2, "cell_a", 140, 252, 16, "microtubule", "positive", None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_columns_have_any_order_with_spaces_and_empty_lines(tmp_path: Path, encoding: str, ending: str) -> None:
    text = "\n kind, z ,y,x,size,feature,tomogram\n\n negative , 3,2.0,1., 64 ,*,  a \n,,,,,,\npositive,3,2,1,,m,b\n"
    assert rows_of(tmp_path, text.replace("\n", ending), encoding) == [
        TileRow(4, "a", 1, 2, 3, "*", "negative", 64),
        TileRow(6, "b", 1, 2, 3, "m", "positive", None),
    ]


TABLE = f"{HEADER}ts,64,36,8,f,positive\nts,50,40,6,f,positive\n"
TWO_TILES = [TileRow(2, "ts", 64, 36, 8, "f", "positive", None), TileRow(3, "ts", 50, 40, 6, "f", "positive", None)]


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode(),
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        TABLE.encode("utf-16-be").join([b"\xfe\xff", b""]),
        TABLE.replace("\n", "\r\n").encode(),
        TABLE.replace("\n", "\r").encode(),
        TABLE.replace(",", ";").encode(),
        TABLE.replace(",", "\t").encode(),
        TABLE.replace(",", " ").encode(),
        TABLE.replace(",", "   ").encode(),
        TABLE.replace(",", " | ").encode(),
        TABLE.replace("64,36,8", "64.0,36.,8.00").encode(),
        TABLE.replace(",", ";").replace("64;36;8", "64,0;36,0;8,0").encode(),
        TABLE.replace(HEADER, HEADER.upper()).encode(),
        "\n".join(",".join(f'"{value}"' for value in line.split(",")) for line in TABLE.split()).encode(),
        TABLE.replace("positive", "Positive").encode(),
        TABLE.replace("\n", ",,\n").encode(),
        TABLE.replace("\n", ", ,\n", 1).encode(),
    ],
)
def test_tables_of_spreadsheets_read_alike(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tiles.csv").write_bytes(content)
    assert read_tile_rows(tmp_path / "tiles.csv") == TWO_TILES


@pytest.mark.parametrize("line", ["# made by hand\n", "sep=;\n", "#\n\n# x,y\n"])
def test_comments_and_the_separator_of_excel_are_passed_over(tmp_path: Path, line: str) -> None:
    assert [row.x for row in rows_of(tmp_path, line + TABLE.replace(",", ";"))] == [64, 50]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("ts,64", "ts\xe9,64", "line 2, column tomogram: expected a name in UTF-8, received 'ts\\xe9'"),
        ("f,positive\nts", "\x1b[2J,positive\nts", "line 2, column feature: expected a name in UTF-8"),
        (",50", ",5\xb2", "line 3, column x: expected a whole number of voxels, received '5\\xb2'"),
        ("kind", "kind\xe9", "line 1: the header has no kind; received tomogram, x, y, z, feature, kind\\xe9"),
        (",positive", ",1", "line 2, column kind"),
        ("64,36", "64,36.5", "line 2, column y"),
        ("kind\n", "kind,score\n", "line 1, column 7 'score'"),
        ("feature,kind\n", "feature,,kind\n", "line 1, column 6 ''"),
    ],
)
def test_what_is_not_read_is_named_by_line_and_column(tmp_path: Path, old: str, new: str, place: str) -> None:
    (tmp_path / "tiles.csv").write_bytes(TABLE.replace(old, new, 1).encode("latin-1"))
    with pytest.raises(ProjectError) as caught:
        read_tile_rows(tmp_path / "tiles.csv")
    assert place in caught.value.fault


@pytest.mark.parametrize("number", ["12.5", "abc", "", "nan", "1e3", "1_0", "0x10", "99999999999"])
def test_a_coordinate_that_is_not_an_integer_is_named_by_line_and_column(tmp_path: Path, number: str) -> None:
    fault = fault_of(tmp_path, f"{HEADER}a,1,1,1,m,positive\na,1,{number},1,m,positive\n")
    assert "line 3, column y" in fault
    assert repr(number) in fault


def test_an_unknown_kind_is_named(tmp_path: Path) -> None:
    fault = fault_of(tmp_path, f"{HEADER}a,1,1,1,m,maybe\n")
    assert "line 2, column kind: expected positive or negative, received 'maybe'" in fault


@pytest.mark.parametrize(("line", "column"), [(",1,1,1,m,positive", "tomogram"), ("a,1,1,1, ,positive", "feature")])
def test_a_missing_name_is_named(tmp_path: Path, line: str, column: str) -> None:
    assert f"column {column}" in fault_of(tmp_path, HEADER + line)


@pytest.mark.parametrize("line", ["a,1,1,1,m", "a,1,1,1,m,positive,64"])
def test_a_line_of_another_length_is_refused(tmp_path: Path, line: str) -> None:
    assert "line 2: expected 6 values" in fault_of(tmp_path, HEADER + line)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("tomogram,x,y,feature,kind", "has no z"),
        ("tomogram/x/y/z/feature/kind", "has no tomogram"),
        ("tomogram,x,y,z,feature,kind,colour", "'colour'"),
        ("tomogram,x,y,z,feature,kind,x", "'x'"),
        ("", "empty"),
    ],
)
def test_a_header_with_other_columns_is_refused(tmp_path: Path, header: str, text: str) -> None:
    assert text in fault_of(tmp_path, header + "\n")


def test_an_open_quotation_mark_is_refused(tmp_path: Path) -> None:
    assert "line 2" in fault_of(tmp_path, f'{HEADER}"a,1,1,1,m,positive\n')


def test_a_file_not_in_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "tiles.csv"
    path.write_bytes(HEADER.encode() + b"\xe4,1,1,1,m,positive\n")
    with pytest.raises(ProjectError, match="line 2"):
        read_tile_rows(path)


def test_a_missing_table_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ProjectError, match=str(path)):
            read_tile_rows(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiles.csv"
    path.touch(0o000)
    with pytest.raises(ProjectError, match="may not"):
        read_tile_rows(path)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200), with_header=st.booleans())
def test_random_bytes_cause_only_clear_errors(folder: Path, content: bytes, with_header: bool) -> None:  # noqa: FBT001
    path = folder / "random.csv"
    path.write_bytes(HEADER.encode() * with_header + content)
    try:
        rows = read_tile_rows(path)
    except ProjectError:
        return
    assert all(isinstance(row, TileRow) for row in rows)
