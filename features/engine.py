"""Runs a plan on whole customers: Arrow tables in, an Arrow table out, nothing else.

The same function builds the panel, rebuilds it after an initiative has moved touchpoints, and may run on any machine
that holds all rows of a customer. Rows are sorted once; after that every round takes the k-th cutoff of all customers
at the same time and costs a scan of the rows in their windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.folds import CUSTOMER, Fold, Plan, Runs, Slice, run_starts, slice_label
from features.history import History, Moment, rounds
from features.journeys import LOOKS_BACK, Column, Labels

__all__ = ["Levels", "build", "features_at", "output_names"]

Floats: TypeAlias = NDArray[np.float64]
Positions: TypeAlias = NDArray[np.intp]
Levels: TypeAlias = Mapping[Slice, Sequence[str | tuple[str, ...]]]
Folds: TypeAlias = Mapping[str, Fold]


def build(plan: Plan, touchpoints: pa.Table, spine: pa.Table, levels: Levels) -> pa.Table:
    """Compute the features of a plan for customers at cutoffs.

    Parameters
    ----------
    plan : Plan
        What to compute.
    touchpoints : pyarrow.Table
        All touchpoints of the customers, sorted by ``customer_key`` and ``occurred_at`` (int64 microseconds); the
        order among equals is trusted, an unsorted table is put into `journeys.in_order`. Needs ``journey`` (text),
        ``journey_key`` (int64) and ``known_at``; ``replaced_at`` (int64, when a correction took the place of the row)
        and ``is_session`` (whether pauses cut its journey) are heeded; any further number or text column may be used
        by the plan.
    spine : pyarrow.Table
        ``customer_key`` and ``cutoff`` (int64 microseconds), one row for each row wanted, in any order.
    levels : mapping of slice to sequence of str or tuple of str
        The levels of each slice that get columns. Touchpoints of other levels are only seen as predecessors.

    Returns
    -------
    pyarrow.Table
        The columns of the spine in its order, then a float64 column ``{name}__{level}`` for each feature and level.
        A customer without touchpoints has count, total and decayed 0; everything else is NaN.

    Notes
    -----
    At cutoff T a row counts if ``known_at <= T < replaced_at`` and ``T - window < occurred_at <= T``. Facts look back
    over all rows known at T, those before the window included, and never see a row that is not. Hence
    ``build(rows) == build(rows known at T)`` for every spine at T, bit for bit.

    Examples
    --------
    >>> from features.folds import count
    >>> touchpoints = pa.table({"customer_key": [3, 3], "journey": ["billing", "billing"], "journey_key": [0, 0],
    ...                         "occurred_at": [5, 50], "known_at": [5, 50]})
    >>> plan = Plan(touch_features={"journey": {"n": count()}}, window_days=1)
    >>> spine = pa.table({"customer_key": [3, 3], "cutoff": [60, 10]})
    >>> build(plan, touchpoints, spine, {"journey": ["billing"]})["n__billing"].to_pylist()
    [2.0, 1.0]
    """
    return features_at(History(plan, touchpoints), spine, levels)


def features_at(history: History, spine: pa.Table, levels: Levels) -> pa.Table:
    """Do what `build` does with touchpoints that have been sorted already, for one spine after the other.

    Parameters
    ----------
    history : History
        A plan and its touchpoints.
    spine, levels
        See `build`.

    Returns
    -------
    pyarrow.Table
        See `build`.
    """
    out = _Output(history.plan, levels, spine.num_rows)
    for moment in rounds(history, spine):
        _fold_journeys(history, moment, out)
        _fold_touches(history, moment, out)
    columns = out.columns
    names = [*spine.column_names, *columns]
    return pa.table([*spine.columns, *map(pa.array, columns.values())], names=names)


def output_names(plan: Plan, levels: Levels) -> tuple[str, ...]:
    """Return the names of the columns that `build` adds to the spine, in their order."""
    return tuple(_Output(plan, levels, 0).columns)


class _View:
    """What a fold function sees of some touchpoints."""

    __slots__ = ("_columns", "_memo", "_rows", "cutoff")

    def __init__(self, columns: Mapping[str, Column], rows: Positions, cutoff: NDArray[np.int64]) -> None:
        self._columns, self._rows, self.cutoff = columns, rows, cutoff
        self._memo: dict[str, Column] = {}

    def __getattr__(self, name: str) -> Column:
        if name in LOOKS_BACK or name == "is_first":
            raise AttributeError(f"folds do not look back: make what uses '{name}' a fact of the plan")
        if name not in self._memo:
            if name not in self._columns:
                raise AttributeError(f"touchpoints have no column '{name}'; there are {', '.join(self._columns)}")
            self._memo[name] = self._columns[name][self._rows]
        return self._memo[name]


class _Output:
    """The values to be filled: for each fold of a slice one row of values per level, one value per row of the spine."""

    def __init__(self, plan: Plan, levels: Levels, n: int) -> None:
        self._levels = {by: tuple(map(slice_label, found)) for by, found in levels.items()} | {CUSTOMER: (CUSTOMER,)}
        self._n = n
        self._kept: dict[tuple[Slice, str], tuple[str, ...]] = {}
        self._blocks: dict[tuple[Slice, str], Floats] = {}
        for part in (plan.features, plan.touch_features):
            for by, folds in part.items():
                self._add(by, folds, plan.keep)

    @property
    def columns(self) -> dict[str, Floats]:
        """The values by the name of their column, ``{fold}__{level}``."""
        return {
            f"{key[1]}__{level}": self._blocks[key][row]
            for key, kept in self._kept.items()
            for row, level in enumerate(kept)
        }

    def wanted(self, by: Slice, folds: Folds) -> dict[str, Fold]:
        """Keep the folds of which any level has a column."""
        return {name: fold for name, fold in folds.items() if (by, name) in self._kept}

    def put(self, by: Slice, values: Mapping[str, Floats], labels: Labels, spine: Positions) -> None:
        """Write values, one per run, with the level and the row of the spine of each run."""
        alike: dict[tuple[str, ...], list[str]] = {}
        for name in values:
            alike.setdefault(self._kept[by, name], []).append(name)
        for kept, names in alike.items():
            row = {level: number for number, level in enumerate(kept)}
            rows = np.array([row.get(level, -1) for level in labels.names] + [-1], np.intp)[labels.codes]
            chosen = slice(None) if (rows >= 0).all() else np.flatnonzero(rows >= 0)
            place = rows[chosen] * self._n + spine[chosen]
            for name in names:
                self._blocks[by, name].reshape(-1)[place] = values[name][chosen]

    def _add(self, by: Slice, folds: Folds, keep: frozenset[str]) -> None:
        taken = {f"{name}__{level}" for (_, name), kept in self._kept.items() for level in kept}
        for name, fold in folds.items():
            columns = {f"{name}__{level}": level for level in self._levels[by]}
            doubled = sorted(taken & columns.keys())
            if doubled:
                raise ValueError(f"two features of the plan are called '{doubled[0]}'")
            kept = tuple(level for column, level in columns.items() if not keep or column in keep)
            if kept:
                self._kept[by, name] = kept
                self._blocks[by, name] = np.full((len(kept), self._n), fold.empty)


def _fold_journeys(history: History, moment: Moment, out: _Output) -> None:
    """Fold the touchpoints of each journey, then the journeys of each customer."""
    plan = history.plan
    wanted = {by: out.wanted(by, folds) for by, folds in plan.features.items()}
    if not any(wanted.values()):
        return
    rows = history.by_journey.sort(moment.rows)
    runs = _runs(history, moment, rows, history.journey_starts(rows))
    began, ended = runs.bounds()
    journeys = {name: runs.fold(fold) for name, fold in plan.journey.items()} | {"began": began, "ended": ended}
    for by, folds in wanted.items():
        _fold_each(by, folds, journeys, _Place(history, moment, rows[runs.starts]), out)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where each of some journeys belongs: its first touchpoint in the history of its customer."""

    history: History
    moment: Moment
    first: Positions


