"""Person-period rows: each customer in each short period at risk, whether they left in it and what they spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Histories:
    """What the rows are made from: whole customers with their churn and revenue.

    Attributes
    ----------
    customers : pyarrow.Table
        `customer_key` (ascending), `joined_at` (microseconds), perhaps `ended_at` (null: not), baseline covariates.
    churn : pyarrow.Table
        `customer_key`, `churned_at`, `returned_at` (null: never came back).
    revenue : pyarrow.Table
        `customer_key`, `occurred_at`, `amount`.
    """

    customers: pa.Table
    churn: pa.Table
    revenue: pa.Table


@dataclass(frozen=True, slots=True)
class Periods:
    """Rows of customer and period.

    Attributes
    ----------
    customer_key, start : int64 arrays, shape (n,)
        Customer, and start of the period in microseconds; at risk means at risk at the start.
    index : int64 array, shape (n,)
        Position of the period in the grid.
    churned, spend : float64 arrays, shape (n,)
        1 where the customer left in (start, end]; revenue in (start, end].
    weight : float64 array, shape (n,)
        Inverse of the share of such rows that was kept.
    """

    customer_key: Index
    start: Index
    index: Index
    churned: Array
    spend: Array
    weight: Array

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.customer_key)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_], weight: Array | None = None) -> Periods:
        """Return some of the rows, with new weights where given for them."""
        kept = self.weight[rows] if weight is None else weight
        keys, start, index = self.customer_key[rows], self.start[rows], self.index[rows]
        return Periods(keys, start, index, self.churned[rows], self.spend[rows], kept)


def period_grid(first: int, end: int, length: int) -> tuple[int, ...]:
    """Return the starts of the periods that fit between two moments, counted back from the end.

    Parameters
    ----------
    first, end : int
        Microseconds.
    length : int
        Length of a period in microseconds.

    Returns
    -------
    tuple of int
        Ascending starts; the last period ends at `end`.

    Examples
    --------
    >>> period_grid(0, 10, 3)
    (1, 4, 7)
    """
    number = max(0, (end - first) // length)
    return tuple(end - k * length for k in range(number, 0, -1))


def periods_at_risk(histories: Histories, starts: Sequence[int], length: int) -> Periods:
    """Lay out every customer in every period in which they are at risk.

    Parameters
    ----------
    histories : Histories
        Customers with churn and revenue.
    starts : sequence of int
        Ascending starts, `length` apart, in microseconds.
    length : int
        Length of a period in microseconds.

    Returns
    -------
    Periods
        Sorted by period, then customer; weight 1.

    Notes
    -----
    At risk at a start: joined, not ended, and not gone (gone from `churned_at` until `returned_at`). Memory is
    customers times periods; call it per bucket of customers.
    """
    keys = histories.customers["customer_key"].to_numpy()
    joined = histories.customers["joined_at"].to_numpy()
    grid = np.asarray(starts, np.int64)
    size = (len(keys), len(grid))
    at_risk = (joined[:, None] <= grid[None, :]) & ~_gone(histories.churn, keys, grid)
    if "ended_at" in histories.customers.column_names:
        at_risk &= histories.customers["ended_at"].fill_null(NEVER).to_numpy()[:, None] > grid[None, :]
    churned = _sum_by_period(histories.churn, "churned_at", None, keys, grid, length) > 0
    spend = _sum_by_period(histories.revenue, "occurred_at", "amount", keys, grid, length)
    period, customer = np.nonzero(at_risk.T)
    return Periods(
        customer_key=keys[customer],
        start=grid[period],
        index=period.astype(np.int64),
        churned=churned.reshape(size)[customer, period].astype(np.float64),
        spend=spend.reshape(size)[customer, period],
        weight=np.ones(len(period)),
    )


def _gone(churn: pa.Table, keys: Index, grid: Index) -> NDArray[np.bool_]:
    """Whether each customer has left, and not come back, at each start."""
    change = np.zeros((len(keys), len(grid) + 1), np.int32)
    row = np.searchsorted(keys, churn["customer_key"].to_numpy())
    back = churn["returned_at"].fill_null(NEVER).to_numpy()
    np.add.at(change, (row, np.searchsorted(grid, churn["churned_at"].to_numpy())), 1)
    np.add.at(change, (row, np.searchsorted(grid, back)), -1)
    return np.asarray(np.cumsum(change[:, :-1], axis=1) > 0)


def _sum_by_period(events: pa.Table, clock: str, amount: str | None, keys: Index, grid: Index, length: int) -> Array:
    """Sum over (start, end] by customer and period, flat in customer-major order; rows are counted without amount."""
    at = events[clock].to_numpy()
    period = np.searchsorted(grid, at, side="left") - 1
    inside = (period >= 0) & (at <= grid[np.maximum(period, 0)] + length)
    row = np.searchsorted(keys, events["customer_key"].to_numpy()[inside])
    weights = None if amount is None else events[amount].to_numpy()[inside]
    return np.bincount(row * len(grid) + period[inside], weights, len(keys) * len(grid)).astype(np.float64)


def thin(periods: Periods, most: int, rng: np.random.Generator, favoured: NDArray[np.bool_] | None = None) -> Periods:
    """Keep every row that ends in churn and a random part of the others, weighted back to all.

    Parameters
    ----------
    periods : Periods
        Rows; existing weights are multiplied.
    most : int
        About how many rows to keep.
    rng : numpy.random.Generator
        Draws the part.
    favoured : bool array, shape (n,), optional
        Rows that say most about spend: half of what is kept beside churn goes to them, as far as there are as many.

    Returns
    -------
    Periods
        Same order.

    Notes
    -----
    Sampling by outcome and by what is known beforehand, with known probabilities and inverse-probability weights,
    leaves hazard and spend unbiased (Prentice and Breslow 1978, doi:10.1093/biomet/65.1.153, for the idea); rare events
    carry the information, so the loss of precision is small.
    """
    stays = periods.churned == 0
    room = max(most - float((~stays).sum()), 0.5 * most)
    kind = np.zeros(len(periods), bool) if favoured is None else favoured
    first, rest = float((stays & kind).sum()), float((stays & ~kind).sum())
    for_first = min(first, max(room / 2, room - rest))
    share = np.where(kind, for_first / max(first, 1.0), min(1.0, (room - for_first) / max(rest, 1.0)))
    kept = ~stays | (rng.random(len(periods)) < share)
    weight = periods.weight * np.where(stays, 1.0 / np.maximum(share, 1e-12), 1.0)
    return periods.take(kept, weight[kept])
