"""Whether a challenger takes the champion's place: both judged on the same rows, which neither had learned from.

A lower number alone decides nothing: two models tested on different months differ by the months. So the losses of both
are taken row by row on the same customers and cutoffs, and their mean difference has an interval clustered by customer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.calibration import newton, to_logit
from models.metrics import Estimate, Sample, churn_metrics, mean_difference, revenue_metrics, row_log_loss

__all__ = ["CALIBRATED", "Basis", "Comparison", "Decision", "compare", "decide"]

FloatArray = NDArray[np.float64]
Basis = Literal["stored model", "recorded tests"]

CALIBRATED = (0.8, 1.25)
"""A model whose predicted over observed total lies outside, with its whole interval, replaces no other."""

_FEWEST_EVENTS = 10


@dataclass(frozen=True, slots=True)
class Comparison:
    """A challenger beside the champion on the same rows; differences are challenger minus champion.

    Attributes
    ----------
    outcome : str
        ``churn`` or ``revenue``.
    basis : str
        ``stored model``: the champion itself predicted rows whose outcomes came after all that it has learned from.
        ``recorded tests``: there are no such rows yet, and what it predicted out of time when it was trained is used.
    rows, customers : int
        What both predicted.
    loss : Estimate
        Log loss, or mean squared error.
    calibration : Estimate
        How much of that loss a straight line through the predictions (on the logit for risks) would save.
    money : Estimate or None
        What acting on the predictions earns for each customer, in currency; for revenue the mean absolute error, in
        currency, with the sign turned: above zero, the challenger is better.
    mean_calibration : Estimate
        Predicted over observed total of the challenger.
    """

    outcome: str
    basis: Basis
    rows: int
    customers: int
    loss: Estimate
    calibration: Estimate
    money: Estimate | None
    mean_calibration: Estimate


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a challenger.

    Attributes
    ----------
    promotes : bool
        It takes the champion's place.
    reason : str
        Why, one sentence for people.
    """

    promotes: bool
    reason: str


def compare(
    outcome: str,
    sample: Sample,
    champion: FloatArray,
    basis: Basis,
    *,
    earned: Callable[[Sample], FloatArray] | None = None,
) -> Comparison | None:
    """Compare a challenger with the champion.

    Parameters
    ----------
    outcome : str
        ``churn`` or ``revenue``.
    sample : Sample
        Outcomes and the challenger's predictions.
    champion : ndarray of float, shape (n,)
        The champion's predictions for the same rows.
    basis : str
        Where these come from.
    earned : callable, optional
        What acting on predictions earns with each row, in currency; for risks only.

    Returns
    -------
    Comparison or None
        None where too little can be told: fewer than 10 churners or 10 stayers, or fewer than 10 amounts.

    Notes
    -----
    Estimand: the difference of mean losses over the customers and cutoffs compared. Intervals from the row-wise
    difference, clustered by customer. The calibration part is the loss minus the loss after the best straight line; as
    that line minimises the loss, its own estimation does not enter the first-order variance (envelope theorem; van der
    Vaart 1998, Asymptotic Statistics, section 5.4).
    """
    other = Sample(sample.observed, champion, sample.customer, sample.weight)
    if outcome == "churn":
        events = int(sample.observed.sum())
        if min(events, len(sample) - events) < _FEWEST_EVENTS:
            return None
        loss, excess, measured = row_log_loss, _excess_log_loss, churn_metrics(sample)
    else:
        if len(sample) < _FEWEST_EVENTS:
            return None
        loss, excess, measured = _squared_error, _excess_squared_error, revenue_metrics(sample)
    return Comparison(
        outcome=outcome,
        basis=basis,
        rows=len(sample),
        customers=int(sample.customer.max()) + 1,
        loss=mean_difference(sample, loss(sample.observed, sample.predicted), loss(sample.observed, champion), "loss"),
        calibration=mean_difference(sample, excess(sample), excess(other), "calibration"),
        money=_money(outcome, sample, other, earned),
        mean_calibration=next(one for one in measured if one.metric == "mean_calibration"),
    )


