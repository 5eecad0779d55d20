"""Drivers as blocks of columns: which features stand for a journey's measure, and the moments of their columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.measures import Feature
from features.raw_moments import Look, RawMoments
from models.moments import GroupMoments

__all__ = [
    "MIN_CUSTOMERS",
    "MISSING_FLAG",
    "Design",
    "Driver",
    "base_columns",
    "design_of",
    "driver_features",
    "drivers_from_features",
    "named_drivers",
    "outcome_name",
]

FloatArray = NDArray[np.float64]

MISSING_FLAG = "is_missing:"
"""In front of a column's name: 1 where that column is missing, which is how "did not apply" takes part."""

MIN_CUSTOMERS = 200
"""With fewer customers intervals are so wide that any ranking is noise, and nothing is told of drivers."""

_STATISTICS = ("mean", "worst", "last")


@dataclass(frozen=True, slots=True)
class Driver:
    """One driver: a readable name, its journey and the columns that stand for it.

    Parameters
    ----------
    name
        For people, such as "wait, mean (min)".
    journey
        The journey it belongs to.
    columns
        Numeric columns of the panel; the first one names the driver in tables. ``"is_missing:x"`` (`MISSING_FLAG`) is
        1 where column x is missing. Missing values themselves are set to the mean of the others.
    """

    name: str
    journey: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Design:
    """Moments of the columns of a linear model: the controls', then the drivers' in order, then the outcome.

    Parameters
    ----------
    moments
        Of (1, columns) by group of customers; columns have mean 0 over all groups, missing values lie there.
    n_controls
        Columns that belong to controls.
    blocks
        The columns of each driver, counted from 0 without the ones.
    """

    moments: GroupMoments
    n_controls: int
    blocks: tuple[tuple[int, ...], ...]

    def others(self, block: Sequence[int]) -> list[int]:
        """List the columns of the controls and of all drivers but the one that owns a block."""
        drivers = [column for other in self.blocks for column in other]
        return [column for column in (*range(self.n_controls), *drivers) if column not in set(block)]


def outcome_name(column: str) -> str:
    """Name the outcome in a column of the panel: churn for ``is_churned``, every other by its column."""
    return "churn" if column == "is_churned" else column


def base_columns(drivers: Sequence[Driver]) -> tuple[str, ...]:
    """List the columns that drivers are made of; flags are made of the column that they tell about."""
    return tuple(dict.fromkeys(name.removeprefix(MISSING_FLAG) for driver in drivers for name in driver.columns))


def drivers_from_features(features: Sequence[Feature], frame: pd.DataFrame) -> tuple[Driver, ...]:
    """Choose one driver for every journey and measure.

    Parameters
    ----------
    features
        The catalogue. Of the features of one journey and measure, those at journey level come first, then the mean,
        the worst, the last, then any other.
    frame
        The panel, to see what is missing: where a feature is missing for some rows and not for others, the flag for
        "does not apply" joins the driver.

    Returns
    -------
    tuple[Driver, ...]
        In the order of the catalogue. Empty when no feature has both a journey and a measure.
    """
    chosen = driver_features(features, frame.columns)
    return named_drivers(chosen, {one.name for one in chosen if 0 < frame[one.name].isna().mean() < 1})


def driver_features(features: Sequence[Feature], columns: Iterable[str]) -> tuple[Feature, ...]:
    """Choose the feature that stands for each journey and measure, as `drivers_from_features` does."""
    there = set(columns)
    chosen: dict[tuple[str, str], Feature] = {}
    for feature in features:
        if feature.journey is None or feature.measure is None or feature.name not in there:
            continue
        if feature.kind != "number":
            continue
        key = (feature.journey, feature.measure)
        if key not in chosen or _preference(feature) < _preference(chosen[key]):
            chosen[key] = feature
    return tuple(chosen.values())


def named_drivers(chosen: Sequence[Feature], flagged: Collection[str]) -> tuple[Driver, ...]:
    """Turn features into drivers, with the flag for "does not apply" where the column is among `flagged`."""
    return tuple(_driver(feature, is_flagged=feature.name in flagged) for feature in chosen)


def _preference(feature: Feature) -> tuple[bool, int]:
    """Order the features of one measure: smaller comes first."""
    statistic = feature.name.rsplit("__", 1)[-1]
    rank = _STATISTICS.index(statistic) if statistic in _STATISTICS else len(_STATISTICS)
    return feature.level != "journey", rank


