"""A file is there whole, or as it was."""

import stat
from pathlib import Path

import pytest

from tomoseg_tui.errors import TomogramError
from tomoseg_tui.io.drafts import atomic_output


def test_a_draft_takes_the_name_when_it_is_complete(tmp_path: Path) -> None:
    with atomic_output(tmp_path / "a.txt") as draft:
        draft.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_fault_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")

    def fail() -> None:
        with atomic_output(tmp_path / "a.txt") as draft:
            draft.write_text("new")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with atomic_output(tmp_path / "a.txt"):
        pass
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("other", "a.txt")}
    assert len(modes) == 1


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match="missing"), atomic_output(tmp_path / "missing" / "a.txt"):
        pass
