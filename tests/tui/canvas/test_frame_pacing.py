"""Frames are gated by answers; the clock is ours."""

from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.tui.canvas.frame_pacing import (
    COARSEST,
    CREDITS,
    DEAF_AFTER,
    FAST_IN_A_ROW,
    FAST_SECONDS,
    LOST_SECONDS,
    SLOW_SECONDS,
    Pacer,
)


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def test_no_more_than_three_frames_are_on_their_way() -> None:
    pacer = Pacer(Clock())
    sent = 0
    while pacer.may_send():
        pacer.sent()
        sent += 1
    assert sent == CREDITS == 3


def test_an_answer_frees_the_way_and_wakes_who_waits_once() -> None:
    pacer, woken = Pacer(Clock()), []

    def wake() -> None:
        woken.append(1)

    for _ in range(CREDITS):
        pacer.sent()
    pacer.when_free(wake)
    pacer.when_free(wake)
    pacer.answered()
    assert pacer.may_send()
    pacer.answered()
    assert woken == [1]


def test_an_answer_that_nobody_waits_for_is_a_key() -> None:
    pacer = Pacer(Clock())
    pacer.answered()
    for _ in range(CREDITS):
        pacer.sent()
    assert not pacer.may_send()


def test_a_lost_answer_stops_nothing_for_longer_than_a_second() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    for _ in range(CREDITS):
        pacer.sent()
    clock.wait(LOST_SECONDS - 0.01)
    assert not pacer.may_send()
    clock.wait(0.01)
    assert pacer.may_send()


def test_a_terminal_that_never_answers_is_not_asked_for_ever() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    for _ in range(DEAF_AFTER):
        assert pacer.sent()
        clock.wait(LOST_SECONDS)
        assert pacer.may_send()
    assert not pacer.sent()
    assert all(pacer.may_send() or pacer.sent() for _ in range(10))


def test_a_terminal_that_answers_late_at_first_is_asked_again() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    for _ in range(DEAF_AFTER):
        pacer.sent()
    clock.wait(LOST_SECONDS)
    assert pacer.may_send()
    pacer.answered()
    assert pacer.sent()


def test_what_is_not_urgent_goes_only_when_nothing_else_is_on_its_way() -> None:
    pacer = Pacer(Clock())
    assert pacer.may_send(spare=CREDITS - 1)
    pacer.sent()
    assert pacer.may_send()
    assert not pacer.may_send(spare=CREDITS - 1)


def frames(pacer: Pacer, clock: Clock, seconds: float, count: int) -> None:
    """Send frames that take so long."""
    for _ in range(count):
        pacer.sent()
        clock.wait(seconds)
        pacer.answered()


def test_slow_frames_make_the_next_coarser_step_by_step() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    steps = []
    for _ in range(4):
        frames(pacer, clock, SLOW_SECONDS * 1.1, 1)
        steps.append(pacer.coarseness)
    assert steps == [1, 2, COARSEST, COARSEST]


def test_fast_frames_in_a_row_make_it_finer_again() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    frames(pacer, clock, SLOW_SECONDS * 2, 2)
    frames(pacer, clock, FAST_SECONDS / 2, FAST_IN_A_ROW - 1)
    assert pacer.coarseness == 2
    frames(pacer, clock, FAST_SECONDS / 2, 1)
    assert pacer.coarseness == 1


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 2)), max_size=60))
def test_whatever_happens_the_count_of_frames_on_their_way_stays_in_bounds(events: list[tuple[bool, float]]) -> None:
    clock = Clock()
    pacer = Pacer(clock)
    for is_answer, seconds in events:
        clock.wait(seconds)
        if is_answer:
            pacer.answered()
        elif pacer.may_send():
            pacer.sent()
        assert len(pacer._sent) <= CREDITS
        assert 0 <= pacer.coarseness <= COARSEST
