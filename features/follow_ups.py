"""What follows when something went wrong: another journey soon after, or the same one again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.journey_runs import JourneyRuns, effective_counts
from features.snapshot import DAY
from features.study import Study

__all__ = ["follow_up_counts", "pairs_of"]

Ints: TypeAlias = NDArray[np.int64]


def pairs_of(study: Study) -> tuple[tuple[str, str], ...]:
    """List which journeys may follow which: those that the study says one leads to, and each by itself."""
    return tuple((one.name, target) for one in study.journeys for target in dict.fromkeys((one.name, *one.leads_to)))


def follow_up_counts(runs: JourneyRuns, study: Study, data_end: int) -> pd.DataFrame:
    """Count how often a journey begins soon after a touchpoint, by whether something went wrong there.

    Parameters
    ----------
    runs : JourneyRuns
        Whole customers.
    study : Study
        Which journey leads to which, and how long "soon" is: ``repeat_days``.
    data_end : int
        Microseconds; touchpoints less than ``repeat_days`` before it are left out, because what follows is not known.

    Returns
    -------
    DataFrame
        journey, then, is_trouble, n (touchpoints of `journey` that could tell), followed (of these, after how many a
        journey `then` began, later and within ``repeat_days``; where both are the same type: after how many there was
        a further touchpoint of it, in the same journey or in a new one), squares. Counts add up over customers.
    """
    near = round((study.touchpoints.repeat_days if study.touchpoints else 0) * DAY)
    parts = list(_counted(runs, study, near, data_end))
    names = ["journey", "then", "is_trouble", "n", "followed", "squares"]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def _counted(runs: JourneyRuns, study: Study, near: int, data_end: int) -> Iterator[pd.DataFrame]:
    rows, is_first = runs.table, runs.is_first
    moments, rank = np.unique(rows["at"].to_numpy(np.int64), return_inverse=True)
    key = rows["customer"].to_numpy(np.int64) * len(moments) + rank
    codes = {name: code for code, name in enumerate(runs.journeys)}
    is_told = rows["trouble"].notna() & (rows["at"] + near <= data_end)
    for journey, then in pairs_of(study):
        asked = np.flatnonzero(is_told & (rows["journey"] == codes.get(journey, -1)))
        if not len(asked) or then not in codes:
            continue
        is_then = (rows["journey"] == codes[then]).to_numpy()
        starts = np.flatnonzero(is_then if then == journey else is_then & is_first)
        follows = _begins_after(rows, key, asked, starts, near)
        told = rows.iloc[asked][["customer", "trouble"]].assign(followed=follows)
        found = effective_counts(told, "trouble").join(told.groupby("trouble")["followed"].sum()).reset_index()
        yield found.assign(journey=journey, then=then, is_trouble=found["trouble"] == 1)


def _begins_after(
    rows: pd.DataFrame, key: Ints, asked: NDArray[np.intp], starts: NDArray[np.intp], near: int
) -> NDArray[np.bool_]:
    """Say after which rows the same customer has one of some other rows, later and soon."""
    if not len(starts):
        return np.zeros(len(asked), bool)
    place = np.searchsorted(key[starts], key[asked], side="right")
    following = starts[np.minimum(place, len(starts) - 1)]
    customer, at = rows["customer"].to_numpy(np.int64), rows["at"].to_numpy(np.int64)
    is_there = (place < len(starts)) & (customer[following] == customer[asked])
    return np.asarray(is_there & (at[following] - at[asked] <= near), bool)
