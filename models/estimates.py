"""A number, its influence function and its interval: what all measures of predictions have in common.

The influence function of a statistic is the amount by which one row moves it. Summed by customer, squared and added up,
it gives the clustered variance: exact for means, first order for the others, and no random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, ndtri

__all__ = ["LEVEL", "Estimate", "Sample", "Term", "Z", "estimate", "undefined", "wilson", "wilson_of"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Scale = Literal["identity", "from zero", "log", "logit"]

LEVEL = 0.9
"""Coverage aimed at by every interval of a metric."""

Z = float(ndtri(0.5 + LEVEL / 2))
"""Half width of an interval in standard errors."""


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
    """A statistic and its influence function.

    Attributes
    ----------
    metric : str
        What was measured.
    value : float
        Its value; NaN where it is not defined.
    influence : ndarray of float, shape (n,)
        What each row adds to it, with mean zero.
    scale : {"identity", "from zero", "log", "logit"}
        Where its interval is symmetric; ``from zero`` is identity, cut off below 0.
    flattery : float
        By how much the value may be too high because it was optimised on the same rows; on the scale ``from zero`` the
        lower end is moved down by it.
    bounds : tuple of two floats, optional
        The interval, where the value lies on the edge of what is possible and a normal one would have no width.
    """

    metric: str
    value: float
    influence: FloatArray
    scale: Scale = "identity"
    flattery: float = 0.0
    bounds: tuple[float, float] | None = None


def estimate(sample: Sample, term: Term) -> Estimate:
    """Turn a statistic and its influence function into an estimate with a 90 % interval."""
    value = term.value
    if not np.isfinite(value):
        return Estimate(term.metric, float("nan"), float("nan"), float("nan"), len(sample))
    if term.bounds is not None:
        return Estimate(term.metric, value, *term.bounds, len(sample))
    half = Z * sample.standard_error(term.influence)
    if term.scale == "logit" and 0 < value < 1:
        lo, hi = expit(logit(value) + np.array([-half, half]) / (value * (1 - value)))
    elif term.scale == "log" and value > 0:
        lo, hi = value * np.exp(np.array([-half, half]) / value)
    elif term.scale == "from zero":
        lo, hi = np.maximum(value - half - term.flattery, 0.0), value + half
    else:
        lo, hi = value - half, value + half
    return Estimate(term.metric, value, float(lo), float(hi), len(sample))


def undefined(sample: Sample, *metrics: str) -> tuple[Term, ...]:
    """Stand in for statistics that the rows do not define."""
    return tuple(Term(metric, float("nan"), np.zeros(len(sample))) for metric in metrics)


def wilson(share: float, customer: IntArray, weight: FloatArray) -> FloatArray:
    """Wilson's interval of a weighted share, with the effective number of customers as its n.

    Notes
    -----
    ``(sum w)^2 / sum_customer (sum w)^2``: rows of one customer count as one, which is on the safe side. It has a width
    also at 0 and 1, where a normal interval has none.
    """
    return wilson_of(share, float(weight.sum() ** 2 / (np.bincount(customer, weight) ** 2).sum()))


def wilson_of(share: ArrayLike, n: ArrayLike) -> FloatArray:
    """Wilson's interval of shares among effectively n customers, shape (2, ...): low and high ends; NaN where n is 0.

    References
    ----------
    Wilson 1927, doi:10.1080/01621459.1927.10502953.

    Examples
    --------
    >>> wilson_of(0.0, 10).round(3).tolist()
    [0.0, 0.213]
    """
    share, n = np.asarray(share, np.float64), np.asarray(n, np.float64)
    n = np.where(n > 0, n, np.nan)
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return np.asarray(np.clip([centre - half, centre + half], 0.0, 1.0), dtype=np.float64)
