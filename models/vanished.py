"""Outcome proxies by time: what goes along with churn where the outcome is known and is gone where it is not yet.

A field that is filled in when a customer leaves, or reckoned from today, looks strong at old cutoffs. At the youngest
cutoff nobody has left yet, so it says nothing there. Scores are made at the youngest cutoff.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Vanished", "falls_silent", "telltales_vanish"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_FALL = 0.1
_EXPECTED_ROWS = 30
_TELLTALE = 3.0
_CAUGHT = 0.1
_BIN_ROWS = 20


@dataclass(frozen=True, slots=True)
class Vanished:
    """Values that are common at cutoffs whose outcome is known and rare at the youngest.

    Attributes
    ----------
    what : {"values", "telltales"}
        All values but one, or those of churners.
    before : float
        Lowest share of rows that have them at a cutoff whose outcome is known.
    now : float
        Share at the youngest cutoff.
    """

    what: Literal["values", "telltales"]
    before: float
    now: float


def falls_silent(value: IntArray, cutoff: IntArray, youngest: IntArray) -> Vanished | None:
    """Notice that a feature is missing or constant at the youngest cutoff, and was not before.

    Parameters
    ----------
    value : ndarray of int64, shape (n,)
        Number of the value (missing is one) at cutoffs whose outcome is known.
    cutoff : ndarray of int64, shape (n,)
        Number of the cutoff, 0, 1, ...
    youngest : ndarray of int64, shape (m,)
        Number of the value at the youngest cutoff.

    Returns
    -------
    Vanished or None
        When the share of rows without the youngest cutoff's most common value fell to a tenth of the lowest share
        before, where at least 30 such rows were expected (so that it is not chance).

    Examples
    --------
    >>> old, cutoff = np.arange(200) % 2, np.arange(200) // 100
    >>> falls_silent(old, cutoff, np.zeros(100, dtype=np.int64))
    Vanished(what='values', before=0.5, now=0.0)
    """
    constant = int(np.bincount(youngest).argmax())
    return _fallen("values", value != constant, cutoff, float((youngest != constant).mean()), len(youngest))


def telltales_vanish(
    value: IntArray, churned: FloatArray, half: IntArray, cutoff: IntArray, youngest: IntArray
) -> Vanished | None:
    """Notice that the values of churners are gone at the youngest cutoff.

    Parameters
    ----------
    value : ndarray of int64, shape (n,)
        Number of the value, or of its bin, at cutoffs whose outcome is known.
    churned : ndarray of float, shape (n,)
        1 churned, 0 stayed.
    half : ndarray of int64, shape (n,)
        0 or 1, the same for all rows of a customer.
    cutoff : ndarray of int64, shape (n,)
        Number of the cutoff, 0, 1, ...
    youngest : ndarray of int64, shape (m,)
        Number of the value at the youngest cutoff.

    Returns
    -------
    Vanished or None
        When the share of rows with tell-tale values fell to a tenth of the lowest share before, where at least 30 such
        rows were expected.

    Notes
    -----
    A value is a tell-tale when its churn rate is three times that of all (or half way to 1, if that is less) among at
    least 20 rows of one half of the customers; shares are counted in the other half, so that an identifier is none.
    Tell-tales that a tenth of churners do not have are ignored.

    A feature that drifts moves all its values; few lose nine of ten rows with a value at once. What is not noticed: a
    proxy whose values stayers have as well, which at the youngest cutoff looks like any drift.
    """
    size = int(max(value.max(), youngest.max())) + 1
    base = churned.mean()
    limit = min(_TELLTALE * base, (1 + base) / 2)
    has = np.zeros(len(value), dtype=np.bool_)
    now = 0.0
    for side in (0, 1):
        other = half != side
        rows = np.bincount(value[other], minlength=size)
        left = np.bincount(value[other], churned[other], minlength=size)
        telltale = (rows >= _BIN_ROWS) & (left >= limit * np.maximum(rows, 1))
        has[~other] = telltale[value[~other]]
        now += float(telltale[youngest].mean()) / 2
    if churned[has].sum() < _CAUGHT * churned.sum():
        return None
    return _fallen("telltales", has, cutoff, now, len(youngest))


def _fallen(
    what: Literal["values", "telltales"], has: NDArray[np.bool_], cutoff: IntArray, now: float, rows: int
) -> Vanished | None:
    """Compare the share at the youngest cutoff with the lowest before."""
    before = float((np.bincount(cutoff, has) / np.bincount(cutoff)).min())
    if before * rows >= _EXPECTED_ROWS and now <= _FALL * before:
        return Vanished(what, before, now)
    return None
