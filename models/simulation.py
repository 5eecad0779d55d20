"""What an initiative is worth: effects, delivery and cost drawn together, rolled forward month by month into money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.snapshot import DAYS_PER_MONTH
from features.study import Money
from models.doubts import COLUMNS as DOUBTS
from models.doubts import doubts
from models.effects import Effect, Estimate
from models.initiatives import Initiative
from models.placebo import Placebo
from models.verdicts import LEAST_CUSTOMERS, Evidence, Ruling, judge

Array = NDArray[np.float64]

DRAWS = 4_000
LOW, HIGH = 5.0, 95.0  # percentiles: the 90 % interval
CERTAIN = 0.9

Verdict = Literal["worth it", "not worth it", "harmful", "undecided", "unsupported", "refused"]

COLUMNS = (
    "name", "title", "churn_effect", "churn_lo", "churn_hi", "revenue_effect", "revenue_lo", "revenue_hi",
    "cost", "cost_lo", "cost_hi", "npv", "npv_lo", "npv_hi", "p_npv_positive", "roi", "payback_months",
    "customers_retained", "support_share", "verdict", "reason", "n", *DOUBTS,
)  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class Forecast:
    """What goes into the money of one initiative.

    Attributes
    ----------
    initiative : Initiative
        Timing, delivery and cost.
    effect : Effect
        Over the horizon, reach and expected delivery included.
    support_share : float
        Share of moved values inside what was observed.
    reached_share : float
        Share of the cohort that is reached.
    contacts_per_month : float
        Moved contacts per customer of the cohort and month.
    placebo : Placebo or None
        The same effect on the past.
    """

    initiative: Initiative
    effect: Effect
    support_share: float
    reached_share: float
    contacts_per_month: float
    placebo: Placebo | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An initiative that is not simulated, and why."""

    initiative: Initiative
    reason: str


@dataclass(frozen=True, slots=True)
class Worth:
    """One initiative in effect and money; intervals are 90 %.

    Attributes
    ----------
    churn, revenue : Estimate
        Per customer at risk, over the horizon, fully ramped, at the expected delivery.
    cost, npv : float64 arrays, shape (draws,)
        Present values in currency over the money horizon.
    payback_months : float
        First month in which the mean discounted balance is not negative; NaN when never.
    customers_retained : float
        Of the cohort, over the horizon.
    ruling : Ruling
        The verdict on the effect, whatever it costs.
    doubts : mapping of str to object
        What is shown beside the effect: `models.doubts.COLUMNS`.
    """

    initiative: Initiative
    churn: Estimate
    revenue: Estimate
    cost: Array
    npv: Array
    payback_months: float
    customers_retained: float
    support_share: float
    verdict: Verdict
    reason: str
    n: int
    ruling: Ruling
    doubts: dict[str, object]

    @property
    def p_npv_positive(self) -> float:
        """Share of draws that earn more than they cost."""
        return float(np.mean(self.npv > 0))

    @property
    def roi(self) -> float:
        """Mean net present value over mean cost; NaN without cost."""
        cost = float(self.cost.mean())
        return float(self.npv.mean() / cost) if cost > 0 else float("nan")


@dataclass(frozen=True, slots=True)
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


