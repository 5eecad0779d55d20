"""Whole customers with everything that happened to them, a few at a time: how much memory a large study takes.

Buckets hold customers by a hash of their id, so those of the first buckets are a random sample of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["MOST_CUSTOMERS", "Bucket", "People", "first_customers", "pieces"]

Index = NDArray[np.int64]

MOST_CUSTOMERS = 100_000
"""Customers from whom effects are learnt. Beyond, what is not known is mostly the form of the models, which more
customers do not mend (docs/explanation/effects.md)."""
MOST_AT_ONCE = 50_000
"""Customers of one bucket; rows of all their periods are laid out before they are thinned."""
MOST_TOUCHPOINTS = 200_000
"""Of a piece: each touchpoint gets a column for every piece of a scale and every kind of contact."""


class Bucket(Protocol):
    """Whole customers with everything that happened to them."""

    @property
    def touchpoints(self) -> pa.Table:
        """Sorted by customer and time."""

    @property
    def customers(self) -> pa.Table:
        """Sorted by customer."""

    @property
    def revenue(self) -> pa.Table:
        """Amounts with their time, sorted by customer."""

    @property
    def churn(self) -> pa.Table:
        """Departures and returns, sorted by customer."""


@dataclass(frozen=True, slots=True)
class People:
    """Some customers of a bucket; tables as there."""

    touchpoints: pa.Table
    customers: pa.Table
    revenue: pa.Table
    churn: pa.Table

    @classmethod
    def between(cls, bucket: Bucket, first: int, last: int) -> People:
        """Take the customers with keys from `first` to `last`, both included."""

        def some(table: pa.Table) -> pa.Table:
            keys = table["customer_key"].to_numpy()
            start, stop = np.searchsorted(keys, first, "left"), np.searchsorted(keys, last, "right")
            return table.slice(start, stop - start)

        return cls(*map(some, (bucket.touchpoints, bucket.customers, bucket.revenue, bucket.churn)))

    @classmethod
    def of(cls, bucket: Bucket, keys: Index) -> People:
        """Take some customers, in memory of their own."""

        def some(table: pa.Table) -> pa.Table:
            return table.filter(pa.array(np.isin(table["customer_key"].to_numpy(), keys))).combine_chunks()

        return cls(*map(some, (bucket.touchpoints, bucket.customers, bucket.revenue, bucket.churn)))


def first_customers(buckets: Callable[[], Iterable[Bucket]], most: int) -> Iterator[Bucket]:
    """Go through the first customers.

    Parameters
    ----------
    buckets : callable
        Gives the buckets anew each time it is called.
    most : int
        How many customers at most; no bucket behind them is read.

    Yields
    ------
    Bucket
        As they are up to `MOST_AT_ONCE` customers, larger ones cut.
    """
    left = most
    for bucket in buckets():
        keys = bucket.customers["customer_key"].to_numpy()[:left]
        left -= len(keys)
        if len(keys) == bucket.customers.num_rows <= MOST_AT_ONCE:
            yield bucket
        else:
            for start in range(0, len(keys), MOST_AT_ONCE):
                some = keys[start : start + MOST_AT_ONCE]
                yield People.between(bucket, int(some[0]), int(some[-1]))
        if not left:
            return


def pieces(bucket: Bucket, most: int = MOST_TOUCHPOINTS) -> Iterator[People]:
    """Cut a bucket into whole customers with about so many touchpoints together.

    Parameters
    ----------
    bucket : Bucket
        Sorted by customer.
    most : int
        Touchpoints; exceeded by those of one customer at most.

    Yields
    ------
    People
        One after the other; without customers a single empty one.
    """
    keys = bucket.customers["customer_key"].to_numpy()
    if not len(keys):
        yield People.between(bucket, 0, 0)
        return
    at = np.searchsorted(bucket.touchpoints["customer_key"].to_numpy(), keys)  # touchpoints before each customer
    number = at // most
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(keys)], strict=True):
        yield People.between(bucket, int(keys[start]), int(keys[stop - 1]))
