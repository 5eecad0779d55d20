"""What a policy shifts by way of learnt links, and how uncertain that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.exposures import MEMORIES
from models.links import FollowUps
from models.row_blocks import RowBlocks

__all__ = ["Carried"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Carried:
    """The part of a policy's shift that rests on the links of one moved exposure.

    Attributes
    ----------
    follow_ups : FollowUps
        The links.
    lagged : float32 array, shape (m, lags x pieces, memories)
        By how much the policy moves the exposure itself, as remembered so many days later.
    targets : int64 array, shape (t,)
        Positions among the links' targets.
    columns : int64 array, shape (t, memories)
        Columns of the model in which they are remembered.
    """

    follow_ups: FollowUps
    lagged: NDArray[np.float32]
    targets: Index
    columns: Index

    @classmethod
    def of(
        cls,
        follow_ups: FollowUps,
        lagged: NDArray[np.float32],
        names: Sequence[str],
        is_followed: Callable[[FollowUps, str], bool],
    ) -> Carried | None:
        """Find the targets among the columns of a model; None when there are none."""
        place = {name: number for number, name in enumerate(names)}
        targets, columns = [], []
        for number, target in enumerate(follow_ups.links.targets):
            found = [place.get(f"{target}__{memory}") for memory in MEMORIES]
            if is_followed(follow_ups, target) and None not in found:
                targets.append(number)
                columns.append(found)
        if not targets:
            return None
        return cls(follow_ups, lagged, np.array(targets, np.int64), np.array(columns, np.int64))

    def shifts(self) -> Iterator[tuple[Index, Array]]:
        """Yield, for each memory, the columns of the model and by how much they shift; shapes (t,) and (m, t)."""
        slopes = self.follow_ups.slopes[:, :, self.targets].reshape(-1, len(self.targets))
        for memory in range(len(MEMORIES)):
            yield self.columns[:, memory], RowBlocks.of(self.lagged[:, :, memory]).times(slopes)

    def influence(self, slopes: Array, coefficients: Array) -> tuple[Index, Array]:
        """Say what each customer's part in the links adds to the effect.

        Parameters
        ----------
        slopes : float64 array, shape (sums, m)
            Derivatives by the linear predictor of each row.
        coefficients : float64 array, shape (p,)
            Of the columns of the model.

        Returns
        -------
        tuple of int64 array, shape (customers,), and float64 array, shape (customers, sums)
        """
        m, sources, memories = self.lagged.shape
        pulled = RowBlocks.of(self.lagged.reshape(m, -1)).summed(slopes).reshape(-1, sources, memories)
        by_slope = pulled @ coefficients[self.columns].T
        lags, pieces, targets = self.follow_ups.slopes.shape
        weights = np.zeros((len(slopes), lags, pieces, targets))
        weights[..., self.targets] = by_slope.reshape(len(slopes), lags, pieces, len(self.targets))
        return self.follow_ups.influence(weights)