def simulate(
    forecasts: Sequence[Forecast],
    refusals: Sequence[Refusal],
    cohort: Cohort,
    money: Money,
    rng: np.random.Generator,
    *,
    order: Sequence[str],
    draws: int = DRAWS,
    failed_control: str = "",
) -> Comparison:
    """Roll every initiative forward and count the money.

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
        Draws effects (jointly, from their influence functions) and delivery.
    order : sequence of str
        Names in the order in which they are to be listed.
    draws : int
        Monte Carlo size.
    failed_control : str
        What is said of a negative control that failed; empty when none did.

    Returns
    -------
    Comparison

    Notes
    -----
    Base hazard per month: lambda = -ln(1 - base churn) / months of the horizon, held constant. An initiative adds
    activity(k) x delivered/expected x delta, delta = -ln((1 - base churn - effect) / (1 - base churn)) / months, so
    that the horizon's effect is met exactly at full activity. Revenue per stayer and month moves by the spend part of
    the effect. Beyond the horizon the monthly effect is held at its horizon mean, which is cautious where memory still
    builds up and bold where the effect fades. New customers are not counted. Delivery is PERT (Malcolm, Roseboom,
    Clark, Fazar 1959, doi:10.1287/opre.7.5.646).
    """
    sampled = _joint_effects([f.effect for f in forecasts], rng, draws)
    delivered = [_delivery(forecast.initiative, rng, draws) for forecast in forecasts]
    evidence = [Evidence(f.effect, f.support_share, f.placebo) for f in forecasts]
    rulings = judge(evidence, rng, failed_control=failed_control)
    worths = tuple(
        _worth(forecast, ruling, sampled[:, i], delivered[i], cohort, money)
        for i, (forecast, ruling) in enumerate(zip(forecasts, rulings, strict=True))
    )
    return Comparison(worths, tuple(refusals), tuple(order))


def _joint_effects(effects: Sequence[Effect], rng: np.random.Generator, draws: int) -> Array:
    """Draws of (churn, spend) per initiative, shape (draws, initiatives, 2), correlated as the estimates are."""
    if not effects:
        return np.zeros((draws, 0, 2))
    influence = np.concatenate([e.influence[:, [0, 2]] for e in effects], axis=1)
    mean = np.array([[e.churn.value, e.spend.value] for e in effects]).ravel()
    values, vectors = np.linalg.eigh(influence.T @ influence)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = mean + rng.standard_normal((draws, len(mean))) @ root.T
    # The error of the models' form moves an initiative's churn and spend together.
    form = 1 + rng.standard_normal((draws, len(effects), 1)) * np.array([e.churn.form for e in effects])[:, None]
    return np.asarray(drawn.reshape(draws, len(effects), 2) * form)


def _delivery(initiative: Initiative, rng: np.random.Generator, draws: int) -> Array:
    """Delivered share over its expectation; mean 1."""
    low, likely, high = initiative.delivery
    if high == low:
        return np.ones(draws)
    share = rng.beta(1 + 4 * (likely - low) / (high - low), 1 + 4 * (high - likely) / (high - low), draws)
    return np.asarray((low + share * (high - low)) / initiative.expected_delivery)


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


def _worth(forecast: Forecast, ruling: Ruling, sampled: Array, delivered: Array, cohort: Cohort, money: Money) -> Worth:
    gain, customers = _monthly_gain(forecast, sampled, delivered, cohort, money)
    spent = _monthly_cost(forecast, customers, cohort, money)
    discount = (1 + money.discount_rate) ** (-np.arange(money.months + 1) / 12)
    balance = (gain - spent) * discount
    npv, cost = balance.sum(axis=1), (spent * discount).sum(axis=1)
    running = np.cumsum(balance.mean(axis=0))
    # Paid back for good: an early plus before the cost falls due is not a payback.
    owed = np.flatnonzero(running < 0)
    payback = 0.0 if not len(owed) else float(owed[-1] + 1) if owed[-1] < money.months else float("nan")
    churn, revenue = forecast.effect.churn, forecast.effect.revenue
    label, reason = _verdict(forecast, ruling, npv, cost)
    return Worth(
        initiative=forecast.initiative,
        churn=churn,
        revenue=revenue,
        cost=cost,
        npv=npv,
        payback_months=payback,
        customers_retained=-churn.value * cohort.customers,
        support_share=forecast.support_share,
        verdict=label,
        reason=reason,
        n=forecast.effect.customers,
        ruling=ruling,
        doubts=doubts(forecast.effect, ruling, forecast.placebo),
    )


