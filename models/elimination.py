"""Covariances conditioned on every coalition of players: the walk over a lattice of coalitions that others sum up.

The walk eliminates the columns one player at a time. After k players the state holds, for each of the 2^k coalitions of
them, the partial covariances of the remaining columns. The next player doubles the state: the lower half is left alone
(the player stays out), the upper half is a Schur complement (the player joins). Entry (i, j) only ever needs the
coalitions of the players before i, so the work is a geometric series: about four multiplications for each coalition,
however many players there are.

Memory stays small because the walk goes into depth: once the state is as wide as a cache likes it, the next player
first stays out, with all that follows, then joins. Nothing of the size 2^players is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

__all__ = ["TOLERANCE", "Block", "Shape", "conditioned", "correlation", "reciprocal", "unexplained"]

FloatArray = NDArray[np.float64]

TOLERANCE = 1e-10
"""Below this share of its own variance left, a column adds nothing: an exact copy of others, or a constant."""

_LATE, _MIDDLE = 6, 9
"""Players eliminated last and first, within a block of at most 2 ** 15 numbers: so long arrays are fastest."""

_Update = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, slots=True)
class Shape:
    """How the walk deals with players: the first ones side by side, the deep ones one coalition after the other.

    Parameters
    ----------
    first, deep, late
        Numbers of players, in their order; together all of them.
    """

    first: int
    deep: int
    late: int

    @classmethod
    def of(cls, players: int) -> Shape:
        """Split so that a block fits the cache."""
        late = min(players, _LATE)
        first = min(players - late, _MIDDLE)
        return cls(first, players - first - late, late)


@dataclass(frozen=True, slots=True)
class Block:
    """The coalitions that share what the deep players do.

    Parameters
    ----------
    states
        The states (such as matrices of a stack) that it is about.
    deep
        The coalition of deep players: bit k says that the k-th of them is in.
    left
        (2 ** late, 2 ** first, states): the share of the outcome's variance that each coalition leaves unexplained.
        Valid until the next block is asked for.
    """

    states: slice
    deep: int
    left: FloatArray


def correlation(C: FloatArray) -> FloatArray:
    """Scale to unit variances.

    Parameters
    ----------
    C
        (..., q, q) covariances.

    Returns
    -------
    NDArray[np.float64]
        (..., q, q); the rows and columns of a variable that does not vary are zero.
    """
    variance = np.diagonal(C, axis1=-2, axis2=-1)
    scale = np.sqrt(np.where(variance > 0, variance, np.inf))
    result: FloatArray = C / (scale[..., :, np.newaxis] * scale[..., np.newaxis, :])
    return result


def reciprocal(pivots: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Divide 1 by what is left of a column's variance; 0 where that is nothing (see `TOLERANCE`)."""
    if pivots.min() >= TOLERANCE:
        return np.reciprocal(pivots, out=out)
    result = np.empty(pivots.shape) if out is None else out
    result[...] = 0.0
    return np.divide(1.0, pivots, out=result, where=pivots >= TOLERANCE)


def _aligned(*shape: int) -> FloatArray:
    """Room that begins at a cache line: with wide registers arithmetic takes half the time there."""
    room = np.empty(prod(shape) + 7)
    start = -room.ctypes.data % 64 // room.itemsize
    return room[start : start + prod(shape)].reshape(shape)


def conditioned(A: FloatArray, width: int) -> FloatArray:
    """Let the player that owns the first columns stay out and join.

    Parameters
    ----------
    A
        (q, q, n): partial correlations for n coalitions.
    width
        How many columns the player owns.

    Returns
    -------
    NDArray[np.float64]
        (q - width, q - width, 2 n): of the other columns, first without the player, then given its columns.
    """
    result = _aligned(len(A) - width, len(A) - width, 2 * A.shape[2])
    result[:, :, : A.shape[2]] = A[width:, width:]
    _given(A, width, result[:, :, A.shape[2] :])
    return result


def _given(A: FloatArray, width: int, out: FloatArray) -> None:
    """Write the Schur complement of the first columns."""
    before = A
    for _ in range(width - 1):
        slopes = before[0, 1:] * reciprocal(before[0, 0])
        before = before[1:, 1:] - before[0, 1:, np.newaxis] * slopes
    if width == 0:
        out[...] = A
        return
    slopes = before[0, 1:] * reciprocal(before[0, 0])
    np.multiply(before[0, 1:, np.newaxis], slopes, out=out)
    np.subtract(before[1:, 1:], out, out=out)