def _driver(feature: Feature, *, is_flagged: bool) -> Driver:
    """Name the driver for people."""
    statistic = feature.name.rsplit("__", 1)[-1] if "__" in feature.name else ""
    name = ", ".join(part.replace("_", " ") for part in (str(feature.measure), statistic) if part)
    unit = f" ({feature.unit})" if feature.unit else ""
    flag = (MISSING_FLAG + feature.name,) if is_flagged else ()
    return Driver(name=name + unit, journey=str(feature.journey), columns=(feature.name, *flag))


def design_of(raw: RawMoments, drivers: Sequence[Driver], controls: Sequence[str], outcome: str) -> Design:
    """Turn raw sums of products into the moments of a model's columns.

    Parameters
    ----------
    raw
        With all columns of drivers and controls.
    drivers
        Their columns, in this order.
    controls
        Numbers come with a flag for what is missing, texts as one column a level and one for what is missing.
    outcome
        The last column.

    Returns
    -------
    Design
        Columns have deviation 1; those that do not vary are 0.

    Raises
    ------
    ValueError
        A column or an outcome that was not summed.

    Notes
    -----
    Every column is a linear function of the raw ones: with v the value less its origin (0 where missing), m the flag
    and a the weighted mean of v where there is one, the mean-filled and centred value is ``v - a (1 - m)``. So is its
    deviation, from the total of the sums.
    """
    own = raw.of(outcome)
    columns = _Columns(raw.look, own.sums.sum(axis=0))
    known = [row for name in controls for row in columns.control(name)]
    rows = [*known, *(columns.named(name) for driver in drivers for name in driver.columns)]
    T = np.array([columns.ones, *rows, columns.outcome(outcome)])
    stops = len(known) + np.cumsum([len(driver.columns) for driver in drivers], dtype=int)
    blocks = tuple(
        tuple(range(int(stop) - len(driver.columns), int(stop))) for driver, stop in zip(drivers, stops, strict=True)
    )
    return Design(GroupMoments(T @ (own.sums @ T.T), own.n_customers, own.n_rows), len(known), blocks)


class _Columns:
    """Columns as rows of a matrix that the raw columns are multiplied with."""

    def __init__(self, look: Look, total: FloatArray) -> None:
        self._look, self._total = look, total
        self._places, self._unit = look.places, np.eye(len(total))
        self.ones = self._unit[0]

    def named(self, name: str) -> FloatArray:
        """Give a driver's column: a number, or the flag that it is missing."""
        base = name.removeprefix(MISSING_FLAG)
        if base not in self._look.origins:
            raise ValueError(f"{base!r} was not summed as a number. Sum the columns of all drivers and controls.")
        return self._value(base) if name == base else self._scaled(self._flag(base), 1.0)

    def control(self, name: str) -> list[FloatArray]:
        """Give the columns of a control."""
        if name not in self._look.levels:
            return [self.named(name), self.named(MISSING_FLAG + name)]
        levels = [self._unit[self._places[name, level]] for level in self._look.levels[name]]
        missing = self.ones - sum(levels, np.zeros(len(self._total)))
        return [self._scaled(row, 1.0) for row in (*levels, missing)]

    def outcome(self, name: str) -> FloatArray:
        """Give the outcome, which is known everywhere."""
        row = self._unit[self._places["", name]]
        return self._scaled(row, self._look.outcomes[name])

    def _flag(self, name: str) -> FloatArray:
        place = self._places.get((name, ""))
        return np.zeros(len(self._total)) if place is None else self._unit[place]

    def _value(self, name: str) -> FloatArray:
        """Fill what is missing with the mean of the others."""
        row, there = self._unit[self._places[name]], self.ones - self._flag(name)
        weight = self._total[0] @ there
        mean = self._total[0] @ row / weight if weight > 0 else 0.0
        return self._scaled(row - mean * there, self._look.origins[name])

    def _scaled(self, row: FloatArray, origin: float) -> FloatArray:
        """Centre and scale; what varies by less than 1e-10 of its size is constant but for rounding."""
        weight = self._total[0, 0]
        centred = row - self._total[0] @ row / weight * self.ones
        variance = float(centred @ self._total @ centred / weight)
        size = float(row @ self._total @ row / weight) + origin**2
        return centred / np.sqrt(variance) if variance > 1e-20 * size else np.zeros(len(row))
