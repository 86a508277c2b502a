"""Audit commands, without the trainings."""

from collections.abc import Callable
from pathlib import Path

from helpers.cli_runner import Run
from helpers.run_project import put_audit
from PIL import Image

from tomoseg_tui.project.catalog import Project

Door = Callable[..., Run]


def test_an_invalid_audit_is_refused(refused: Callable[..., str], with_cell: Project) -> None:
    assert "Neither --trainset nor --feature was given" in refused("audit")
    assert "Both --trainset and --feature were given" in refused("audit", "--trainset", "a", "--feature", "tube")
    assert "no feature 'tube'" in refused("audit", "--feature", "tube")
    assert "no training set 'a'" in refused("audit", "--trainset", "a")
    assert "drawn when the audit is done" in refused("audit", "--trainset", "a", "-o", "x.png")
    assert "no audit 'a'" in refused("audits", "show", "a")


def test_an_empty_list_of_audits_names_the_next_step(door: Door) -> None:
    assert "No audit yet" in door("audits").err
    assert door("audits", "--json").json == []


def test_audits_are_listed_and_shown(door: Door, project: Project, tmp_path: Path) -> None:
    put_audit(project, "tubes_1")
    (listed,) = door("audits", "list", "--json").json
    assert (listed["name"], listed["tiles"], listed["suspected"]) == ("tubes_1", 2, 1)
    assert "tubes_1" in door("audits").out
    rows = door("audits", "show", "tubes_1", "--json").json
    assert list(rows[0]) == ["rank", "tile", "feature", "kind", "suspicion", "reason", "reasons", "dice"]
    assert [row["rank"] for row in rows] == [1, 2]
    assert rows[0]["reason"] == "the network predicts microtubule on 50 % of this negative tile"
    assert rows[1]["reason"] == ""
    assert len(door("audits", "show", "tubes_1", "--worst", 1, "--json").json) == 1
    drawn = door("audits", "show", "tubes_1", "--renderer", "ascii", "--width", 104)
    assert drawn.out.isascii()
    assert "1  alpha:48,48,6:64  microtubule negative  0.87  the network predicts microtubule on 50 %" in drawn.err
    assert "2  alpha:48,48,18:64  microtubule positive  0.01  annotation and network agree" in drawn.err
    assert "1 of 2 tiles should be checked." in drawn.err
    door("audits", "show", "tubes_1", "-o", tmp_path / "worst.png")
    with Image.open(tmp_path / "worst.png") as picture:
        assert picture.size[0] % (3 * 64 + 8) == 0
