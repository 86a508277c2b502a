"""A file is replaced whole, or left alone; what is removed is in the trash."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tomoseg_tui.errors import ProjectError
from tomoseg_tui.project.layers import write_array
from tomoseg_tui.project.writing import (
    append_line,
    create_exclusively,
    drafted,
    move_to_trash,
    refuse_existing,
    sweep_drafts,
    write_whole,
)

NOON = datetime(2026, 5, 17, 12, 30, 5, tzinfo=UTC)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "record.json"
    write_whole(path, "old")
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert [entry.name for entry in path.parent.iterdir()] == ["record.json"]


def test_a_failure_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text("old")

    def fail() -> None:
        with drafted(path) as draft:
            draft.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_files_have_the_rights_that_the_umask_gives(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "whole", "x")
        create_exclusively(tmp_path / "new", "x")
        append_line(tmp_path / "lines", "x")
        trash = move_to_trash(tmp_path / "trash", [(tmp_path / "lines", "lines")], at=NOON)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("whole", "new")}
    assert modes == {0o666 & ~mask}
    assert stat.S_IMODE((trash / "lines").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE(trash.stat().st_mode) & 0o555 == 0o555 & ~mask


def test_of_two_only_one_creates_a_file(tmp_path: Path) -> None:
    path = tmp_path / "claims" / "claim.json"
    assert create_exclusively(path, "first")
    assert not create_exclusively(path, "second")
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_arrays_come_back_the_same(tmp_path: Path) -> None:
    layer = np.arange(12, dtype=np.uint8).reshape(3, 4)
    write_array(tmp_path / "layer.npy", layer)
    np.testing.assert_array_equal(np.load(tmp_path / "layer.npy"), layer)


def test_lines_are_appended(tmp_path: Path) -> None:
    for line in ("one", "zwei ä"):
        append_line(tmp_path / "history.jsonl", line)
    assert (tmp_path / "history.jsonl").read_text(encoding="utf-8") == "one\nzwei ä\n"


def test_each_removal_has_a_folder_of_its_own_in_the_trash(tmp_path: Path) -> None:
    trash = tmp_path / "trash"
    for content in ("first", "second"):
        (tmp_path / "layer.npy").write_text(content)
        things = [(tmp_path / "layer.npy", "annotations/cell/layer.npy"), (tmp_path / "gone", "gone")]
        where = move_to_trash(trash, things, at=NOON)
        assert (where / "annotations/cell/layer.npy").read_text() == content
        assert where.name.startswith("20260517T123005_")
    assert not (tmp_path / "layer.npy").exists()
    assert len(list(trash.iterdir())) == 2


def test_a_file_of_the_users_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(ProjectError, match="exists") as caught:
        refuse_existing(tmp_path / "mine", force=False)
    assert "--force" in caught.value.fix
    refuse_existing(tmp_path / "mine", force=True)
    refuse_existing(tmp_path / "new", force=False)
    with pytest.raises(ProjectError, match="is a folder"):
        refuse_existing(tmp_path, force=True)
    with pytest.raises(ProjectError, match="does not exist"):
        refuse_existing(tmp_path / "nowhere" / "new", force=True)


def test_drafts_of_a_killed_writer_are_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in ("card.json", ".card.json.k3x", ".card.jsonl.k3x", "other.json"):
        (tmp_path / name).write_text("x", encoding="ascii")
    sweep_drafts(tmp_path / "card.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".card.jsonl.k3x", "card.json", "other.json"]
