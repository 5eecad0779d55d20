"""Who could still leave at a cutoff, and what they did in the outcome window: churn, revenue, further outcomes.

Outcomes are folds over dated rows, as features are, over the window ``(cutoff + gap, cutoff + gap + horizon]``. They
exist for mature cutoffs only: before the window has passed, nobody knows who stayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.engine import features_at
from features.folds import CUSTOMER, Fold, Plan, count, mean, total
from features.history import History
from features.snapshot import Snapshot

__all__ = ["OutcomeKind", "Outcomes", "at_risk", "dated"]

Floats: TypeAlias = NDArray[np.float64]
OutcomeKind: TypeAlias = Literal["event", "amount", "mean"]


def at_risk(customers: pa.Table, churn: pa.Table, cutoff: int) -> NDArray[np.intp]:
    """Find the customers who could still leave at a cutoff.

    Parameters
    ----------
    customers : pyarrow.Table
        ``customer_key`` ascending, ``joined_at`` and perhaps ``ended_at``; a customer without a date was always there,
        and without an end is there still.
    churn : pyarrow.Table
        ``customer_key``, ``churned_at`` and ``returned_at`` (missing: never), one row each time a customer left.
    cutoff : int
        Microseconds.

    Returns
    -------
    array of int
        Rows of `customers`: joined at or before the cutoff, and neither away nor ended at it. Who left and returned
        counts again. An end is not churn (a contract fulfilled, an application decided): nothing is left to leave.
    """
    keys = customers["customer_key"].to_numpy()
    joined = customers["joined_at"].fill_null(np.iinfo(np.int64).min).to_numpy()
    never = np.iinfo(np.int64).max
    is_away = (churn["churned_at"].to_numpy() <= cutoff) & (churn["returned_at"].fill_null(never).to_numpy() > cutoff)
    away = np.isin(keys, churn["customer_key"].to_numpy()[is_away])
    has_end = "ended_at" in customers.column_names
    ended = customers["ended_at"].fill_null(never).to_numpy() <= cutoff if has_end else np.zeros(len(keys), bool)
    return np.flatnonzero((joined <= cutoff) & ~away & ~ended)


def dated(table: pa.Table, at: str, value: str | None = None) -> pa.Table:
    """Turn dated rows of customers into touchpoints of one journey, so that the engine can fold them.

    Parameters
    ----------
    table : pyarrow.Table
        ``customer_key`` and the columns named next.
    at : str
        When each row happened; it is known from then on.
    value : str, optional
        A number to keep, under its own name.
    """
    n = table.num_rows
    columns = {
        "customer_key": table["customer_key"],
        "journey": pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array(["all"])),
        "journey_key": pa.array(np.zeros(n, np.int64)),
        "occurred_at": table[at],
        "known_at": table[at],
    }
    return pa.table(columns | ({value: table[value]} if value else {}))


class Outcomes:
    """The outcomes of some customers, for one cutoff after the other.

    Parameters
    ----------
    snapshot : Snapshot
        Gap and horizon.
    churn : pyarrow.Table
        ``customer_key``, ``churned_at``.
    revenue : pyarrow.Table
        ``customer_key``, ``occurred_at``, ``amount``.
    further : mapping of name to (kind, table)
        Tables with ``customer_key``, ``occurred_at``, and ``value`` unless the kind is ``event``.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        churn: pa.Table,
        revenue: pa.Table,
        further: Mapping[str, tuple[OutcomeKind, pa.Table]],
    ) -> None:
        self._snapshot = snapshot
        left = dated(churn, "churned_at")
        self._gone = History(_plan("event", snapshot.gap_days), left)
        paid = History(_plan("amount", snapshot.horizon_days, "amount"), dated(revenue, "occurred_at", "amount"))
        self._folded: dict[str, tuple[OutcomeKind, History]] = {
            "is_churned": ("event", History(_plan("event", snapshot.horizon_days), left)),
            "revenue": ("amount", paid),
        }
        for name, (kind, table) in further.items():
            rows = dated(table, "occurred_at", None if kind == "event" else "value")
            self._folded[name] = (kind, History(_plan(kind, snapshot.horizon_days), rows))

    def at(self, keys: NDArray[np.int64], cutoff: int, *, is_mature: bool) -> dict[str, Floats]:
        """Compute the outcomes of customers at risk at a cutoff.

        Parameters
        ----------
        keys : array of int, shape (n,)
            Customers.
        cutoff : int
            Microseconds.
        is_mature : bool
            Whether the outcome window has passed; if not, everything is missing.

        Returns
        -------
        dict of name to array of float64, shape (n,)
            ``is_churned`` (0 or 1), ``revenue`` and the further outcomes: an event is 0 or 1, an amount a sum (0 if
            nothing happened), a mean is missing if nothing happened. Missing for a customer who left during the gap:
            they were gone before the window began.
        """
        if not is_mature:
            return {name: np.full(len(keys), np.nan) for name in self._folded}
        end = self._snapshot.matures_at(cutoff)
        found = {name: _folded(history, keys, end, kind) for name, (kind, history) in self._folded.items()}
        if self._snapshot.gap_days:
            gone = _folded(self._gone, keys, self._snapshot.outcome_start(cutoff), "event") > 0
            found = {name: np.where(gone, np.nan, values) for name, values in found.items()}
        return found


def _plan(kind: OutcomeKind, days: int, value: str = "value") -> Plan:
    folds: dict[str, Fold] = {"event": count(), "amount": total(value), "mean": mean(value)}
    return Plan(touch_features={CUSTOMER: {kind: folds[kind]}}, window_days=days)


def _folded(history: History, keys: NDArray[np.int64], end: int, kind: OutcomeKind) -> Floats:
    spine = pa.table({"customer_key": keys, "cutoff": np.full(len(keys), end)})
    values = features_at(history, spine, {})[f"{kind}__{CUSTOMER}"].to_numpy()
    return np.minimum(values, 1.0) if kind == "event" else np.asarray(values, np.float64)
