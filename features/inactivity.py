"""How long a silence is a departure: of the customers without revenue for N days, how many ever come back.

Where nobody says that they leave, churn is a rule, *no revenue for N days*. Too short an N calls many gone who are
only pausing; too long a one sees departures late. The data answer: the pauses between a customer's own purchases, and
those that have not ended yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import norm

from features.snapshot import DAY
from features.study import Study

if TYPE_CHECKING:
    from features.layout import Layout

__all__ = ["Inactivity", "Silence", "Spells", "inactivity", "propose_inactivity", "spells_of"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

MOST_RETURNING = 0.1
"""Share of the silent customers that may come back at most."""

LEVEL = 0.9
"""Coverage aimed at by every interval here."""

FEWEST_CUSTOMERS = 30
"""With fewer customers still watched, a silence is not followed further."""

_YEAR = 365
_DAILY, _WEEK = 14, 7


@dataclass(frozen=True, slots=True, eq=False)
class Spells:
    """Silences: from each day with revenue to the customer's next one, or to the end of the data.

    Parameters
    ----------
    customer : ndarray of int64, shape (n,)
        Whose it is, ascending.
    days : ndarray of int64, shape (n,)
        Length.
    has_returned : ndarray of bool, shape (n,)
        Whether it ended with revenue; the others are cut short by the end of the data.
    """

    customer: Ints
    days: Ints
    has_returned: Bools


@dataclass(frozen=True, slots=True)
class Silence:
    """What becomes of customers who have been silent for some days.

    Parameters
    ----------
    days : int
        Length of the silence.
    silences, customers, returned : int
        Silences that reached it, customers who had one, and silences that ended with revenue later.
    share_returning, lo, hi : float
        Share that comes back as far as the data reach, with its 90 % interval, clustered by customer.
    share_within_year, year_lo, year_hi : float
        Share that comes back within 365 days from then on; NaN where the data do not reach that far.
    share_flagged : float
        Share of the customers who are silent for so long at the end of the data: whom the rule calls gone.
    """

    days: int
    silences: int
    customers: int
    returned: int
    share_returning: float
    lo: float
    hi: float
    share_within_year: float
    year_lo: float
    year_hi: float
    share_flagged: float


@dataclass(frozen=True, slots=True)
class Inactivity:
    """Which silence to take for a departure.

    Parameters
    ----------
    curve : tuple of Silence
        By days: each day up to 14, then whole weeks.
    proposal : Silence or None
        The shortest of them after which at most a tenth comes back; None where there is none.
    configured : Silence or None
        The silence that the study declares, where it does and the data reach that far.
    most_returning : float
        The share that may come back at most.
    followed_days : int
        The longest silence that is watched: with fewer than 30 customers left, nothing is said.
    customers : int
        Customers with revenue.
    """

    curve: tuple[Silence, ...]
    proposal: Silence | None
    configured: Silence | None
    most_returning: float
    followed_days: int
    customers: int

    def to_frame(self) -> pd.DataFrame:
        """Give the curve: one row a length of silence, the attributes of :class:`Silence` as columns."""
        names = list(Silence.__dataclass_fields__)
        return pd.DataFrame([asdict(one) for one in self.curve], columns=names)

    def notes(self) -> tuple[str, ...]:
        """Say for people what the declared silence means, and which one would keep the promise."""
        return tuple(note for note in (self._declared(), self.advice()) if note)

    def advice(self) -> str:
        """Say which silence to take, or that there is none; empty where nobody can be watched."""
        if self.proposal is not None:
            one = self.proposal
            stay = [f"{100 * (1 - share):.0f}" for share in (one.share_returning, one.hi, one.lo)]
            return (
                f"{stay[0]} of 100 customers silent for {one.days} days did not come back within the data "
                f"({stay[1]} to {stay[2]}; {one.silences:,} silences of {one.customers:,} customers): "
                f"churn.inactive_days could be {one.days}."
            )
        if not self.curve:
            return ""
        last = self.curve[-1]
        return (
            f"No silence of up to {last.days} days is a departure: of the customers silent for {last.days} days, "
            f"{last.share_returning:.0%} still came back ({last.lo:.0%} to {last.hi:.0%}; {last.silences:,} silences), "
            f"and at most {self.most_returning:.0%} was asked for. The rule then tells pauses, not departures."
        )

    def _declared(self) -> str:
        one = self.configured
        if one is None:
            return ""
        return (
            f"churn.inactive_days is {one.days}: of the customers silent for so long, {one.share_returning:.0%} came "
            f"back within the data ({one.lo:.0%} to {one.hi:.0%}; {one.silences:,} silences of {one.customers:,} "
            f"customers)."
        )


def inactivity(layout: Layout, study: Study) -> Inactivity | None:
    """Look at the silences of a study whose churn is a rule.

    Parameters
    ----------
    layout : Layout
        Its tables.
    study : Study
        An event study.

    Returns
    -------
    Inactivity or None
        None where churn is a table.
    """
    if study.churn is None or study.churn.inactive_days is None:
        return None
    end = layout.manifest.data_end

    def spells() -> Iterable[Spells]:
        for bucket in layout.all_buckets():
            yield spells_of(bucket.revenue, end)

    return propose_inactivity(spells, configured=study.churn.inactive_days)


def spells_of(revenue: pa.Table, end: int) -> Spells:
    """Cut the revenue of customers into silences.

    Parameters
    ----------
    revenue : pyarrow.Table
        ``customer_key``, ``occurred_at`` (microseconds) and ``amount``, in any order. Only positive amounts end a
        silence; a refund does not.
    end : int
        Last moment of the data, microseconds.

    Returns
    -------
    Spells
        Purchases of one day are one.

    Examples
    --------
    >>> paid = pa.table({"customer_key": [7, 7, 7], "occurred_at": [0, 3 * DAY, 10 * DAY], "amount": [5.0, 5.0, 5.0]})
    >>> found = spells_of(paid, 30 * DAY)
    >>> found.days.tolist(), found.has_returned.tolist()
    ([3, 7, 20], [True, True, False])
    """
    customer, moment, amount = (revenue[name].to_numpy() for name in ("customer_key", "occurred_at", "amount"))
    paid = (amount > 0) & (moment <= end)
    most = end // DAY + 1
    visit = np.unique(customer[paid].astype(np.int64) * most + moment[paid] // DAY)
    who, day = visit // most, visit % most
    is_last = np.append(np.diff(who) != 0, np.ones(min(1, len(who)), bool))
    following = np.where(is_last, end // DAY, np.roll(day, -1))
    return Spells(who, following - day, ~is_last)


def propose_inactivity(
    spells: Callable[[], Iterable[Spells]], *, configured: int | None = None, most_returning: float = MOST_RETURNING
) -> Inactivity:
    """Find the shortest silence after which few customers come back.

    Parameters
    ----------
    spells : callable
        Gives the silences part by part, each customer in one part; it is called twice.
    configured : int, optional
        The silence that the study declares.
    most_returning : float
        Share of the silent customers that may come back at most.

    Returns
    -------
    Inactivity
        Without curve where fewer than 30 customers are ever watched.

    Notes
    -----
    Estimand: among all silences that last N days, the share that ends with revenue later. With ``h(d)`` the share of
    the silences lasting d days that end on that day, it is ``R(N) = 1 - prod over d from N to D of (1 - h(d))``: one
    minus the Kaplan-Meier curve of the length of a silence, given that it has lasted N days. Silences that the data
    end cuts short count as watched up to there and no further. D is the longest silence for which 30 customers are
    watched; N goes up to D/2, so that each silence is watched for as long again. R(N) falls with N by construction.

    Interval: the influence of each silence on ``log(1 - R)`` (a martingale residual, Ying and Wei 1994), summed by
    customer, squared and added up; complementary log-log scale. Without a single return the upper end is
    ``1 - 0.1^(1 / customers)``.

    Assumes that the end of the data cuts silences at random: that silences which began late would end as those did
    that began early. It fails where customers changed (a new assortment, a cohort that ages); then look at R of early
    and of late customers apart.

    References
    ----------
    Kaplan, Meier (1958), doi:10.1080/01621459.1958.10501452. Ying, Wei (1994), The Kaplan-Meier estimate for dependent
    failure time data, J. Multivariate Analysis 50. Fader, Hardie, Lee (2005), doi:10.1287/mksc.1040.0098 (buying until
    an unobserved departure).
    """
    counts = _Counts()
    for part in spells():
        counts.add(part)
    followed = counts.followed()
    grid = _grid(followed // 2)
    asked = [configured] if configured is not None and len(grid) and configured <= followed else []
    days = np.unique([*grid.tolist(), *asked]).astype(np.int64)
    table = _Table(counts, days, followed)
    for part in spells() if len(days) else ():
        table.add(part)
    found = {one.days: one for one in table.rows()}
    curve = tuple(found[day] for day in grid.tolist())
    few = [one for one in curve if one.share_returning <= most_returning]
    declared = None if configured is None else found.get(configured)
    return Inactivity(curve, few[0] if few else None, declared, most_returning, followed, counts.people)


class _Counts:
    """Silences counted by their length, part by part."""

    def __init__(self) -> None:
        self.people = 0
        self._returned, self._watched, self._longest, self._open = (np.zeros(1, np.int64) for _ in range(4))

    def add(self, part: Spells) -> None:
        """Count the silences of whole customers."""
        starts = np.flatnonzero(np.diff(part.customer, prepend=-1))
        longest = np.maximum.reduceat(part.days, starts) if len(starts) else part.days
        self.people += len(starts)
        self._returned = _added(self._returned, part.days[part.has_returned])
        self._watched = _added(self._watched, part.days)
        self._longest = _added(self._longest, longest)
        self._open = _added(self._open, part.days[~part.has_returned])

    def followed(self) -> int:
        """Give the longest silence for which enough customers are watched."""
        return int(np.flatnonzero(_at_least(self._longest) >= FEWEST_CUSTOMERS).max(initial=0))

    @property
    def returned(self) -> Ints:
        """Silences that end with revenue on their day d, by d."""
        return np.pad(self._returned, (0, len(self._watched) - len(self._returned)))

    @property
    def watched(self) -> Ints:
        """Silences that last d days or longer, by d."""
        return _at_least(self._watched)

    @property
    def customers(self) -> Ints:
        """Customers with a silence of d days or longer, by d."""
        return _at_least(self._longest)

    @property
    def silent_now(self) -> Ints:
        """Customers who are silent for d days or longer at the end of the data, by d."""
        return np.pad(_at_least(self._open), (0, len(self._watched) - len(self._open)))


class _Table:
    """What becomes of silences, for several lengths at once; variances are added up part by part."""

    def __init__(self, counts: _Counts, days: Ints, followed: int) -> None:
        self._counts, self._days = counts, days
        self._ends = {"ever": np.full(len(days), followed), "year": days + _YEAR}
        self._is_seen = days + _YEAR <= followed
        watched = counts.watched.astype(np.float64)
        hazard = counts.returned / np.maximum(watched, 1.0)
        staying = np.maximum(1.0 - hazard, 1e-12)
        self._log_staying = np.cumsum(np.log(staying))
        self._jump = 1.0 / np.maximum(watched * staying, 1e-12)
        self._drift = np.cumsum(hazard * self._jump)
        self._variance = {name: np.zeros(len(days)) for name in self._ends}

    def add(self, part: Spells) -> None:
        """Add the squared influence of whole customers."""
        code = np.cumsum(np.diff(part.customer, prepend=-1) != 0) - 1
        for place, day in enumerate(self._days):
            lasting = part.days >= day
            who, days, has_returned = code[lasting], part.days[lasting], part.has_returned[lasting]
            for name, ends in self._ends.items():
                end = min(int(ends[place]), len(self._drift) - 1)
                influence = np.where(has_returned & (days <= end), self._jump[days], 0.0)
                influence -= self._drift[np.minimum(days, end)] - self._drift[day - 1]
                self._variance[name][place] += (np.bincount(who, influence) ** 2).sum()

    def rows(self) -> Iterable[Silence]:
        """Give one row a length of silence."""
        counts = self._counts
        returned = counts.returned[::-1].cumsum()[::-1]
        for place, day in enumerate(self._days.tolist()):
            ever = self._share("ever", place, day)
            year = self._share("year", place, day) if self._is_seen[place] else (np.nan, np.nan, np.nan)
            yield Silence(
                days=day,
                silences=int(counts.watched[day]),
                customers=int(counts.customers[day]),
                returned=int(returned[day]),
                share_returning=ever[0],
                lo=ever[1],
                hi=ever[2],
                share_within_year=year[0],
                year_lo=year[1],
                year_hi=year[2],
                share_flagged=int(counts.silent_now[day]) / counts.people,
            )

    def _share(self, name: str, place: int, day: int) -> tuple[float, float, float]:
        """Share that comes back, with its interval."""
        end = min(int(self._ends[name][place]), len(self._drift) - 1)
        stay = self._log_staying[end] - self._log_staying[day - 1]
        alone = 0.1 ** (1 / int(self._counts.customers[day]))
        if stay == 0:
            return 0.0, 0.0, 1 - alone
        half = float(norm.ppf(0.5 + LEVEL / 2)) * np.sqrt(self._variance[name][place]) / -stay
        lo, hi = (1 - np.exp(stay * np.exp(sign * half)) for sign in (-1, 1))
        return float(1 - np.exp(stay)), float(lo), float(hi)


def _added(counts: Ints, values: Ints) -> Ints:
    """Add a count of values to counts by value, longer if need be."""
    more = np.bincount(values, minlength=len(counts)).astype(np.int64)
    more[: len(counts)] += counts
    return more


def _at_least(counts: Ints) -> Ints:
    """Turn counts by value into counts of that value or more."""
    return counts[::-1].cumsum()[::-1]


def _grid(longest: int) -> Ints:
    """Each day of the first two weeks, then whole weeks, so that no weekday decides."""
    daily = np.arange(1, min(longest, _DAILY) + 1)
    return np.concatenate([daily, np.arange(_DAILY + _WEEK, longest + 1, _WEEK)]).astype(np.int64)
