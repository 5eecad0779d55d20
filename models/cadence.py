"""When customers are due to be charged: a cadence learned from the dates of past amounts.

Where bills come every month, whether a week holds one says more about its revenue than anything felt, and is known
beforehand. Knowing it takes the noise of the calendar out of what experience does to spend.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.snapshot import DAY

__all__ = ["Cadence", "Charging", "charges_due", "learn_cadence"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

CALENDAR_MONTHS = (1, 2, 3, 6, 12)
LEAST_KEPT = 0.8
TOLERANCE_DAYS = 1
_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Cadence:
    """The way from one charge to the next.

    Attributes
    ----------
    months : int
        Calendar months; 0 where charges come every so many days.
    days : int
        Days; 0 where months count.
    kept : float
        Share of the intervals between charges that keep it, to the day before or after.
    """

    months: int
    days: int
    kept: float

    def after(self, at: Index, steps: Index) -> Index:
        """Say when the charge some steps after another is due.

        Parameters
        ----------
        at, steps : int64 arrays, shape (n,)
            Microseconds; number of steps.

        Returns
        -------
        int64 array, shape (n,)
            Microseconds, at the same time of day; a day that a month lacks becomes its last.
        """
        if not self.months:
            return np.asarray(at + steps * self.days * DAY, np.int64)
        date = at.astype("datetime64[us]").astype("datetime64[D]")
        month = date.astype("datetime64[M]")
        then = month + self.months * steps
        last = (then + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
        day = np.minimum(then.astype("datetime64[D]") + (date - month.astype("datetime64[D]")), last)
        return np.asarray(day.astype("datetime64[us]").astype(np.int64) + at % DAY, np.int64)


def learn_cadence(revenues: Iterable[pa.Table]) -> Cadence | None:
    """Find the cadence that most intervals between charges keep.

    Parameters
    ----------
    revenues : iterable of pyarrow.Table
        `customer_key`, `occurred_at`, `amount`; whole customers. Only amounts above zero are charges.

    Returns
    -------
    Cadence or None
        None where no calendar month multiple and no number of days is kept by 80 % of the intervals.

    Examples
    --------
    >>> at = [18262 * DAY, 18293 * DAY, 18322 * DAY]  # 2020-01-01, 02-01, 03-01
    >>> learn_cadence([pa.table({"customer_key": [1, 1, 1], "occurred_at": at, "amount": [5.0, 5.0, 5.0]})])
    Cadence(months=1, days=0, kept=1.0)
    """
    before, after = (np.concatenate(side) for side in zip(*map(_intervals, revenues), strict=True))
    if not len(before):
        return None
    gap = int(np.median(after // DAY - before // DAY))
    ways = [Cadence(months, 0, 0.0) for months in CALENDAR_MONTHS] + ([Cadence(0, gap, 0.0)] if gap > 0 else [])
    once = np.ones(len(before), np.int64)
    kept = [float((np.abs(after - way.after(before, once)) < (TOLERANCE_DAYS + 0.5) * DAY).mean()) for way in ways]
    best = int(np.argmax(kept))  # of equals the first: a calendar month before thirty days
    return Cadence(ways[best].months, ways[best].days, kept[best]) if kept[best] >= LEAST_KEPT else None


@dataclass(frozen=True, slots=True)
class Charging:
    """How customers are charged.

    Attributes
    ----------
    cadence : Cadence or None
        When.
    typical : float
        Median amount above zero, in currency; 1 where there is none.
    since : int
        When records begin, microseconds.
    """

    cadence: Cadence | None
    typical: float
    since: int

    @classmethod
    def learn(cls, revenues: Sequence[pa.Table], since: int) -> Charging:
        """Learn from amounts with their dates, as :func:`learn_cadence`."""
        paid = np.concatenate([revenue["amount"].to_numpy() for revenue in revenues])
        paid = paid[paid > 0]
        return cls(learn_cadence(revenues), float(np.median(paid)) if len(paid) else 1.0, since)


def charges_due(cadence: Cadence | None, revenue: pa.Table, customer: Index, start: Index, length: int) -> Array:
    """Say of each customer and period whether a charge is due in it, by the charges before it alone.

    Parameters
    ----------
    cadence : Cadence or None
        None: always.
    revenue : pyarrow.Table
        As in :func:`learn_cadence`.
    customer, start : int64 arrays, shape (n,)
        Customer keys and starts of periods in microseconds.
    length : int
        Length of a period in microseconds.

    Returns
    -------
    float64 array, shape (n,)
        1 where the next step of the cadence after the last charge lies in (start, start + length], else 0; NaN for
        customers without a charge before.
    """
    if cadence is None:
        return np.ones(len(customer))
    last = _last_before(*_charges(revenue), customer, start)
    rows = np.flatnonzero(last != _NEVER)
    out = np.full(len(customer), np.nan)
    out[rows] = _next(cadence, last[rows], start[rows]) <= start[rows] + length
    return out


def _last_before(keys: Index, at: Index, customer: Index, start: Index) -> Index:
    """Find the last charge of each customer at or before each start."""
    everyone, moment = np.concatenate([keys, customer]), np.concatenate([at, start])
    is_start = np.arange(len(everyone)) >= len(keys)
    order = np.lexsort((is_start, moment, everyone))
    place = np.where(is_start[order], -1, np.arange(len(order)))
    latest = np.maximum.accumulate(place)  # the last charge in this order, perhaps of a customer before
    found = order[np.maximum(latest, 0)]
    own = (latest >= 0) & (everyone[found] == everyone[order])
    out = np.empty(len(order), np.int64)
    out[order] = np.where(own, moment[found], _NEVER)
    return out[len(keys) :]


def _next(cadence: Cadence, last: Index, start: Index) -> Index:
    """Find the first step of the cadence after the start."""
    step = cadence.days or 30.4375 * cadence.months
    steps = np.maximum(1, np.floor((start - last) / (step * DAY)).astype(np.int64))
    due = cadence.after(last, steps)
    while (late := due <= start).any():
        steps[late] += 1
        due[late] = cadence.after(last[late], steps[late])
    return due


def _charges(revenue: pa.Table) -> tuple[Index, Index]:
    """Give customer and moment of each amount above zero, sorted."""
    paid = revenue["amount"].to_numpy() > 0
    keys, at = revenue["customer_key"].to_numpy()[paid], revenue["occurred_at"].to_numpy()[paid]
    order = np.lexsort((at, keys))
    return keys[order].astype(np.int64), at[order].astype(np.int64)


def _intervals(revenue: pa.Table) -> tuple[Index, Index]:
    """Give begin and end of the intervals between the charges of a customer on different days."""
    keys, at = _charges(revenue)
    one = (np.diff(keys) == 0) & (np.diff(at // DAY) > 0)
    return at[:-1][one], at[1:][one]
