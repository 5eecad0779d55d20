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
    "contrast",
    "count",
    "decayed",
    "distinct",
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
    "count",
    "total",
    "mean",
    "low",
    "high",
    "last",
    "ratio",
    "contrast",
    "distinct",
    "decayed",
    "recent",
    "span",
    "since",
]

CUSTOMER = "customer"
"""The slice that does not cut: one level, also called ``customer``, with all rows of a customer."""

_ZERO_WHEN_EMPTY = frozenset({"count", "total", "decayed", "distinct"})


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
        The denominator of a ratio, or what a contrast is taken to.
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
        its journey), ``t.thread`` (the one before it in any journey of that type), ``t.earlier`` (the one before it in
        any journey), ``t.alike`` (the one before it with the same cause), ``t.is_first`` and earlier facts. Where
        nothing lies before, a comparison is False and a number is missing.
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
    session_gap_days : mapping of str to float
        By journey: the pause that ends a journey without an id (rows whose ``is_session`` is true). Rows that share a
        ``journey_key`` are cut again at such pauses between the rows that are known.
    """

    facts: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    journey: Mapping[str, Fold] = field(default_factory=dict)
    features: Mapping[Slice, Mapping[str, Fold]] = field(default_factory=dict)
    touch_features: Mapping[Slice, Mapping[str, Fold]] = field(default_factory=dict)
    window_days: float = 180
    keep: frozenset[str] = frozenset()
    session_gap_days: Mapping[str, float] = field(default_factory=dict)


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


def contrast(of: Expression, to: Expression) -> Fold:
    """Subtract the mean of one thing from the mean of another; missing when either has no known value."""
    return Fold("contrast", of, to)


def distinct(of: Expression) -> Fold:
    """Count the different known values."""
    return Fold("distinct", of)


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


@dataclass(frozen=True, slots=True)
class _Known:
    """The known values of a column: what every fold works on.

    Attributes
    ----------
    values : array of float64, shape (k,)
        In the order of the rows.
    runs : array of int, shape (k,)
        The run of each, ascending.
    rows : array of int, shape (k,), or slice
        The rows they come from.
    n : array of float64, shape (m,)
        How many each run has.
    """

    values: Floats
    runs: NDArray[np.intp]
    rows: NDArray[np.intp] | slice
    n: Floats

    def total(self, values: Floats) -> Floats:
        """Sum something of each known value over its run, one value after the other; 0 where none is known."""
        return np.asarray(np.bincount(self.runs, values, len(self.n)), np.float64)

    def spread(self, per_run: Floats) -> Floats:
        """Keep the value of each run that has any; missing elsewhere."""
        return np.where(self.n > 0, per_run, np.nan)


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

    __slots__ = ("_cutoff", "_known", "_rows", "_size", "_weights", "clock", "is_in_order", "run", "starts")

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
        size = np.diff(starts, append=len(clock))
        self.run = np.repeat(np.arange(len(starts)), size)
        self._size = size.astype(np.float64)
        self._known: dict[Expression, _Known] = {}
        self._weights: dict[float, Floats] = {}

    def fold(self, fold: Fold) -> Floats:
        """Compute one value per run.

        Returns
        -------
        array of float64, shape (m,)
        """
        return _FOLDS[fold.op](self, fold)

    def size(self) -> Floats:
        """Count the rows of each run."""
        return self._size

    def total(self, of: Expression) -> Floats:
        """Sum the known values of each run."""
        known = self.known(of)
        return known.total(known.values)

    def mean(self, of: Expression) -> Floats:
        """Average the known values of each run."""
        known = self.known(of)
        return _divide(known.total(known.values), known.n)

    def extreme(self, ufunc: np.ufunc, of: Expression) -> Floats:
        """Take the smallest (``np.minimum``) or largest (``np.maximum``) known value of each run."""
        known = self.known(of)
        found = np.full(len(self.starts), np.inf if ufunc is np.minimum else -np.inf)
        ufunc.at(found, known.runs, known.values)
        return known.spread(found)

    def last(self, of: Expression) -> Floats:
        """Take the latest known value of each run."""
        known = self.known(of)
        at = np.cumsum(known.n).astype(np.intp) - 1
        if not self.is_in_order:
            clock = self.clock[known.rows]
            newest = np.full(len(self.starts), np.iinfo(np.int64).min)
            np.maximum.at(newest, known.runs, clock)
            rows = np.flatnonzero(clock == newest[known.runs])
            at[known.runs[rows]] = rows  # rows ascend: of several at the newest moment the one further down remains
        return known.spread(known.values[at] if len(known.values) else np.zeros(len(at)))

    def decayed(self, of: Expression, half_life_days: float) -> Floats:
        """Sum the known values of each run, weighted by age."""
        known = self.known(of)
        return known.total(known.values * self._weight(half_life_days)[known.rows])

    def recent(self, of: Expression, half_life_days: float) -> Floats:
        """Average the known values of each run, weighted by age."""
        known = self.known(of)
        weight = self._weight(half_life_days)[known.rows]
        return _divide(known.total(known.values * weight), known.total(weight))

    def distinct(self, of: Expression) -> Floats:
        """Count the different known values of each run."""
        known = self.known(of)
        levels, codes = np.unique(known.values, return_inverse=True)
        pairs = np.unique(known.runs * max(len(levels), 1) + codes)
        return np.bincount(pairs // max(len(levels), 1), minlength=len(self.starts)).astype(np.float64)

    def bounds(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the first and the last moment of each run."""
        if self.is_in_order:
            return self.clock[self.starts], self.clock[np.append(self.starts, len(self.clock))[1:] - 1]
        return _reduced(np.minimum, self.clock, self.starts), _reduced(np.maximum, self.clock, self.starts)

    def since(self) -> Floats:
        """Measure the days from the last row of each run to its cutoff."""
        return np.asarray((self._cutoff[self.starts] - self.bounds()[1]) / DAY, np.float64)

    def known(self, of: Expression) -> _Known:
        """Evaluate a column or function and leave out what is missing."""
        if of not in self._known:
            self._known[of] = self._find_known(_as_floats(self._rows, of, len(self.clock)))
        return self._known[of]

    def _find_known(self, values: Floats) -> _Known:
        missing = np.isnan(values)
        if not missing.any():
            return _Known(values, self.run, slice(None), self._size)
        rows = np.flatnonzero(~missing)
        runs = self.run[rows]
        return _Known(values[rows], runs, rows, np.bincount(runs, minlength=len(self.starts)).astype(np.float64))

    def _weight(self, half_life_days: float) -> Floats:
        """Weigh rows by age: 1 at the cutoff, one half a half-life before."""
        if half_life_days not in self._weights:
            age = np.asarray(self._cutoff - self.clock, np.float64)
            self._weights[half_life_days] = np.exp2(age / (-half_life_days * DAY))
        return self._weights[half_life_days]


