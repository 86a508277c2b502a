"""A change of several files happens as one, and can be finished; leftovers of killed processes are removed."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from helpers.cli_runner import Tomoseg, bring, make_card, noise, put_card, write_map

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import AlreadyRunningError, ProjectError
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import draft_path
from tomoseg_tui.project import catalog, changes
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.changes import Intent, Step, change_files, tile_lock
from tomoseg_tui.project.history import HistoryEntry
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.records import MapSidecar, read_record, write_record
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.tomograms.renaming import rename_feature, rename_tomogram

PLACE = TileLocation("cell", 4, 64, 40)


def leave_intent(project: Project, *steps: Step, history: str = "") -> None:
    project.layout.change.write_bytes(msgspec.json.encode(Intent(steps, history)))


def test_the_next_command_finishes_a_change_and_says_so(cell: Project) -> None:
    root = cell.layout.root
    (root / "maps" / "cell").mkdir()
    entry = HistoryEntry(["tomograms", "rename", "cell", "new"], ".")
    leave_intent(cell, Step("tomograms/new", "tomograms/cell"), Step("maps/new", "maps/cell"), history=entry.encode())
    tomoseg = Tomoseg(root)
    assert [row["name"] for row in tomoseg("tomograms", "--json").json] == ["new"]
    assert "nothing left to do" in tomoseg("tomograms", "rename", "cell", "new").err
    tomoseg("features", "add", "tube")
    assert "no tomogram" in tomoseg("tomograms", "rename", "cell", "new", code=2).err
    commands = [json.loads(line)["command"] for line in cell.layout.history.read_text().splitlines()]
    assert commands == ["tomoseg tomograms rename cell new", "tomoseg features add tube"]


def test_a_step_may_be_carried_out_twice(cell: Project) -> None:
    steps = Step("a.txt", "b.txt"), Step("c.txt", text="new"), Step("d.txt")
    for name in ("b.txt", "d.txt"):
        (cell.layout.root / name).write_text(name)
    for _ in range(2):
        leave_intent(cell, *steps)
        changes.settle(cell.layout)
    left = {path.name: path.read_text() for path in cell.layout.root.glob("?.txt")}
    assert left == {"a.txt": "b.txt", "c.txt": "new"}


def test_an_exception_leaves_everything_as_it_was(cell: Project) -> None:
    def fail() -> None:
        with change_files(cell.layout) as change:
            change.move(cell.layout.tomogram_folder("cell"), cell.layout.tomogram_folder("new"))
            change.draft_for(cell.layout.settings).write_text("")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert catalog.tomogram_names(cell.layout) == ["cell"]
    assert not [path.name for path in cell.layout.root.glob(".*") if not path.match(".writer.*")]


@pytest.mark.parametrize("path", ["../outside", "/tmp/outside", "tiles/../../outside"])
def test_a_plan_from_elsewhere_does_not_leave_the_project(cell: Project, path: str) -> None:
    for step in (Step(path, "project.toml"), Step("project.toml", path), Step(path, text="x")):
        leave_intent(cell, step)
        with pytest.raises(ProjectError, match="outside the project"):
            cell.require_current_format()
    assert catalog.tomogram_names(Project.open(cell.layout.root).layout) == ["cell"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b'{"steps":[{"target":1}]}'], ids=["empty", "torn", "nested", "types"]
)
def test_a_damaged_plan_is_named_and_does_not_hinder_reading(cell: Project, content: bytes) -> None:
    cell.layout.change.write_bytes(content)
    with pytest.raises(ProjectError, match="cannot be read"):
        cell.require_current_format()
    assert catalog.tomogram_names(Project.open(cell.layout.root).layout) == ["cell"]


def test_whoever_writes_a_tile_waits_for_a_change(cell: Project) -> None:
    place_tiles(cell, [tile_placement(PLACE, "tube", negative=False)])
    begun, seen = threading.Event(), []

    def rename() -> None:
        with change_files(cell.layout, tile_folders=[cell.layout.tile_folder(PLACE)]) as change:
            begun.set()
            time.sleep(0.2)
            change.move(cell.layout.tiles / "cell", cell.layout.tiles / "new")

    thread = threading.Thread(target=rename)
    thread.start()
    begun.wait()
    with pytest.raises(ProjectError, match="no tile"), tile_lock(cell.layout, PLACE):
        seen.append("locked")
    thread.join()
    assert not seen
    assert not (cell.layout.tiles / "cell").exists()


def test_a_change_waits_for_whoever_writes_a_tile(cell: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    place_tiles(cell, [tile_placement(PLACE, "tube", negative=False)])
    monkeypatch.setattr(locks.held.__wrapped__, "__kwdefaults__", {"patience_seconds": 0.05})  # type: ignore[attr-defined]
    with tile_lock(cell.layout, PLACE), pytest.raises(AlreadyRunningError):
        rename_tomogram(cell, "cell", "new")
    assert catalog.tomogram_names(cell.layout) == ["cell"]


def test_a_rename_does_not_replace_the_map_of_another_network(cell: Project) -> None:
    for run, feature in (("a", "b.c"), ("a.b", "d")):
        catalog.add_feature(cell, feature)
        put_card(cell, make_card(run))
        path = write_map(cell, f"{run}.{feature}", noise((8, 128, 128)) & 127)
        sidecar = read_record(sidecar_of(path), MapSidecar)
        write_record(sidecar_of(path), msgspec.structs.replace(sidecar, run=run, feature=feature))
    with pytest.raises(ProjectError, match="two maps"):
        rename_feature(Project.open(cell.layout.root), "d", "c")


def test_drafts_of_dead_processes_are_removed_and_those_of_the_living_are_not(cell: Project) -> None:
    place_tiles(cell, [tile_placement(PLACE, "tube", negative=False)])
    layout = cell.layout
    script = (
        "import os, sys; from pathlib import Path; from tomoseg_tui.files.atomic import draft_path\n"
        "from tomoseg_tui.project.catalog import Project\n"
        "Project.open(Path(sys.argv[1])).require_current_format()\n"
        "for path in sys.argv[2:]: draft_path(Path(path)).write_text('half')\n"
        "os.kill(os.getpid(), 9)"
    )
    layout.annotation_folder(PLACE).mkdir(parents=True)
    paths = [layout.tomograms / "import", layout.annotation(PLACE, "tube"), layout.tile_claim(PLACE)]
    paths += [layout.trainset("s2"), layout.settings, layout.job_folder("1") / "record.json"]
    layout.job_folder("1").mkdir(parents=True)
    subprocess.run([sys.executable, "-c", script, str(layout.root), *map(str, paths)], check=False)
    assert len(drafts(layout.root)) == len(paths)
    mine = draft_path(layout.settings)
    mine.touch()
    second_lock = layout.tile_folder(PLACE) / f".claim.json.{'0' * 16}"  # of a process killed as it removed a lock
    second_lock.touch()
    os.utime(second_lock, (0, 0))
    Tomoseg(layout.root)("features", "add", "wall")
    assert drafts(layout.root) == [mine.name]


def drafts(root: Path) -> list[str]:
    return [name for _, _, names in os.walk(root) for name in names if name[0] == "." and ".writer" not in name]


def test_init_is_finished_after_a_kill(tmp_path: Path) -> None:
    tomoseg = Tomoseg(tmp_path)
    tomoseg("init", "new")
    tomoseg("init", "new", code=2)
    (tmp_path / "new" / "history.jsonl").unlink()
    tomoseg("init", "new")
    assert (tmp_path / "new" / "history.jsonl").exists()


def test_a_history_that_cannot_be_written_does_not_undo_a_command(cell: Project) -> None:
    cell.layout.history.unlink(missing_ok=True)
    cell.layout.history.mkdir()
    done = Tomoseg(cell.layout.root)("features", "add", "wall")
    assert "the command is done" in done.err
    bring(cell, "other", noise())
    assert "the command is done" in Tomoseg(cell.layout.root)("tomograms", "rename", "other", "new").err
