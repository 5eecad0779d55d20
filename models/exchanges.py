"""Which sets next to a good one can be as good: one member less, or one exchanged for another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.proposals import Proposals

__all__ = ["neighbours"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

_FAR = 1e-9
"""Differences this large, over all of what is summed, are no rounding."""


def neighbours(proposals: Proposals, flags: Flags, weights: Array | None, close: float) -> Iterator[Flags]:
    """Give the sets with one member less, or one exchanged, but for those that clearly lose or cost more.

    Parameters
    ----------
    proposals : Proposals
        m of them, with p pairs.
    flags : bool array, shape (m,)
        The set.
    weights : float64 array, shape (m + p,), or None
        What each member and each pair adds to the worth of a set; None where worth is no sum.
    close : float
        How much less a neighbour may be worth.

    Yields
    ------
    bool array, shape (m,)
        Those with one member less first; by the member that leaves, then the one that comes.

    Notes
    -----
    Among hundreds there are ten thousands of exchanges. What rounding could decide is let through, so whoever looks at
    the sets one by one finds the same as among all of them.
    """
    m, places = len(flags), np.arange(len(flags))
    inside, outside = np.flatnonzero(flags), np.flatnonzero(~flags)
    cost = proposals.cost
    fewer = np.ones(m, dtype=bool)
    exchanged = cost[np.newaxis] - cost[:, np.newaxis] <= _FAR * max(float(cost.sum()), 1.0)
    if weights is not None:
        together = np.zeros((m, m))
        first, second = proposals.pairs.T
        together[first, second] = together[second, first] = weights[m:]
        adds = weights[:m] + together @ flags
        least = -close - _FAR * float(close + np.abs(weights).sum())
        fewer = -adds >= least
        exchanged &= adds[np.newaxis] - adds[:, np.newaxis] - together >= least
    for i in inside[fewer[inside]]:
        yield flags & (places != i)
    for i in inside:
        for j in outside[exchanged[i, outside]]:
            yield (flags & (places != i)) | (places == j)
