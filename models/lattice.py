"""Exact Shapley (LMG) and Owen shares of R2 from a correlation matrix: every coalition, none refitted.

The recursion eliminates the columns one player at a time. After k players the state holds, for each of the 2^k
coalitions of them, the partial covariances of the remaining columns. The next player doubles the state: the lower half
is left alone (the player stays out), the upper half is a Schur complement (the player joins). Entry (i, j) only ever
needs the coalitions of the players before i, so work and memory are a geometric series: a few multiplications for each
coalition, however many players there are.

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

__all__ = ["coalition_r2", "lmg", "owen", "partial_out", "shapley"]

FloatArray = NDArray[np.float64]
Blocks = Sequence[Sequence[int]]

TOLERANCE = 1e-10
"""Below this share of its own variance left, a column adds nothing: an exact copy of others, or a constant."""

_CACHED = 2**17
"""Numbers in the widest row of one working block: what stays in a second-level cache."""

_LAST_PLAYERS = 9
"""Players eliminated block by block rather than over the whole breadth of the lattice."""


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
    R = _correlation(C[:, order, :][:, :, order])
    sizes = [len(block) for block in blocks]
    room = max(1, 2**20 >> len(blocks))
    parts = [_lattice(R[start : start + room], sizes) for start in range(0, len(R), room)]
    varies = (R[:, -1, -1] > 0).astype(np.float64)
    return np.concatenate(parts, axis=1) * varies


def _correlation(C: FloatArray) -> FloatArray:
    """Scale to unit variances; the rows of a column that does not vary become zero."""
    variance = np.diagonal(C, axis1=-2, axis2=-1)
    scale = np.sqrt(np.where(variance > 0, variance, np.inf))
    result: FloatArray = C / (scale[..., :, np.newaxis] * scale[..., np.newaxis, :])
    return result


def _lattice(R: FloatArray, sizes: Sequence[int]) -> FloatArray:
    """(stack, q, q) correlations in players' order -> (2 ** players, stack) R2."""
    stack, players = len(R), len(sizes)
    first = max(0, players - _LAST_PLAYERS)
    rows = _rows(sizes, [R[:, i, i:].T for i in range(R.shape[-1])], first)
    _advance(rows, sizes[:first], stack)
    later = rows[sum(sizes[:first]) :]
    width = stack << first
    step = max(1, _CACHED >> (players - first))
    r2 = np.empty((1 << (players - first), width))
    for start in range(0, width, step):
        chunk = [row[:, start : start + step] for row in later]
        inner = _rows(sizes[first:], chunk, players - first)
        _advance(inner, sizes[first:], chunk[0].shape[1])
        np.subtract(1.0, inner[-1].reshape(len(r2), -1), out=r2[:, start : start + step])
    return r2.reshape(1 << players, stack)


def _rows(sizes: Sequence[int], start: Sequence[FloatArray], depth: int) -> list[FloatArray]:
    """Room for the upper triangle: row i for the coalitions of the players before its owner, at most 2 ** depth."""
    owners = [player for player, size in enumerate(sizes) for _ in range(size)] + [len(sizes)]
    rows = []
    for owner, entries in zip(owners, start, strict=True):
        row = np.empty((entries.shape[0], entries.shape[1] << min(owner, depth)))
        row[:, : entries.shape[1]] = entries
        rows.append(row)
    return rows


def _advance(rows: list[FloatArray], sizes: Sequence[int], n: int) -> None:
    """Let the players join one after the other, starting from n filled columns."""
    position = 0
    for size in sizes:
        _join(rows, position, position + size, n)
        position += size
        n *= 2


def _join(rows: list[FloatArray], start: int, stop: int, n: int) -> None:
    """Write the state given a player's columns (start to stop) into columns n to 2n of the later rows."""
    for c in range(start, stop):
        pivots = rows[c][:, :n]
        inverse = np.divide(1.0, pivots[0], out=np.zeros(n), where=pivots[0] >= TOLERANCE)
        slopes = pivots[1:] * inverse
        for i in range(c + 1, len(rows)):
            update = pivots[i - c :] * slopes[i - c - 1]
            if i < stop:
                rows[i][:, :n] -= update
            elif c == start:
                np.subtract(rows[i][:, :n], update, out=rows[i][:, n : 2 * n])
            else:
                rows[i][:, n : 2 * n] -= update
    if start == stop:
        for row in rows[stop:]:
            row[:, n : 2 * n] = row[:, :n]


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
    Cost grows as 2 ** players: 0.03 s for 20 players of one column each, 1 s for 25.

    Examples
    --------
    >>> lmg(np.array([[1.0, 0.0, 0.6], [0.0, 1.0, 0.3], [0.6, 0.3, 1.0]]), [[0], [1]]).round(2).tolist()
    [0.36, 0.09]
    """
    stack = C.reshape(-1, *C.shape[-2:])
    values = shapley(coalition_r2(stack, blocks))
    return values.reshape(*C.shape[:-2], len(blocks))


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
    2 ** (other journeys + own players).
    """
    if sorted(player for members in journeys for player in members) != list(range(len(blocks))):
        raise ValueError(
            f"journeys are {list(map(list, journeys))} for {len(blocks)} players. Every player belongs to exactly one "
            "journey. List each player from 0 on once."
        )
    stack = C.reshape(-1, *C.shape[-2:])
    values = np.empty((len(stack), len(blocks)))
    weights = _weights(len(journeys))[np.bitwise_count(np.arange(1 << (len(journeys) - 1), dtype=np.uint32))]
    for number, members in enumerate(journeys):
        others = [[c for player in other for c in blocks[player]] for o, other in enumerate(journeys) if o != number]
        v = coalition_r2(stack, [*others, *(blocks[player] for player in members)])
        within = v.reshape(1 << len(members), len(weights), len(stack))
        values[:, list(members)] = shapley(np.einsum("mob,o->mb", within, weights))
    return values.reshape(*C.shape[:-2], len(blocks))
