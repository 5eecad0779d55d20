"""Whole customers drawn so that those to whom something happened are kept, with weights that undo the preference.

What a logistic regression knows is bounded by its events: of 400,000 rows with 800 events 20,000 at random have 40.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["EventSample", "event_sample"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class EventSample:
    """Rows of the customers drawn.

    Attributes
    ----------
    rows : DataFrame
        All rows of these customers.
    weight : ndarray of float, shape (rows,)
        Adds up to the weight of all rows, with the outcome and without.
    n_customers, n_events, n_others : int
        Customers; those with a row in which it happened; those with a row in which it did not.
    """

    rows: pd.DataFrame
    weight: FloatArray
    n_customers: int
    n_events: int
    n_others: int


def event_sample(
    rows: pd.DataFrame, outcome: str, *, weight: str | None, customer: str, most: int, rng: np.random.Generator
) -> EventSample:
    """Draw whole customers, at most half of the rows from those to whom it happened, unless the others have too few.

    Parameters
    ----------
    rows : DataFrame
        With a known outcome and a positive weight.
    outcome : str
        A column of 0 and 1.
    weight, customer : str
        Columns; no weight is None.
    most : int
        Rows of the sample; all are kept where there are no more.
    rng : numpy.random.Generator
        Draws the customers; the order of rows has no influence.

    Returns
    -------
    EventSample
        Without anybody where no customer fits.

    Notes
    -----
    Two strata: customers with an event, and the others. Customers are drawn in random order; one with more rows than
    are still free is passed over, so that a customer with very many rows keeps nobody else out. Such a customer is
    then spoken for by the others.
    Weights: three cells (rows with the event; rows without of customers with one; rows of the others) each count as
    much as in all rows, so that the rate of the outcome is kept exactly. With k events and m other rows in the sample
    the variance of a slope is about in proportion to 1/k + 1/m (Prentice and Pyke 1979): events are what it lacks.

    References
    ----------
    Prentice, Pyke (1979), Logistic disease incidence models and case-control studies, doi:10.1093/biomet/66.3.403.
    Manski, Lerman (1977), The estimation of choice probabilities from choice based samples, doi:10.2307/1914121
    (weights).
    """
    happened = rows[outcome].to_numpy(np.float64) == 1
    own = np.ones(len(rows)) if weight is None else rows[weight].to_numpy(np.float64)
    code, names = pd.factorize(rows[customer], sort=True)
    with_event = np.bincount(code[happened], minlength=len(names)) > 0
    kept = np.ones(len(names), dtype=np.bool_)
    if len(rows) > most:
        kept = _drawn(with_event, np.bincount(code, minlength=len(names)), most, rng)
    chosen = kept[code]
    cell = 2 * with_event[code] + happened
    total, drawn = np.bincount(cell, own, minlength=4), np.bincount(cell[chosen], own[chosen], minlength=4)
    factor = np.divide(total, drawn, out=np.zeros(4), where=drawn > 0)
    return EventSample(
        rows=rows if chosen.all() else rows[chosen],
        weight=(own * factor[cell])[chosen],
        n_customers=int(kept.sum()),
        n_events=int((with_event & kept).sum()),
        n_others=len(np.unique(code[chosen & ~happened])),
    )


def _drawn(with_event: NDArray[np.bool_], sizes: IntArray, most: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Say who is kept (customers,)."""
    rows = int(sizes[with_event].sum())
    room = min(rows, max(most // 2, most - int(sizes.sum()) + rows))
    kept = np.zeros(len(sizes), dtype=np.bool_)
    kept[list(_fitting(np.flatnonzero(with_event), sizes, room, rng))] = True
    kept[list(_fitting(np.flatnonzero(~with_event), sizes, most - int(sizes[kept].sum()), rng))] = True
    return kept


def _fitting(customers: IntArray, sizes: IntArray, room: int, rng: np.random.Generator) -> Iterator[int]:
    """Draw customers in random order, passing over those with more rows than are still free."""
    smallest = int(sizes[customers].min(initial=room + 1))
    for one in rng.permutation(customers).tolist():
        if room < smallest:
            return
        if sizes[one] <= room:
            room -= int(sizes[one])
            yield one
