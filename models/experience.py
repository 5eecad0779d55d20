"""Customers grouped by what they went through before a cutoff: nothing of the kind, the best, the middle, the worst."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.definitions import unit_suffix

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["NOTHING", "experience_features", "experience_groups"]

FloatArray = NDArray[np.float64]

NOTHING: Final = "nothing of the kind"
"""The group of customers without a value."""

_NONE: Final = "none"
_PARTS: Final = {1: ("any",), 2: ("better part", "worse part"), 3: ("best third", "middle third", "worst third")}
_SOME: Final = {1: ("some",), 2: ("lower half", "upper half")}


def experience_features(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """List the features that say how good a journey was: means of its measures, and how often something went wrong.

    Parameters
    ----------
    features : sequence of Feature
        Of a panel.

    Returns
    -------
    tuple of Feature
        In the given order. Ratings are left out: they are answers, and who answers is a choice.
    """
    return tuple(
        one
        for one in features
        if one.level == "journey"
        and one.role == "experience"
        and one.direction != "none"
        and one.name in {f"{one.journey}__{_plain(one)}__mean", f"{one.journey}__trouble_share__mean"}
    )


def experience_groups(
    values: FloatArray, weight: FloatArray, direction: Literal["lower", "higher", "none"], unit: str
) -> pd.Series:
    """Cut an experience into groups of about equal size.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        NaN: the customer had nothing of the kind.
    weight : ndarray of float, shape (n,)
        Row weights.
    direction : {"lower", "higher", "none"}
        Which way is better; "none" is read as "lower".
    unit : str
        For the names of the groups; "share" is written in per cent.

    Returns
    -------
    Series of category, shape (n,)
        "none" (only where 0 is the best value there is and at least a third have it), "best third: 2 to 4 min" and so
        on, each with the values it holds, and :data:`NOTHING`. Categories are ordered from best to worst, then
        `NOTHING`; groups that hold nobody are left out. Index 0 to n - 1.

    Notes
    -----
    Cut at the weighted quantiles 1/3 and 2/3 of those who have a value. Equal values are never parted: who stands at a
    cut belongs to the better group. Where so many share a value that fewer than three groups are left, they are called
    the better and the worse part, or "any". With a group "none" the rest is cut in halves.
    """
    sign = -1.0 if direction == "higher" else 1.0
    worse = sign * np.asarray(values, np.float64)
    is_given = ~np.isnan(worse)
    is_none = is_given & (worse == 0)
    has_none = bool((worse[is_given] >= 0).all() and 3 * weight[is_none].sum() >= weight[is_given].sum() > 0)
    is_cut = is_given & ~is_none if has_none else is_given
    found = np.full(len(worse), NOTHING, object)
    found[is_none & has_none] = _NONE
    ordered = [_NONE] if has_none else []
    if is_cut.any():
        cuts = _quantiles(worse[is_cut], weight[is_cut], (0.5,) if has_none else (1 / 3, 2 / 3))
        group = np.where(is_cut, np.searchsorted(cuts, worse, side="left"), -1)
        there = np.unique(group[is_cut])
        for number, name in zip(there, (_SOME if has_none else _PARTS)[len(there)], strict=True):
            told = f"{name}: {_span(np.asarray(values)[group == number], unit)}"
            found[group == number] = told
            ordered.append(told)
    kept = [*ordered, *([NOTHING] if not is_given.all() else [])]
    return pd.Series(pd.Categorical(found, categories=kept, ordered=True))


def _plain(feature: Feature) -> str:
    return f"{feature.measure}_{unit_suffix(feature.unit)}"


def _quantiles(values: FloatArray, weight: FloatArray, shares: Sequence[float]) -> FloatArray:
    """Give the smallest values that at least a share of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    place = np.searchsorted(reached, np.asarray(shares) - 1e-12)
    return np.asarray(values[order][np.minimum(place, len(values) - 1)], np.float64)


def _span(values: FloatArray, unit: str) -> str:
    """Write the values of a group: "2 to 4.1 min", "10 to 50 %"."""
    factor, shown = (100.0, "%") if unit == "share" else (1.0, unit)
    ends = [
        np.format_float_positional(factor * one, precision=3, fractional=False, trim="-")
        for one in (values.min(), values.max())
    ]
    return f"{' to '.join(dict.fromkeys(ends))} {shown}".strip()
