"""Timings of this machine are stored for the user."""

from pathlib import Path

from tomoseg_tui.project.timings import MAX_TIMINGS, Timing, load_timings, store_timing, timing_key, timings_file

PACE = Timing(start_seconds=4.0, unit_seconds=0.5, judging_seconds=0.1, memory_bytes=800)


def test_a_stored_timing_is_loaded(tmp_path: Path) -> None:
    path = timings_file({"XDG_CACHE_HOME": str(tmp_path)})
    assert load_timings(path) == {}
    store_timing(path, "one", PACE)
    faster = Timing(start_seconds=1.0, unit_seconds=0.2, memory_bytes=700)
    store_timing(path, "two", faster)
    assert load_timings(path) == {"one": PACE, "two": faster}
    store_timing(path, "one", faster)
    assert load_timings(path)["one"] == faster


def test_the_oldest_timings_are_dropped_first(tmp_path: Path) -> None:
    path = tmp_path / "paces.json"
    for number in range(MAX_TIMINGS + 1):
        store_timing(path, str(number), PACE)
    assert list(load_timings(path)) == [str(number) for number in range(1, MAX_TIMINGS + 1)]


def test_an_unreadable_or_unwritable_file_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "paces.json").write_text("half a li", encoding="utf-8")
    assert load_timings(tmp_path / "paces.json") == {}
    (tmp_path / "file").touch()
    store_timing(tmp_path / "file" / "paces.json", "one", PACE)


def test_the_time_of_work_is_its_start_and_a_time_per_unit() -> None:
    assert PACE.seconds(10, validated_tiles=20) == 4 + 5 + 2


def test_a_timing_belongs_to_its_workload() -> None:
    assert timing_key("train", "cpu") != timing_key("train", "gpu")
