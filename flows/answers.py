"""Answers that are kept for when a slider comes back, or another tab asks the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

__all__ = ["MOST_KEPT", "Answers", "answers_of"]

Answer = TypeVar("Answer")

MOST_KEPT: Final = 500
"""Values that are kept of what sliders were moved to."""


class Answers:
    """What was computed already of one simulation; its tabs share it, each in a thread of its own.

    Parameters
    ----------
    most : int
        Kept at once; fewer than one view asks for would be computed anew at each move of a slider.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._kept: dict[str, Any] = {}
        self._turn = threading.Lock()

    def once(self, key: object, make: Callable[[], Answer]) -> Answer:
        """Compute once; the oldest answers go first when there are too many.

        Parameters
        ----------
        key : object
            Its `repr` names the answer.
        make : callable
            Computes it. Two threads that ask at once may both compute; both get what one of them did.
        """
        name = repr(key)
        found: Answer | None = self._kept.get(name)
        if found is not None:
            return found
        made = make()
        with self._turn:
            given: Answer = self._kept.setdefault(name, made)
            while len(self._kept) > self._most:
                self._kept.pop(next(iter(self._kept)))
        return given

    def __len__(self) -> int:
        """Count the answers."""
        return len(self._kept)


_OPENED: Final[dict[Path, tuple[object, Answers]]] = {}
"""By file of draws: what it and the initiatives file said when they were opened last, and the answers."""


def answers_of(path: Path, content: bytes, plans: str, most: int = MOST_KEPT) -> Answers:
    """Give the answers of the last time if draws and initiatives file still say the same, else none.

    Parameters
    ----------
    path : Path
        The file of draws.
    content : bytes
        What was read there.
    plans : str
        The initiatives file; it may change rules and titles.
    most : int
        Answers to keep.
    """
    said = sha256(content).hexdigest(), plans
    before, answers = _OPENED.get(path, (None, Answers(most)))
    if before != said:
        answers = Answers(most)
        _OPENED[path] = said, answers
    return answers
