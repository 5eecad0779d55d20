"""How good a prediction is: every number with an interval that knows that rows of one customer are not independent.

Each metric is computed together with its influence function (see :mod:`models.estimates`; checked against a bootstrap
of customers in the tests). Rows are sorted once. Nothing depends on their order: tied predictions share their rank.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from models.brier import brier, brier_parts, recalibrate
from models.calibration import newton, to_logit
from models.estimates import Estimate, Sample, Term, estimate, undefined, wilson
from models.profit import Offer, expected_profit
from models.ranking import TOP, Ranking, auc, average_precision, top_share

__all__ = [
    "Estimate",
    "Sample",
    "churn_metrics",
    "mean_difference",
    "metrics_frame",
    "reliability",
    "revenue_metrics",
    "row_log_loss",
]

FloatArray = NDArray[np.float64]

_PAPER = Offer()
_BOTH_CLASSES = (
    "brier_miscalibration",
    "brier_discrimination",
    "brier_uncertainty",
    "auc",
    "average_precision",
    "calibration_intercept",
    "calibration_slope",
    *(f"{name}_{100 * share:.0f}" for share in TOP for name in ("lift", "captured")),
    "expected_max_profit",
    "max_profit_share",
    "mean_calibration",
)
_METRICS_COLUMNS = ["outcome", "candidate", "metric", "value", "lo", "hi", "n", "fold"]


def churn_metrics(sample: Sample, offer: Offer = _PAPER) -> tuple[Estimate, ...]:
    """Measure predicted risks against who churned.

    Parameters
    ----------
    sample : Sample
        ``observed`` is 0 or 1, ``predicted`` a probability.
    offer : Offer
        What contacting customers costs and brings, for the expected maximum profit; the paper's when left out.

    Returns
    -------
    tuple of Estimate
        log_loss, brier; brier_miscalibration, brier_discrimination, brier_uncertainty; auc, average_precision;
        calibration_intercept, calibration_slope; lift_1, captured_1, and so on for the top 5, 10 and 20 %;
        expected_max_profit, max_profit_share; mean_calibration. All but the first two are NaN with one class.

    Notes
    -----
    ``calibration_intercept`` is calibration in the large: the intercept of a logistic regression of the outcome with
    the logit of the prediction as offset (0 is right; above 0, risks are too low). ``calibration_slope`` is the slope
    on that logit with a free intercept (1 is right; below 1, risks are too extreme). ``mean_calibration`` is predicted
    over observed churn. The others: :mod:`models.brier`, :mod:`models.ranking`, :mod:`models.profit`.

    References
    ----------
    Cox 1958, Two further applications of a model for binary regression, Biometrika 45 (intercept and slope).
    """
    ranking = Ranking.of(sample)
    terms = [_log_loss(sample), brier(ranking)]
    if not 0 < sample.mean(sample.observed) < 1:
        return tuple(estimate(sample, term) for term in (*terms, *undefined(sample, *_BOTH_CLASSES)))
    recalibrated = recalibrate(ranking)
    terms += [*brier_parts(ranking, recalibrated), auc(ranking), average_precision(ranking), *_calibration(sample)]
    terms += [term for share in TOP for term in top_share(ranking, share)]
    terms += [*expected_profit(ranking, recalibrated, offer), _mean_calibration(sample)]
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
        mae, rmse (both in currency), deviance, r2 (share of variance explained; negative when worse than the mean),
        calibration_slope (of a regression of observed on predicted amounts; 1 is right, below 1 predictions are too
        extreme, NaN when all are equal) and mean_calibration (predicted over observed total; NaN when nothing was
        paid).

    Notes
    -----
    ``deviance`` is Tweedie's with power 1.5, between a count (1) and a gamma (2) amount, for what is often zero and
    skewed above: ``4 (sqrt(observed) - sqrt(predicted))^2 / sqrt(predicted)``. It exists for amounts that are not
    negative and predictions above zero. A single refund below zero or prediction at or below zero makes it NaN: leaving
    such rows out would compare candidates on different rows.

    References
    ----------
    Jørgensen 1987, Exponential dispersion models, J. R. Stat. Soc. B 49 (deviance).
    """
    error = sample.predicted - sample.observed
    mae, mse = sample.mean(np.abs(error)), sample.mean(error**2)
    rmse = float(np.sqrt(mse))
    terms = [
        Term("mae", mae, np.abs(error) - mae),
        Term("rmse", rmse, (error**2 - mse) / (2 * rmse) if rmse > 0 else np.zeros(len(sample))),
        _deviance(sample),
        _r2(sample),
        _amount_slope(sample),
        _mean_calibration(sample),
    ]
    return tuple(estimate(sample, term) for term in terms)


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
        lo, hi = wilson(observed, part.customer, part.weight) if is_binary else _interval(part, observed)
        rows.append((candidate, int(index), part.mean(part.predicted), observed, lo, hi, len(part)))
    return pd.DataFrame(rows, columns=["candidate", "bin", "predicted", "observed", "lo", "hi", "n"])


