"""Strokes on disk: a line is complete or ignored, and a layer is the result of its log."""

from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import files_of_at_most
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tomoseg_tui.core.annotation import apply_change, empty_layer, layer_difference
from tomoseg_tui.core.tiles import FeatureState
from tomoseg_tui.project import stroke_log
from tomoseg_tui.project.stroke_log import LogEntry, LogPosition

LAYERS = arrays.arrays(np.uint8, (16, 16), elements=st.integers(0, 3))
IN_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "strokes.jsonl"


def a_line(value: int = 2, feature: str = "tube") -> LogEntry:
    start = empty_layer(16)
    end = empty_layer(16, value)
    change = layer_difference(start, end, feature=feature, tool="brush")
    assert change is not None
    return stroke_log.make_entry(stroke_log.STROKE, change, start, end)


def begun(path: Path, *lines: LogEntry) -> stroke_log.StrokeLog:
    path.unlink(missing_ok=True)
    end = stroke_log.append_entries(path, stroke_log.create_stroke_log(path).end, lines)
    known = stroke_log.read_stroke_log(path)
    assert known is not None
    assert known.end == end
    return known


@IN_ONE_FOLDER
@given(before=LAYERS, after=LAYERS, states=st.sampled_from([None, (None, FeatureState.WANTED)]))
def test_an_entry_has_the_change_of_a_stroke(path: Path, before: np.ndarray, after: np.ndarray, states: object) -> None:
    change = layer_difference(before, after, feature="tube", tool="wand")
    if change is None:
        return
    begun(path, stroke_log.make_entry(stroke_log.STROKE, change, before, after))
    known = stroke_log.read_stroke_log(path)
    assert known is not None
    read = known.entries[0].change
    np.testing.assert_array_equal(apply_change(before, read), after)
    np.testing.assert_array_equal(apply_change(after, read.inverse), before)
    assert (read.feature, read.tool) == ("tube", "wand")


def test_the_complete_lines_of_a_truncated_log_are_read(path: Path) -> None:
    known = begun(path, *(a_line(value) for value in (1, 2, 3)))
    content = path.read_bytes()
    ends = [number + 1 for number, byte in enumerate(content) if byte == ord("\n")]
    for length in range(ends[0], len(content) + 1, 3):
        path.write_bytes(content[:length])
        cut = stroke_log.read_stroke_log(path)
        assert cut is not None
        whole = sum(end <= length for end in ends) - 1
        assert cut.entries == known.entries[:whole]
        assert cut.end == ends[whole]


@pytest.mark.parametrize("tail", [b"", b'{"sum":"', b"\0\0\0\0", b'{"sum":"00000000","line":{}}\n'])
def test_a_partial_line_is_cut_off_before_the_next(path: Path, tail: bytes) -> None:
    known = begun(path, a_line(1))
    path.write_bytes(path.read_bytes() + tail)
    torn = stroke_log.read_stroke_log(path)
    assert torn is not None
    assert torn.end == known.end
    stroke_log.append_entries(path, torn.end, [a_line(3)])
    assert [line.change.after[0] for line in stroke_log.entries_since(path, known.position)] == [3]
    assert path.read_bytes().count(b"\n") == 3


def test_a_damaged_line_is_skipped(path: Path) -> None:
    begun(path, a_line(1), a_line(2), a_line(3))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(b"brush", b"brunt"), lines[3]]))
    known = stroke_log.read_stroke_log(path)
    assert known is not None
    assert [line.change.after[0] for line in known.entries] == [1, 3]
    assert known.end == path.stat().st_size


def test_later_entries_are_read_only_from_the_same_log(path: Path) -> None:
    first = begun(path, a_line(1))
    end = stroke_log.append_entries(path, first.end, [a_line(2)])
    assert len(stroke_log.entries_since(path, first.position)) == 1
    assert stroke_log.entries_since(path, LogPosition(first.id, end)) == ()
    assert stroke_log.entries_since(path, LogPosition("another", 0)) == ()
    assert stroke_log.entries_since(path.with_name("nothing"), first.position) == ()


def test_a_renamed_feature_keeps_its_strokes_and_frees_its_old_name(path: Path) -> None:
    known = begun(path, a_line(1))
    stroke_log.append_event(path, stroke_log.RENAMED, "tube", "filament")
    later = stroke_log.read_stroke_log(path)
    assert later is not None
    stroke_log.append_entries(path, later.end, [a_line(2, "tube")])
    read = stroke_log.read_stroke_log(path)
    assert read is not None
    assert [line.feature for line in read.entries] == ["filament", "tube"]
    assert [line.feature for line in stroke_log.entries_since(path, known.position)] == ["tube"]


def test_an_unusable_log_is_renamed_not_overwritten(path: Path) -> None:
    path.write_bytes(b"not a journal\n")
    assert stroke_log.read_stroke_log(path) is None
    assert stroke_log.append_event(path, stroke_log.REPLACED, "tube") is None
    stroke_log.create_stroke_log(path)
    assert path.with_name("damaged_strokes.jsonl").read_bytes() == b"not a journal\n"


def test_a_full_disk_leaves_the_log_unchanged(path: Path) -> None:
    known = begun(path, a_line(1))
    content = path.read_bytes()
    with files_of_at_most(known.end + 20), pytest.raises(OSError, match="File too large"):
        stroke_log.append_entries(path, known.end, [a_line(2)])
    assert path.read_bytes() == content


@given(st.lists(st.sampled_from(["stroke a", "stroke b", "undo", "redo"]), max_size=30))
def test_undo_and_redo_are_a_stack(moves: list[str]) -> None:
    """The undo stack behaves like a list of names."""
    history, done, undone = stroke_log.UndoStack(), list[int](), list[int]()
    for number, move in enumerate(moves):
        if move.startswith("stroke"):
            change = layer_difference(empty_layer(16), empty_layer(16, 2), feature=move[-1], tool=str(number))
            assert change is not None
            history, done, undone = history.after(stroke_log.STROKE, change), [*done, number], []
        elif move == "undo" and done:
            history = history.after(stroke_log.UNDO, history.done[-1].inverse)
            undone.append(done.pop())
        elif move == "redo" and undone:
            history = history.after(stroke_log.REDO, history.undone[-1])
            done.append(undone.pop())
        assert [int(change.tool) for change in history.done] == done
        assert [int(change.tool) for change in history.undone] == undone
