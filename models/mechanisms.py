"""What follows when touchpoints are moved: contacts that are not needed any more."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.study import Study
from models.initiatives import MovedTouchpoints

__all__ = ["without_needless"]

_LATEST = np.iinfo(np.int64).max


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
    A task that is done is not tried again: in the same instance of the journey, nothing follows the first touchpoint
    that turns from failed to done. That a contact is a new attempt at the same task is what the instance of the journey
    says; whoever numbers each contact as a journey of its own has no such attempts.
    """
    done = np.zeros(moved.touchpoints.num_rows, bool)
    for measure in study.measures:
        if measure.task and measure.name in moved.delivered:
            before = moved.touchpoints[measure.name].to_numpy()
            done |= (before < 1) & (moved.delivered[measure.name] >= 1)
    if not done.any():
        return moved, touchpoints.slice(0, 0)
    mended = moved.touchpoints.filter(pa.array(done))
    case, first = _first_by_case(mended)
    is_needless = _after(touchpoints, case, first, until)
    still = ~_after(moved.touchpoints, case, first, until)
    return moved.where(still), touchpoints.filter(pa.array(is_needless))


def _first_by_case(mended: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Instances with a mended failure, ascending, and when the first one was."""
    case, at = mended["journey_key"].to_numpy(), mended["occurred_at"].to_numpy()
    order = np.lexsort((at, case))
    cases, start = np.unique(case[order], return_index=True)
    return cases, at[order][start]


def _after(touchpoints: pa.Table, case: NDArray[np.int64], first: NDArray[np.int64], until: int) -> NDArray[np.bool_]:
    """Whether touchpoints come after the first mended failure of their instance."""
    own, at = touchpoints["journey_key"].to_numpy(), touchpoints["occurred_at"].to_numpy()
    place = np.minimum(np.searchsorted(case, own), len(case) - 1)
    since = np.where(case[place] == own, first[place], _LATEST)
    return np.asarray((at > since) & (at <= until))
