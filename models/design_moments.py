"""Moments of the columns of a model of drivers, by linear algebra from raw sums of products.

The same columns as `models.drivers.design_matrix`, without a row of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.raw_moments import Look, RawMoments
from models.drivers import MISSING_FLAG, Driver
from models.moments import GroupMoments

__all__ = ["DesignMoments", "design_moments"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DesignMoments:
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


def design_moments(raw: RawMoments, drivers: Sequence[Driver], controls: Sequence[str], outcome: str) -> DesignMoments:
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
    DesignMoments
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
    return DesignMoments(GroupMoments(T @ (own.sums @ T.T), own.n_customers, own.n_rows), len(known), blocks)


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
