"""One thing is worked on while the next is made; order and errors stay."""

import threading
from collections.abc import Iterator

import pytest

from features.pipeline import in_turn


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
