"""Answers are computed once, shared while the simulation is the same, and do not grow without end."""

from __future__ import annotations

import threading
from pathlib import Path

from flows.answers import MOST_KEPT, Answers, answers_of


def test_an_answer_is_computed_once_and_the_oldest_goes_first() -> None:
    answers, asked = Answers(), list[int]()
    for number in [*range(MOST_KEPT + 5), MOST_KEPT + 4, 0]:
        assert answers.once(("x", number), lambda n=number: asked.append(n) or str(n)) == str(number)
    assert len(answers) == MOST_KEPT
    assert asked == [*range(MOST_KEPT + 5), 0], "what went is computed again"


def test_tabs_that_ask_at_once_get_the_same_answer() -> None:
    answers, start, found = Answers(), threading.Barrier(8), list[object]()

    def ask() -> None:
        start.wait()
        found.extend(answers.once(number, object) for number in range(300))

    tabs = [threading.Thread(target=ask) for _ in range(8)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert len(found) == 2_400
    assert len(set(map(id, found))) == 300


def test_answers_stay_while_draws_and_plans_say_the_same() -> None:
    path = Path("a store") / "draws.npz"
    first = answers_of(path, b"draws", "plans")
    assert answers_of(path, b"draws", "plans") is first
    assert answers_of(path, b"draws", "other rules") is not first
    assert answers_of(path, b"others", "plans") is not first
    assert answers_of(Path("elsewhere"), b"draws", "plans") is not first
