"""Work on one thing while the next is being made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_turn", "side_by_side"]

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


def side_by_side(work: Callable[[Made], Done], made: Iterable[Made], workers: int) -> Iterator[Done]:
    """Work on several things at a time, in threads, and give the results in order.

    Parameters
    ----------
    work : callable
        What is done with each; gains where it lets go of Python's lock.
    made : iterable
        Made, in the thread of the caller, when they are asked for: two for each worker are in memory at a time.
    workers : int
        At least 1.

    Yields
    ------
    object
        What came of each. Once one fails nothing more is begun.

    Examples
    --------
    >>> list(side_by_side(str, range(3), 2))
    ['0', '1', '2']
    """
    running: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for one in made:
                running.append(pool.submit(work, one))
                if len(running) == 2 * workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
