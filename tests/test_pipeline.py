"""One thing is worked on while the next is made; order and errors stay."""

import threading
from collections.abc import Iterator

import pytest

from features.pipeline import in_turn, side_by_side


def test_the_next_is_made_while_one_is_worked_on() -> None:
    second_is_made = threading.Event()

    def made() -> Iterator[int]:
        yield 1
        second_is_made.set()
        yield 2

    assert list(in_turn(lambda one: (one, second_is_made.wait(20)), made())) == [(1, True), (2, True)]


def test_nothing_comes_of_nothing() -> None:
    assert list(in_turn(str, [])) == []


def test_what_fails_is_raised_and_ends_the_work() -> None:
    done: list[int] = []
    with pytest.raises(ZeroDivisionError, match="division"):
        list(in_turn(lambda one: done.append(1 // one), [1, 0, 1, 1]))
    assert done == [1]


def test_several_are_worked_on_at_a_time_and_come_in_order() -> None:
    both = threading.Barrier(2, timeout=20)

    def work(one: int) -> int:
        both.wait()
        return one

    assert list(side_by_side(work, range(8), 2)) == list(range(8))


def test_no_more_is_made_than_workers_need() -> None:
    made: list[int] = []

    def each() -> Iterator[int]:
        for one in range(100):
            made.append(one)
            yield one

    found = side_by_side(str, each(), 3)
    assert next(found) == "0"
    assert len(made) == 6
    found.close()
    assert len(made) == 6


def test_what_fails_beside_others_is_raised_and_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def work(one: int) -> float:
        begun.append(one)
        return 1 / (one - 2)

    with pytest.raises(ZeroDivisionError, match="division"):
        list(side_by_side(work, range(100), 1))
    assert max(begun) < 6
