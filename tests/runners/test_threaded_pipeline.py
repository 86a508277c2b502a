"""Three threads that pass items on."""

import threading
import time
from collections.abc import Iterator

import pytest

from tomoseg_tui.runners.slabs import read_compute_write


def numbers(*found: int | None) -> Iterator[int | None]:
    yield from found


def test_items_are_written_in_order_and_waiting_comes_after_writing() -> None:
    written: list[int] = []
    at_waits: list[list[int]] = []
    read_compute_write(numbers(1, 2, None, 3), lambda n: 10 * n, written.append, lambda: at_waits.append([*written]))
    assert (written, at_waits) == ([10, 20, 30], [[10, 20]])


def test_the_three_run_in_separate_threads() -> None:
    seen: dict[str, str] = {}

    def record(role: str) -> None:
        seen[role] = threading.current_thread().name

    def reading() -> Iterator[int | None]:
        record("read")
        yield 1

    read_compute_write(reading(), lambda _: record("compute"), lambda _: record("write"), lambda: None)
    assert len(set(seen.values())) == 3
    assert seen["compute"] == threading.current_thread().name


def test_the_reader_is_at_most_one_item_ahead() -> None:
    read: list[int] = []

    def reading() -> Iterator[int | None]:
        for number in range(5):
            read.append(number)
            yield number

    def computing(number: int) -> int:
        time.sleep(0.02)
        assert len(read) <= number + 2
        return number

    read_compute_write(reading(), computing, lambda _: None, lambda: None)
    assert read == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("place", ["read", "compute", "write"])
def test_any_error_is_raised_and_no_further_item_is_started(place: str) -> None:
    computed: list[int] = []

    def fail_at(here: str, number: int) -> int:
        if (here, number) == (place, 2):
            raise ValueError(place)
        return number

    def reading() -> Iterator[int | None]:
        for number in range(9):
            yield fail_at("read", number)

    def computing(number: int) -> int:
        computed.append(number)
        return fail_at("compute", number)

    def writing(number: int) -> None:
        fail_at("write", number)

    with pytest.raises(ValueError, match=place):
        read_compute_write(reading(), computing, writing, lambda: None)
    assert computed[-1] <= 4
