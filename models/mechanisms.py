"""What follows when touchpoints are moved: contacts that are not needed any more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.study import Study
from models.initiatives import MovedTouchpoints

__all__ = ["without_needless"]

Index = NDArray[np.int64]


def without_needless(
    study: Study, moved: MovedTouchpoints, touchpoints: pa.Table, until: int
) -> tuple[MovedTouchpoints, pa.Table]:
    """Take out the touchpoints that would not have happened: what was tried again after a failure that is mended.

    Parameters
    ----------
    study : Study
        Says which measures tell that a journey's task was done (`task: true`).
    moved : MovedTouchpoints
        What an initiative moves.
    touchpoints : pyarrow.Table
        All touchpoints of the customers, moved or not, with `customer_key`, `journey_key` and `occurred_at`.
    until : int
        Microseconds; later touchpoints are of no interest.

    Returns
    -------
    tuple of MovedTouchpoints and pyarrow.Table
        The moved ones that still happen, and those that do not. The second is empty when no task is moved.

    Notes
    -----
    A task that is done is not tried again: after the first touchpoint that turns from failed to done, the later
    attempts in the same instance of the journey do not happen, up to and with the one that succeeded. An attempt is a
    touchpoint at which the task is measured; other steps of the instance, and what follows a success, still happen, and
    so does what happened at the very same moment. That a contact is a new attempt is what the instance of the journey
    says; whoever numbers each contact as a journey of its own has no such attempts.
    """
    still = np.ones(moved.touchpoints.num_rows, bool)
    gone = np.zeros(touchpoints.num_rows, bool)
    for measure in study.measures:
        if measure.task and measure.name in moved.delivered:
            before = moved.touchpoints[measure.name].to_numpy()
            done = (before < 1) & (moved.delivered[measure.name] >= 1)
            if done.any():
                spared = _Spared.of(moved.touchpoints.filter(pa.array(done)), touchpoints, measure.name, until)
                still &= ~spared.of_rows(moved.touchpoints)
                gone |= spared.of_rows(touchpoints)
    return (moved if still.all() else moved.where(still)), touchpoints.filter(pa.array(gone))


@dataclass(frozen=True, slots=True)
class _Spared:
    """From when to when attempts at a task do not happen, by instance of the journey."""

    task: str
    case: Index
    after: Index
    until: Index

    @classmethod
    def of(cls, mended: pa.Table, touchpoints: pa.Table, task: str, until: int) -> _Spared:
        case, after = _first_by_case(mended)
        tried = touchpoints.filter(pa.array(touchpoints[task].to_numpy() >= 1))
        place, is_own, at = _of_cases(case, tried)
        later = is_own & (at > after[place])
        last = np.full(len(case), until)
        np.minimum.at(last, place[later], at[later])
        return cls(task, case, after, last)

    def of_rows(self, touchpoints: pa.Table) -> NDArray[np.bool_]:
        place, is_own, at = _of_cases(self.case, touchpoints)
        inside = (at > self.after[place]) & (at <= self.until[place])
        return np.asarray(is_own & inside & ~np.isnan(touchpoints[self.task].to_numpy()))


def _of_cases(case: Index, touchpoints: pa.Table) -> tuple[NDArray[np.intp], NDArray[np.bool_], Index]:
    """Find the instance of each touchpoint among ascending ones, whether it is there, and when the touchpoint was."""
    own = touchpoints["journey_key"].to_numpy()
    place = np.minimum(np.searchsorted(case, own), len(case) - 1)
    return place, case[place] == own, touchpoints["occurred_at"].to_numpy()


def _first_by_case(mended: pa.Table) -> tuple[Index, Index]:
    """Instances with a mended failure, ascending, and when the first one was."""
    case, at = mended["journey_key"].to_numpy(), mended["occurred_at"].to_numpy()
    order = np.lexsort((at, case))
    cases, start = np.unique(case[order], return_index=True)
    return cases, at[order][start]
