"""Whether scores came true as well as was promised when the model was trained.

The promise is what the same version predicted for rows that it had not learned from, at several test cutoffs. One month
is easier to predict than another, so what came true is compared with the promise by the errors of both and by how much
the test cutoffs differed among themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from scipy.special import logit
from scipy.stats import norm

from models.estimates import Estimate, Sample, Z, estimate
from models.metrics import churn_metrics
from models.ranking import Ranking, top_share

__all__ = ["JUDGED", "Kept", "Realised", "heterogeneity", "realised"]

Worse = Literal["lower", "either"]

_COLUMNS: Final = ("metric", "value", "lo", "hi", "n", "promised", "promised_lo", "promised_hi", "p", "kept")
_SHOWN: Final = ("auc", "brier", "calibration_intercept", "calibration_slope", "lift")
_LEAST_CUSTOMERS: Final = 2


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
        ``yes``, ``doubtful`` (p below 5 % over all judged metrics) or ``no`` (below `alpha`), and empty where it is not
        judged. Intervals 90 %, clustered by customer.
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

    def to_frame(self) -> pd.DataFrame:
        """One row a metric; see `table`."""
        return self.table


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
    On the scale where errors are symmetric (logit for AUC, logarithm for lift), ``z = (realised - promised) /
    sqrt(se^2 + promised se^2 + tau^2 (1 + 1 / cutoffs))``, the promise being the mean over test cutoffs weighted by
    precision, tau^2 the variance between them beyond their errors. Normal, by Bonferroni over the judged metrics.
    Customers appear in both samples; that makes the two alike, and the test cautious. A difference that is too small to
    matter (`JUDGED`) breaks no promise, however sure it is.

    The winner of a training was chosen on the rows of the promise, which flatters it a little. With two or three test
    cutoffs tau is roughly known; with one it is taken as zero.

    References
    ----------
    DerSimonian, Laird 1986, doi:10.1016/0197-2456(86)90046-2 (tau, and the weighted mean).
    """
    found = _measured(sample, share)
    tests = [tested for one in promised if (tested := _measured(one, share))]
    rows = [_row(metric, found[metric], [one[metric] for one in tests], alpha) for metric in _SHOWN if metric in found]
    rate = sample.mean(sample.observed) if len(sample) else math.nan
    expected = sample.mean(sample.predicted) if len(sample) else math.nan
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    return Realised(table, len(sample), int(sample.observed.sum()), rate, expected, share, len(tests), alpha)


def heterogeneity(values: Sequence[float], errors: Sequence[float]) -> float:
    """Estimate the variance between true values from estimates with known standard errors.

    Returns
    -------
    float
        tau^2 of DerSimonian and Laird, 0 with fewer than two values.

    Examples
    --------
    >>> round(heterogeneity([0.0, 2.0], [1.0, 1.0]), 6)  # Q = 2, degrees of freedom 1, C = 2 - 2 / 2
    1.0
    """
    if len(values) < 2:
        return 0.0
    x, w = np.asarray(values, np.float64), np.asarray(errors, np.float64) ** -2.0
    q = float(w @ (x - w @ x / w.sum()) ** 2)
    return max(0.0, (q - (len(x) - 1)) / float(w.sum() - w @ w / w.sum()))


def _measured(sample: Sample, share: float) -> dict[str, Estimate]:
    """Give every metric that is shown; none where nobody left or stayed, or with a single customer."""
    if len(np.unique(sample.customer)) < _LEAST_CUSTOMERS or not 0 < sample.mean(sample.observed) < 1:
        return {}
    found = {one.metric: one for one in churn_metrics(sample)}
    lift = estimate(sample, top_share(Ranking.of(sample), share)[0])
    return {**{name: found[name] for name in _SHOWN if name in found}, "lift": lift}


def _row(metric: str, found: Estimate, tests: Sequence[Estimate], alpha: float) -> tuple[object, ...]:
    scale = JUDGED[metric].scale if metric in JUDGED else _same
    pooled = _pooled(tests, scale)
    own = (metric, found.value, found.lo, found.hi, found.n)
    if pooled is None:
        return (*own, math.nan, math.nan, math.nan, math.nan, "")
    centre, error, between = pooled
    shown = (_back(metric, centre), _back(metric, centre - Z * error), _back(metric, centre + Z * error))
    if metric not in JUDGED or not math.isfinite(found.value):
        return (*own, *shown, math.nan, "")
    se = _error(found, scale)
    z = (scale(found.value) - centre) / math.sqrt(se**2 + error**2 + between)
    lower_only = JUDGED[metric].worse == "lower"
    p = float(norm.cdf(z)) if lower_only else 2 * float(norm.sf(abs(z)))
    return (*own, *shown, p, _kept(metric, found.value, shown[0], p, alpha))


def _kept(metric: str, value: float, promised: float, p: float, alpha: float) -> str:
    rule = JUDGED[metric]
    gap = promised - value if rule.worse == "lower" else abs(value - promised)
    size = gap / promised if metric == "lift" else gap
    adjusted = p * len(JUDGED)
    if size < rule.matters or adjusted >= 0.05:
        return "yes"
    return "no" if adjusted < alpha else "doubtful"


def _pooled(tests: Sequence[Estimate], scale: Callable[[float], float]) -> tuple[float, float, float] | None:
    """Mean over test cutoffs, its standard error without tau, and what tau adds to the variance of a difference."""
    known = [(scale(one.value), _error(one, scale)) for one in tests if math.isfinite(one.value)]
    known = [(value, error) for value, error in known if math.isfinite(value) and 0 < error < math.inf]
    if not known:
        return None
    values, errors = np.array(known).T
    tau = heterogeneity(values.tolist(), errors.tolist())
    weight = 1 / (errors**2 + tau)
    share = weight / weight.sum()
    between = tau * (1 + 1 / len(values))
    return float(share @ values), float(np.sqrt(share**2 @ errors**2)), between


def _error(found: Estimate, scale: Callable[[float], float]) -> float:
    """Read the standard error on a scale off the interval."""
    lo, hi = (scale(one) for one in (found.lo, found.hi))
    return (hi - lo) / (2 * Z) if math.isfinite(hi - lo) else math.inf


def _back(metric: str, value: float) -> float:
    """From the scale of errors to that of the metric."""
    if metric == "auc":
        return 1 / (1 + math.exp(-value))
    return math.exp(value) if metric == "lift" else value