def decide(found: Comparison | None, champion: str, *, can_score: bool) -> Decision:
    """Say whether the challenger takes the champion's place.

    Parameters
    ----------
    found : Comparison or None
        None if they could not be compared.
    champion : str
        How the champion is called, such as ``version 3``.
    can_score : bool
        Whether the champion can still score this panel: it cannot once the features have changed.

    Returns
    -------
    Decision
        Yes if its loss is lower with its whole interval; if the losses cannot be told apart, yes if it is the better
        calibrated one. No if its loss is higher with its whole interval, or its totals are off by more than
        `CALIBRATED` allows. A champion that can no longer score is replaced in any case.
    """
    promotes, why = _judged(found, champion)
    if can_score:
        return Decision(promotes, why)
    link = "Besides" if promotes else "Otherwise"
    return Decision(
        promotes=True, reason=f"{champion} was fitted on other features and cannot score these. {link}: {why}"
    )


def _judged(found: Comparison | None, champion: str) -> tuple[bool, str]:
    if found is None:
        return False, f"too little can be compared with {champion}, which stays."
    told = f"{_difference(found)} than {champion} ({_where(found)})"
    off = found.mean_calibration
    low, high = CALIBRATED
    if off.lo > high or off.hi < low:
        text = f"predicted over observed is {off.value:.2f} ({off.lo:.2f} to {off.hi:.2f}), not within {low} to {high}"
        return False, f"{told}; but {text}: {champion} stays."
    if found.loss.hi < 0:
        return True, f"{told}."
    if found.loss.lo > 0:
        return False, f"{told}: {champion} stays."
    better = found.calibration.value < 0 or (found.calibration.value == 0 and found.loss.value <= 0)
    calibrated = "not worse calibrated" if better else "worse calibrated"
    return better, f"{told}, and {calibrated}" + ("." if better else f": {champion} stays.")


def _difference(found: Comparison) -> str:
    name = "log loss" if found.outcome == "churn" else "mean squared error"
    how = "lower" if found.loss.hi < 0 else "higher" if found.loss.lo > 0 else "neither clearly lower nor higher"
    one = found.loss
    money = "" if found.money is None else f"; {_paid(found.outcome, found.money)}"
    return f"its {name} is {how} ({one.value:+.3g}, 90 % interval {one.lo:+.3g} to {one.hi:+.3g}{money})"


def _paid(outcome: str, money: Estimate) -> str:
    what = "money earned for each customer" if outcome == "churn" else "mean absolute error saved"
    return f"{what} {money.value:+.3g} ({money.lo:+.3g} to {money.hi:+.3g})"


def _where(found: Comparison) -> str:
    rows = f"{found.rows:,} rows of {found.customers:,} customers"
    if found.basis == "stored model":
        return f"on {rows} whose outcomes neither had seen"
    return f"on {rows}, each as it was tested when it was trained"


def _money(
    outcome: str, sample: Sample, other: Sample, earned: Callable[[Sample], FloatArray] | None
) -> Estimate | None:
    if outcome == "churn":
        return None if earned is None else mean_difference(sample, earned(sample), earned(other), "money")
    before, after = (np.abs(one.predicted - one.observed) for one in (other, sample))
    return mean_difference(sample, before, after, "money")


def _excess_log_loss(sample: Sample) -> FloatArray:
    """Log loss of each row beyond that of the best intercept and slope on the logit."""
    score = to_logit(sample.predicted)
    if np.ptp(score) < 1e-9:
        line = np.array([newton(np.zeros_like(score), sample.observed, sample.weight, np.array([0.0, 1.0]))[0], 0.0])
    else:
        line = newton(score, sample.observed, sample.weight, np.zeros(2))
    if not np.isfinite(line).all():  # risks that separate churners from stayers cannot be improved by a line
        return np.zeros(len(sample))
    repaired = line[0] + line[1] * score
    best = np.logaddexp(0.0, repaired) - sample.observed * repaired
    return np.asarray(row_log_loss(sample.observed, sample.predicted) - best, np.float64)


def _excess_squared_error(sample: Sample) -> FloatArray:
    """Squared error of each row beyond that of the best straight line."""
    x, y, w = sample.predicted, sample.observed, sample.weight
    centred = x - w @ x / w.sum()
    spread = w @ centred**2
    slope = (w @ (centred * y)) / spread if spread > 0 else 0.0
    line = w @ y / w.sum() + slope * centred
    return np.asarray((y - x) ** 2 - (y - line) ** 2, np.float64)


def _squared_error(observed: FloatArray, predicted: FloatArray) -> FloatArray:
    return np.asarray((observed - predicted) ** 2, np.float64)
