"""Customers, revenue and cost month by month, with and without initiatives, draw by draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.snapshot import DAYS_PER_MONTH
from features.study import Money
from models.initiatives import Initiative
from models.retention import Retention

__all__ = ["Baseline", "Cash", "Cohort", "Stake", "activity", "discounts", "hazard_change", "roll_forward"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cohort:
    """Whom the money is counted for: the customers at risk now, none who join later.

    Attributes
    ----------
    customers : int
        At risk at the last cutoff.
    horizon_days : int
        Horizon to which the effects refer.
    """

    customers: int
    horizon_days: int

    @property
    def horizon_months(self) -> float:
        """Horizon in months of a twelfth of a year."""
        return self.horizon_days / DAYS_PER_MONTH


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a customer does over the horizon if nothing is done: probability of leaving, and revenue in currency."""

    churn: float
    revenue: float

    @property
    def mean_stay(self) -> float:
        """Mean survival over the horizon at constant hazard."""
        return float(self.churn / -np.log(1 - self.churn))

    def hazard(self, cohort: Cohort) -> float:
        """Mean hazard per month."""
        return float(-np.log(1 - self.churn) / cohort.horizon_months)

    def monthly(self, revenue: float, cohort: Cohort) -> float:
        """Spread an amount over the horizon to one per month and customer who is still there."""
        return float(revenue / self.mean_stay / cohort.horizon_months)


@dataclass(frozen=True, slots=True, eq=False)
class Stake:
    """One initiative as money sees it.

    Attributes
    ----------
    initiative : Initiative
        Timing.
    reached_share, contacts_per_month : float
        Share of the cohort that is reached; moved contacts per customer and month.
    effect : float64 array, shape (draws, 2)
        Change of the probability of leaving, and of revenue from stayers, over the horizon, at full activity with the
        expected delivery.
    delivered : float64 array, shape (draws,)
        Delivered share over its expectation.
    cost : float64 array, shape (draws, 5)
        In the order of `models.costs.COST_PARTS`.
    """

    initiative: Initiative
    reached_share: float
    contacts_per_month: float
    effect: Array
    delivered: Array
    cost: Array

    def first(self, draws: int | None) -> Stake:
        """Give the same with so many of its draws; None: all."""
        return replace(self, effect=self.effect[:draws], delivered=self.delivered[:draws], cost=self.cost[:draws])


@dataclass(frozen=True, slots=True, eq=False)
class Cash:
    """What happens by month, month 0 (the decision) included; currency, not discounted.

    Attributes
    ----------
    customers_without, revenue_without : float64 arrays, shape (months + 1,)
        At the end of each month, and within it, if nothing is done.
    customers, revenue, gain, spent, saved : float64 arrays, shape (draws, months + 1)
        With the initiatives; gain is margin on the difference of revenues, spent is before savings.
    """

    customers_without: Array
    revenue_without: Array
    customers: Array
    revenue: Array
    gain: Array
    spent: Array
    saved: Array

    @property
    def balance(self) -> Array:
        """Money in less money out, shape (draws, months + 1)."""
        return np.asarray(self.gain - self.spent + self.saved)


def activity(initiative: Initiative, months: int) -> Array:
    """Share of full effect in each month after the decision.

    Parameters
    ----------
    initiative : Initiative
        Start, ramp and duration.
    months : int
        Months looked ahead.

    Returns
    -------
    float64 array, shape (months,)

    Examples
    --------
    >>> from models.initiatives import Change, Initiative
    >>> change = Change(journey="support", measure="wait", scale=0.5)
    >>> activity(Initiative(name="a", changes=(change,), start_month=1, ramp_months=2, lasts_months=3), 6).tolist()
    [0.0, 0.5, 1.0, 1.0, 0.0, 0.0]
    """
    since = np.arange(1, months + 1) - initiative.start_month
    share = np.clip(since / max(initiative.ramp_months, 1), 0.0, 1.0)
    ended = np.inf if initiative.lasts_months is None else initiative.lasts_months
    return np.asarray(np.where(since > ended, 0.0, share))


def discounts(money: Money) -> Array:
    """Present value of one unit in each month, shape (months + 1,)."""
    return np.asarray((1 + money.discount_rate) ** (-np.arange(money.months + 1) / 12))


