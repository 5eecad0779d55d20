"""What is said of a batch of scores: reasons to watch or to act, and the verdict that follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["Check", "Level", "Reason", "Verdict", "verdict_of"]

Level = Literal["watch", "act"]
Verdict = Literal["ok", "watch", "act"]

_ORDER: Final[tuple[Verdict, ...]] = ("ok", "watch", "act")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a batch is not just ok.

    Attributes
    ----------
    kind : str
        What was found: ``freshness``, ``schema``, ``volume``, ``unit``, ``source``, ``missing``, ``drift``, ``score
        drift``, ``constant score``, ``unscored``, ``realised`` or ``late outcomes``.
    verdict : {"watch", "act"}
        What follows.
    text : str
        The value, what was expected, what to do.
    """

    kind: str
    verdict: Level
    text: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what was found beside what was expected."""

    check: str
    value: str
    expected: str
    verdict: Verdict


def verdict_of(reasons: Iterable[Reason]) -> Verdict:
    """Take the gravest.

    Examples
    --------
    >>> verdict_of([Reason("drift", "watch", "It moved.")]), verdict_of([])
    ('watch', 'ok')
    """
    return max((reason.verdict for reason in reasons), key=_ORDER.index, default="ok")
