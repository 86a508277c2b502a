"""Painting a tile: the state in memory, on disk and in another program after each stroke."""

import shutil
import threading

import numpy as np
import pytest
from helpers.cli_runner import files_of_at_most
from helpers.paint_project import (
    NEGATIVE,
    PLACE,
    STAR,
    WALL_ONLY,
    disc,
    equal,
    on_disk,
    painted,
    place_tiles_to_paint,
    state,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, Layer, LayerChange, apply_change
from tomoseg_tui.core.paint_tools import brush_mask, rectangle_mask
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import effective_layer, load_tile, read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import (
    annotation_listing,
    set_done,
)
from tomoseg_tui.workflow.annotations.paint_session import PaintSession
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement

IN_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)


@pytest.fixture
def tiled(cell: Project) -> Project:
    return place_tiles_to_paint(cell)


# Strokes


def test_a_stroke_is_visible_at_once_and_saved_to_disk(tiled: Project) -> None:
    with PaintSession.open(tiled, PLACE) as painting:
        change = painting.stroke("tube", disc(), FEATURE, "brush")
        assert change is not None
        assert len(change.pixels) == np.count_nonzero(disc())
        assert painting.unsaved_count == 1
        assert read_layer(tiled.layout, PLACE, "tube") is None
        assert painting.save() == 1
        assert painting.unsaved_count == 0
        np.testing.assert_array_equal(on_disk(tiled), painting.layers["tube"])
    np.testing.assert_array_equal(on_disk(tiled), np.where(disc(), FEATURE, 0))


def test_a_stroke_without_effect_returns_none(tiled: Project) -> None:
    with PaintSession.open(tiled, PLACE) as painting:
        assert painting.stroke("tube", np.zeros((64, 64), np.bool_), FEATURE, "brush") is None
        painting.stroke("tube", disc(), FEATURE, "brush")
        assert painting.stroke("tube", disc(), FEATURE, "brush") is None
        assert painting.unsaved_count == 1


def test_layers_returned_earlier_do_not_change(tiled: Project) -> None:
    with PaintSession.open(tiled, PLACE) as painting:
        before = painting.layers["tube"]
        painting.stroke("tube", disc(), FEATURE, "brush")
        assert not before.any()
        with pytest.raises(ValueError, match="read-only"):
            painting.layers["tube"][0, 0] = 1


def test_opening_a_tile_changes_nothing(tiled: Project) -> None:
    before = sorted(tiled.layout.root.rglob("*"))
    with PaintSession.open(tiled, PLACE) as painting:
        assert painting.undo_depth == 0
        assert painting.undo() is None
        assert painting.redo() is None
    assert sorted(tiled.layout.root.rglob("*")) == before


def test_features_are_painted_independently_and_undone_in_one_order(tiled: Project) -> None:
    seen = painted(tiled, ("tube", 20, FEATURE), ("wall", 20, IGNORED), ("tube", 40, NOT_FEATURE))
    with PaintSession.open(tiled, PLACE) as painting:
        assert equal(dict(painting.layers), seen[3])
        undone = [painting.undo() for _ in range(3)]
        assert [change.feature for change in undone if change is not None] == ["tube", "wall", "tube"]
        assert equal(dict(painting.layers), seen[0])


def test_painting_does_not_mark_done_and_records_the_source_of_the_layer(tiled: Project) -> None:
    painted(tiled, ("tube", 20, FEATURE))
    assert state(tiled) is FeatureState.WANTED
    (row,) = [row for row in annotation_listing(tiled) if (row["tile"], row["feature"]) == (PLACE.id, "tube")]
    assert row["source"] == "painted"
    assert effective_layer(tiled.layout, catalog.tile_at(tiled.layout, PLACE), "tube") is None


def test_a_feature_without_a_state_becomes_wanted_by_its_first_stroke_and_loses_it_by_undo(tiled: Project) -> None:
    with PaintSession.open(tiled, WALL_ONLY) as painting:
        assert painting.states["tube"] is None
        painting.stroke("tube", disc(), FEATURE, "brush")
        assert painting.states["tube"] is FeatureState.WANTED
        painting.save()
        assert state(tiled, place=WALL_ONLY) is FeatureState.WANTED
        painting.undo()
        painting.save()
        assert state(tiled, place=WALL_ONLY) is None
        painting.redo()
    assert state(tiled, place=WALL_ONLY) is FeatureState.WANTED