def hazard_change(churn_effect: Array, baseline: Baseline, cohort: Cohort) -> Array:
    """Change of the monthly hazard that changes the probability of leaving over the horizon by this much."""
    left = np.clip(1 - churn_effect / (1 - baseline.churn), 1e-6, None)
    return np.asarray(-np.log(left) / cohort.horizon_months)


def roll_forward(
    stakes: Sequence[Stake],
    baseline: Baseline,
    cohort: Cohort,
    money: Money,
    retention: Retention,
    less: Array | None = None,
) -> Cash:
    """Count customers, revenue and cost month by month.

    Parameters
    ----------
    stakes : sequence of Stake
        Done together; at least one, all with the same draws.
    baseline : Baseline
        Without them.
    cohort : Cohort
        For whom.
    money : Money
        Margin and months.
    retention : Retention
        Hazard by month over its mean within the horizon, as many months as money looks ahead.
    less : float64 array, shape (draws, 2), optional
        For two stakes: what their effects together are less than the sum of both, at full activity.

    Returns
    -------
    Cash

    Notes
    -----
    Hazard of month k: factor_k x (lambda + sum of activity x delivered / expected x delta), lambda = -ln(1 - base
    churn) / months of the horizon, delta the change that meets an effect over the horizon exactly at full activity; not
    below zero. What two do together enters with the product of their activities. Revenue per customer: base revenue
    plus activity x spend effect, both spread over the mean stay in the horizon, on customers at mid-month.
    """
    active = [activity(one.initiative, money.months)[None, :] * one.delivered[:, None] for one in stakes]
    change = sum(a * hazard_change(one.effect[:, [0]], baseline, cohort) for a, one in zip(active, stakes, strict=True))
    spend = sum(a * one.effect[:, [1]] for a, one in zip(active, stakes, strict=True))
    if less is not None:
        both = active[0] * active[1]
        parts = [hazard_change(one.effect[:, [0]], baseline, cohort) for one in stakes]
        whole = sum(one.effect[:, [0]] for one in stakes) - less[:, [0]]
        change = change + both * (hazard_change(whole, baseline, cohort) - sum(parts))
        spend = spend - both * less[:, [1]]
    hazard, per_month = baseline.hazard(cohort), baseline.monthly(baseline.revenue, cohort)
    more = spend / baseline.mean_stay / cohort.horizon_months
    customers = _customers(retention.factor * np.maximum(hazard + change, 0.0), cohort.customers)
    without = _customers(retention.factor[None, :] * hazard, cohort.customers)
    earned, base = _mid(customers) * (per_month + more), _mid(without) * per_month
    spent, saved = _spent(stakes, customers, cohort, money)
    return Cash(
        customers_without=without[0],
        revenue_without=_from_month_0(base)[0],
        customers=customers,
        revenue=_from_month_0(earned),
        gain=_from_month_0(money.margin * (earned - base)),
        spent=spent,
        saved=saved,
    )


def _from_month_0(by_month: Array) -> Array:
    """Put the decision, in which nothing is earned yet, in front."""
    return np.concatenate([np.zeros((len(by_month), 1)), by_month], axis=1)


def _customers(monthly: Array, start: int) -> Array:
    """Count the customers left at the end of each month, month 0 included."""
    left = np.exp(-np.cumsum(monthly, axis=1))
    return start * np.concatenate([np.ones((len(left), 1)), left], axis=1)


def _mid(customers: Array) -> Array:
    return np.asarray((customers[:, 1:] + customers[:, :-1]) / 2)


def _spent(stakes: Sequence[Stake], customers: Array, cohort: Cohort, money: Money) -> tuple[Array, Array]:
    """Cost per draw and month from 0: once at the decision, per customer at the start, the rest while active."""
    spent, saved, mid = np.zeros(customers.shape), np.zeros(customers.shape), _mid(customers)
    for one in stakes:
        once, monthly, per_customer, per_contact, saved_monthly = one.cost.T[:, :, None]
        running = activity(one.initiative, money.months) > 0
        spent[:, [0]] += once
        spent[:, 1:] += running * (monthly + per_contact * one.contacts_per_month * mid)
        saved[:, 1:] += running * saved_monthly
        start = min(one.initiative.start_month, money.months)
        spent[:, [start]] += per_customer * one.reached_share * cohort.customers
    return spent, saved
