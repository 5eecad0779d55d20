"""Whether ratings can be read as ratings: who gives the same score to everything, and which scores are codes.

For warning before drivers are ranked, and for nothing else: no rating is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.estimates import Estimate, wilson

if TYPE_CHECKING:
    from features.manifest import Code
    from features.measures import Feature

__all__ = ["StraightLiners", "code_warnings", "straight_liners"]

FloatArray = NDArray[np.float64]

FEWEST_RATINGS = 4
"""Ratings from which the same score for everything counts as a straight line."""

TOO_MANY = 0.2
"""Share of straight-liners above which a warning is given."""


@dataclass(frozen=True, slots=True)
class StraightLiners:
    """Who gives the same score to everything, among rows with at least four ratings.

    Attributes
    ----------
    share : Estimate
        Share of the weight in [0, 1], with a 90 % interval in which the rows of one customer count as one; n is rows.
        NaN without such rows.
    is_straight : ndarray of bool, shape (rows,)
        In the order of the rows; False where there are fewer ratings.
    warning : str
        A sentence above `TOO_MANY`, or empty.
    """

    share: Estimate
    is_straight: NDArray[np.bool_]
    warning: str

    def to_frame(self) -> pd.DataFrame:
        """One row: metric, share, lo, hi, n, warning."""
        one = self.share
        columns = ["metric", "share", "lo", "hi", "n", "warning"]
        return pd.DataFrame([(one.metric, one.value, one.lo, one.hi, one.n, self.warning)], columns=columns)


def straight_liners(ratings: FloatArray, customers: pd.Series, weight: FloatArray | None = None) -> StraightLiners:
    """Find raters who give the same score to everything.

    Parameters
    ----------
    ratings : ndarray of float, shape (rows, items)
        Ratings on one and the same scale, such as the items of a survey, NaN where there is none. Items on different
        scales make nobody straight.
    customers : Series, shape (rows,)
        Identifiers, for the interval.
    weight : ndarray of float, shape (rows,), optional
        Non-negative; None counts every row once.

    Returns
    -------
    StraightLiners

    Notes
    -----
    A straight line may be honest: whoever finds everything a 5 says so. But straight-liners tie all ratings together
    and to the outcome: left in, and more so where only complete rows are used, every driver looks alike and R2 is too
    high. In a public survey of an airport 34 % of those who rated all 14 items gave one score, of the others 10 %.

    References
    ----------
    Krosnick (1991), doi:10.1002/acp.2350050305 (satisficing). Wilson (1927), doi:10.1080/01621459.1927.10502953.

    Examples
    --------
    >>> found = straight_liners(np.array([[5.0, 5, 5, 5], [5, 5, 5, 4], [5, 5, 5, np.nan]]), pd.Series([1, 2, 3]))
    >>> found.share.value, found.share.n
    (0.5, 2)
    """
    w = np.ones(len(ratings)) if weight is None else weight
    there = ~np.isnan(ratings)
    counts = (there.sum(axis=1) >= FEWEST_RATINGS) & (w > 0)
    lowest = np.where(there, ratings, np.inf).min(axis=1, initial=np.inf)
    highest = np.where(there, ratings, -np.inf).max(axis=1, initial=-np.inf)
    is_straight = counts & (lowest == highest)
    if not counts.any():
        nothing = float("nan")
        return StraightLiners(Estimate("straight_liners", nothing, nothing, nothing, 0), is_straight, "")
    share = float(w @ is_straight / w[counts].sum())
    codes = pd.factorize(customers[counts])[0].astype(np.int64)
    low, high = wilson(share, codes, w[counts])
    found = Estimate("straight_liners", share, float(low), float(high), int(counts.sum()))
    return StraightLiners(found, is_straight, _warning(found))


def code_warnings(codes: Iterable[Code], features: Sequence[Feature]) -> dict[str, str]:
    """Say which columns hold values that look like codes, such as a 99 for "not known".

    Parameters
    ----------
    codes : iterable of Code
        Found by :mod:`features.health_codes` among the rows of the user's tables.
    features : sequence of Feature
        The catalogue.

    Returns
    -------
    dict of str to str
        A sentence for each feature of a measure with codes that are used as values; rows in quarantine are not used and
        need no warning. Features in the order of the catalogue.
    """
    used: dict[str, list[Code]] = {}
    for code in codes:
        if not code.is_outside:
            used.setdefault(code.measure, []).append(code)
    return {one.name: _code_sentence(used[one.measure]) for one in features if one.measure in used}


def _warning(share: Estimate) -> str:
    if not share.value > TOO_MANY:
        return ""
    return (
        f"{100 * share.value:.0f} % of {share.n:,} rows with at least {FEWEST_RATINGS} ratings give the same score to "
        "everything: drivers look more alike, and explain more, than they do. Look at the results without these rows."
    )


def _code_sentence(codes: Sequence[Code]) -> str:
    told = ", ".join(f"{code.value:g} in {code.rows:,} rows" for code in codes)
    low, high = codes[0].low, codes[0].high
    return (
        f"may hold codes that are read as values: {told} (other values lie between {low:g} and {high:g}). Write them "
        "as missing, or state the measure's range."
    )