def _as_floats(rows: object, of: Expression, n: int) -> Floats:
    found = getattr(rows, of) if isinstance(of, str) else of(rows)
    values = np.asarray(found, np.float64)
    return np.broadcast_to(values, (n,)) if values.ndim == 0 else values


def _reduced(ufunc: np.ufunc, values: NDArray[Any], starts: NDArray[np.intp]) -> NDArray[Any]:
    """Reduce each run; nothing of nothing."""
    return np.asarray(ufunc.reduceat(values, starts)) if len(starts) else values[:0]


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
    "mean": lambda runs, fold: runs.mean(fold.of),
    "low": lambda runs, fold: runs.extreme(np.minimum, fold.of),
    "high": lambda runs, fold: runs.extreme(np.maximum, fold.of),
    "last": lambda runs, fold: runs.last(fold.of),
    "ratio": lambda runs, fold: _divide(runs.total(fold.of), runs.total(fold.per)),
    "contrast": lambda runs, fold: runs.mean(fold.of) - runs.mean(fold.per),
    "distinct": lambda runs, fold: runs.distinct(fold.of),
    "decayed": lambda runs, fold: runs.decayed(fold.of, fold.half_life_days),
    "recent": lambda runs, fold: runs.recent(fold.of, fold.half_life_days),
    "span": _span,
    "since": lambda runs, _: runs.since(),
}
