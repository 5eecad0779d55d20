"""How journeys went: which touchpoints followed each other, where something went wrong, whether it was mended."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.journey_runs import JourneyRuns, effective_counts
from features.snapshot import DAY

__all__ = ["LONGEST", "journey_counts", "path_counts", "trouble_counts"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

LONGEST = 6
"""Touchpoints of a path that are told apart; what comes after them is one step more."""

_ARROW = " → "
_ABSENT = -1


def journey_counts(runs: JourneyRuns) -> pd.DataFrame:
    """Count the journeys of each type.

    Returns
    -------
    DataFrame
        journey, customers, journeys, touchpoints, several (journeys with more than one touchpoint), told (journeys in
        which something could tell whether it went wrong), troubled, mended (troubled ones whose last touchpoint that
        could tell says that all is well), squares (see :func:`features.journey_runs.effective_counts`). Counts add up
        over customers.
    """
    each = _each(runs)
    found = each.groupby("journey").agg(
        journeys=("touches", "size"),
        touchpoints=("touches", "sum"),
        several=("touches", lambda touches: int((touches > 1).sum())),
        told=("told", "sum"),
        troubled=("troubled", "sum"),
        mended=("mended", "sum"),
    )
    people = each.drop_duplicates(["journey", "customer"]).groupby("journey").size().rename("customers")
    squares = effective_counts(each, "journey")["squares"]
    return _named(found.join([people, squares]).reset_index(), runs)


def path_counts(runs: JourneyRuns) -> pd.DataFrame:
    """Count the sequences of touchpoints that journeys consist of.

    Returns
    -------
    DataFrame
        journey, path ("call → chat"), journeys, told, troubled, mended, days (sum of the days from first to last
        touchpoint). After six touchpoints a path ends in "→ more".
    """
    each, length = _each(runs), runs.ends - runs.starts + 1
    in_turn = runs.table["touchpoint"].to_numpy(np.int64)[runs.order]
    steps = {
        f"step {number}": np.where(length > number, in_turn[np.minimum(runs.starts + number, runs.ends)], _ABSENT)
        for number in range(LONGEST)
    }
    rows = each.assign(**steps, is_longer=length > LONGEST)
    keys = ["journey", *steps, "is_longer"]
    counted = rows.groupby(keys, sort=False, as_index=False).agg(
        journeys=("touches", "size"),
        told=("told", "sum"),
        troubled=("troubled", "sum"),
        mended=("mended", "sum"),
        days=("days", "sum"),
    )
    codes = counted[list(steps)].to_numpy(np.int64)
    paths = [
        _ARROW.join([runs.touchpoints[code] for code in row if code != _ABSENT] + (["more"] if is_longer else []))
        for row, is_longer in zip(codes, counted["is_longer"], strict=True)
    ]
    return _named(counted.assign(path=paths).drop(columns=[*steps, "is_longer"]), runs)


def trouble_counts(runs: JourneyRuns) -> pd.DataFrame:
    """Count where something went wrong, and what became of the journeys in which it first did so.

    Returns
    -------
    DataFrame
        journey, touchpoint, told (touchpoints that could tell), troubled, squares, began (journeys that first went
        wrong here), mended (of these).
    """
    size = len(runs.touchpoints)
    rows = runs.table[runs.table["trouble"].notna()]
    rows = rows.assign(cell=rows["journey"] * size + rows["touchpoint"])
    told = effective_counts(rows, "cell").rename(columns={"n": "told"})
    troubled = rows.groupby("cell")["trouble"].sum().astype(np.int64).rename("troubled")
    each = _each(runs)
    wrong = each[each["troubled"] > 0]
    began = wrong.assign(cell=wrong["journey"] * size + wrong["first"]).groupby("cell")
    ends = began["mended"].agg(began="size", mended="sum")
    found = told.join([troubled, ends]).fillna(0).astype(np.int64).reset_index()
    found = found.assign(journey=found["cell"] // size, touchpoint=found["cell"] % size).drop(columns="cell")
    kinds = np.array(runs.touchpoints, object)[found["touchpoint"].to_numpy(np.int64)]
    return _named(found.assign(touchpoint=kinds), runs)


def _each(runs: JourneyRuns) -> pd.DataFrame:
    """One row a journey: whose, of which type, how long, whether and where it went wrong, whether that was mended."""
    rows, last = runs.table.iloc[runs.order], runs.ends
    at, trouble = rows["at"].to_numpy(np.int64), rows["trouble"].to_numpy(np.float64)
    is_told, is_wrong = ~np.isnan(trouble), trouble == 1
    place = np.arange(len(rows))
    latest = np.maximum.accumulate(np.where(is_told, place, _ABSENT)) if len(rows) else place
    told = np.add.reduceat(is_told, runs.starts) if len(rows) else place
    wrong = np.add.reduceat(is_wrong, runs.starts) if len(rows) else place
    before = np.cumsum(is_wrong) - is_wrong
    first_wrong = np.flatnonzero(is_wrong)
    nth = before[runs.starts] if len(rows) else place
    found = first_wrong[np.minimum(nth, len(first_wrong) - 1)] if len(first_wrong) else np.zeros(len(nth), np.intp)
    ends_well = ~is_wrong[latest[last]] if len(rows) else place.astype(bool)
    head = rows.iloc[runs.starts]
    return pd.DataFrame(
        {
            "customer": head["customer"].to_numpy(),
            "journey": head["journey"].to_numpy(),
            "touches": last - runs.starts + 1,
            "days": (at[last] - at[runs.starts]) / DAY,
            "told": (told > 0).astype(np.int64),
            "troubled": (wrong > 0).astype(np.int64),
            "mended": ((wrong > 0) & ends_well).astype(np.int64),
            "first": rows["touchpoint"].to_numpy()[found] if len(first_wrong) else _ABSENT,
        }
    )


def _named(found: pd.DataFrame, runs: JourneyRuns) -> pd.DataFrame:
    """Write the names of journeys in place of their codes, in front."""
    names = np.array(runs.journeys, object)[found["journey"].to_numpy(np.int64)]
    return found.drop(columns="journey").assign(journey=names)[
        ["journey", *(name for name in found.columns if name != "journey")]
    ]
