"""How good a prediction is: every number with an interval that knows that rows of one customer are not independent.

Each metric is computed together with its influence function, the amount by which one row moves it. Summed by customer,
squared and added up, that is the clustered variance: exact for means, first order for the others (checked against a
bootstrap of customers in the tests), one sort per metric, and no random numbers. Nothing depends on the order of rows:
tied predictions share their rank.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from scipy.stats import norm

from models.calibration import newton, to_logit

__all__ = [
    "LEVEL",
    "Estimate",
    "Sample",
    "Term",
    "auc",
    "churn_metrics",
    "estimate",
    "mean_difference",
    "metrics_frame",
    "reliability",
    "revenue_metrics",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Scale = Literal["identity", "log", "logit"]

LEVEL = 0.9
"""Coverage aimed at by every interval in this module."""

_METRICS_COLUMNS = ["outcome", "candidate", "metric", "value", "lo", "hi", "n", "fold"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric with its interval.

    Attributes
    ----------
    metric : str
        What was measured.
    value, lo, hi : float
        Estimate and 90 % interval, clustered by customer; NaN where the metric is not defined (one class).
    n : int
        Rows it rests on.
    """

    metric: str
    value: float
    lo: float
    hi: float
    n: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Predictions beside what came true.

    Attributes
    ----------
    observed, predicted : ndarray of float, shape (n,)
        Outcome and prediction of each row.
    customer : ndarray of int64, shape (n,)
        Number of the row's customer, 0 to n_customers - 1.
    weight : ndarray of float, shape (n,)
        Row weights, scaled to a mean of 1.
    """

    observed: FloatArray
    predicted: FloatArray
    customer: IntArray
    weight: FloatArray

    @classmethod
    def of(cls, observed: ArrayLike, predicted: ArrayLike, customer: ArrayLike, weight: ArrayLike) -> Sample:
        """Make a sample: number the customers, scale the weights and refuse rows without a number.

        Raises
        ------
        ValueError
            A missing or infinite value, or a weight that is not above zero.
        """
        y, p, w = (np.asarray(column, dtype=np.float64) for column in (observed, predicted, weight))
        if not (np.isfinite(y).all() and np.isfinite(p).all() and np.isfinite(w).all() and (w > 0).all()):
            msg = "observed, predicted and weight must be finite and weights above zero: drop other rows first"
            raise ValueError(msg)
        codes = pd.factorize(np.asarray(customer))[0].astype(np.int64)
        return cls(y, p, codes, w / w.mean() if len(w) else w)

    def __len__(self) -> int:
        return len(self.observed)

    def mean(self, values: FloatArray) -> float:
        """Weighted mean of one value a row."""
        return float(self.weight @ values / self.weight.sum())

    def standard_error(self, influence: FloatArray) -> float:
        """Clustered standard error of a statistic from its influence function (mean zero, one value a row)."""
        sums = np.bincount(self.customer, self.weight * influence)
        groups = len(sums)
        if groups < 2:
            return float("nan")
        return float(np.sqrt(sums @ sums * groups / (groups - 1)) / self.weight.sum())


@dataclass(frozen=True, slots=True)
class Term:
    """A statistic and its influence function; ``scale`` says where its interval is symmetric."""

    metric: str
    value: float
    influence: FloatArray
    scale: Scale = "identity"


def churn_metrics(sample: Sample) -> tuple[Estimate, ...]:
    """Measure predicted risks against who churned.

    Parameters
    ----------
    sample : Sample
        ``observed`` is 0 or 1, ``predicted`` a probability.

    Returns
    -------
    tuple of Estimate
        log_loss, brier, auc, average_precision, calibration_intercept, calibration_slope, lift_10, mean_calibration.

    Notes
    -----
    ``calibration_intercept`` is calibration in the large: the intercept of a logistic regression of the outcome with
    the logit of the prediction as offset (0 is right; above 0, risks are too low). ``calibration_slope`` is the slope
    on that logit with a free intercept (1 is right; below 1, risks are too extreme). ``mean_calibration`` is predicted
    over observed churn. ``lift_10`` is the churn rate among the tenth with the highest risk over the churn rate of all;
    of customers tied at its edge the fitting share is taken. Ranking metrics and slope are NaN with one class.

    References
    ----------
    DeLong et al. (1988), Biometrics 44, and Obuchowski (1997), Biometrics 53, for clustered AUC. Cox (1958).
    """
    terms = [_log_loss(sample), _brier(sample)]
    if 0 < sample.mean(sample.observed) < 1:
        terms += [auc(sample), _average_precision(sample), *_calibration(sample), _lift(sample, 0.1)]
        terms.append(_mean_calibration(sample))
    else:
        undefined = ("auc", "average_precision", "calibration_intercept", "calibration_slope", "lift_10")
        terms += [Term(name, np.nan, np.zeros(len(sample))) for name in (*undefined, "mean_calibration")]
    return tuple(estimate(sample, term) for term in terms)


def revenue_metrics(sample: Sample) -> tuple[Estimate, ...]:
    """Measure predicted amounts against what was paid.

    Parameters
    ----------
    sample : Sample
        Amounts of any sign, in the study's currency.

    Returns
    -------
    tuple of Estimate
        mae, rmse (both in currency), r2 (share of variance explained; negative when worse than the mean) and
        mean_calibration (predicted over observed total; NaN when nothing was paid).
    """
    error = sample.predicted - sample.observed
    mae, mse = sample.mean(np.abs(error)), sample.mean(error**2)
    rmse = float(np.sqrt(mse))
    terms = [
        Term("mae", mae, np.abs(error) - mae),
        Term("rmse", rmse, (error**2 - mse) / (2 * rmse) if rmse > 0 else np.zeros(len(sample))),
        _r2(sample),
        _mean_calibration(sample),
    ]
    return tuple(estimate(sample, term) for term in terms)


def estimate(sample: Sample, term: Term) -> Estimate:
    """Turn a statistic and its influence function into an estimate with a 90 % interval."""
    if not np.isfinite(term.value):
        return Estimate(term.metric, float("nan"), float("nan"), float("nan"), len(sample))
    half = float(norm.ppf(0.5 + LEVEL / 2)) * sample.standard_error(term.influence)
    value = term.value
    if term.scale == "logit" and 0 < value < 1:
        lo, hi = expit(logit(value) + np.array([-half, half]) / (value * (1 - value)))
    elif term.scale == "log" and value > 0:
        lo, hi = value * np.exp(np.array([-half, half]) / value)
    else:
        lo, hi = value - half, value + half
    return Estimate(term.metric, value, float(lo), float(hi), len(sample))


def mean_difference(sample: Sample, first: ArrayLike, second: ArrayLike, metric: str) -> Estimate:
    """Compare two losses on the same rows: the mean of ``first - second`` with a clustered interval."""
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    value = sample.mean(difference)
    return estimate(sample, Term(metric, value, difference - value))


def row_log_loss(observed: FloatArray, predicted: FloatArray) -> FloatArray:
    """Log loss of each row; risks of exactly 0 and 1 are held at one in a million."""
    score = to_logit(predicted)
    loss: FloatArray = np.logaddexp(0.0, score) - observed * score
    return loss


def metrics_frame(estimates: Iterable[Estimate], *, outcome: str, candidate: str, fold: str = "all") -> pd.DataFrame:
    """Write estimates as rows of the metrics table: outcome, candidate, metric, value, lo, hi, n, fold."""
    rows = [(outcome, candidate, *(getattr(found, field.name) for field in fields(found)), fold) for found in estimates]
    return pd.DataFrame(rows, columns=_METRICS_COLUMNS)


def reliability(sample: Sample, *, candidate: str, bins: int = 10) -> pd.DataFrame:
    """Compare predicted with observed means in bins of rising prediction.

    Parameters
    ----------
    sample : Sample
        Risks with 0/1 outcomes, or amounts.
    candidate : str
        Name for the first column.
    bins : int
        Bins of about equal weight; rows with tied predictions stay together, so there may be fewer.

    Returns
    -------
    DataFrame
        candidate, bin (0, 1, ...), predicted, observed, lo, hi, n: one row a bin that holds rows.

    Notes
    -----
    For 0/1 outcomes Wilson's interval with the effective number of customers, ``(sum w)^2 / sum_customer (sum w)^2``
    (rows of one customer count as one: on the safe side); for amounts the clustered normal interval.
    """
    if len(sample) == 0:
        return pd.DataFrame(columns=["candidate", "bin", "predicted", "observed", "lo", "hi", "n"])
    is_binary = bool(np.isin(sample.observed, (0.0, 1.0)).all())
    levels, level = np.unique(sample.predicted, return_inverse=True)
    weight = np.bincount(level, sample.weight, len(levels))
    middle = (np.cumsum(weight) - weight / 2) / weight.sum()
    number = np.minimum((middle * bins).astype(np.int64), bins - 1)[level]
    rows = []
    for index in np.unique(number):
        part = _part(sample, number == index)
        observed = part.mean(part.observed)
        lo, hi = _wilson(part, observed) if is_binary else _interval(part, observed)
        rows.append((candidate, int(index), part.mean(part.predicted), observed, lo, hi, len(part)))
    return pd.DataFrame(rows, columns=["candidate", "bin", "predicted", "observed", "lo", "hi", "n"])


def _part(sample: Sample, keep: NDArray[np.bool_]) -> Sample:
    """Keep some rows."""
    return Sample.of(sample.observed[keep], sample.predicted[keep], sample.customer[keep], sample.weight[keep])


def _interval(sample: Sample, mean: float) -> FloatArray:
    """Clustered normal interval of the mean outcome."""
    found = estimate(sample, Term("mean", mean, sample.observed - mean))
    return np.array([found.lo, found.hi])


def _wilson(sample: Sample, share: float) -> FloatArray:
    """Wilson's interval of a share with the effective number of customers."""
    n = sample.weight.sum() ** 2 / (np.bincount(sample.customer, sample.weight) ** 2).sum()
    z = float(norm.ppf(0.5 + LEVEL / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.asarray(np.clip([centre - half, centre + half], 0.0, 1.0), dtype=np.float64)


def _log_loss(sample: Sample) -> Term:
    """Mean negative log likelihood."""
    loss = row_log_loss(sample.observed, sample.predicted)
    value = sample.mean(loss)
    return Term("log_loss", value, loss - value)


def _brier(sample: Sample) -> Term:
    """Mean squared distance of risk and outcome."""
    loss = (sample.predicted - sample.observed) ** 2
    value = sample.mean(loss)
    return Term("brier", value, loss - value)


def auc(sample: Sample) -> Term:
    """Chance that a random churner has a higher risk than a random stayer, ties counting half."""
    y, w = sample.observed, sample.weight
    churned, stayed, level = _by_level(sample)
    stayed_below = (np.cumsum(stayed) - stayed / 2) / stayed.sum()
    churned_above = (churned.sum() - np.cumsum(churned) + churned / 2) / churned.sum()
    placement = np.where(y == 1, stayed_below[level], churned_above[level])
    value = float((w * y) @ placement / churned.sum())
    share = np.where(y == 1, churned.sum(), stayed.sum()) / w.sum()
    return Term("auc", value, (placement - value) / share, "logit")


def _average_precision(sample: Sample) -> Term:
    """Mean over churners of the precision at their risk, tied rows entering together."""
    y, w = sample.observed, sample.weight
    churned, stayed, level = _by_level(sample)
    at_least = np.cumsum((churned + stayed)[::-1])[::-1]
    precision = np.cumsum(churned[::-1])[::-1] / at_least
    total = churned.sum()
    value = float(churned @ precision / total)
    # A row at risk s changes the precision at every level <= s by (y - precision) / (weight at or above the level).
    churned_moved = np.cumsum(churned / at_least)
    stayed_moved = np.cumsum(churned * precision / at_least)
    moved = y * churned_moved[level] - stayed_moved[level]
    influence = (y * (precision[level] - value) + moved) * w.sum() / total
    return Term("average_precision", value, influence, "logit")


def _lift(sample: Sample, share: float) -> Term:
    """Churn rate among the given share with the highest risk over the churn rate of all."""
    y, w = sample.observed, sample.weight
    churned, stayed, level = _by_level(sample)
    total = (churned + stayed) / w.sum()
    above = 1 - np.cumsum(total)
    taken = np.clip((share - above) / total, 0.0, 1.0)
    rate, captured = sample.mean(y), float(churned @ taken / w.sum())
    value = captured / (share * rate)
    # The edge moves with the sample as well: rows near it count with the churn rate found there (5 % of rows around).
    middle = above + total / 2
    near = np.abs(middle - share) <= max(0.025, np.abs(middle - share).min())
    edge = churned[near].sum() / (churned + stayed)[near].sum()
    influence = (taken[level] * y - captured) - edge * (taken[level] - share)
    return Term("lift_10", value, influence / (share * rate) - value * (y - rate) / rate, "log")


def _calibration(sample: Sample) -> tuple[Term, Term]:
    """Calibration in the large, and the slope on the logit."""
    score, y, w = to_logit(sample.predicted), sample.observed, sample.weight
    alone = newton(score, y, w, np.array([0.0, 1e12]))
    risk = expit(alone[0] + score)
    large = Term("calibration_intercept", float(alone[0]), (y - risk) / sample.mean(risk * (1 - risk)))
    if np.ptp(score) < 1e-9:
        return large, Term("calibration_slope", float("nan"), np.zeros(len(sample)))
    both = newton(score, y, w, np.zeros(2))
    risk = expit(both[0] + both[1] * score)
    curvature = risk * (1 - risk)
    centred = score - (w * curvature) @ score / ((w * curvature).sum() or 1.0)
    spread = sample.mean(curvature * centred**2)
    influence = (y - risk) * centred / (spread or np.nan)
    return large, Term("calibration_slope", float(both[1]), influence)


def _mean_calibration(sample: Sample) -> Term:
    """Predicted over observed total."""
    mean = sample.mean(sample.observed)
    if mean == 0:
        return Term("mean_calibration", float("nan"), np.zeros(len(sample)))
    ratio = sample.mean(sample.predicted) / mean
    return Term("mean_calibration", ratio, (sample.predicted - ratio * sample.observed) / mean)


def _r2(sample: Sample) -> Term:
    """Share of the outcome's variance that the prediction explains."""
    y = sample.observed
    deviation = (y - sample.mean(y)) ** 2
    variance = sample.mean(deviation)
    if variance == 0:
        return Term("r2", float("nan"), np.zeros(len(sample)))
    error = (y - sample.predicted) ** 2
    left = sample.mean(error) / variance
    return Term("r2", 1 - left, (left * deviation - error) / variance)


def _by_level(sample: Sample) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
    """Weight of churners and of stayers at each distinct prediction, ascending, and each row's level."""
    levels, level = np.unique(sample.predicted, return_inverse=True)
    churned, stayed = (
        np.bincount(level, part, len(levels)).astype(np.float64)
        for part in (sample.weight * sample.observed, sample.weight * (1 - sample.observed))
    )
    return churned, stayed, level