@pytest.mark.parametrize("place", [NEGATIVE, STAR])
def test_a_tile_marked_none_here_must_be_marked_wanted_before_painting(tiled: Project, place: TileLocation) -> None:
    with PaintSession.open(tiled, place) as painting:
        with pytest.raises(ProjectError, match="marked as holding no tube"):
            painting.stroke("tube", disc(), FEATURE, "brush")
        with pytest.raises(ProjectError, match="marked as holding no tube"):
            painting.mark_done("tube")
        painting.mark_wanted("tube")
        assert painting.mark_wanted("tube") is None
        painting.stroke("tube", disc(), FEATURE, "brush")
    assert state(tiled, place=place) is FeatureState.WANTED
    assert state(tiled, "other", STAR) is FeatureState.NONE_HERE
    with PaintSession.open(tiled, place) as painting:
        painting.undo()
        painting.undo()
        assert painting.undo_depth == 0
    assert state(tiled, place=place) is FeatureState.NONE_HERE


def test_an_unknown_feature_is_refused(tiled: Project) -> None:
    with pytest.raises(ProjectError, match="no feature 'vesicle'"):
        PaintSession.open(tiled, PLACE, features=["vesicle"])
    with (
        PaintSession.open(tiled, PLACE, features=["tube"]) as painting,
        pytest.raises(ProjectError, match="'wall' here"),
    ):
        painting.stroke("wall", disc(), FEATURE, "brush")


# Done, none here


def test_marking_done_is_a_stroke_that_can_be_undone(tiled: Project) -> None:
    seen = painted(tiled, ("tube", 20, FEATURE))
    assert set_done(tiled, PLACE, "tube") == np.count_nonzero(disc())
    assert state(tiled) is FeatureState.ANNOTATED
    assert set(np.unique(on_disk(tiled))) == {NOT_FEATURE, FEATURE}
    with PaintSession.open(tiled, PLACE) as painting:
        assert painting.mark_done("tube") is None
        painting.undo()
        assert equal(dict(painting.layers), seen[1])
    assert state(tiled) is FeatureState.WANTED
    with PaintSession.open(tiled, PLACE) as painting:
        painting.redo()
    assert state(tiled) is FeatureState.ANNOTATED


def test_a_finished_tile_stays_done_while_it_is_painted(tiled: Project) -> None:
    set_done(tiled, PLACE, "tube")
    painted(tiled, ("tube", 20, FEATURE))
    assert state(tiled) is FeatureState.ANNOTATED


def test_none_here_clears_the_layer_and_can_be_undone(tiled: Project) -> None:
    seen = painted(tiled, ("tube", 20, FEATURE))
    with PaintSession.open(tiled, PLACE) as painting:
        painting.mark_none_here("tube")
        assert painting.mark_none_here("tube") is None
        painting.save()
        assert state(tiled) is FeatureState.NONE_HERE
        assert not on_disk(tiled).any()
        painting.undo()
        assert equal(dict(painting.layers), seen[1])
    assert state(tiled) is FeatureState.WANTED


def test_a_whole_layer_can_be_replaced_in_one_stroke(tiled: Project) -> None:
    wanted = np.random.default_rng(7).integers(0, 4, (64, 64), np.uint8)
    with PaintSession.open(tiled, PLACE) as painting:
        painting.replace_layer("tube", wanted, "copied")
        assert painting.replace_layer("tube", wanted, "copied") is None
        assert painting.unsaved_count == 1
    np.testing.assert_array_equal(on_disk(tiled), wanted)


# Laws

MOVES = st.lists(
    st.tuples(
        st.sampled_from(["stroke", "stroke", "stroke", "undo", "redo", "done", "none", "wanted", "reopen"]),
        st.sampled_from(["tube", "wall"]),
        st.integers(0, 63),
        st.integers(0, 3),
    ),
    max_size=25,
)