def _monthly_gain(
    forecast: Forecast, sampled: Array, delivered: Array, cohort: Cohort, money: Money
) -> tuple[Array, Array]:
    """Margin gained and customers left, per draw and month from 0."""
    effect, months = forecast.effect, cohort.horizon_days / DAYS_PER_MONTH
    stay = 1 - effect.base_churn
    hazard = -np.log(stay) / months
    mean_stay = effect.base_churn / -np.log(stay)  # mean survival over the horizon at constant hazard
    per_month = effect.base_revenue / mean_stay / months
    active = activity(forecast.initiative, money.months)[None, :] * delivered[:, None]
    delta = -np.log(np.clip(1 - sampled[:, [0]] / stay, 1e-6, None)) / months
    spend = sampled[:, [1]] / mean_stay / months
    customers = _customers(np.maximum(hazard + active * delta, 0.0), cohort.customers)
    base = _customers(np.full((1, money.months), hazard), cohort.customers)
    gain = money.margin * (_mid(customers) * (per_month + active * spend) - _mid(base) * per_month)
    return np.concatenate([np.zeros((len(gain), 1)), gain], axis=1), customers


def _customers(monthly: Array, start: int) -> Array:
    """Count the customers left at the end of each month, month 0 included."""
    left = np.exp(-np.cumsum(monthly, axis=1))
    return start * np.concatenate([np.ones((len(left), 1)), left], axis=1)


def _mid(customers: Array) -> Array:
    return np.asarray((customers[:, 1:] + customers[:, :-1]) / 2)


def _monthly_cost(forecast: Forecast, customers: Array, cohort: Cohort, money: Money) -> Array:
    """Cost per draw and month from 0: once at the decision, per customer at the start, the rest while active."""
    initiative, cost = forecast.initiative, forecast.initiative.cost
    running = activity(initiative, money.months) > 0
    spent = np.zeros(customers.shape)
    spent[:, 0] = cost.once
    spent[:, 1:] += running * (
        cost.monthly - cost.saved_monthly + cost.per_contact * forecast.contacts_per_month * _mid(customers)
    )
    start = min(initiative.start_month, money.months)
    spent[:, start] += cost.per_customer * forecast.reached_share * cohort.customers
    return spent


def _verdict(forecast: Forecast, ruling: Ruling, npv: Array, cost: Array) -> tuple[Verdict, str]:
    """Put the result into words by stated rules."""
    positive = float(np.mean(npv > 0))
    is_supported = ruling.verdict != "unsupported"
    if not is_supported or forecast.effect.customers < LEAST_CUSTOMERS:
        return "undecided" if is_supported else "unsupported", ruling.reason
    if ruling.is_harmful:
        return "harmful", "It makes more customers leave or spend less."
    # What saves money is worth it without any effect; everything else is worth what its effect is.
    if positive >= CERTAIN and ruling.verdict == "undecided" and cost.mean() >= 0:
        reason = f"It would earn more than it costs in {_often(positive)} of the draws, but the effect is undecided."
        return "undecided", f"{reason} {ruling.reason}"
    if positive >= CERTAIN:
        return "worth it", f"It earns more than it costs in {_often(positive)} of the draws."
    if positive <= 1 - CERTAIN:
        return (
            "not worth it",
            f"It earns more than it costs in {'only ' if positive >= 0.01 else ''}{_often(positive)} of the draws.",
        )
    return "undecided", f"It earns more than it costs in {_often(positive)} of the draws: the data do not decide."


def _often(share: float) -> str:
    """Write a share of draws; no number of draws shows never or always."""
    if share > 0.99:
        return "more than 99 %"
    return "less than 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _row(worth: Worth) -> dict[str, object]:
    def spread(values: Array) -> tuple[float, float, float]:
        return float(values.mean()), float(np.percentile(values, LOW)), float(np.percentile(values, HIGH))

    cost, npv = spread(worth.cost), spread(worth.npv)
    churn, revenue = worth.churn, worth.revenue
    numbers = (
        worth.initiative.name, worth.initiative.label, churn.value, churn.lo, churn.hi,
        revenue.value, revenue.lo, revenue.hi, *cost, *npv, worth.p_npv_positive, worth.roi, worth.payback_months,
        worth.customers_retained, worth.support_share, worth.verdict, worth.reason, worth.n,
    )  # fmt: skip
    return dict(zip(COLUMNS, numbers, strict=False)) | worth.doubts
