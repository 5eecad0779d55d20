"""Shares of R2 from a sample of orders: for more players than all coalitions can be computed for.

One order of the players is one Cholesky factor of the correlations in that order: the squares of its last row are what
each column adds to R2 after those before it. The mean over random orders is LMG, or the Owen value where journeys stay
together, with an error that is known.

References
----------
Castro, Gómez, Tejada (2009), Polynomial calculation of the Shapley value based on sampling,
doi:10.1016/j.cor.2008.04.004.
Mitchell, Cooper, Frank, Holmes (2022), Sampling permutations for Shapley value estimation, JMLR 23(43), section 3.2
(antithetic pairs: an order and its reverse).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.elimination import correlation, reciprocal

__all__ = ["SampledShares", "sample_orders"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Blocks = Sequence[Sequence[int]]

_TOGETHER = 2**20
"""Numbers in the matrices that are factorised together."""

_REGULAR = 1e-8
"""Smallest eigenvalue of the correlations from which on no pivot can fall below `models.elimination.TOLERANCE`."""


@dataclass(frozen=True, slots=True)
class SampledShares:
    """Mean increase of R2 by player over sampled orders.

    Parameters
    ----------
    values
        (players,), non-negative, in units of the outcome's variance; they sum to the R2 of all players together.
    standard_error
        (players,), of the sampling of orders alone: what is left when all customers are kept as they are.
    orders
        How many were looked at.
    """

    values: FloatArray
    standard_error: FloatArray
    orders: int


def sample_orders(
    C: FloatArray,
    blocks: Blocks,
    *,
    rng: np.random.Generator,
    orders: int = 2000,
    journeys: Sequence[Sequence[int]] | None = None,
) -> SampledShares:
    """Estimate LMG or Owen shares of R2 from random orders of the players.

    For more than about 25 players (or 20 in one journey); below, `models.lattice` has the exact answer.

    Parameters
    ----------
    C
        (q, q) covariances with the outcome last. Columns that are in every model are taken out before
        (`models.lattice.partial_out`).
    blocks
        The columns owned by each player; no column twice.
    rng
        Draws the orders.
    orders
        How many, even and at least 4: each is taken with its reverse.
    journeys
        The players of each journey, a partition: orders in which journeys stay together. None: all orders.

    Returns
    -------
    SampledShares
        Of all players.

    Raises
    ------
    ValueError
        No players, too few or an odd number of orders, or journeys that are no partition.

    Notes
    -----
    Estimand: the mean over all (kept) orders of ``R2(before and the player) - R2(before)``. Pairs of an order and its
    reverse are independent draws; the standard error is that of their mean, hence right up to its own luck, about
    ``1 / sqrt(orders)`` of it. It shrinks with the root of the number of orders.
    Where some columns are copies or sums of others, Cholesky has no answer; such correlations are eliminated step by
    step, and a column with nothing left of its own adds nothing (`models.elimination.TOLERANCE`).
    Cost: columns ** 3 / 3 multiplications an order, up to ten times slower where columns depend on each other.

    Examples
    --------
    >>> C = np.array([[1.0, 0.5, 0.5], [0.5, 1.0, 0.5], [0.5, 0.5, 1.0]])
    >>> sample_orders(C, [[0], [1]], rng=np.random.default_rng(1), orders=4).values.round(4).tolist()
    [0.1667, 0.1667]
    """
    owner, unions = _checked(blocks, journeys, orders)
    order = [column for block in blocks for column in block] + [C.shape[-1] - 1]
    R = correlation(C[np.ix_(order, order)])
    increments = _by_cholesky if _is_regular(R) else _by_elimination
    pairs, batch = orders // 2, max(1, _TOGETHER // len(R) ** 2)
    means = np.zeros((pairs, len(blocks)))
    for start in range(0, pairs, batch):
        part = means[start : start + batch]
        places = _places(len(part), unions, rng)
        for sign in (1, -1):
            columns = np.argsort(sign * places[:, owner], axis=1, kind="stable")
            np.add.at(part, (np.arange(len(part))[:, np.newaxis], owner[columns]), increments(R, columns) / 2)
    error = means.std(axis=0, ddof=1) / np.sqrt(pairs)
    return SampledShares(means.mean(axis=0), np.asarray(error, dtype=np.float64), orders)


def _checked(blocks: Blocks, journeys: Sequence[Sequence[int]] | None, orders: int) -> tuple[IntArray, IntArray]:
    """Return the player that owns each column and the journey of each player."""
    if not blocks:
        raise ValueError("blocks is empty. At least one player was expected. Give each player its columns.")
    if orders < 4 or orders % 2:
        raise ValueError(f"orders is {orders}. An even number from 4 on was expected: each comes with its reverse.")
    unions = np.zeros(len(blocks), dtype=np.intp)
    if journeys is not None:
        if sorted(player for members in journeys for player in members) != list(range(len(blocks))):
            raise ValueError(
                f"journeys are {list(map(list, journeys))} for {len(blocks)} players. Every player belongs to exactly "
                "one journey. List each player from 0 on once."
            )
        for number, members in enumerate(journeys):
            unions[list(members)] = number
    return np.repeat(np.arange(len(blocks)), [len(block) for block in blocks]), unions


def _is_regular(R: FloatArray) -> bool:
    """Say whether every order of the columns has a Cholesky factor that can be trusted."""
    return float(np.linalg.eigvalsh(R)[0]) > _REGULAR


def _places(n: int, unions: IntArray, rng: np.random.Generator) -> FloatArray:
    """Draw n orders in which unions stay together: (n, players), the place of each."""
    players = len(unions)
    of_union = rng.permuted(np.tile(np.arange(float(unions.max() + 1)), (n, 1)), axis=1)
    within = rng.permuted(np.tile(np.arange(float(players)), (n, 1)), axis=1)
    places: FloatArray = of_union[:, unions] * players + within
    return places


def _by_cholesky(R: FloatArray, columns: IntArray) -> FloatArray:
    """Compute what each column adds to R2 after those before it: (orders, columns), in the order of `columns`."""
    factors = np.linalg.cholesky(_ordered(R, columns))
    return np.asarray(factors[:, -1, :-1] ** 2, dtype=np.float64)


def _by_elimination(R: FloatArray, columns: IntArray) -> FloatArray:
    """Do the same where columns depend on each other: what has nothing left of its own is passed over."""
    state = np.ascontiguousarray(np.moveaxis(_ordered(R, columns), 0, -1))
    added = np.empty(columns.shape)
    for place in range(columns.shape[1]):
        inverse = reciprocal(state[0, 0])
        added[:, place] = state[0, -1] ** 2 * inverse
        slopes = state[0, 1:] * inverse
        state = state[1:, 1:] - state[0, 1:, np.newaxis] * slopes
    return added


def _ordered(R: FloatArray, columns: IntArray) -> FloatArray:
    """(orders, q, q): the correlations in each order, the outcome last."""
    last = np.full((len(columns), 1), len(R) - 1)
    all_columns = np.concatenate([columns, last], axis=1)
    ordered: FloatArray = R[all_columns[:, :, np.newaxis], all_columns[:, np.newaxis, :]]
    return ordered
