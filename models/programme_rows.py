"""Rows of the integer programme of a portfolio: products of members, needs, exclusions, limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import LinearConstraint

from models.proposals import Proposals

__all__ = ["Rows", "constraint", "limit_without", "products", "pulled", "two_each"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows ``low <= matrix @ x <= high`` over members, pairs and the mean of the worst draws."""

    matrix: sparse.csr_array
    low: Array
    high: Array

    def with_row(self, row: Array, low: float, high: float = np.inf) -> Rows:
        """Add one row."""
        return Rows(
            sparse.vstack([self.matrix, sparse.csr_array(row[np.newaxis])], format="csr"),
            np.append(self.low, low),
            np.append(self.high, high),
        )


def constraint(rows: Rows) -> list[LinearConstraint]:
    """Write them for the solver, which takes none where there is none."""
    return [LinearConstraint(rows.matrix, rows.low, rows.high)] if rows.matrix.shape[0] else []


def products(proposals: Proposals, width: int) -> sparse.csr_array:
    """Rows ``y <= x_i``, ``y <= x_j``, ``x_i + x_j - y <= 1`` for every pair."""
    k = np.arange(len(proposals.pairs))
    y, (i, j) = len(proposals) + k, proposals.pairs.T
    row = np.concatenate([3 * k, 3 * k, 3 * k + 1, 3 * k + 1, 3 * k + 2, 3 * k + 2, 3 * k + 2])
    column = np.concatenate([y, i, y, j, i, j, y])
    sign = np.repeat([1.0, -1.0, 1.0, -1.0, 1.0, 1.0, -1.0], len(k))
    return sparse.csr_array((sign, (row, column)), shape=(3 * len(k), width))


def pulled(weights: Array) -> Flags:
    """Which of the three rows of each pair hold against its weight: a product that costs is held up, another down."""
    is_gain = weights > 0
    return np.stack([is_gain, is_gain, ~is_gain], axis=1).reshape(-1)


def limit_without(proposals: Proposals, taken: Array, limit: float) -> Array:
    """Rows that say of each initiative in a pair: where it is not done, all others keep the limit.

    ``sum over partners j of taken_j (x_j - y_ij) <= limit (1 - x_i)`` holds for every set and not for the parts of
    initiatives that a linear programme would do: thirteen seconds became half a one with 780 pairs (Adams, Sherali
    1986).
    """
    m = len(proposals)
    rows = np.zeros((m, m + len(proposals.pairs) + 1))
    for k, (i, j) in enumerate(proposals.pairs):
        rows[[i, j], [j, i]] = taken[[j, i]]
        rows[[i, j], m + k] = -taken[[j, i]]
    partnered = np.unique(proposals.pairs)
    rows[partnered, partnered] = limit
    return rows[partnered]


def two_each(pairs: NDArray[np.int64], sign: float, width: int) -> sparse.csr_array:
    """Rows ``x_first + sign * x_second``."""
    k = np.arange(len(pairs))
    values = np.repeat([1.0, sign], len(k))
    where = (np.concatenate([k, k]), np.concatenate([pairs[:, 0], pairs[:, 1]]))
    return sparse.csr_array((values, where), shape=(len(k), width))
