"""Rated drivers: which features are ratings, on which scale, and the columns that stand for one in a linear model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.definitions import unit_suffix
from models.drivers import design_matrix
from models.estimates import Estimate, Sample, Term, estimate

if TYPE_CHECKING:
    from features.measures import Feature
    from features.study import Measure

__all__ = [
    "Place",
    "Rated",
    "RatedDesign",
    "goodness",
    "levels_of",
    "performance",
    "rated_design",
    "rated_drivers",
    "thirds_of",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MAX_LEVELS = 11
"""Different values that are told apart one by one: a scale of 0 to 10; more are cut into fifths."""


@dataclass(frozen=True, slots=True)
class Rated:
    """One rated driver.

    Attributes
    ----------
    name : str
        For people.
    journey : str
        Where it belongs.
    column : str
        Column of the panel, in points.
    direction : {"higher", "lower"}
        Which rating is the better one.
    low, high : float
        Ends of the scale; infinite where it has none.
    """

    name: str
    journey: str
    column: str
    direction: Literal["higher", "lower"] = "higher"
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True, slots=True)
class Place:
    """The columns of one driver in a design, and its customers.

    Attributes
    ----------
    rated : Rated
        The driver.
    value, low, top : int
        Points less their mean (0 without a rating), and 1 in the low and in the top third.
    flag : tuple of int
        1 without a rating; empty where all have one.
    levels : tuple of int
        See :func:`levels_of`.
    customers : tuple of int
        Who rated; who did in the low third, in the middle and in the top third.
    """

    rated: Rated
    value: int
    low: int
    top: int
    flag: tuple[int, ...]
    levels: tuple[int, ...]
    customers: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class RatedDesign:
    """Columns of controls, then of drivers in their units, the outcome less its mean last.

    Attributes
    ----------
    matrix : ndarray of float, shape (rows, columns)
        Finite.
    weight : ndarray of float, shape (rows,)
        Row weights.
    n_controls : int
        Columns of controls.
    places : tuple of Place
        One a driver.
    """

    matrix: FloatArray
    weight: FloatArray
    n_controls: int
    places: tuple[Place, ...]


def rated_drivers(features: Sequence[Feature], measures: Sequence[Measure], frame: pd.DataFrame) -> tuple[Rated, ...]:
    """Find the ratings among the features: the mean rating of each measure in each journey or at each touchpoint.

    Parameters
    ----------
    features : sequence of Feature
        The catalogue.
    measures : sequence of Measure
        Of the study; they know the scale.
    frame : DataFrame
        The panel; ratings that are missing in all rows are left out.

    Returns
    -------
    tuple of Rated
        In the order of the catalogue. A rating at touchpoints takes the place of the same rating of their journey.
    """
    scales = {measure.name: measure for measure in measures if measure.is_rating}
    found = [
        one
        for one in features
        if one.role == "rating" and one.measure in scales and one.name in frame and _is_plain(one)
    ]
    divided = {(one.journey, one.measure) for one in found if one.touchpoint is not None}
    return tuple(
        _rated(one, scales[str(one.measure)])
        for one in found
        if (one.touchpoint is not None or (one.journey, one.measure) not in divided) and frame[one.name].notna().any()
    )


def goodness(values: pd.Series, rated: Rated) -> FloatArray:
    """Turn a column into points of which more is better, NaN where there is no rating, shape (rows,)."""
    points = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return points if rated.direction == "higher" else -points


def performance(rows: pd.DataFrame, rated: Rated, weight: str | None, customer: str) -> Estimate:
    """Compute the mean rating as points from 0 (worst end of the scale) to 100 (best end), among those who rated.

    Parameters
    ----------
    rows : DataFrame
        With the rating.
    rated : Rated
        Knows the scale.
    weight, customer : str
        Columns; no weight is None.

    Returns
    -------
    Estimate
        With a 90 % interval clustered by customer, not beyond the ends; n is rows with a rating. NaN where the scale
        has no ends or nobody rated.
    """
    known = rows.loc[rows[rated.column].notna() & (True if weight is None else rows[weight] > 0)]
    if not np.isfinite(rated.high - rated.low) or known.empty:
        return Estimate("performance", np.nan, np.nan, np.nan, len(known))
    worst = rated.low if rated.direction == "higher" else -rated.high
    score = 100 * (goodness(known[rated.column], rated) - worst) / (rated.high - rated.low)
    sample = Sample.of(score, score, known[customer], np.ones(len(known)) if weight is None else known[weight])
    mean = sample.mean(score)
    found = estimate(sample, Term("performance", mean, score - mean))
    return Estimate(found.metric, found.value, max(found.lo, 0.0), min(found.hi, 100.0), found.n)


def thirds_of(points: FloatArray, rated: Rated, weight: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Say who rates in the low third and who in the top third.

    Parameters
    ----------
    points : ndarray of float, shape (rows,)
        From :func:`goodness`.
    rated : Rated
        Knows the scale.
    weight : ndarray of float, shape (rows,)
        Decides on thirds of the distribution where the scale has no ends.

    Returns
    -------
    tuple of ndarray of bool, shape (rows,)
        Low, top; both False without a rating. A value on the edge is outside the middle; so are ties at a third of the
        distribution, and one value that is both edges is in the low third only.

    Examples
    --------
    >>> low, top = thirds_of(np.arange(1.0, 6.0), Rated("r", "j", "r", "higher", 1, 5), np.ones(5))
    >>> low.tolist(), top.tolist()
    ([True, True, False, False, False], [False, False, False, True, True])
    """
    ends = np.array([rated.low, rated.high])
    if np.isfinite(ends).all():
        least, most = ends if rated.direction == "higher" else -ends[::-1]
        below, above = least + (most - least) / 3, most - (most - least) / 3
    else:
        below, above = _quantiles(points, weight, np.array([1 / 3, 2 / 3]))
    low = points <= below
    return low, (points >= above) & ~low