def _part(sample: Sample, keep: NDArray[np.bool_]) -> Sample:
    """Keep some rows."""
    return Sample.of(sample.observed[keep], sample.predicted[keep], sample.customer[keep], sample.weight[keep])


def _interval(sample: Sample, mean: float) -> FloatArray:
    """Clustered normal interval of the mean outcome."""
    found = estimate(sample, Term("mean", mean, sample.observed - mean))
    return np.array([found.lo, found.hi])


def _log_loss(sample: Sample) -> Term:
    """Mean negative log likelihood."""
    loss = row_log_loss(sample.observed, sample.predicted)
    value = sample.mean(loss)
    return Term("log_loss", value, loss - value)


def _calibration(sample: Sample) -> tuple[Term, Term]:
    """Calibration in the large, and the slope on the logit."""
    score, y, w = to_logit(sample.predicted), sample.observed, sample.weight
    alone = newton(score, y, w, np.array([0.0, 1e12]))
    risk = expit(alone[0] + score)
    large = Term("calibration_intercept", float(alone[0]), (y - risk) / sample.mean(risk * (1 - risk)))
    if np.ptp(score) < 1e-9:
        return large, undefined(sample, "calibration_slope")[0]
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
        return undefined(sample, "mean_calibration")[0]
    ratio = sample.mean(sample.predicted) / mean
    return Term("mean_calibration", ratio, (sample.predicted - ratio * sample.observed) / mean)


def _r2(sample: Sample) -> Term:
    """Share of the outcome's variance that the prediction explains."""
    y = sample.observed
    deviation = (y - sample.mean(y)) ** 2
    variance = sample.mean(deviation)
    if np.ptp(y) == 0:  # the computed variance of equal amounts is rounding, not zero
        return undefined(sample, "r2")[0]
    error = (y - sample.predicted) ** 2
    left = sample.mean(error) / variance
    return Term("r2", 1 - left, (left * deviation - error) / variance)


def _deviance(sample: Sample) -> Term:
    """Mean Tweedie deviance with power 1.5."""
    y, p = sample.observed, sample.predicted
    if y.min() < 0 or p.min() <= 0:
        return undefined(sample, "deviance")[0]
    loss = 4 * (np.sqrt(y) - np.sqrt(p)) ** 2 / np.sqrt(p)
    value = sample.mean(loss)
    return Term("deviance", value, loss - value, "from zero")


def _amount_slope(sample: Sample) -> Term:
    """Slope of the least squares line of observed on predicted amounts."""
    y = sample.observed - sample.mean(sample.observed)
    p = sample.predicted - sample.mean(sample.predicted)
    spread = sample.mean(p**2)
    if np.ptp(sample.predicted) == 0 or spread == 0:
        return undefined(sample, "calibration_slope")[0]
    slope = sample.mean(p * y) / spread
    return Term("calibration_slope", slope, p * (y - slope * p) / spread)
