"""Folds: the only things a feature may do to many rows.

Every fold merges, so any engine may split the work, and every fold leaves out missing values. What a fold works on is
a column name or a function of the rows (``lambda t: t.wait > 10``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.snapshot import DAY

__all__ = [
    "CUSTOMER",
    "Fold",
    "Plan",
    "Runs",
    "Slice",
    "count",
    "decayed",
    "high",
    "last",
    "low",
    "mean",
    "ratio",
    "recent",
    "run_starts",
    "since",
    "slice_label",
    "span",
    "total",
]

Floats: TypeAlias = NDArray[np.float64]
Expression: TypeAlias = str | Callable[[Any], Any]
Slice: TypeAlias = str | tuple[str, ...]
Operation: TypeAlias = Literal[
    "count", "total", "mean", "low", "high", "last", "ratio", "decayed", "recent", "span", "since"
]

CUSTOMER = "customer"
"""The slice that does not cut: one level, also called ``customer``, with all rows of a customer."""

_ZERO_WHEN_EMPTY = frozenset({"count", "total", "decayed"})


@dataclass(frozen=True, slots=True)
class Fold:
    """One number out of many rows; made by `count`, `total`, `mean` and the other functions of this module.

    Attributes
    ----------
    op : str
        The operation.
    of : str or callable, optional
        What is folded.
    per : str or callable, optional
        The denominator of a ratio.
    half_life_days : float
        After how many days a row counts half (``decayed`` and ``recent``).
    """

    op: Operation
    of: Expression = ""
    per: Expression = ""
    half_life_days: float = 0.0

    @property
    def empty(self) -> float:
        """The value over no rows: 0 for counts and sums, missing otherwise."""
        return 0.0 if self.op in _ZERO_WHEN_EMPTY else float("nan")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compute: facts of touchpoints, folds over each journey, folds over journeys and over touchpoints.

    Attributes
    ----------
    facts : mapping of name to function
        Columns added to the touchpoints. The function sees ``t.<column>``, ``t.before`` (the touchpoint before it in
        its journey), ``t.thread`` (the one before it in any journey of that type), ``t.is_first`` and earlier facts.
        Where nothing lies before, a comparison is False and a number is missing.
    journey : mapping of name to Fold
        Over the touchpoints of one journey as it stood at the cutoff. ``j.began`` and ``j.ended`` are always there.
    features : mapping of slice to mapping of name to Fold
        Over the journeys of a customer, sliced by a touchpoint column that is the same all over a journey (the value
        at its first touchpoint counts), by a tuple of such columns, or by `CUSTOMER`.
    touch_features : mapping of slice to mapping of name to Fold
        The same over touchpoints. Folds over touchpoints also see ``t.cutoff``.
    window_days : int
        Rows that happened in ``(cutoff - window, cutoff]`` count.
    keep : frozenset of str
        Output columns wanted; empty for all.
    """

    facts: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    journey: Mapping[str, Fold] = field(default_factory=dict)
    features: Mapping[Slice, Mapping[str, Fold]] = field(default_factory=dict)
    touch_features: Mapping[Slice, Mapping[str, Fold]] = field(default_factory=dict)
    window_days: int = 180
    keep: frozenset[str] = frozenset()


def count() -> Fold:
    """Count the rows."""
    return Fold("count")


def total(of: Expression) -> Fold:
    """Sum what is known; 0 when nothing is."""
    return Fold("total", of)


def mean(of: Expression) -> Fold:
    """Average what is known; missing when nothing is."""
    return Fold("mean", of)


def low(of: Expression) -> Fold:
    """Take the smallest known value."""
    return Fold("low", of)


def high(of: Expression) -> Fold:
    """Take the largest known value."""
    return Fold("high", of)


def last(of: Expression) -> Fold:
    """Take the latest known value; of several at the same moment the one that stands last in the table."""
    return Fold("last", of)


def ratio(of: Expression, per: Expression) -> Fold:
    """Divide the total of one thing by the total of another; missing when the latter is 0."""
    return Fold("ratio", of, per)


def decayed(of: Expression, half_life_days: float) -> Fold:
    """Sum what is known, each row weighted by ``2 ** -(age / half_life)`` with its age at the cutoff in days."""
    return Fold("decayed", of, half_life_days=half_life_days)


def recent(of: Expression, half_life_days: float) -> Fold:
    """Average what is known with the weights of `decayed`: a mean that forgets; missing when nothing is known."""
    return Fold("recent", of, half_life_days=half_life_days)


def span() -> Fold:
    """Measure the days from the first row to the last."""
    return Fold("span")


def since() -> Fold:
    """Measure the days from the last row to the cutoff."""
    return Fold("since")


def slice_label(level: str | tuple[str, ...]) -> str:
    """Write a level of a slice as it stands in a column name: ``support`` or ``support__call``."""
    return level if isinstance(level, str) else "__".join(level)


def run_starts(key: NDArray[Any]) -> NDArray[np.intp]:
    """Return where each run of equal values begins.

    Examples
    --------
    >>> run_starts(np.array([4, 4, 7, 4])).tolist()
    [0, 2, 3]
    """
    new = np.ones(len(key), bool)
    new[1:] = key[1:] != key[:-1]
    return np.flatnonzero(new)