def unexplained(A: FloatArray, sizes: Sequence[int]) -> Iterator[Block]:
    """Walk over all coalitions of players, block by block.

    Parameters
    ----------
    A
        (q, q, n) partial correlations: the players' columns in their order, then the outcome, in n states: matrices of
        a stack, or coalitions of others that have been dealt with.
    sizes
        How many columns each player owns.

    Yields
    ------
    Block
        All blocks together hold every coalition in every state once.

    Notes
    -----
    Memory: 11 MB with 25 players of one column each, whatever the number of states.
    """
    shape = Shape.of(len(sizes))
    batch = max(1, 1 << _LATE + _MIDDLE >> len(sizes))
    walk: _Walk | None = None
    for start in range(0, A.shape[2], batch):
        state = A[:, :, start : start + batch]
        n = state.shape[2]
        if walk is None or walk.n != n << shape.first:
            walk = _Walk(sizes[shape.first :], shape.deep, n << shape.first)
        for size in sizes[: shape.first]:
            state = conditioned(state, size)
        for deep, left in walk.run(state):
            yield Block(slice(start, start + n), deep, left.reshape(1 << shape.late, 1 << shape.first, n))


class _Walk:
    """Into depth: a player stays out, then joins, each with all that follows."""

    def __init__(self, sizes: Sequence[int], deep: int, n: int) -> None:
        self.n = n
        self._sizes = sizes[:deep]
        self._tail = _Tail(sizes[deep:], n)
        widths = [sum(sizes[depth + 1 :]) + 1 for depth in range(deep)]
        self._room = [_aligned(width, width, n) for width in widths]
        self._slopes, self._inverse = _aligned(max(widths, default=0), n), _aligned(n)

    def run(self, A: FloatArray, depth: int = 0, joined: int = 0) -> Iterator[tuple[int, FloatArray]]:
        """Yield the coalition of deep players and (2 ** late, n) variances that are left."""
        if depth == len(self._sizes):
            yield joined, self._tail.run(A)
            return
        width = self._sizes[depth]
        yield from self.run(A[width:, width:], depth + 1, joined)
        given = self._room[depth]
        if width == 1:
            self._join(A, given)
        else:
            _given(A, width, given)
        yield from self.run(given, depth + 1, joined | 1 << depth)

    def _join(self, A: FloatArray, out: FloatArray) -> None:
        """Write the upper triangle of the Schur complement of the first column: wide rows are worth half the work."""
        slopes = self._slopes[: len(out)]
        np.multiply(A[0, 1:], reciprocal(A[0, 0], self._inverse), out=slopes)
        for i, slope in enumerate(slopes):
            row = out[i, i:]
            np.multiply(A[0, i + 1 :], slope, out=row)
            np.subtract(A[i + 1, i + 1 :], row, out=row)


class _Tail:
    """Room for the last players, the upper triangle, and all that is done in it: run for one block after the other.

    Row i is as wide as the coalitions before its owner. What is multiplied with what is the same for every block, so
    it is laid out once: looking it up anew would take longer than the arithmetic.
    """

    def __init__(self, sizes: Sequence[int], n: int) -> None:
        owners = [player for player, size in enumerate(sizes) for _ in range(size)] + [len(sizes)]
        q = len(owners)
        self.n = n
        self._rows = [_aligned(q - i, n << owner) for i, owner in enumerate(owners)]
        self._starts = [row[:, :n] for row in self._rows]
        self._result = self._rows[-1].reshape(1 << len(sizes), n)
        most = max((q - 1 - i) * (n << owner) for i, owner in enumerate(owners))
        self._slopes, self._update, self._inverse = _aligned(most), _aligned(most), _aligned(n << len(sizes))
        self._steps: list[tuple[FloatArray, FloatArray, FloatArray, list[_Update]]] = []
        position = 0
        for size in sizes:
            self._plan(position, position + size, n)
            position += size
            n *= 2

    def run(self, A: FloatArray) -> FloatArray:
        """Eliminate all players from (q, q, n): (2 ** players, n) variances left to the outcome."""
        for i, start in enumerate(self._starts):
            start[...] = A[i, i:]
        for pivots, others, slopes, updates in self._steps:
            np.multiply(others, reciprocal(pivots, self._inverse[: len(pivots)]), slopes)
            for a, b, product, before, after in updates:
                np.multiply(a, b, product)
                np.subtract(before, product, after)
        return self._result

    def _plan(self, start: int, stop: int, n: int) -> None:
        """Bring the state given a player's columns (start to stop) into columns n to 2n of the later rows."""
        rows = self._rows
        if start == stop:
            zero, copies = np.zeros((1, 1)), list[_Update]()
            for row in rows[stop:]:
                nothing = self._update[: len(row)].reshape(-1, 1)
                copies.append((zero, zero, nothing, row[:, :n], row[:, n : 2 * n]))
            self._steps.append((np.ones(1), zero, zero.copy(), copies))
        for c in range(start, stop):
            pivots = rows[c][:, :n]
            slopes = self._slopes[: (len(pivots) - 1) * n].reshape(-1, n)
            updates = []
            for i in range(c + 1, len(rows)):
                product = self._update[: len(rows[i]) * n].reshape(-1, n)
                after = rows[i][:, :n] if i < stop else rows[i][:, n : 2 * n]
                before = after if c > start else rows[i][:, :n]
                updates.append((pivots[i - c :], slopes[i - c - 1], product, before, after))
            self._steps.append((pivots[0], pivots[1:], slopes, updates))
