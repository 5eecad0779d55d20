"""How firmly a ranking stands: which drivers cannot be told apart, and how often each is among the first.

A table sorted by a share looks like a ranking even where neighbours differ by noise. Draws of customers say how often
the order would have come out otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from models.estimates import LEVEL

__all__ = ["share_in_first", "tiers"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def tiers(values: FloatArray, drawn: FloatArray, *, level: float = LEVEL) -> IntArray:
    """Group what cannot be told from the first of its group.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Point estimates, larger is better; NaN is in no tier.
    drawn : ndarray of float, shape (draws, n)
        The same in bootstrap draws; columns of one draw belong together.
    level : float
        Of the interval of a difference.

    Returns
    -------
    ndarray of int64, shape (n,)
        1 for the first tier; 0 for NaN.

    Notes
    -----
    From the largest value down: a value opens a new tier when the interval of the difference from the first of the
    present tier lies above zero. The interval is the difference with the standard error of its draws, its level that of
    all comparisons with a leader together (Bonferroni). Within a tier the order says nothing. A tier is no test of
    equality: with few customers all are in the first.

    Examples
    --------
    >>> values = np.array([0.5, 0.1, 0.4])
    >>> noise = np.array([[-0.1, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> tiers(values, values + noise).tolist()
    [1, 2, 1]
    """
    found = np.zeros(len(values), dtype=np.int64)
    order = [k for k in np.argsort(-values, kind="stable") if not np.isnan(values[k])]
    enough = norm.isf((1 - level) / 2 / max(len(order) - 1, 1))
    tier, leader = 0, -1
    for k in order:
        error = (drawn[:, leader] - drawn[:, k]).std(ddof=1)
        if leader < 0 or values[leader] - values[k] > enough * error:
            tier, leader = tier + 1, k
        found[k] = tier
    return found


def share_in_first(drawn: FloatArray, places: int = 3) -> FloatArray:
    """Say in which share of the draws each value is among the first.

    Parameters
    ----------
    drawn : ndarray of float, shape (draws, n)
        Bootstrap draws, larger is better; NaN is never among the first.
    places : int
        How many are the first.

    Returns
    -------
    ndarray of float, shape (n,)
        They sum to `places`, or to n where there are not more; values tied for the last places share them.

    Examples
    --------
    >>> share_in_first(np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 2.0]]), places=1).tolist()
    [0.5, 0.25, 0.25]
    """
    known = np.where(np.isnan(drawn), -np.inf, drawn)
    above = (known[:, np.newaxis, :] > known[:, :, np.newaxis]).sum(axis=2)
    tied = (known[:, np.newaxis, :] == known[:, :, np.newaxis]).sum(axis=2)
    share = np.clip((places - above) / tied, 0.0, 1.0)
    result: FloatArray = np.where(np.isnan(drawn), 0.0, share).mean(axis=0)
    return result
