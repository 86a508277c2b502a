"""What was measured on this machine is kept for the user."""

from pathlib import Path

from tomoseg_tui.project.timings import MOST_KEPT, Pace, known_paces, pace_key, paces_file, remember_pace

PACE = Pace(start_seconds=4.0, unit_seconds=0.5, judging_seconds=0.1, memory_bytes=800)


def test_what_was_measured_is_found_again(tmp_path: Path) -> None:
    path = paces_file({"XDG_CACHE_HOME": str(tmp_path)})
    assert known_paces(path) == {}
    remember_pace(path, "one", PACE)
    faster = Pace(start_seconds=1.0, unit_seconds=0.2, memory_bytes=700)
    remember_pace(path, "two", faster)
    assert known_paces(path) == {"one": PACE, "two": faster}
    remember_pace(path, "one", faster)
    assert known_paces(path)["one"] == faster


def test_the_oldest_go_first(tmp_path: Path) -> None:
    path = tmp_path / "paces.json"
    for number in range(MOST_KEPT + 1):
        remember_pace(path, str(number), PACE)
    assert list(known_paces(path)) == [str(number) for number in range(1, MOST_KEPT + 1)]


def test_a_file_that_cannot_be_read_or_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "paces.json").write_text("half a li", encoding="utf-8")
    assert known_paces(tmp_path / "paces.json") == {}
    (tmp_path / "file").touch()
    remember_pace(tmp_path / "file" / "paces.json", "one", PACE)


def test_work_takes_its_start_and_a_time_for_each_unit() -> None:
    assert PACE.seconds(10, judged=20) == 4 + 5 + 2


def test_a_pace_is_of_what_was_done() -> None:
    assert pace_key("train", "cpu") != pace_key("train", "gpu")