def moved(painting: PaintSession, move: tuple[str, str, int, int]) -> LayerChange | None:
    kind, feature, x, value = move
    if kind == "undo":
        return painting.undo()
    if kind == "redo":
        return painting.redo()
    if kind == "wanted" or painting.states[feature] is FeatureState.NONE_HERE:
        return painting.mark_wanted(feature)
    if kind == "done":
        return painting.mark_done(feature)
    if kind == "none":
        return painting.mark_none_here(feature)
    return painting.stroke(feature, rectangle_mask((64, 64), (x // 2, x), (63 - x, 40)), value, "box")


@IN_ONE_FOLDER
@given(moves=MOVES)
def test_undoing_all_gives_the_start_and_redoing_all_the_end(tiled: Project, moves: list[object]) -> None:
    """Also over any number of sessions."""
    shutil.rmtree(tiled.layout.annotations / "cell", ignore_errors=True)
    place_again(tiled)
    painting = PaintSession.open(tiled, PLACE)
    start, start_states = dict(painting.layers), dict(painting.states)
    for move in moves:
        if move[0] == "reopen":  # type: ignore[index]
            painting.close()
            painting = PaintSession.open(tiled, PLACE)
        else:
            before, change = painting.layers, moved(painting, move)  # type: ignore[arg-type]
            if change is not None:
                after = apply_change(before[change.feature], change)
                np.testing.assert_array_equal(painting.layers[change.feature], after)
    while painting.redo() is not None:
        pass
    end, end_states = dict(painting.layers), dict(painting.states)
    painting.close()
    painting = PaintSession.open(tiled, PLACE)
    assert equal(dict(painting.layers), end)
    while painting.undo() is not None:
        pass
    assert equal(dict(painting.layers), start)
    assert painting.states == start_states
    painting.close()
    with PaintSession.open(tiled, PLACE) as painting:
        while painting.redo() is not None:
            pass
        assert equal(dict(painting.layers), end)
        assert painting.states == end_states
    assert {feature: state(tiled, feature) for feature in ("tube", "wall")} == end_states


def place_again(project: Project) -> None:
    for feature in ("tube", "wall"):
        project.layout.tile_state(PLACE, feature).unlink(missing_ok=True)
        place_tiles(project, [tile_placement(PLACE, feature, negative=False)])


def test_a_truncated_log_leaves_the_tile_at_the_end_of_a_stroke(tiled: Project) -> None:
    """The layers' files are any earlier ones, because they are replaced after the log is on disk."""
    strokes = [("tube", 10, 2), ("wall", 20, 2), ("tube", 30, 3), ("tube", 12, 1), ("wall", 40, 1)]
    path, folder = tiled.layout.stroke_log(PLACE), tiled.layout.annotation_folder(PLACE)
    seen, files, ends = list[dict[str, Layer]](), list[dict[str, bytes]](), list[int]()
    with PaintSession.open(tiled, PLACE) as painting:
        for feature, x, value in strokes:
            painting.stroke(feature, disc(x), value, "brush")
            painting.save()
            seen.append(dict(painting.layers))
            files.append({file.name: file.read_bytes() for file in folder.glob("*.npy")})
            ends.append(path.stat().st_size)
    content = path.read_bytes()
    for at in range(len(files)):
        for name, values in files[at].items():
            (folder / name).write_bytes(values)
        for length in range(ends[at], len(content) + 1, 11):
            path.write_bytes(content[:length])
            whole = sum(end <= length for end in ends)
            found = load_tile(tiled.layout, PLACE, ("tube", "wall"))
            # A feature whose file does not exist yet was not painted before.
            kept = {name: layer for name, layer in found.layers.items() if f"{name}.npy" in files[at]}
            assert all(np.array_equal(layer, seen[whole - 1][name]) for name, layer in kept.items()), (at, length)
            assert not found.replaced & set(kept)


def test_a_log_that_lost_its_end_is_replaced_and_the_layers_are_preserved(tiled: Project) -> None:
    seen = painted(tiled, ("tube", 10, 2), ("tube", 30, 3), ("wall", 30, 3))
    path = tiled.layout.stroke_log(PLACE)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    with PaintSession.open(tiled, PLACE) as painting:
        assert equal(dict(painting.layers), seen[3])
        assert painting.undo_depth == 0
        assert "cannot be undone" in painting.remarks[0]
        painting.stroke("tube", disc(50), FEATURE, "brush")
    with PaintSession.open(tiled, PLACE) as painting:
        painting.undo()
        assert equal(dict(painting.layers), seen[3])
        assert painting.remarks == ()
    assert path.with_name("damaged_strokes.jsonl").exists()


def test_a_full_disk_is_reported_and_strokes_are_saved_when_there_is_space(tiled: Project) -> None:
    painted(tiled, ("tube", 10, 2))
    before = tiled.layout.stroke_log(PLACE).read_bytes()
    with PaintSession.open(tiled, PLACE) as painting:
        painting.stroke("tube", disc(30), FEATURE, "brush")
        painting.stroke("tube", disc(40), FEATURE, "brush")
        with files_of_at_most(len(before) + 30), pytest.raises(ProjectError, match=r"2 strokes .* cannot be written"):
            painting.save()
        assert tiled.layout.stroke_log(PLACE).read_bytes() == before
        assert painting.unsaved_count == 2
        assert painting.save() == 2
        np.testing.assert_array_equal(on_disk(tiled), painting.layers["tube"])


def test_strokes_painted_while_others_are_saved_are_all_saved_in_order(tiled: Project) -> None:
    with PaintSession.open(tiled, PLACE) as painting:
        ended = threading.Event()

        def keep_all() -> None:
            while not ended.is_set() or painting.unsaved_count:
                painting.save()

        writer = threading.Thread(target=keep_all)
        writer.start()
        for number in range(120):
            painting.stroke("tube", brush_mask((64, 64), (number // 2, number % 64), 3), number % 3 + 1, "brush")
            if number % 10 == 9:
                painting.undo()
        ended.set()
        writer.join()
        assert painting.unsaved_count == 0
        np.testing.assert_array_equal(on_disk(tiled), painting.layers["tube"])
        last = dict(painting.layers)
    with PaintSession.open(tiled, PLACE) as painting:
        assert equal(dict(painting.layers), last)
        while painting.undo():
            pass
        assert not painting.layers["tube"].any()
