"""Exact Shapley (LMG) and Owen shares of R2 from a correlation matrix: every coalition, none refitted.

`models.elimination` walks over the coalitions; here and in `models.dominance` they are summed up.

References
----------
Lindeman, Merenda, Gold (1980), *Introduction to bivariate and multivariate analysis*, p. 119 (LMG).
Owen (1977), Values of games with a priori unions, doi:10.1007/978-3-642-45494-3_7 (journeys as unions of drivers).
Huettner, Sunder (2012), Axiomatic arguments for decomposing goodness of fit, doi:10.1214/12-EJS710.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from models.dominance import dominance
from models.elimination import TOLERANCE, Shape, correlation, reciprocal, unexplained

__all__ = ["coalition_r2", "lmg", "owen", "partial_out", "shapley"]

FloatArray = NDArray[np.float64]
Blocks = Sequence[Sequence[int]]

_STATES = 2**18
"""Numbers in the widest state on the way to an Owen value: matrices of a stack are taken together up to there."""

_COALITIONS = 2**21
"""Coalitions within a journey times matrices taken together: 16 MB, some three times while they are summed up."""


def partial_out(C: FloatArray, controls: Sequence[int]) -> FloatArray:
    """Take what the control columns explain out of all others.

    Parameters
    ----------
    C
        (..., q, q) covariances.
    controls
        Columns of `C` that are in every model; copies of each other are allowed.

    Returns
    -------
    NDArray[np.float64]
        (..., q - controls, q - controls) partial covariances, the other columns in their order. A column that the
        controls explain but for rounding becomes 0.
    """
    keep = [i for i in range(C.shape[-1]) if i not in set(controls)]
    rest = C[..., keep, :]
    if not controls:
        return rest
    known = list(controls)
    cross = rest[..., known]
    inverse = np.linalg.pinv(C[..., known, :][..., known], rcond=TOLERANCE, hermitian=True)
    result: FloatArray = rest[..., keep] - cross @ inverse @ np.swapaxes(cross, -1, -2)
    before = np.diagonal(rest[..., keep], axis1=-2, axis2=-1)
    left = np.diagonal(result, axis1=-2, axis2=-1) > TOLERANCE * before
    return result * left[..., :, np.newaxis] * left[..., np.newaxis, :]


def coalition_r2(C: FloatArray, blocks: Blocks) -> FloatArray:
    """R2 of the outcome (the last column) on the columns of every coalition of players.

    Parameters
    ----------
    C
        (stack, q, q) covariances; the blocks' columns and the last one are used, others ignored.
    blocks
        The columns owned by each player; no column twice.

    Returns
    -------
    NDArray[np.float64]
        (2 ** players, stack). Bit k of the first index: player k is in.

    Notes
    -----
    A constant column and an exact copy add nothing (see `TOLERANCE`); an outcome that does not vary has R2 of 0.
    """
    order = [column for block in blocks for column in block] + [C.shape[-1] - 1]
    R = correlation(C[:, order, :][:, :, order])
    shape = Shape.of(len(blocks))
    r2 = np.empty((1 << shape.late, 1 << shape.deep, 1 << shape.first, len(R)))
    for block in unexplained(np.moveaxis(R, 0, -1), [len(block) for block in blocks]):
        np.subtract(1.0, block.left, out=r2[:, block.deep, :, block.states])
    return r2.reshape(1 << len(blocks), len(R)) * (R[:, -1, -1] > 0)


def shapley(v: FloatArray) -> FloatArray:
    """Shapley values of a game given by the value of every coalition.

    Parameters
    ----------
    v
        (2 ** players, stack); bit k of the first index: player k is in.

    Returns
    -------
    NDArray[np.float64]
        (stack, players): the mean increase of `v` when the player joins, over all orders of the players. Sums to
        ``v[-1] - v[0]``.

    Examples
    --------
    >>> shapley(np.array([[0.0], [1.0], [2.0], [5.0]])).tolist()
    [[2.0, 3.0]]
    """
    players = len(v).bit_length() - 1
    size = np.bitwise_count(np.arange(len(v), dtype=np.uint32))
    joins = np.append(_weights(players), 0.0)[size][:, np.newaxis]
    joined = np.append(0.0, _weights(players))[size][:, np.newaxis]
    both = (joins + joined) * v
    values = np.empty((v.shape[1], players))
    for player in reversed(range(players)):
        half = len(both) // 2
        values[:, player] = both[half:].sum(axis=0)
        both = both[:half] + both[half:]
    result: FloatArray = values - (joins * v).sum(axis=0)[:, np.newaxis]
    return result


def _weights(players: int) -> FloatArray:
    """Share of the orders in which a given coalition of each size stands before a given player."""
    return np.array([1.0 / (players * comb(players - 1, size)) for size in range(players)])


def lmg(C: FloatArray, blocks: Blocks) -> FloatArray:
    """Shares of R2 by player: LMG, that is the Shapley value of R2, with players that own several columns.

    Parameters
    ----------
    C
        (..., q, q) covariances with the outcome last: one matrix or a stack of them.
    blocks
        The columns owned by each player.

    Returns
    -------
    NDArray[np.float64]
        (..., players), non-negative, in units of the outcome's variance; they sum to the R2 of all players together.

    Notes
    -----
    Cost grows as 2 ** players: some nanoseconds for each coalition. Memory does not (see `models.dominance`).

    Examples
    --------
    >>> lmg(np.array([[1.0, 0.0, 0.6], [0.0, 1.0, 0.3], [0.6, 0.3, 1.0]]), [[0], [1]]).round(2).tolist()
    [0.36, 0.09]
    """
    return dominance(C, blocks).general


def owen(C: FloatArray, blocks: Blocks, journeys: Sequence[Sequence[int]]) -> FloatArray:
    """Shares of R2 by player when players belong to journeys: the Owen value.

    Parameters
    ----------
    C
        (..., q, q) covariances with the outcome last: one matrix or a stack of them.
    blocks
        The columns owned by each player.
    journeys
        The players of each journey; a partition of the players.

    Returns
    -------
    NDArray[np.float64]
        (..., players), non-negative, summing to the R2 of all. The sum over a journey is that journey's own Shapley
        share, so a journey does not gain by being measured with more items.

    Notes
    -----
    The mean increase of R2 over all orders in which journeys stay together. Cost: the sum over journeys of
    2 ** (other journeys + own players). Memory does not grow with the stack beyond the result.
    """
    if sorted(player for members in journeys for player in members) != list(range(len(blocks))):
        raise ValueError(
            f"journeys are {list(map(list, journeys))} for {len(blocks)} players. Every player belongs to exactly one "
            "journey. List each player from 0 on once."
        )
    order = [c for members in journeys for player in members for c in blocks[player]] + [C.shape[-1] - 1]
    stack = C.reshape(-1, *C.shape[-2:])
    R = correlation(stack[:, order, :][:, :, order])
    sizes = [[len(blocks[player]) for player in members] for members in journeys]
    widest = max(map(len, sizes)) + 1
    batch = max(1, min(_STATES // (widest**2 << (len(journeys) - 1)), _COALITIONS >> (widest - 1)))
    values = np.empty((len(R), len(blocks)))
    place = [player for members in journeys for player in members]
    for start in range(0, len(R), batch):
        A = R[start : start + batch]
        values[start : start + batch, place] = np.concatenate(_owen(A, sizes, len(A), len(sizes)), axis=1)
    return values.reshape(*C.shape[:-2], len(blocks))


def _owen(A: FloatArray, journeys: list[list[int]], stack: int, everyone: int) -> list[FloatArray]:
    """Owen values (stack, players) of each journey, given states for all coalitions of the journeys that are gone.

    Halving lets what the journeys of one half have in common, all coalitions of the other half, be computed once.
    """
    if len(journeys) == 1:
        return [_within(A, journeys[0], stack, everyone)]
    half = len(journeys) // 2
    widths = [sum(sizes) for sizes in journeys]
    split, end = sum(widths[:half]), sum(widths)
    turned = [*range(split, end), *range(split), end]
    left, right = A[:, turned, :][:, :, turned], A
    for width in widths[half:]:
        left = _out_and_in(left, width)
    for width in widths[:half]:
        right = _out_and_in(right, width)
    return [*_owen(left, journeys[:half], stack, everyone), *_owen(right, journeys[half:], stack, everyone)]


def _out_and_in(A: FloatArray, width: int) -> FloatArray:
    """Let the journey that owns the first columns of (states, q, q) stay out, then join: twice the states.

    As `models.elimination` does it with one column at a time, but wide journeys are worth a product of matrices.
    """
    rows = A[:, :width].copy()
    slopes = np.empty_like(rows)
    for c in range(width):
        np.multiply(rows[:, c], reciprocal(rows[:, c, c])[:, np.newaxis], out=slopes[:, c])
        rows[:, c + 1 :] -= rows[:, c + 1 :, c, np.newaxis] * slopes[:, c, np.newaxis]
    rest = A[:, width:, width:]
    given = rest - np.matmul(np.swapaxes(slopes[:, :, width:], 1, 2), rows[:, :, width:])
    return np.concatenate([rest, given])


def _within(A: FloatArray, sizes: list[int], stack: int, everyone: int) -> FloatArray:
    """Shapley values within a journey of R2, averaged over the other journeys that stand before it."""
    others = np.bitwise_count(np.arange(len(A) // stack, dtype=np.uint32))
    weights = np.repeat(_weights(everyone)[others], stack)
    matrix = np.arange(len(A)) % stack
    shape = Shape.of(len(sizes))
    left = np.zeros((1 << shape.late, 1 << shape.deep, 1 << shape.first, stack))
    for block in unexplained(np.ascontiguousarray(np.moveaxis(A, 0, -1)), sizes):
        mine = (matrix[block.states, np.newaxis] == np.arange(stack)) * weights[block.states, np.newaxis]
        left[:, block.deep] += block.left @ mine
    return -shapley(left.reshape(-1, stack))
