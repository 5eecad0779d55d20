"""How many of today's customers stay if nothing is done, month by month, beyond the horizon of the effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.snapshot import DAYS_PER_MONTH
from models.survival import MONTH_DAYS

__all__ = ["LEAST_AT_RISK", "Retention", "constant_retention", "estimated_retention"]

Array = NDArray[np.float64]

LEAST_AT_RISK = 500
"""Rows that must have been at risk in a month for its hazard to count: at 2 % a month ten of them leave."""

_TAIL_MONTHS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Retention:
    """Hazard by month beside its mean over the horizon.

    Attributes
    ----------
    factor : float64 array, shape (months,)
        Hazard of each month over the mean hazard within the horizon; 1 throughout where it is held constant.
    observed_months : int
        Months that were seen; afterwards the last quarter's hazard is kept. 0 where the hazard is constant.
    n : int
        Rows followed in the first month.
    """

    factor: Array
    observed_months: int
    n: int

    @property
    def is_estimated(self) -> bool:
        """Whether it was learned from who stayed."""
        return self.observed_months > 0

    def describe(self) -> str:
        """One sentence on what is assumed."""
        if not self.is_estimated:
            return "Customers leave at the same rate in every month, that of the horizon."
        months = len(self.factor)
        after = "" if self.observed_months >= months else ", afterwards at the rate of the last quarter seen"
        return (
            f"Customers leave as those at risk at past cutoffs did in each of {self.observed_months} months "
            f"({self.n:,} rows followed){after}; an initiative changes that rate by the same share in every month."
        )


def constant_retention(months: int) -> Retention:
    """Hold the hazard at its mean over the horizon."""
    return Retention(np.ones(months), 0, 0)


def estimated_retention(curve: pd.DataFrame, horizon_days: int, months: int) -> Retention:
    """Take the shape of the hazard from who stayed after past cutoffs.

    Parameters
    ----------
    curve : DataFrame
        One segment of `models.survival.observed_survival`: month (30 days), at_risk, survival; ascending.
    horizon_days : int
        Horizon of the effects.
    months : int
        Months looked ahead, of a twelfth of a year each.

    Returns
    -------
    Retention
        Constant where fewer rows than `LEAST_AT_RISK` were followed through the horizon, or nobody left in it.

    Notes
    -----
    Estimand: hazard of a customer at risk today in month k, over the mean hazard within the horizon. With H the
    cumulated hazard, -ln S, linear between months, factor_k = (H(k) - H(k - 1)) / (H(horizon) / horizon). The loyal
    remain, so it usually falls; the constant hazard that it replaces lets too many leave later. It assumes that today's
    customers are like those at past cutoffs, and is for those at risk now, not for new ones. Its sampling error is not
    in the money: with some thousand rows it is small beside that of effects.

    Examples
    --------
    >>> curve = pd.DataFrame({"month": [1, 2, 3, 4], "at_risk": 1000, "survival": np.exp([-0.2, -0.3, -0.4, -0.5])})
    >>> estimated_retention(curve, 60, 3).factor.round(2).tolist()
    [1.32, 0.67, 0.67]
    """
    seen = curve[curve["at_risk"] >= LEAST_AT_RISK]
    length, horizon = MONTH_DAYS / DAYS_PER_MONTH, horizon_days / DAYS_PER_MONTH
    last = len(seen) * length
    if not len(seen) or last < horizon - length or not 0 < float(seen["survival"].iloc[-1]) < 1:
        return constant_retention(months)
    at = np.arange(len(seen) + 1) * length
    cumulated = np.concatenate([[0.0], -np.log(seen["survival"].to_numpy(np.float64))])
    quarter = min(_TAIL_MONTHS, len(seen))
    slope = (cumulated[-1] - cumulated[-1 - quarter]) / (quarter * length)

    def total(moment: Array) -> Array:
        return np.asarray(np.interp(moment, at, cumulated) + slope * np.maximum(moment - last, 0.0))

    mean = float(total(np.array([horizon]))[0]) / horizon
    if mean <= 0:
        return constant_retention(months)
    factor = np.diff(total(np.arange(months + 1.0))) / mean
    return Retention(factor, min(int(last), months), int(seen["at_risk"].iloc[0]))
