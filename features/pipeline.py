"""Work on one thing while the next is being made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_turn"]

Made = TypeVar("Made")
Done = TypeVar("Done")


def in_turn(work: Callable[[Made], Done], made: Iterable[Made]) -> Iterator[Done]:
    """Work on things in their order, in a thread beside the one that makes them.

    Parameters
    ----------
    work : callable
        What is done with each; never with two at a time.
    made : iterable
        Made when they are asked for; two are in memory at a time.

    Yields
    ------
    object
        What came of each, when the next one has been made.

    Examples
    --------
    >>> list(in_turn(str, range(3)))
    ['0', '1', '2']
    """
    with ThreadPoolExecutor(1) as worker:
        running: Future[Done] | None = None
        for one in made:
            if running is not None:
                yield running.result()
            running = worker.submit(work, one)
        if running is not None:
            yield running.result()
