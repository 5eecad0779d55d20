"""The journeys of some customers as they went in the end: whose, in which order, and where something went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.facts import Recorded, facts_of
from features.folds import Plan, run_starts
from features.history import History
from features.journeys import Labels
from features.study import Study

__all__ = ["JourneyRuns", "effective_counts"]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Positions: TypeAlias = NDArray[np.intp]

_FACTS = ("trouble", "pause_days")


@dataclass(frozen=True, slots=True)
class JourneyRuns:
    """Touchpoints of whole customers, and the journeys they make.

    Attributes
    ----------
    table : DataFrame
        One row a touchpoint, by customer and time: customer (numbered from 0), at (microseconds), journey and
        touchpoint (codes of the names), trouble (1, 0, or missing where nothing can tell), pause_days (since the
        touchpoint before it in its journey), and the measures.
    order : array of int, shape (n,)
        Rows so that the touchpoints of a journey follow each other.
    starts : array of int, shape (journeys,)
        Places in `order` at which journeys begin.
    journeys, touchpoints : tuple of str
        Names by code.
    """

    table: pd.DataFrame
    order: Positions
    starts: Positions
    journeys: tuple[str, ...]
    touchpoints: tuple[str, ...]

    @classmethod
    def of(cls, study: Study, touchpoints: pa.Table, journeys: tuple[str, ...], kinds: tuple[str, ...]) -> JourneyRuns:
        """Sort and link touchpoints, none of which a correction has replaced.

        Parameters
        ----------
        study : Study
            Says which values are bad by themselves.
        touchpoints : pyarrow.Table
            Of whole customers.
        journeys, kinds : tuple of str
            All names of journeys and of touchpoints, by code.
        """
        facts = {name: fact for name, fact in facts_of(study, Recorded()).items() if name in _FACTS}
        history = History(Plan(facts=facts), touchpoints)
        n, order = len(history.at), history.by_journey.order
        measures = [name for name in study.measure_names if name in history.columns]
        columns = {
            "customer": history.customer,
            "at": history.at,
            "journey": _codes(history.labels("journey"), journeys),
            "touchpoint": _codes(history.labels("touchpoint"), kinds),
            "trouble": history.columns.get("trouble", np.full(n, np.nan)),
            "pause_days": history.numbers("pause_days"),
            **{name: history.numbers(name) for name in measures},
        }
        return cls(pd.DataFrame(columns), order, run_starts(history.by_journey.group[order]), journeys, kinds)

    @property
    def is_first(self) -> NDArray[np.bool_]:
        """Whether each row begins its journey, shape (n,)."""
        found = np.zeros(len(self.order), bool)
        found[self.order[self.starts]] = True
        return found

    @property
    def ends(self) -> Positions:
        """Places in `order` of the last touchpoint of each journey, shape (journeys,)."""
        return np.append(self.starts[1:], len(self.order))[: len(self.starts)] - 1


def effective_counts(rows: pd.DataFrame, cell: str) -> pd.DataFrame:
    """Count rows and, for the effective number of customers behind them, the squares of their counts by customer.

    Parameters
    ----------
    rows : DataFrame
        With the columns ``customer`` and `cell`.
    cell : str
        What is counted in.

    Returns
    -------
    DataFrame
        n, squares; index: the cells. Both add up over customers: n² / squares is the effective number, n where every
        customer has one row.
    """
    each = rows.groupby([cell, "customer"], sort=False).size()
    found = pd.DataFrame({"n": each, "squares": each**2})
    return found.groupby(level=0).sum()


def _codes(labels: Labels, names: tuple[str, ...]) -> Ints:
    return np.asarray(labels.recoded(names), np.int64)
