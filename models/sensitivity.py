"""How much to believe an effect: strength of hidden confounding that would undo it, and a verdict by stated rules."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import stats

from models.effects import Effect

Verdict = Literal["likely", "possible", "undecided", "unsupported"]


def robustness_value(t: float, degrees_of_freedom: int) -> float:
    """Strength of hidden confounding that would bring an estimate to zero.

    Parameters
    ----------
    t : float
        Estimate over standard error.
    degrees_of_freedom : int
        Clusters behind the standard error.

    Returns
    -------
    float
        Share in [0, 1]: partial R2 that the confounder would need with both exposure and outcome.

    References
    ----------
    Cinelli and Hazlett (2020), Making sense of sensitivity, doi:10.1111/rssb.12348, eq. 18 with q = 1.

    Examples
    --------
    >>> round(robustness_value(4.18, 783), 3)  # their Darfur example: 13.9 %
    0.139
    """
    f2 = t * t / max(degrees_of_freedom, 1)
    return float(0.5 * (np.sqrt(f2 * f2 + 4 * f2) - f2))


def verdict(effect: Effect, support_share: float, *, least_support: float = 0.5) -> Verdict:
    """Put an effect into words by stated rules.

    Parameters
    ----------
    effect : Effect
        Churn and revenue effect; the clearer of the two decides.
    support_share : float
        Share of moved values that lie inside what was observed.
    least_support : float
        Below this the data say nothing about the moved state.

    Returns
    -------
    {"likely", "possible", "undecided", "unsupported"}
        likely: |t| >= 2.24 (5 % over both outcomes together, Bonferroni); possible: |t| >= 1.64; else undecided.
    """
    if support_share < least_support:
        return "unsupported"
    t = max(abs(effect.churn.t), abs(effect.revenue.t))
    if t >= stats.norm.ppf(1 - 0.05 / 4):
        return "likely"
    return "possible" if t >= stats.norm.ppf(0.95) else "undecided"
