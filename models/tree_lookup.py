"""Small trees looked up for many rows: what the outcomes of a tree's splits are worth to each of its columns, compiled.

The one place with compiled code (numba; made on first use, within two seconds, and kept beside the source or in the
user's cache). In numpy every split is a pass over memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["Lookup", "TreeTable", "compiled"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_ROWS = 256
"""Rows looked at together: their columns, sums and codes stay in the processor's cache (measured: 128 to 1,024)."""

_ROWS_WORTH_A_THREAD = 20_000


@dataclass(frozen=True, slots=True)
class TreeTable:
    """What one tree adds: ``values[place, code]`` to the column in ``columns[place]``.

    Attributes
    ----------
    split_column, threshold, is_left_when_missing : arrays, shape (splits,)
        The splits, at most 7. A row goes left where its value is at most the threshold.
    columns : ndarray of int64, shape (places,)
        Columns that the tree uses.
    values : ndarray of float, shape (places, 2 ** splits)
        By outcomes of the splits as bits, the last split's the lowest; 1 is left.
    mean : float
        Of the tree over its training rows.
    """

    split_column: IntArray
    threshold: FloatArray
    is_left_when_missing: BoolArray
    columns: IntArray
    values: FloatArray
    mean: float


@dataclass(frozen=True, slots=True)
class Lookup:
    """The tables of many trees behind one another, as the compiled loop reads them.

    Attributes
    ----------
    used : ndarray of int64
        Columns of the matrix that any tree uses; ``split_column`` and ``place_column`` are positions in it.
    splits, places, starts : ndarray of int64, shape (trees + 1,)
        Where the splits, the places and the values of each tree begin, and their end.
    split_column, threshold, is_left_when_missing : arrays
        Of all splits.
    place_column : ndarray of int64
        Of all places.
    values : ndarray of float
        Of all places and outcomes.
    """

    used: IntArray
    splits: IntArray
    places: IntArray
    starts: IntArray
    split_column: IntArray
    threshold: FloatArray
    is_left_when_missing: BoolArray
    place_column: IntArray
    values: FloatArray

    @classmethod
    def of(cls, tables: Sequence[TreeTable]) -> Lookup:
        """Lay the tables of at least one tree behind one another."""
        columns = np.concatenate([table.columns for table in tables])
        used = np.unique(columns)
        split_column = np.concatenate([table.split_column for table in tables])
        return cls(
            used,
            _starts([len(table.threshold) for table in tables]),
            _starts([len(table.columns) for table in tables]),
            _starts([table.values.size for table in tables]),
            np.searchsorted(used, split_column).astype(np.int64),
            np.concatenate([table.threshold for table in tables]),
            np.concatenate([table.is_left_when_missing for table in tables]),
            np.searchsorted(used, columns).astype(np.int64),
            np.concatenate([table.values.ravel() for table in tables]),
        )

    def add(self, matrix: FloatArray, amounts: FloatArray) -> None:
        """Add what the trees give to each column of each row, with all processors; a row's sums are always the same.

        Parameters
        ----------
        matrix : ndarray of float64, shape (rows, columns)
            Values; NaN where missing.
        amounts : ndarray of float64, shape (rows, columns)
            Added to in place.
        """
        threads = max(1, min(os.cpu_count() or 1, len(matrix) // _ROWS_WORTH_A_THREAD))
        cuts = np.linspace(0, len(matrix), threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda cut: self._add(matrix[slice(*cut)], amounts[slice(*cut)]), pairwise(cuts)))

    def _add(self, matrix: FloatArray, amounts: FloatArray) -> None:
        _add_rows(
            matrix, amounts, self.used, self.splits, self.places, self.starts, self.split_column, self.threshold,
            self.is_left_when_missing, self.place_column, self.values,
        )  # fmt: skip


def _starts(lengths: list[int]) -> IntArray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compile on first use; keep what was compiled where there is a folder to keep it in, anew in each process else."""
    try:
        compiled: Callable[..., None] = njit(nogil=True, cache=True)(function)
    except RuntimeError:  # neither beside the source nor in the user's cache can be written
        compiled = njit(nogil=True)(function)
    return compiled


@compiled
def _add_rows(
    matrix: FloatArray,
    amounts: FloatArray,
    used: IntArray,
    splits: IntArray,
    places: IntArray,
    starts: IntArray,
    split_column: IntArray,
    threshold: FloatArray,
    left: BoolArray,
    place_column: IntArray,
    values: FloatArray,
) -> None:
    """Go through the trees for a few rows at a time, their columns beside one another in the cache."""
    rows, width = len(matrix), len(used)
    block, found = np.empty((width, _ROWS)), np.empty((width, _ROWS))
    code = np.empty(_ROWS, np.uint8)
    for first in range(0, rows, _ROWS):
        count = min(_ROWS, rows - first)
        for row in range(count):
            for column in range(width):
                block[column, row] = matrix[first + row, used[column]]
        found[:] = 0.0
        for tree in range(len(starts) - 1):
            code[:count] = 0
            for split in range(splits[tree], splits[tree + 1]):
                _append_outcome(code, block[split_column[split]], threshold[split], left[split], count)
            outcomes = 1 << (splits[tree + 1] - splits[tree])
            for place in range(places[tree], places[tree + 1]):
                start = starts[tree] + (place - places[tree]) * outcomes
                worth, total = values[start : start + outcomes], found[place_column[place]]
                for row in range(count):
                    total[row] += worth[code[row]]
        for row in range(count):
            for column in range(width):
                amounts[first + row, used[column]] += found[column, row]


@compiled
def _append_outcome(code: NDArray[np.uint8], column: FloatArray, limit: float, left: bool, count: int) -> None:  # noqa: FBT001
    """Append the outcome of a split as the lowest bit; comparisons with a missing value are false."""
    if left:
        for row in range(count):
            code[row] = (code[row] << 1) | (not column[row] > limit)
    else:
        for row in range(count):
            code[row] = (code[row] << 1) | (column[row] <= limit)
