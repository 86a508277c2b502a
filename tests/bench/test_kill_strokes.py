"""A painting process is killed at 20 moments; `make kills` does it 200 times."""

from pathlib import Path

import pytest
from kill_strokes import kill_often


@pytest.mark.slow
def test_no_saved_stroke_is_lost_by_a_kill(tmp_path: Path) -> None:
    found = kill_often(tmp_path / "project", 20, seed=7)
    assert [one.fault for one in found if one.fault] == []
    assert sum(one.output for one in found) > 0
