"""Whether what arrived in one month is like what arrived in the months before.

Features look back over a long window, so what changed last month is only a part of them. The rows themselves are
counted month by month, months share nothing, and a change of unit or of recording shows at once at its full size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.prediction_limits import FEWEST, LookBack, limits, look_back, overlap

__all__ = ["Arrival", "Arrivals", "arrivals", "stray"]

FloatArray = NDArray[np.float64]

_COLUMNS: Final = ("what", "aspect", "value", "centre", "lo", "hi", "p", "n")
_LEAST: Final = 2
_MOST: Final = 12
"""Months that each is compared with, at least and at most."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One thing counted month by month.

    Attributes
    ----------
    what, aspect : str
        Such as a measure in a journey; ``size``, ``missing`` or ``volume``.
    past : tuple of float
        Its months, ascending, on a scale where changes are alike: logarithms of sizes and volumes, arcsine of the root
        of a share. NaN where a month tells nothing; the series is then judged by the months after it.
    new : float
        The month in question.
    n : int
        Rows of that month.
    """

    what: str
    aspect: str
    past: tuple[float, ...]
    new: float
    n: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What arrived in a month beside what was expected.

    Attributes
    ----------
    table : DataFrame
        what, aspect; value, centre, lo, hi on the scale of the series; p (times the number of series, at most 1;
        Bonferroni); n. By p, then by name.
    months : int
        Past months of the longest series that was judged; 0: too few.
    alpha : float
        Chance that anything of an undisturbed month has p below it.
    left_out : tuple of str
        Series that were not judged, with their aspect, in alphabetical order: the new month tells nothing, or too few
        months before it in a row do.
    """

    table: pd.DataFrame
    months: int
    alpha: float
    left_out: tuple[str, ...] = ()


def arrivals(series: Sequence[Arrival], *, lag: int, alpha: float) -> Arrivals:
    """Compare a month with the months before.

    Parameters
    ----------
    series : sequence of Arrival
        All ending with the same month.
    lag : int
        Months from the last of the past to the new one, at least 1.
    alpha : float
        Chance of telling anything of an undisturbed month.

    Returns
    -------
    Arrivals

    Notes
    -----
    Each month is compared with the mean of some months that end `lag` before it, the new one with the mean of as many,
    the latest of the past (:func:`models.prediction_limits.look_back`): a trend adds the same to all. Limits:
    :func:`models.prediction_limits.limits` without overlap.
    """
    tails = [_tail(one) for one in series]
    told = [one for one in tails if math.isfinite(one.new) and _looks_back(len(one.past), lag) is not None]
    left_out = tuple(sorted({f"{one.what} ({one.aspect})" for one in tails if one not in told}))
    if not told:
        return Arrivals(pd.DataFrame(columns=list(_COLUMNS)), 0, alpha, left_out)
    alike = sorted({(one.aspect, len(one.past)) for one in told})
    groups = [[one for one in told if (one.aspect, len(one.past)) == group] for group in alike]
    table = pd.concat([_judged(group, lag, alpha / len(told)) for group in groups], ignore_index=True)
    table["p"] = np.minimum(table["p"] * len(told), 1.0)
    ordered = table.sort_values(["p", "what", "aspect"], kind="stable").reset_index(drop=True)
    return Arrivals(ordered, max(len(one.past) for one in told), alpha, left_out)


def _tail(one: Arrival) -> Arrival:
    """Keep the months after the last one that tells nothing."""
    thin = [at for at, value in enumerate(one.past) if not math.isfinite(value)]
    return replace(one, past=one.past[thin[-1] + 1 :]) if thin else one


def _looks_back(length: int, lag: int) -> LookBack | None:
    """Say what months are compared with; None where a history of that length gives no limits."""
    found = look_back(length, lag, _LEAST, _MOST)
    return found if len(found.targets) >= FEWEST else None


def _judged(told: Sequence[Arrival], lag: int, alpha: float) -> pd.DataFrame:
    """Give limits for series of one aspect and length: their spread is shared, that of other aspects is another."""
    found = stray(np.array([[*one.past, one.new] for one in told]), lag, alpha) or {}
    rows = {
        "what": [one.what for one in told],
        "aspect": [one.aspect for one in told],
        "value": [one.new for one in told],
        **found,
        "n": [one.n for one in told],
    }
    return pd.DataFrame(rows).reindex(columns=list(_COLUMNS))


def stray(values: FloatArray, lag: int, alpha: float) -> Mapping[str, FloatArray] | None:
    """Give limits for the last value of each series, from how earlier ones strayed from their past.

    Parameters
    ----------
    values : ndarray of float, shape (series, n)
        The last column is the new one.
    lag : int
        Steps from the last but one to the last; cut to half of the history.
    alpha : float
        For one series.

    Returns
    -------
    mapping of str to ndarray, or None
        centre, lo, hi (on the scale of the values) and p (of one series); None where the history is too short.
    """
    past = values[:, :-1]
    on = _looks_back(past.shape[1], lag)
    if on is None:
        return None
    apart = np.column_stack([past[:, at] - past[:, on.past(at)].mean(axis=1) for at in on.targets])
    usual = past[:, on.latest].mean(axis=1)
    found = limits(apart, values[:, -1] - usual, alpha, overlap(len(on.targets), 1.0, on.lag, on.back))
    return {"centre": usual + found.centre, "lo": usual + found.lo, "hi": usual + found.hi, "p": found.p}
