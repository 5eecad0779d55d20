"""How often each value of a column occurs, in little room: enough for bins, sizes and shares, and it adds up.

A column of one cutoff is counted once, whatever it is compared with later; bins are cut through the counts of many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Counted", "counted", "pooled"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_DROPPED: Final = np.uint32(14)
"""Bits of a single that are dropped: sign, exponent and the first 9 bits of the mantissa stay."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The values of one column, counted.

    Attributes
    ----------
    numbers : ndarray of float, shape (k,)
        Different values, ascending, each cut (towards zero) to ten binary digits: whole numbers up to 1,024 stay as
        they are, others lose less than 1/512 of themselves. Empty for categories.
    counts : ndarray of int, shape (k,)
        Rows of each value or level.
    missing : int
        Rows without a value.
    total : float
        Sum of the values as they were; NaN for categories.
    levels : tuple of str or None
        For categories: what occurs, ascending. None for numbers.
    """

    numbers: FloatArray
    counts: IntArray
    missing: int
    total: float
    levels: tuple[str, ...] | None = None

    @property
    def known(self) -> int:
        """Rows with a value."""
        return int(self.counts.sum())

    @property
    def rows(self) -> int:
        """All rows."""
        return self.known + self.missing

    @classmethod
    def of(cls, values: pd.Series) -> Counted:
        """Count the values of a column.

        Parameters
        ----------
        values : Series
            Numbers, or categories (text).

        Returns
        -------
        Counted
            Independent of the order of rows, but for the last digits of `total`.

        Examples
        --------
        >>> found = Counted.of(pd.Series([3.0, 1000.4, 3.0, None]))
        >>> found.numbers.tolist(), found.counts.tolist(), found.missing
        ([3.0, 1000.0], [2, 1], 1)
        """
        missing = int(values.isna().sum())
        if not pd.api.types.is_numeric_dtype(values):
            found = values.dropna().astype(str).value_counts().sort_index()
            found = found[found > 0]
            return cls(np.array([]), np.asarray(found, np.int64), missing, np.nan, tuple(map(str, found.index)))
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        known = numbers[~np.isnan(numbers)]
        distinct, counts = np.unique(_cut(known), return_counts=True)
        return cls(distinct.astype(np.float64), counts.astype(np.int64), missing, float(known.sum()))


def counted(rows: pd.DataFrame, columns: Sequence[str]) -> dict[str, Counted]:
    """Count the values of each of some columns."""
    return {name: Counted.of(rows[name]) for name in columns}


def pooled(parts: Sequence[Mapping[str, Counted]]) -> dict[str, Counted]:
    """Count all parts together, column by column; the columns are those of the first.

    Examples
    --------
    >>> part = {"wait": Counted.of(pd.Series([1.0, 2.0, 2.0]))}
    >>> pooled([part, part])["wait"].counts.tolist()
    [2, 4]
    """
    return {name: _together([part[name] for part in parts]) for name in parts[0]}


def _together(parts: Sequence[Counted]) -> Counted:
    missing, total = sum(part.missing for part in parts), float(sum(part.total for part in parts))
    counts = np.concatenate([part.counts for part in parts])
    if any(part.levels is not None for part in parts):
        every = [level for part in parts for level in part.levels or ()]
        levels, place = np.unique(np.array(every, dtype=object), return_inverse=True)
        return Counted(np.array([]), _summed(place, counts, len(levels)), missing, total, tuple(levels.tolist()))
    values, place = np.unique(np.concatenate([part.numbers for part in parts]), return_inverse=True)
    return Counted(values, _summed(place, counts, len(values)), missing, total)


def _summed(place: NDArray[np.signedinteger[Any]], counts: IntArray, cells: int) -> IntArray:
    return np.bincount(place, weights=counts, minlength=cells).astype(np.int64)


def _cut(known: FloatArray) -> NDArray[np.float32]:
    """Cut towards zero to ten binary digits; never minus zero."""
    bits = known.astype(np.float32).view(np.uint32)
    cut: NDArray[np.float32] = (bits >> _DROPPED << _DROPPED).view(np.float32) + np.float32(0)
    return cut
