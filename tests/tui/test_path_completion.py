"""Typed paths: completion and expansion."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tomoseg_tui.errors import UsageError
from tomoseg_tui.tui.path_completion import complete_path, find_files, path_argument


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """cell_1.mrc, cell_2.mrc, notes.txt, .hidden.mrc and a folder raw with deep.rec."""
    for name in ("cell_1.mrc", "cell_2.mrc", "notes.txt", ".hidden.mrc"):
        (tmp_path / name).write_text("x")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "deep.rec").write_text("x")
    return tmp_path


def test_a_path_is_completed_as_far_as_it_is_unambiguous(folder: Path) -> None:
    assert complete_path(f"{folder}/c", (".mrc",)) == f"{folder}/cell_"


def test_a_folder_is_completed_with_a_slash(folder: Path) -> None:
    assert complete_path(f"{folder}/r") == f"{folder}/raw/"
    assert complete_path(f"{folder}/raw/", (".rec",)) == f"{folder}/raw/deep.rec"


def test_files_with_other_extensions_are_not_completed(folder: Path) -> None:
    assert complete_path(f"{folder}/n", (".mrc",)) == f"{folder}/n"
    assert complete_path(f"{folder}/n") == f"{folder}/notes.txt"


def test_hidden_files_are_completed_once_their_dot_is_typed(folder: Path) -> None:
    assert complete_path(f"{folder}/.h") == f"{folder}/.hidden.mrc"


def test_without_a_match_a_path_is_unchanged() -> None:
    for text in ("/nowhere/at/all", "~nobody_of_that_name/x", "zero\0byte"):
        assert complete_path(text) == text


def test_the_home_folder_stays_short(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert complete_path("~/ra") == "~/raw/"
    assert find_files("~/cell_1.mrc") == [folder / "cell_1.mrc"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=12))
def test_completion_only_adds_characters(folder: Path, typed: str) -> None:
    text = f"{folder}/{typed}"
    assert complete_path(text).startswith(text)


def test_a_file_is_found_by_its_name_with_any_extension(folder: Path) -> None:
    assert find_files(f"{folder}/notes.txt", (".mrc",)) == [folder / "notes.txt"]


def test_a_pattern_expands_to_the_matching_files(folder: Path) -> None:
    assert find_files(f"{folder}/*", (".mrc",)) == [
        folder / ".hidden.mrc",
        folder / "cell_1.mrc",
        folder / "cell_2.mrc",
    ]
    assert find_files(f"{folder}/cell_[2-9].mrc", (".mrc",)) == [folder / "cell_2.mrc"]
    assert find_files(f"{folder}/**/*.rec", (".rec",)) == [folder / "raw" / "deep.rec"]


def test_a_folder_expands_to_its_volumes(folder: Path) -> None:
    assert find_files(f"{folder}/raw", (".rec",)) == [folder / "raw" / "deep.rec"]


def test_a_missing_path_is_refused_with_a_clear_error(folder: Path) -> None:
    for text in (f"{folder}/cell_3.mrc", f"{folder}/*.hdf", f"{folder}/raw/x/y"):
        with pytest.raises(UsageError, match="no file"):
            find_files(text, (".mrc",))


def test_a_path_inside_the_project_is_relative(folder: Path) -> None:
    assert path_argument(folder / "raw" / "deep.rec", folder) == "raw/deep.rec"
    assert path_argument(folder / "cell_1.mrc", folder / "raw") == str(folder / "cell_1.mrc")
