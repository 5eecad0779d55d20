"""How long customers wait: at touchpoints, by the measures that are times, and between the touchpoints of a journey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.journey_runs import JourneyRuns, effective_counts
from features.sketch import Sketch
from features.study import Measure, Study

__all__ = ["PAUSE", "WaitTally", "timed_measures"]

Floats: TypeAlias = NDArray[np.float64]

PAUSE: Final = "pause"
"""What the days between two touchpoints of a journey are called beside the measures."""

_Z: Final = 1.6448536269514722
"""Half width of a 90 % interval in standard errors."""

_COLUMNS = [
    "journey", "place", "measure", "unit", "n", "n_effective",
    "low", "median_lo", "median", "median_hi", "high",
]  # fmt: skip


def timed_measures(study: Study) -> tuple[Measure, ...]:
    """List the measures that say how long something took, or how late it was."""
    return tuple(measure for measure in study.measures if measure.kind in {"duration", "gap"})


class WaitTally:
    """Waits counted bucket by bucket, in memory that does not grow with their number.

    Parameters
    ----------
    measures : sequence of Measure
        Of :func:`timed_measures`.
    """

    def __init__(self, measures: Sequence[Measure]) -> None:
        self._measures = tuple(measures)
        self._sketches: dict[str, Sketch] = {name: Sketch() for name in self._names}
        self._counts: dict[str, pd.DataFrame] = {}
        self._places: dict[str, dict[int, tuple[str, str]]] = {name: {} for name in self._names}

    @property
    def _names(self) -> tuple[str, ...]:
        return (*(measure.name for measure in self._measures), PAUSE)

    def add(self, runs: JourneyRuns) -> None:
        """Count the waits of some whole customers."""
        size = len(runs.touchpoints)
        rows = runs.table.assign(cell=runs.table["journey"] * size + runs.table["touchpoint"])
        for measure in self._measures:
            if measure.name in rows:
                self._add(measure.name, rows, rows[measure.name], runs, size)
        steps = rows.iloc[runs.order]
        before = steps["touchpoint"].shift(fill_value=0)
        self._add(PAUSE, steps.assign(cell=steps["cell"] * size + before), steps["pause_days"], runs, size)

    def frame(self) -> pd.DataFrame:
        """Describe the waits by place.

        Returns
        -------
        DataFrame
            journey, place (a touchpoint, or "call → chat" for a pause), measure, unit, n, n_effective (customers), low
            and high (the middle half of the values lies between them), median with median_lo and median_hi, its 90 %
            interval.

        Notes
        -----
        Quantiles are at most 1/128 too near to zero (:mod:`features.sketch`). The interval of the median is that of the
        sign test, ``quantile(1/2 ± z / (2 sqrt(n)))`` (David and Nagaraja 2003, Order Statistics, section 7.1), with
        the effective number of customers as n: values of one customer count as one, which is on the safe side.
        """
        units = {measure.name: measure.unit for measure in self._measures} | {PAUSE: "days"}
        rows = [self._described(name, cell, units[name]) for name in self._names for cell in self._cells(name)]
        found = pd.DataFrame(rows, columns=_COLUMNS)
        return found.sort_values(["unit", "measure", "journey", "place"], ignore_index=True)

    def _add(self, name: str, rows: pd.DataFrame, values: pd.Series, runs: JourneyRuns, size: int) -> None:
        is_given = values.notna().to_numpy()
        given = rows.loc[is_given, ["customer", "cell"]]
        self._sketches[name].add(given["cell"].to_numpy(np.int64), values[is_given].to_numpy(np.float64))
        counts = effective_counts(given, "cell")
        self._counts[name] = self._counts[name].add(counts, fill_value=0) if name in self._counts else counts
        for cell in counts.index:
            self._places[name][int(cell)] = _place(int(cell), runs, size, is_pause=name == PAUSE)

    def _cells(self, name: str) -> list[int]:
        return [int(cell) for cell in self._sketches[name].cells]

    def _described(self, name: str, cell: int, unit: str) -> tuple[object, ...]:
        cells = self._sketches[name].cells
        own = self._sketches[name].where(cells == cell)
        n, squares = self._counts[name].loc[cell, ["n", "squares"]].to_numpy(np.float64)
        effective = n**2 / squares
        half = _Z / (2 * np.sqrt(effective))
        shares = (0.25, max(0.5 - half, 0.0), 0.5, min(0.5 + half, 1.0), 0.75)
        quantiles = [float(own.quantile(share)[0]) for share in shares]
        return (*self._places[name][cell], name, unit, int(n), effective, *quantiles)


def _place(cell: int, runs: JourneyRuns, size: int, *, is_pause: bool) -> tuple[str, str]:
    """Name the journey of a cell, and its touchpoint or its two touchpoints."""
    if not is_pause:
        return runs.journeys[cell // size], runs.touchpoints[cell % size]
    later, before = divmod(cell, size)
    return runs.journeys[later // size], f"{runs.touchpoints[before]} → {runs.touchpoints[later % size]}"