def levels_of(points: FloatArray, weight: FloatArray) -> FloatArray:
    """Write ratings as 0/1 columns, one for each level but the lowest, shape (rows, levels - 1); 0 without a rating.

    More than 11 different values are cut into fifths of their distribution.
    """
    there = ~np.isnan(points)
    levels = np.unique(points[there])
    if len(levels) > MAX_LEVELS:
        edges = np.unique(_quantiles(points, weight, np.arange(1, 5) / 5))
        number = np.searchsorted(edges, points, side="left")
    else:
        number = np.searchsorted(levels, points)
    number = np.where(there, number, 0)
    return np.asarray(number[:, np.newaxis] == np.arange(1, number.max() + 1), dtype=np.float64)


def rated_design(
    rows: pd.DataFrame, rated: Sequence[Rated], controls: Sequence[str], outcome: str, weight: str | None, customer: str
) -> RatedDesign:
    """Write rows as the columns of a linear model of an outcome on rated drivers.

    Parameters
    ----------
    rows : DataFrame
        With a known outcome and a positive weight.
    rated : sequence of Rated
        Drivers, in this order.
    controls : sequence of str
        As in :func:`models.drivers.design_matrix`.
    outcome, weight, customer : str
        Columns; no weight is None.
    """
    design = design_matrix(rows, (), controls, outcome, weight)
    columns = list(np.hsplit(design.values, design.values.shape[1])[: design.n_controls])  # noqa: PD011
    places = []
    for one in rated:
        block, place = _block(rows, one, design.weight, len(columns), customer)
        columns += block
        places.append(place)
    y = rows[outcome].to_numpy(dtype=np.float64)
    columns.append(y - (design.weight @ y) / design.weight.sum())
    return RatedDesign(np.column_stack(columns), design.weight, design.n_controls, tuple(places))


def _block(
    rows: pd.DataFrame, rated: Rated, weight: FloatArray, first: int, customer: str
) -> tuple[list[FloatArray], Place]:
    """Write the columns of one driver."""
    points = goodness(rows[rated.column], rated)
    there = ~np.isnan(points)
    low, top = thirds_of(points, rated, weight)
    flag = [~there] if there.any() and not there.all() else []
    levels = levels_of(points, weight).T
    centred = np.where(there, points - weight[there] @ points[there] / weight[there].sum(), 0.0)
    who = [int(rows[customer][mask].nunique()) for mask in (there, low, there & ~low & ~top, top)]
    start = first + 3 + len(flag)
    place = Place(
        rated=rated,
        value=first,
        low=first + 1,
        top=first + 2,
        flag=tuple(range(first + 3, start)),
        levels=tuple(range(start, start + len(levels))),
        customers=(who[0], who[1], who[2], who[3]),
    )
    return [np.asarray(column, dtype=np.float64) for column in (centred, low, top, *flag, *levels)], place


def _quantiles(points: FloatArray, weight: FloatArray, at: FloatArray) -> FloatArray:
    """Smallest values at or below which the shares of the weight lie."""
    there = np.flatnonzero(~np.isnan(points))
    order = there[np.argsort(points[there], kind="stable")]
    reached = np.cumsum(weight[order])
    # Rounding must not decide on which side of a third a value lies.
    place = np.searchsorted(reached, at * reached[-1] * (1 - 1e-12), side="left")
    found: FloatArray = points[order[place]]
    return found


def _is_plain(feature: Feature) -> bool:
    """Whether a feature is the mean of its measure, not a share or trend made of it."""
    return feature.kind == "number" and feature.name.endswith(f"__{feature.measure}_{unit_suffix(feature.unit)}__mean")


def _rated(feature: Feature, measure: Measure) -> Rated:
    where = f"{feature.touchpoint}, " if feature.touchpoint else ""
    low, high = measure.bounds
    return Rated(
        name=f"{where}{measure.name.replace('_', ' ')} ({measure.unit})",
        journey=str(feature.journey),
        column=feature.name,
        direction=measure.direction,
        low=low,
        high=high,
    )
