"""When touchpoints would have happened had a journey gone faster: the time between its steps shrinks by a share."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["sooner"]

Index = NDArray[np.int64]


def sooner(touchpoints: pa.Table, at: Index, journey: str, share: float, after: int) -> Index:
    """Give the moments at which touchpoints would have happened.

    Parameters
    ----------
    touchpoints : pyarrow.Table
        Whole instances of journeys, with `journey` and `journey_key`.
    at : int64 array, shape (touchpoints,)
        When they happen so far, microseconds.
    journey : str
        Which journey goes faster.
    share : float
        By which share the time between its steps shrinks; 0 changes nothing.
    after : int
        Go-live, microseconds: what happened until then stays.

    Returns
    -------
    int64 array, shape (touchpoints,)

    Notes
    -----
    An instance keeps its first touchpoint, or the go-live where it began before; a later step at t moves to
    anchor + (1 - share) (t - anchor). The order of steps stays, and no step moves before the go-live.

    Examples
    --------
    >>> steps = pa.table({"journey": ["a", "a", "b"], "journey_key": [1, 1, 2]})
    >>> sooner(steps, np.array([10, 30, 50]), "a", 0.5, after=0).tolist()
    [10, 20, 50]
    """
    case, place = np.unique(touchpoints["journey_key"].to_numpy(), return_inverse=True)
    first = np.full(len(case), np.iinfo(np.int64).max)
    np.minimum.at(first, place, at)
    anchor = np.maximum(first[place], after)
    in_journey = np.asarray(pc.equal(touchpoints["journey"].cast(pa.string()), journey), bool)
    moves = in_journey & (at > anchor)
    new = anchor + np.rint((1.0 - share) * (at - anchor)).astype(np.int64)
    return np.where(moves, new, at)
