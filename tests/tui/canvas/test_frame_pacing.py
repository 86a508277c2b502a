"""Frames are limited by replies; the tests control the clock."""

from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.tui.canvas.frame_pacing import (
    ANSWER_TIMEOUT_SECONDS,
    FAST_FRAMES_TO_REFINE,
    FAST_SECONDS,
    MAX_COARSENESS,
    MAX_FRAMES_IN_FLIGHT,
    MAX_LOST_ANSWERS,
    SLOW_SECONDS,
    FramePacer,
)


class Clock:
    """A clock that tests advance."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def test_at_most_three_frames_are_in_flight() -> None:
    pacer = FramePacer(Clock())
    sent = 0
    while pacer.can_send():
        pacer.record_sent()
        sent += 1
    assert sent == MAX_FRAMES_IN_FLIGHT == 3


def test_a_reply_frees_a_slot_and_calls_waiting_callbacks_once() -> None:
    pacer, woken = FramePacer(Clock()), []

    def wake() -> None:
        woken.append(1)

    for _ in range(MAX_FRAMES_IN_FLIGHT):
        pacer.record_sent()
    pacer.call_when_free(wake)
    pacer.call_when_free(wake)
    pacer.record_answer()
    assert pacer.can_send()
    pacer.record_answer()
    assert woken == [1]


def test_an_unexpected_reply_is_a_key() -> None:
    pacer = FramePacer(Clock())
    pacer.record_answer()
    for _ in range(MAX_FRAMES_IN_FLIGHT):
        pacer.record_sent()
    assert not pacer.can_send()


def test_a_lost_reply_blocks_for_at_most_a_second() -> None:
    clock = Clock()
    pacer = FramePacer(clock)
    for _ in range(MAX_FRAMES_IN_FLIGHT):
        pacer.record_sent()
    clock.wait(ANSWER_TIMEOUT_SECONDS - 0.01)
    assert not pacer.can_send()
    clock.wait(0.01)
    assert pacer.can_send()


def test_a_terminal_that_never_replies_is_no_longer_queried() -> None:
    clock = Clock()
    pacer = FramePacer(clock)
    for _ in range(MAX_LOST_ANSWERS):
        assert pacer.record_sent()
        clock.wait(ANSWER_TIMEOUT_SECONDS)
        assert pacer.can_send()
    assert not pacer.record_sent()
    assert all(pacer.can_send() or pacer.record_sent() for _ in range(10))


def test_a_terminal_whose_first_reply_is_late_is_queried_again() -> None:
    clock = Clock()
    pacer = FramePacer(clock)
    for _ in range(MAX_LOST_ANSWERS):
        pacer.record_sent()
    clock.wait(ANSWER_TIMEOUT_SECONDS)
    assert pacer.can_send()
    pacer.record_answer()
    assert pacer.record_sent()


def test_frames_that_are_not_urgent_leave_slots_free() -> None:
    pacer = FramePacer(Clock())
    assert pacer.can_send(reserve=MAX_FRAMES_IN_FLIGHT - 1)
    pacer.record_sent()
    assert pacer.can_send()
    assert not pacer.can_send(reserve=MAX_FRAMES_IN_FLIGHT - 1)


def frames(pacer: FramePacer, clock: Clock, seconds: float, count: int) -> None:
    """Send frames with this round-trip time."""
    for _ in range(count):
        pacer.record_sent()
        clock.wait(seconds)
        pacer.record_answer()


def test_slow_frames_make_the_next_coarser_step_by_step() -> None:
    clock = Clock()
    pacer = FramePacer(clock)
    steps = []
    for _ in range(4):
        frames(pacer, clock, SLOW_SECONDS * 1.1, 1)
        steps.append(pacer.coarseness)
    assert steps == [1, 2, MAX_COARSENESS, MAX_COARSENESS]


def test_several_fast_frames_make_it_finer_again() -> None:
    clock = Clock()
    pacer = FramePacer(clock)
    frames(pacer, clock, SLOW_SECONDS * 2, 2)
    frames(pacer, clock, FAST_SECONDS / 2, FAST_FRAMES_TO_REFINE - 1)
    assert pacer.coarseness == 2
    frames(pacer, clock, FAST_SECONDS / 2, 1)
    assert pacer.coarseness == 1


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 2)), max_size=60))
def test_the_number_of_frames_in_flight_stays_in_bounds_for_any_actions(events: list[tuple[bool, float]]) -> None:
    clock = Clock()
    pacer = FramePacer(clock)
    for is_answer, seconds in events:
        clock.wait(seconds)
        if is_answer:
            pacer.record_answer()
        elif pacer.can_send():
            pacer.record_sent()
        assert len(pacer._send_times) <= MAX_FRAMES_IN_FLIGHT
        assert 0 <= pacer.coarseness <= MAX_COARSENESS