def _fold_each(by: Slice, folds: Folds, journeys: Mapping[str, NDArray[Any]], place: _Place, out: _Output) -> None:
    """Fold the journeys of each customer and level of a slice."""
    labels, customer = place.history.labels(by)[place.first], place.history.customer[place.first]
    key = customer * (len(labels.names) + 1) + labels.codes + 1
    if (key[1:] < key[:-1]).any():
        order = np.argsort(key, kind="stable")
        key, labels, customer = key[order], labels[order], customer[order]
        journeys = {name: value[order] for name, value in journeys.items()}
    starts = run_starts(key)
    runs = Runs(
        SimpleNamespace(**journeys), starts, journeys["ended"], place.moment.cutoff[customer], is_in_order=False
    )
    results = {name: runs.fold(fold) for name, fold in folds.items()}
    out.put(by, results, labels[starts], place.moment.spine[customer[starts]])


def _fold_touches(history: History, moment: Moment, out: _Output) -> None:
    """Fold the touchpoints of each customer and level of a slice."""
    for by, folds in history.plan.touch_features.items():
        wanted = out.wanted(by, folds)
        if not wanted:
            continue
        ordering = history.sliced(by)
        rows = ordering.sort(moment.rows)
        runs = _runs(history, moment, rows, run_starts(ordering.group[rows]))
        first = rows[runs.starts]
        results = {name: runs.fold(fold) for name, fold in wanted.items()}
        out.put(by, results, history.labels(by)[first], moment.spine[history.customer[first]])


def _runs(history: History, moment: Moment, rows: Positions, starts: Positions) -> Runs:
    cutoff = moment.cutoff[history.customer[rows]]
    view = _View(history.columns, rows, cutoff)
    return Runs(view, starts, history.at[rows], cutoff, is_in_order=True)