class Runs:
    """Rows cut into runs, one run for each value to be computed; remembers what several folds share.

    Parameters
    ----------
    rows : object
        What a fold function sees: an attribute per column, each an array of shape (n,).
    starts : array of int, shape (m,)
        Where each run begins; ascending, first 0.
    clock : array of int or float, shape (n,)
        When each row happened, microseconds.
    cutoff : array of int, shape (n,)
        The cutoff at which each row is looked at, microseconds.
    is_in_order : bool
        Whether the clock never goes back within a run.
    """

    __slots__ = ("_cutoff", "_memo", "_rows", "clock", "is_in_order", "starts")

    def __init__(
        self,
        rows: object,
        starts: NDArray[np.intp],
        clock: NDArray[Any],
        cutoff: NDArray[np.int64],
        *,
        is_in_order: bool,
    ) -> None:
        self._rows, self._cutoff, self.starts, self.clock = rows, cutoff, starts, clock
        self.is_in_order = is_in_order
        self._memo: dict[tuple[str, Expression | float], Floats] = {}

    def fold(self, fold: Fold) -> Floats:
        """Compute one value per run.

        Returns
        -------
        array of float64, shape (m,)
        """
        return _FOLDS[fold.op](self, fold)

    def values(self, of: Expression) -> Floats:
        """Evaluate a column or function on all rows, missing as NaN."""
        return self._remember("values", of, lambda: _as_floats(self._rows, of, len(self.clock)))

    def total(self, of: Expression) -> Floats:
        """Sum the known values of each run."""
        return self._remember("total", of, lambda: np.add.reduceat(self.filled(of), self.starts))

    def known(self, of: Expression) -> Floats:
        """Count the known values of each run."""
        return self._remember("known", of, lambda: self._count_known(of))

    def filled(self, of: Expression) -> Floats:
        """Evaluate with 0 for missing."""
        return self._remember("filled", of, lambda: _zero_for_missing(self.values(of)))

    def size(self) -> Floats:
        """Count the rows of each run."""
        return self._remember("size", "", lambda: np.diff(self.starts, append=len(self.clock)).astype(np.float64))

    def weight(self, half_life_days: float) -> Floats:
        """Weigh rows by age: 1 at the cutoff, one half a half-life before."""
        return self._remember("weight", half_life_days, lambda: np.exp2(self._age() / (-half_life_days * DAY)))

    def recent(self, of: Expression, half_life_days: float) -> Floats:
        """Average the known values of each run, weighted by age."""
        weight = self.weight(half_life_days)
        missing = np.isnan(self.values(of))
        known = np.where(missing, 0.0, weight) if missing.any() else weight
        total = np.add.reduceat(self.filled(of) * weight, self.starts)
        return _divide(total, np.add.reduceat(known, self.starts))

    def bounds(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the first and the last moment of each run."""
        if self.is_in_order:
            return self.clock[self.starts], self.clock[self._ends()]
        return np.minimum.reduceat(self.clock, self.starts), np.maximum.reduceat(self.clock, self.starts)

    def last(self, of: Expression) -> Floats:
        """Take the latest known value of each run."""
        values = self.values(of)
        ends = self._ends()
        latest = values[ends]
        if self.is_in_order and not np.isnan(latest).any():
            return latest
        at = np.arange(len(values))
        eligible = ~np.isnan(values)
        if not self.is_in_order:
            clock = np.where(eligible, self.clock, -np.inf)
            newest = np.repeat(np.maximum.reduceat(clock, self.starts), self.size().astype(np.intp))
            eligible &= clock == newest
        chosen = np.maximum.reduceat(np.where(eligible, at, -1), self.starts)
        return np.where(chosen >= 0, values[chosen], np.nan)

    def since(self) -> Floats:
        """Measure the days from the last row of each run to its cutoff."""
        return np.asarray((self._cutoff[self.starts] - self.bounds()[1]) / DAY, np.float64)

    def _age(self) -> Floats:
        return np.asarray(self._cutoff - self.clock, np.float64)

    def _ends(self) -> NDArray[np.intp]:
        return np.append(self.starts[1:], len(self.clock)) - 1

    def _count_known(self, of: Expression) -> Floats:
        missing = np.isnan(self.values(of))
        if not missing.any():
            return self.size()
        return np.add.reduceat((~missing).astype(np.float64), self.starts)

    def _remember(self, what: str, of: Expression | float, compute: Callable[[], Floats]) -> Floats:
        key = (what, of)
        if key not in self._memo:
            self._memo[key] = compute()
        return self._memo[key]


def _as_floats(rows: object, of: Expression, n: int) -> Floats:
    found = getattr(rows, of) if isinstance(of, str) else of(rows)
    values = np.asarray(found, np.float64)
    return np.broadcast_to(values, (n,)) if values.ndim == 0 else values


def _zero_for_missing(values: Floats) -> Floats:
    missing = np.isnan(values)
    return np.where(missing, 0.0, values) if missing.any() else values


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    """Divide, missing where the denominator is 0."""
    out = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=out, where=denominator != 0)
    return out


def _span(runs: Runs, _: Fold) -> Floats:
    first, last_ = runs.bounds()
    return np.asarray((last_ - first) / DAY, np.float64)


_FOLDS: dict[Operation, Callable[[Runs, Fold], Floats]] = {
    "count": lambda runs, _: runs.size(),
    "total": lambda runs, fold: runs.total(fold.of),
    "mean": lambda runs, fold: _divide(runs.total(fold.of), runs.known(fold.of)),
    "low": lambda runs, fold: np.fmin.reduceat(runs.values(fold.of), runs.starts),
    "high": lambda runs, fold: np.fmax.reduceat(runs.values(fold.of), runs.starts),
    "last": lambda runs, fold: runs.last(fold.of),
    "ratio": lambda runs, fold: _divide(runs.total(fold.of), runs.total(fold.per)),
    "decayed": lambda runs, fold: np.add.reduceat(runs.filled(fold.of) * runs.weight(fold.half_life_days), runs.starts),
    "recent": lambda runs, fold: runs.recent(fold.of, fold.half_life_days),
    "span": _span,
    "since": lambda runs, _: runs.since(),
}
