"""Drivers as blocks of columns: which features stand for a journey's measure, and the matrix they make."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.measures import Feature

__all__ = [
    "MIN_CUSTOMERS",
    "MISSING_FLAG",
    "Design",
    "Driver",
    "base_columns",
    "design_matrix",
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
    """Standardised columns: the controls', then the drivers' in order, then the outcome.

    Parameters
    ----------
    values
        (rows, columns); weighted mean 0 and deviation 1; missing values and constant columns are 0.
    weight
        (rows,).
    n_controls
        Columns that belong to controls.
    blocks
        The columns of each driver.
    """

    values: FloatArray
    weight: FloatArray
    n_controls: int
    blocks: tuple[tuple[int, ...], ...]


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


def design_matrix(
    rows: pd.DataFrame, drivers: Sequence[Driver], controls: Sequence[str], outcome: str, weight: str | None
) -> Design:
    """Fill a matrix column by column: controls, drivers, outcome.

    Parameters
    ----------
    rows
        With a known outcome and a positive weight.
    drivers
        Their columns, in this order.
    controls
        Numbers come with a flag for what is missing, text as one column a level.
    outcome
        The last column.
    weight
        Column of weights, or None.
    """
    w = np.ones(len(rows)) if weight is None else rows[weight].to_numpy(dtype=np.float64)
    known = [column for name in controls for column in _control_columns(rows[name])]
    width = len(known) + sum(len(driver.columns) for driver in drivers) + 1
    values = np.empty((len(rows), width))
    for i, column in enumerate(known):
        values[:, i] = _standardised(column, w)
    names = [name for driver in drivers for name in driver.columns]
    for i, name in enumerate([*names, outcome], start=len(known)):
        values[:, i] = _standardised(_numbers(rows, name), w)
    stops = len(known) + np.cumsum([len(driver.columns) for driver in drivers])
    blocks = tuple(
        tuple(range(int(stop) - len(driver.columns), int(stop))) for driver, stop in zip(drivers, stops, strict=True)
    )
    return Design(values=values, weight=w, n_controls=len(known), blocks=blocks)


def _numbers(rows: pd.DataFrame, name: str) -> FloatArray:
    """Read a column, or the flag that it is missing."""
    if name.startswith(MISSING_FLAG):
        return np.asarray(rows[name.removeprefix(MISSING_FLAG)].isna(), dtype=np.float64)
    return rows[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _control_columns(values: pd.Series) -> list[FloatArray]:
    """Turn a control into numbers."""
    missing = values.isna().to_numpy(dtype=np.float64)
    if pd.api.types.is_numeric_dtype(values):
        return [values.to_numpy(dtype=np.float64, na_value=np.nan), missing]
    codes, unique = pd.factorize(values, sort=True)
    return [*((codes == level).astype(np.float64) for level in range(len(unique))), missing]


def _standardised(values: FloatArray, w: FloatArray) -> FloatArray:
    """Centre and scale by the weighted mean and deviation of what is there; missing and constant become 0."""
    there = np.isfinite(values)
    result = np.zeros(len(values))
    if not there.any():
        return result
    own, share = values[there], w[there] / w[there].sum()
    centred = own - own @ share
    scale = float(np.sqrt(centred**2 @ share))
    if scale > 1e-12 * float(np.abs(own).max()):
        result[there] = centred / scale
    return result
