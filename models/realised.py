"""Whether scores came true as well as was promised when the model was trained.

The promise is what the same version predicted for rows that it had not learned from, at several test cutoffs. One month
is easier to predict than another, so what came true is compared with the promise by the errors of both and by how much
months differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from scipy.special import logit

from models.estimates import Estimate, Sample, Z, estimate
from models.metrics import churn_metrics
from models.next_value import NextValue, next_value
from models.ranking import Ranking, top_share

__all__ = ["JUDGED", "Kept", "Realised", "realised"]

Worse = Literal["lower", "either"]

_COLUMNS: Final = ("metric", "value", "lo", "hi", "n", "promised", "promised_lo", "promised_hi", "p", "kept")
_SHOWN: Final = ("auc", "brier", "calibration_intercept", "calibration_slope", "lift")
_LEAST_CUSTOMERS: Final = 2
_LEAST_CUTOFFS: Final = 2
"""Test cutoffs below which a promise is doubtful at most: one says nothing of how much months differ."""

_USUAL_TAU: Final = 0.2
"""By how much months usually differ beyond sampling, on the scales of `JUDGED`: two thirds of the time by less."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How a metric is compared with its promise.

    Attributes
    ----------
    worse : str
        ``lower``: only a lower value breaks the promise; ``either``: one that is off to either side.
    scale : callable
        Where errors are symmetric.
    matters : float
        A difference on the metric's own scale (for lift: relative) that is too small to act on.
    """

    worse: Worse
    scale: Callable[[float], float]
    matters: float


def _same(value: float) -> float:
    return value


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _logit(value: float) -> float:
    return float(logit(value))


JUDGED: Final[Mapping[str, Kept]] = {
    "auc": Kept("lower", _logit, 0.02),
    "calibration_intercept": Kept("either", _same, 0.1),
    "calibration_slope": Kept("either", _same, 0.1),
    "lift": Kept("lower", _log, 0.1),
}
"""Metrics that can break a promise. Brier scores are shown only: they move with the churn rate of a month."""


@dataclass(frozen=True, slots=True)
class Realised:
    """What came true of the scores of one cutoff.

    Attributes
    ----------
    table : DataFrame
        metric (auc, brier, calibration_intercept, calibration_slope, lift), value, lo, hi, n; promised, promised_lo,
        promised_hi (NaN without a promise); p: chance of a difference at least as bad, were the promise kept; kept:
        ``yes``, ``doubtful`` (p below 5 % over all judged metrics) or ``no`` (below `alpha`, from two test cutoffs on),
        and empty where it is not judged. Intervals 90 %, clustered by customer.
    n, churned : int
        Scored customers whose outcome is known, and how many of them left.
    rate, expected : float
        Churn rate, and the mean of the scores.
    share : float
        Share of the customers with the highest risk that lift looks at.
    cutoffs : int
        Test cutoffs that the promise rests on.
    alpha : float
        Chance that a promise that is kept is called broken.
    """

    table: pd.DataFrame
    n: int
    churned: int
    rate: float
    expected: float
    share: float
    cutoffs: int
    alpha: float

    def broken(self, *kept: str) -> tuple[str, ...]:
        """Metrics whose promise is kept like that."""
        return tuple(self.table.loc[self.table["kept"].isin(kept), "metric"])


def realised(sample: Sample, promised: Sequence[Sample], *, share: float, alpha: float) -> Realised:
    """Measure scores against what came true, and compare with what was promised.

    Parameters
    ----------
    sample : Sample
        Churn risks of one cutoff, and who left.
    promised : sequence of Sample
        For each test cutoff of the version: predictions for rows that it had not learned from, and who left.
    share : float
        Share of customers whom the study can contact, above 0 and at most 1.
    alpha : float
        Chance that a kept promise is called broken.

    Returns
    -------
    Realised
        Without churners, or without a promise, nothing is judged.

    Notes
    -----
    On the scale where errors are symmetric (logit for AUC, logarithm for lift), p is the chance that the predictive
    distribution of a further cutoff, by the test cutoffs, gives to values at least as bad
    (:func:`models.next_value.next_value`): it holds the errors of both, and tau, by which months differ, averaged over
    a half-normal prior of scale 0.2. Bonferroni over the judged metrics. With tau up to 0.2 a kept promise is called
    broken about as often as `alpha` at most; with 0.3, up to three times as often.
    Customers appear in both samples; that makes the two alike, and the test cautious. A difference that is too small to
    matter (`JUDGED`) breaks no promise, however sure it is.

    The winner of a training was chosen on the rows of the promise, which flatters it a little. One test cutoff says
    nothing of tau, and what comes out worse is doubtful at most.
    """
    found = _measured(sample, share)
    tests = [tested for one in promised if (tested := _measured(one, share))]
    rows = [_row(metric, found[metric], [one[metric] for one in tests], alpha) for metric in _SHOWN if metric in found]
    rate = sample.mean(sample.observed) if len(sample) else math.nan
    expected = sample.mean(sample.predicted) if len(sample) else math.nan
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    return Realised(table, len(sample), int(sample.observed.sum()), rate, expected, share, len(tests), alpha)


def _measured(sample: Sample, share: float) -> dict[str, Estimate]:
    """Give every metric that is shown; none where nobody left or stayed, or with a single customer."""
    if len(np.unique(sample.customer)) < _LEAST_CUSTOMERS or not 0 < sample.mean(sample.observed) < 1:
        return {}
    found = {one.metric: one for one in churn_metrics(sample)}
    lift = estimate(sample, top_share(Ranking.of(sample), share)[0])
    return {**{name: found[name] for name in _SHOWN if name in found}, "lift": lift}


def _row(metric: str, found: Estimate, tests: Sequence[Estimate], alpha: float) -> tuple[object, ...]:
    scale = JUDGED[metric].scale if metric in JUDGED else _same
    promise, cutoffs = _promise(tests, scale)
    own = (metric, found.value, found.lo, found.hi, found.n)
    if promise is None:
        return (*own, math.nan, math.nan, math.nan, math.nan, "")
    centre, error = promise.mean, promise.error
    shown = (_back(metric, centre), _back(metric, centre - Z * error), _back(metric, centre + Z * error))
    if metric not in JUDGED or not math.isfinite(found.value):
        return (*own, *shown, math.nan, "")
    se = _error(found, scale)
    value = scale(found.value)
    lower = promise.below(value, se)
    p = lower if JUDGED[metric].worse == "lower" else min(1.0, 2 * min(lower, promise.above(value, se)))
    return (*own, *shown, p, _kept(metric, found.value, shown[0], p, alpha if cutoffs >= _LEAST_CUTOFFS else 0.0))


def _kept(metric: str, value: float, promised: float, p: float, alpha: float) -> str:
    rule = JUDGED[metric]
    gap = promised - value if rule.worse == "lower" else abs(value - promised)
    size = gap / promised if metric == "lift" else gap
    adjusted = p * len(JUDGED)
    if size < rule.matters or adjusted >= 0.05:
        return "yes"
    return "no" if adjusted < alpha else "doubtful"


def _promise(tests: Sequence[Estimate], scale: Callable[[float], float]) -> tuple[NextValue | None, int]:
    """Give what a further cutoff is expected to be, and by how many test cutoffs."""
    known = [(scale(one.value), _error(one, scale)) for one in tests if math.isfinite(one.value)]
    known = [(value, error) for value, error in known if math.isfinite(value) and 0 < error < math.inf]
    if not known:
        return None, 0
    return next_value([value for value, _ in known], [error for _, error in known], _USUAL_TAU), len(known)


def _error(found: Estimate, scale: Callable[[float], float]) -> float:
    """Read the standard error on a scale off the interval."""
    lo, hi = (scale(one) for one in (found.lo, found.hi))
    return (hi - lo) / (2 * Z) if math.isfinite(hi - lo) else math.inf


def _back(metric: str, value: float) -> float:
    """From the scale of errors to that of the metric."""
    if metric == "auc":
        return 1 / (1 + math.exp(-value))
    return math.exp(value) if metric == "lift" else value
