"""What initiatives are worth: effects, delivery and cost drawn together, rolled forward month by month into money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.study import Money
from models.appetite import Appetite
from models.cash import Cash, Cohort, discounts, roll_forward
from models.doubts import COLUMNS as DOUBTS
from models.draws import DRAWS
from models.effects import Estimate
from models.forecasts import Forecast, Overlap, Refusal, Sampled, Samples, ruled, sample
from models.initiatives import Initiative
from models.retention import Retention, constant_retention
from models.tornado import Bar, tornado
from models.verdicts import LEAST_CUSTOMERS, Ruling

__all__ = ["COLUMNS", "Comparison", "MonthlyPath", "Verdict", "Worth", "compare", "simulate", "worth_of"]

Array = NDArray[np.float64]

LOW, HIGH = 5.0, 95.0  # percentiles: the 90 % interval
CERTAIN = 0.9
WORST = Appetite(tail=0.1)
"""The worst draws, of which a mean is told: one in ten."""

Verdict = Literal["worth it", "not worth it", "harmful", "undecided", "unsupported", "refused"]

COLUMNS = (
    "name", "title", "churn_effect", "churn_lo", "churn_hi", "revenue_effect", "revenue_lo", "revenue_hi",
    "cost", "cost_lo", "cost_hi", "npv", "npv_lo", "npv_hi", "npv_worst", "npv_constant", "npv_constant_lo",
    "npv_constant_hi", "p_npv_positive", "roi", "payback_months", "customers_retained", "support_share", "verdict",
    "reason", "n", *DOUBTS,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class MonthlyPath:
    """Customers and revenue of the cohort month by month; arrays of shape (months + 1,), month 0 is the decision.

    Attributes
    ----------
    customers_without, revenue_without : float64 array
        If nothing is done: customers at the end of the month, revenue within it in currency.
    customers, customers_lo, customers_hi, revenue, revenue_lo, revenue_hi : float64 array
        With the initiative: mean and 90 % band of the draws.
    balance : float64 array
        Mean of margin gained less cost within the month, currency, not discounted.
    """

    customers_without: Array
    customers: Array
    customers_lo: Array
    customers_hi: Array
    revenue_without: Array
    revenue: Array
    revenue_lo: Array
    revenue_hi: Array
    balance: Array

    @classmethod
    def of(cls, cash: Cash) -> MonthlyPath:
        """Summarise the draws."""
        customers, revenue = _banded(cash.customers), _banded(cash.revenue)
        return cls(
            cash.customers_without, *customers, cash.revenue_without, *revenue, np.asarray(cash.balance.mean(axis=0))
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per month: month and the attributes."""
        columns = {name: getattr(self, name) for name in self.__slots__}
        return pd.DataFrame({"month": np.arange(len(self.customers)), **columns})


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """One initiative in effect and money; intervals are 90 %.

    Attributes
    ----------
    churn, revenue : Estimate
        Per customer at risk, over the horizon, fully ramped, at the expected delivery.
    cost, npv, npv_constant : float64 arrays, shape (draws,)
        Present values in currency over the money horizon: cost less savings, what is left of the margin after cost, and
        the latter where customers leave at a constant rate.
    outlay : float
        Mean present value of what is spent, savings not taken off, currency.
    payback_months : float
        First month in which the mean discounted balance is not negative; NaN when never.
    customers_retained : float
        Of the cohort, over the horizon.
    path : MonthlyPath
        Customers and revenue by month.
    bars : tuple of Bar
        What drives the interval of the net present value, most first.
    ruling : Ruling or None
        The verdict on the effect, whatever it costs.
    doubts : mapping of str to object
        What is shown beside the effect: `models.doubts.COLUMNS`; empty where nothing was judged.
    """

    initiative: Initiative
    churn: Estimate
    revenue: Estimate
    cost: Array
    npv: Array
    npv_constant: Array
    outlay: float
    payback_months: float
    customers_retained: float
    reached_share: float
    support_share: float
    verdict: Verdict
    reason: str
    n: int
    path: MonthlyPath
    bars: tuple[Bar, ...]
    ruling: Ruling | None
    doubts: dict[str, object]

    @property
    def p_npv_positive(self) -> float:
        """Share of draws that earn more than they cost."""
        return float(np.mean(self.npv > 0))

    @property
    def npv_worst(self) -> float:
        """Mean net present value of the worst tenth of the draws (minus the conditional value-at-risk), currency."""
        return float(WORST.worst(self.npv))

    @property
    def roi(self) -> float:
        """Mean net present value over mean cost; NaN without cost."""
        cost = float(self.cost.mean())
        return float(self.npv.mean() / cost) if cost > 0 else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """All initiatives of a file, in the order wanted."""

    worths: tuple[Worth, ...]
    refusals: tuple[Refusal, ...]
    order: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row per initiative; numbers of refused ones are missing."""
        rows = {w.initiative.name: _row(w) for w in self.worths} | {
            r.initiative.name: {
                "name": r.initiative.name,
                "title": r.initiative.label,
                "verdict": "refused",
                "reason": r.reason,
            }
            for r in self.refusals
        }
        return pd.DataFrame([rows[name] for name in self.order], columns=list(COLUMNS))

    def paths(self) -> pd.DataFrame:
        """One row per initiative and month: see `MonthlyPath`."""
        parts = [one.path.to_frame().assign(name=one.initiative.name) for one in self.worths]
        found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["name", "month"])
        return found[["name", *(column for column in found if column != "name")]]

    def tornado(self) -> pd.DataFrame:
        """One row per initiative and input, largest swing first: see `Bar`."""
        columns = ["name", "input", "unit", "low", "high", "npv_at_low", "npv_at_high", "npv_at_mean", "swing"]
        bars = [bar for one in self.worths for bar in one.bars]
        return pd.DataFrame([[getattr(bar, name) for name in columns] for bar in bars], columns=columns)


def simulate(
    forecasts: Sequence[Forecast],
    refusals: Sequence[Refusal],
    cohort: Cohort,
    money: Money,
    rng: np.random.Generator,
    *,
    order: Sequence[str],
    retention: Retention | None = None,
    overlaps: Sequence[Overlap] = (),
    draws: int = DRAWS,
    failed_control: str = "",
) -> Comparison:
    """Roll every initiative forward and count the money: `compare` of a `models.forecasts.sample`.

    Parameters
    ----------
    forecasts : sequence of Forecast
        Initiatives with their effects, estimated on the same rows.
    refusals : sequence of Refusal
        Initiatives that are only listed.
    cohort : Cohort
        Customers at risk now and the horizon of the effects.
    money : Money
        Margin, yearly discount rate and months looked ahead.
    rng : numpy.random.Generator
        Decides the draws.
    order : sequence of str
        Names in the order in which they are to be listed.
    retention : Retention, optional
        A constant hazard, when left out.
    overlaps : sequence of Overlap
        Drawn along; they change nothing of what each initiative is worth alone.
    draws : int
        Monte Carlo size.
    failed_control : str
        What is said of a negative control that failed; empty when none did.

    Returns
    -------
    Comparison
    """
    # Apart, so that an initiative draws the same whatever else is judged with it.
    judging, drawing = rng.spawn(2)
    samples = sample(ruled(forecasts, judging, failed_control), overlaps, drawing, draws)
    return compare(samples, refusals, cohort, money, retention or constant_retention(money.months), order)


def compare(
    samples: Samples,
    refusals: Sequence[Refusal],
    cohort: Cohort,
    money: Money,
    retention: Retention,
    order: Sequence[str],
) -> Comparison:
    """Count the money of every initiative by itself.

    Parameters
    ----------
    samples : Samples
        From `models.forecasts.sample`.
    refusals, cohort, money, order
        As for `simulate`.
    retention : Retention
        How many of the cohort stay if nothing is done.

    Returns
    -------
    Comparison

    Notes
    -----
    Months by `models.cash.roll_forward`. Beyond the horizon an initiative changes the hazard by the same share as
    within it, which is cautious where memory still builds up and bold where the effect fades. New customers are not
    counted.
    """
    worths = tuple(worth_of(one, cohort, money, retention) for one in samples.initiatives)
    return Comparison(worths, tuple(refusals), tuple(order))


def worth_of(sampled: Sampled, cohort: Cohort, money: Money, retention: Retention) -> Worth:
    """Count the money of one initiative; arguments as for `compare`."""
    stake, baseline, discount = sampled.stake, sampled.forecast.baseline, discounts(money)
    cash = roll_forward([stake], baseline, cohort, money, retention)
    npv = np.asarray(cash.balance @ discount)
    constant = npv
    if retention.is_estimated:
        held = roll_forward([stake], baseline, cohort, money, constant_retention(money.months))
        constant = np.asarray(held.balance @ discount)
    path = MonthlyPath.of(cash)
    churn, revenue = sampled.forecast.effect.churn, sampled.forecast.effect.revenue
    cost = np.asarray((cash.spent - cash.saved) @ discount)
    label, reason = _verdict(sampled.forecast, npv, cost)
    return Worth(
        initiative=sampled.forecast.initiative,
        churn=churn,
        revenue=revenue,
        cost=cost,
        npv=npv,
        npv_constant=constant,
        outlay=float(cash.spent.mean(axis=0) @ discount),
        payback_months=_payback(path.balance * discount),
        customers_retained=-churn.value * cohort.customers,
        reached_share=sampled.forecast.reached_share,
        support_share=sampled.forecast.support_share,
        verdict=label,
        reason=reason,
        n=sampled.forecast.effect.customers,
        path=path,
        bars=tornado(sampled, cohort, money, retention),
        ruling=sampled.forecast.ruling,
        doubts=sampled.forecast.doubts,
    )


def _payback(by_month: Array) -> float:
    running = np.cumsum(by_month)
    # Paid back for good: an early plus before the cost falls due is not a payback.
    owed = np.flatnonzero(running < 0)
    return 0.0 if not len(owed) else float(owed[-1] + 1) if owed[-1] < len(running) - 1 else float("nan")


def _verdict(forecast: Forecast, npv: Array, cost: Array) -> tuple[Verdict, str]:
    """Put the result into words by stated rules."""
    positive, ruling = float(np.mean(npv > 0)), forecast.ruling
    if ruling is not None:
        is_supported = ruling.verdict != "unsupported"
        if not is_supported or forecast.effect.customers < LEAST_CUSTOMERS:
            return "undecided" if is_supported else "unsupported", ruling.reason
        if ruling.verdict == "harmful":
            return "harmful", ruling.reason
        # What saves money is worth it without any effect; everything else is worth what its effect is.
        if positive >= CERTAIN and ruling.verdict == "undecided" and cost.mean() >= 0:
            reason = (
                f"It would earn more than it costs in {_often(positive)} of the draws, but the effect is undecided."
            )
            return "undecided", f"{reason} {ruling.reason}"
    # What gains in one outcome and loses in the other is worth what the money says; both are told.
    but = f" {ruling.reason}" if ruling is not None and ruling.verdict == "mixed" else ""
    if positive >= CERTAIN:
        return "worth it", f"It earns more than it costs in {_often(positive)} of the draws.{but}"
    if positive <= 1 - CERTAIN:
        only = "only " if positive >= 0.01 else ""
        return "not worth it", f"It earns more than it costs in {only}{_often(positive)} of the draws.{but}"
    return "undecided", f"It earns more than it costs in {_often(positive)} of the draws: the data do not decide.{but}"


def _often(share: float) -> str:
    """Write a share of draws; no number of draws shows never or always."""
    if share > 0.99:
        return "more than 99 %"
    return "less than 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _spread(values: Array) -> tuple[float, float, float]:
    """Mean and 90 % interval."""
    low, high = np.percentile(values, [LOW, HIGH])
    return float(values.mean()), float(low), float(high)


def _banded(draws: Array) -> tuple[Array, Array, Array]:
    """Mean and 90 % band by month."""
    low, high = np.percentile(draws, [LOW, HIGH], axis=0)
    return np.asarray(draws.mean(axis=0)), low, high


def _row(worth: Worth) -> dict[str, object]:
    churn, revenue = worth.churn, worth.revenue
    numbers = (
        worth.initiative.name, worth.initiative.label, churn.value, churn.lo, churn.hi,
        revenue.value, revenue.lo, revenue.hi, *_spread(worth.cost), *_spread(worth.npv), worth.npv_worst,
        *_spread(worth.npv_constant), worth.p_npv_positive, worth.roi, worth.payback_months,
        worth.customers_retained, worth.support_share, worth.verdict, worth.reason, worth.n,
    )  # fmt: skip
    return dict(zip(COLUMNS, numbers, strict=False)) | worth.doubts
