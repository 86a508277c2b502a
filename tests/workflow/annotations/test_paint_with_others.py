"""Painting a tile that others use too: another program, a command, a person on another host."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import Tomoseg, wait_until, write_mrc
from helpers.job_project import is_gone
from helpers.paint_project import NEGATIVE, PLACE, disc, on_disk, painted, place_tiles_to_paint

from tomoseg_tui.core.annotation import FEATURE, NOT_FEATURE
from tomoseg_tui.core.label_map import parse_label_map
from tomoseg_tui.core.paint_tools import brush_mask
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import AlreadyRunningError, ProjectError
from tomoseg_tui.project import catalog, stroke_log
from tomoseg_tui.project.annotation_files import write_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import (
    import_label_volume,
    set_done,
    set_none_here,
)
from tomoseg_tui.workflow.annotations.paint_session import PaintSession, paint_lock_owner
from tomoseg_tui.workflow.tiles.placing import place_tiles, remove_tiles, tile_placement
from tomoseg_tui.workflow.tomograms.renaming import remove_tomogram, rename_feature, rename_tomogram


@pytest.fixture
def tiled(cell: Project) -> Project:
    return place_tiles_to_paint(cell)


# Other programs


def test_a_layer_written_by_another_program_is_used_and_its_history_restarts(tiled: Project) -> None:
    painted(tiled, ("tube", 10, 2), ("wall", 20, 2), ("tube", 30, 2))
    theirs = np.full((64, 64), NOT_FEATURE, np.uint8)
    write_layer(tiled.layout.annotation(PLACE, "tube"), theirs, None)
    np.testing.assert_array_equal(on_disk(tiled), theirs)
    with PaintSession.open(tiled, PLACE) as painting:
        assert "tube was written by another program" in painting.remarks[0]
        assert [change.feature for change in iter(painting.undo, None)] == ["wall"]
        painting.stroke("tube", disc(50), FEATURE, "brush")
    with PaintSession.open(tiled, PLACE) as painting:
        assert painting.remarks == ()
        painting.undo()
        np.testing.assert_array_equal(painting.layers["tube"], theirs)
        assert painting.undo_depth == 0


def test_an_import_ends_the_undo_history_of_its_feature(tiled: Project, tmp_path: Path) -> None:
    """Even if the imported layer is the earlier one: the later strokes must not come back."""
    labels = np.zeros((8, 128, 128), np.int8)
    labels[4, 60:64, 30:40] = 1
    volume = write_mrc(tmp_path / "labels.mrc", labels)
    import_label_volume(tiled, volume, "cell", parse_label_map(["1=tube"]))
    imported = on_disk(tiled)
    painted(tiled, ("tube", 10, 2), ("wall", 20, 2))
    left = import_label_volume(tiled, volume, "cell", parse_label_map(["1=tube"]))
    assert any("painted by a person" in line for line in left.skipped)
    import_label_volume(tiled, volume, "cell", parse_label_map(["1=tube"]), replace=True)
    np.testing.assert_array_equal(on_disk(tiled), imported)
    with PaintSession.open(tiled, PLACE) as painting:
        assert painting.remarks == ()
        assert [change.feature for change in iter(painting.undo, None)] == ["wall"]


def test_none_here_set_by_a_command_ends_the_undo_history(tiled: Project) -> None:
    painted(tiled, ("tube", 10, 2))
    set_none_here(tiled, PLACE, "tube")
    with PaintSession.open(tiled, PLACE) as painting:
        assert painting.undo_depth == 0
        assert not painting.layers["tube"].any()
        painting.mark_wanted("tube")
        painting.stroke("tube", disc(), FEATURE, "brush")
    with PaintSession.open(tiled, PLACE) as painting:
        assert painting.remarks == ()
        painting.undo()
        assert not painting.layers["tube"].any()


def test_the_first_saved_stroke_locks_the_tile_and_closing_releases_it(tiled: Project) -> None:
    first, second = PaintSession.open(tiled, PLACE), PaintSession.open(tiled, PLACE)
    first.stroke("tube", disc(), FEATURE, "brush")
    assert paint_lock_owner(tiled, PLACE) is None
    first.save()
    painter = paint_lock_owner(tiled, PLACE)
    assert painter is not None
    assert painter.is_this_process
    second.stroke("tube", disc(10), FEATURE, "brush")
    with pytest.raises(AlreadyRunningError, match="is being painted by this program"):
        second.save()
    assert second.unsaved_count == 0
    np.testing.assert_array_equal(second.layers["tube"], first.layers["tube"])
    first.close()
    first.close()
    assert paint_lock_owner(tiled, PLACE) is None
    second.stroke("tube", disc(10), FEATURE, "brush")
    second.close()
    assert np.count_nonzero(on_disk(tiled)) == np.count_nonzero(disc() | disc(10))


def test_a_tile_changed_since_it_was_opened_is_reloaded_before_painting(tiled: Project) -> None:
    painting = PaintSession.open(tiled, PLACE)
    painted(tiled, ("tube", 10, 2))
    painting.stroke("tube", disc(30), FEATURE, "brush")
    with pytest.raises(ProjectError, match="changed by another program"):
        painting.save()
    np.testing.assert_array_equal(painting.layers["tube"], on_disk(tiled))
    assert paint_lock_owner(tiled, PLACE) is None
    painting.stroke("tube", disc(30), FEATURE, "brush")
    painting.close()
    assert np.count_nonzero(on_disk(tiled)) == np.count_nonzero(disc(10) | disc(30))


PAINTER = """
import sys
from pathlib import Path
from tomoseg_tui.core.paint_tools import brush_mask
from tomoseg_tui.core.tiles import parse_tile_id
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.paint_session import PaintSession
painting = PaintSession.open(Project.open(Path(sys.argv[1])), parse_tile_id(sys.argv[2]))
painting.stroke("tube", brush_mask((64, 64), (20, 20), 5), 2, "brush")
painting.save()
print("painted", flush=True)
sys.stdin.readline()
painting.close()
"""


def test_another_program_reports_who_paints_and_changes_nothing(
    tiled: Project, tomoseg: Tomoseg, tmp_path: Path
) -> None:
    labels = np.zeros((8, 128, 128), np.int8)
    labels[4, 60:64, 30:40] = 1
    volume = write_mrc(tmp_path / "labels.mrc", labels)
    with subprocess.Popen(
        [sys.executable, "-c", PAINTER, str(tiled.layout.root), PLACE.id], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"painted\n"
        painter = paint_lock_owner(tiled, PLACE)
        assert painter is not None
        assert (painter.pid, painter.is_this_process) == (other.pid, False)
        message = rf"is being painted by .+ \(process {other.pid} on .+, since 2"
        painting = PaintSession.open(tiled, PLACE)
        assert painting.layers["tube"].any()
        painting.stroke("wall", disc(), FEATURE, "brush")
        with pytest.raises(AlreadyRunningError, match=message):
            painting.save()
        for command in (
            lambda: set_done(tiled, PLACE, "tube"),
            lambda: set_none_here(tiled, PLACE, "tube"),
            lambda: remove_tiles(tiled, [NEGATIVE, PLACE]),
            lambda: rename_feature(tiled, "tube", "filament"),
            lambda: rename_tomogram(tiled, "cell", "lamella"),
            lambda: remove_tomogram(tiled, "cell"),
        ):
            with pytest.raises(AlreadyRunningError, match=message):
                command()
        refused = tomoseg.refused("annotations", "set", PLACE.id, "--feature", "tube", "--none")
        assert f"process {other.pid}" in refused
        left = import_label_volume(tiled, volume, "cell", parse_label_map(["1=tube"]), replace=True).skipped
        assert any(f"process {other.pid}" in line for line in left)
        other.kill()
        other.wait()
        wait_until(lambda: is_gone(other.pid))
    assert paint_lock_owner(tiled, PLACE) is None
    assert set_done(tiled, PLACE, "tube") == np.count_nonzero(brush_mask((64, 64), (20, 20), 5))


def test_a_painter_on_another_host_loses_the_lock_without_heartbeat(tiled: Project) -> None:
    """The loss is reported before it can overwrite the strokes of the next painter."""
    first = PaintSession.open(tiled, PLACE)
    first.stroke("tube", disc(10), FEATURE, "brush")
    first.save()
    claim = tiled.layout.painting_claim(PLACE)
    theirs = {**json.loads(claim.read_bytes()), "host": "elsewhere", "user": "ann"}
    claim.write_text(json.dumps(theirs))
    first.stroke("tube", disc(30), FEATURE, "brush")
    with pytest.raises(AlreadyRunningError, match=r"painted by ann \(process \d+ on elsewhere"):
        first.save()
    assert first.unsaved_count == 0
    np.testing.assert_array_equal(first.layers["tube"], on_disk(tiled))
    assert claim.exists()


# Moved tiles


def test_removing_a_tile_moves_its_log_too(tiled: Project) -> None:
    painted(tiled, ("tube", 10, 2))
    where = remove_tiles(tiled, [PLACE])
    assert (where / "annotations/cell" / PLACE.folder_name / "strokes.jsonl").exists()
    assert not tiled.layout.annotation_folder(PLACE).exists()


def test_renaming_preserves_the_undo_history(tiled: Project) -> None:
    seen = painted(tiled, ("tube", 10, 2), ("tube", 30, 2))
    rename_feature(tiled, "tube", "filament")
    rename_tomogram(tiled, "cell", "lamella")
    moved_to = TileLocation("lamella", PLACE.z, PLACE.y, PLACE.x)
    with PaintSession.open(tiled, moved_to) as painting:
        assert painting.remarks == ()
        np.testing.assert_array_equal(painting.layers["filament"], seen[2]["tube"])
        painting.undo()
        np.testing.assert_array_equal(painting.layers["filament"], seen[1]["tube"])
    np.testing.assert_array_equal(on_disk(tiled, "filament", moved_to), seen[1]["tube"])


def test_a_feature_may_have_the_name_of_a_project_file(tiled: Project) -> None:
    for name in ("painting", "strokes", "claim"):
        place_tiles(tiled, [tile_placement(PLACE, name, negative=False)])
    painted(tiled, ("painting", 10, 2), ("strokes", 20, 2), ("claim", 30, 2))
    assert set(catalog.tile_at(tiled.layout, PLACE).states) == {"tube", "wall", "painting", "strokes", "claim"}
    assert len(stroke_log.read_stroke_log(tiled.layout.stroke_log(PLACE)).entries) == 3  # type: ignore[union-attr]


def test_an_interrupted_rename_can_be_repeated(tiled: Project) -> None:
    seen = painted(tiled, ("tube", 10, 2), ("tube", 30, 2))
    stroke_log.append_event(tiled.layout.stroke_log(PLACE), stroke_log.RENAMED, "tube", "filament")
    rename_feature(tiled, "tube", "filament")
    with PaintSession.open(tiled, PLACE) as painting:
        assert painting.remarks == ()
        painting.undo()
        np.testing.assert_array_equal(painting.layers["filament"], seen[1]["tube"])
