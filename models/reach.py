"""Reach of drivers: whom a driver could tell anything about, because it applied to them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from models.drivers import MISSING_FLAG, Driver

__all__ = ["reach_of", "whole_journeys"]


def whole_journeys(drivers: Sequence[Driver]) -> tuple[Driver, ...]:
    """Join the drivers of each journey to one that owns all their columns.

    The Owen value of a journey as one player is the sum over its drivers, so that its interval, tier and reach can be
    computed like those of a driver.

    Examples
    --------
    >>> parts = [Driver("wait", "support", ("w",)), Driver("talk", "support", ("t",))]
    >>> whole_journeys(parts)
    (Driver(name='support', journey='support', columns=('w', 't')),)
    """
    columns: dict[str, list[str]] = {}
    for driver in drivers:
        columns.setdefault(driver.journey, []).extend(driver.columns)
    return tuple(Driver(journey, journey, tuple(own)) for journey, own in columns.items())


def reach_of(
    frame: pd.DataFrame, drivers: Sequence[Driver], outcome: str, *, weight: str | None = None, customer: str
) -> pd.DataFrame:
    """Count for each driver to whom it applied.

    Parameters
    ----------
    frame : DataFrame
        Panel rows; rows without the outcome or without weight are left out.
    drivers : sequence of Driver
        A driver applied where any of its columns has a value.
    outcome : str
        A column.
    weight, customer : str
        Columns; no weight is None.

    Returns
    -------
    DataFrame
        One row a driver: ``journey``, ``driver``, ``feature`` (its first column), ``reach`` (share of the weight in
        [0, 1]; NaN without rows) and ``n`` (customers to whom it applied at least once).

    Notes
    -----
    A value that is missing because nobody answered counts as not applied: the panel cannot tell the two apart.
    """
    usable = frame[frame[outcome].notna() & (True if weight is None else frame[weight] > 0)]
    weights = pd.Series(1.0, index=usable.index) if weight is None else usable[weight].astype(float)
    rows = []
    for driver in drivers:
        columns = [name for name in driver.columns if not name.startswith(MISSING_FLAG)]
        there = usable[columns].notna().any(axis=1)
        share = float(weights[there].sum() / weights.sum()) if len(usable) else float("nan")
        rows.append((driver.journey, driver.name, columns[0], share, int(usable.loc[there, customer].nunique())))
    return pd.DataFrame(rows, columns=["journey", "driver", "feature", "reach", "n"])
