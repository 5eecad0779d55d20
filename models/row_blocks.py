"""Products with tall matrices, block by block: rows rest in single precision, sums are taken in double.

A quarter of a million rows of a hundred columns are 200 MB in double precision, and every product that weighs rows
would hold them once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["RowBlocks"]

Array = NDArray[np.float64]
Stored = NDArray[np.floating[Any]]

BLOCK = 8_192


@dataclass(frozen=True, slots=True)
class RowBlocks:
    """A matrix of many rows that is never whole in double precision.

    Attributes
    ----------
    n : int
        Rows.
    block : callable
        Gives some of the rows in double precision, shape (rows, p).
    """

    n: int
    block: Callable[[slice], Array]

    @classmethod
    def of(cls, X: Stored) -> RowBlocks:
        """Take the rows of a stored matrix, shape (n, p)."""
        return cls(len(X), lambda rows: np.asarray(X[rows], np.float64))

    def times(self, right: Array) -> Array:
        """Multiply with a matrix from the right.

        Parameters
        ----------
        right : float64 array, shape (p,) or (p, k)

        Returns
        -------
        float64 array, shape (n,) or (n, k)
        """
        out = np.empty((self.n, *right.shape[1:]))
        for rows in self._rows():
            out[rows] = self.block(rows) @ right
        return out

    def summed(self, left: Array) -> Array:
        """Add up rows with weights.

        Parameters
        ----------
        left : float64 array, shape (n,) or (k, n)

        Returns
        -------
        float64 array, shape (p,) or (k, p)
        """
        found = [left[..., rows] @ self.block(rows) for rows in self._rows()]
        return np.asarray(np.sum(found, axis=0))

    def moments(self, weight: Array) -> Array:
        """Add up the products of columns, sum of weight x x'; shape (p, p).

        Examples
        --------
        >>> RowBlocks.of(np.array([[1.0, 2.0], [0.0, 3.0]], np.float32)).moments(np.array([1.0, 2.0]))
        array([[ 1.,  2.],
               [ 2., 22.]])
        """

        def of_rows(rows: slice) -> Array:
            X = self.block(rows)
            return np.asarray((X * weight[rows, None]).T @ X)

        return np.asarray(sum(map(of_rows, self._rows())))

    def by_group(self, group: NDArray[np.integer[Any]], groups: int, weight: Array) -> Array:
        """Add up weighted rows by group.

        Parameters
        ----------
        group : int array, shape (n,)
            From 0.
        groups : int
            How many there are.
        weight : float64 array, shape (n,)

        Returns
        -------
        float64 array, shape (groups, p)
        """
        total = np.zeros((groups, self.block(slice(0, 0)).shape[1]))
        for rows in self._rows():
            here, place = np.unique(group[rows], return_inverse=True)
            into = sparse.csr_array((weight[rows], (place, np.arange(len(place)))), shape=(len(here), len(place)))
            total[here] += into @ self.block(rows)
        return total

    def _rows(self) -> Iterator[slice]:
        """Cut the rows; without any rows there is one empty block, which knows the columns."""
        return (slice(start, start + BLOCK) for start in range(0, max(self.n, 1), BLOCK))
