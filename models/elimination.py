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

__all__ = ["TOLERANCE", "Block", "Shape", "correlation", "reciprocal", "unexplained"]

FloatArray = NDArray[np.float64]

TOLERANCE = 1e-10
"""Below this share of its own variance left, a column adds nothing: an exact copy of others, or a constant."""

_LATE, _MIDDLE = 6, 9
"""Players eliminated last and first, within a block of at most 2 ** 15 numbers: so long arrays are fastest."""

_TOGETHER = 2**17
"""Coalitions times states of few players taken together: more than a cache likes, for fewer and longer arrays."""

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
    batch = max(1, _TOGETHER >> len(sizes))
    walk: _Walk | None = None
    for start in range(0, A.shape[2], batch):
        n = min(batch, A.shape[2] - start)
        if walk is None or walk.n != n:
            walk = _Walk(sizes, shape, n)
        rows = [A[i, i:, start : start + n] for i in range(len(A))]
        for deep, left in walk.run(rows):
            yield Block(slice(start, start + n), deep, left.reshape(1 << shape.late, 1 << shape.first, n))


class _Walk:
    """The first players side by side; then into depth: a player stays out, then joins, each with all that follows.

    A state is the upper triangle of its partial correlations: row i is (columns from i on, coalitions).
    """

    def __init__(self, sizes: Sequence[int], shape: Shape, n: int) -> None:
        self.n = n
        first = shape.first if shape.deep else len(sizes)
        depth = first + shape.deep
        rest = sum(sizes[first:]) + 1
        self._head = _Steps(sizes[:first], rest, n)
        self._tail = _Steps(sizes[depth:], 1, n << first) if shape.deep else None
        self._deep = sizes[first:depth]
        self._room: list[list[FloatArray]] = []
        for width in self._deep:
            rest -= width
            self._room.append([_aligned(rest - i, n << first) for i in range(rest)])
        self._slopes, self._inverse = _aligned(sum(sizes[first:]), n << first), _aligned(n << first)

    def run(self, rows: Sequence[FloatArray]) -> Iterator[tuple[int, FloatArray]]:
        """Yield the coalition of deep players and the variances that all others leave to the outcome."""
        state = self._head.run(rows)
        if self._tail is None:
            yield 0, state[-1]
        else:
            yield from self._follow(self._tail, state, 0, 0)

    def _follow(
        self, tail: _Steps, rows: Sequence[FloatArray], depth: int, joined: int
    ) -> Iterator[tuple[int, FloatArray]]:
        if depth == len(self._deep):
            yield joined, tail.run(rows)[-1]
            return
        width = self._deep[depth]
        yield from self._follow(tail, rows[width:], depth + 1, joined)
        for _ in range(width - 1):
            rows = self._given(rows, [np.empty_like(row) for row in rows[1:]])
        given = self._room[depth]
        if width:
            self._given(rows, given)
        else:
            for row, out in zip(rows, given, strict=True):
                out[...] = row
        yield from self._follow(tail, given, depth + 1, joined | 1 << depth)

    def _given(self, rows: Sequence[FloatArray], out: list[FloatArray]) -> list[FloatArray]:
        """Write the Schur complement of the first column."""
        pivots = rows[0]
        slopes = self._slopes[: len(out)]
        np.multiply(pivots[1:], reciprocal(pivots[0], self._inverse), out=slopes)
        for i, slope in enumerate(slopes):
            np.multiply(pivots[i + 1 :], slope, out=out[i])
            np.subtract(rows[i + 1], out[i], out=out[i])
        return out


class _Steps:
    """All coalitions of some players side by side: room for the upper triangle, and all that is done in it.

    Row i is as wide as the coalitions before its owner. What is multiplied with what is the same for every block, so
    it is laid out once: looking it up anew would take longer than the arithmetic.
    """

    def __init__(self, sizes: Sequence[int], rest: int, n: int) -> None:
        owners = [player for player, size in enumerate(sizes) for _ in range(size)] + [len(sizes)] * rest
        q = len(owners)
        self._rows = [_aligned(q - i, n << owner) for i, owner in enumerate(owners)]
        self._starts = [row[:, :n] for row in self._rows]
        self._result = self._rows[q - rest :]
        most = max((q - i) * (n << owner) for i, owner in enumerate(owners))
        self._slopes, self._update, self._inverse = _aligned(most), _aligned(most), _aligned(n << len(sizes))
        self._steps: list[tuple[FloatArray, FloatArray, FloatArray, list[_Update]]] = []
        position = 0
        for size in sizes:
            self._plan(position, position + size, n)
            position += size
            n *= 2

    def run(self, rows: Sequence[FloatArray]) -> list[FloatArray]:
        """Fill in a state; the rows of what remains, with the coalition as the slower index of their width."""
        for start, row in zip(self._starts, rows, strict=True):
            start[...] = row
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
