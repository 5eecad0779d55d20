"""How alike two rows of a table are, on columns of any kind: how many columns agree, and how surprising that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Likeness"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Complex: TypeAlias = NDArray[np.complex128]

WIDTH = 1 / 16
"""Numbers agree when about this share of the rows at most lies between them."""

MOST = float(np.log(64))
"""What agreement in one column is worth at most, so that no single column decides."""

_FEW_LEVELS = 24
_PART = 50_000
_MISSING = -2.0


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """The columns of a table by rank, so that numbers of any scale and categories can be compared.

    Parameters
    ----------
    below, upto : ndarray of float64, shape (rows, columns)
        Share of the rows with a smaller value, and with a smaller or equal one; text counts in the order of its sorted
        levels. For a missing value both lie below zero, and ``upto - below`` is the share of missing values.
    is_number : ndarray of bool, shape (columns,)
        Whether values between two values mean something.
    weight : ndarray of float64, shape (columns,)
        Minus the logarithm of the chance that two random rows agree, at most log 64.
    """

    below: Floats
    upto: Floats
    is_number: Bools
    weight: Floats

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Likeness:
        """Rank the columns of a frame.

        Parameters
        ----------
        frame : DataFrame
            Numbers or text, one row a customer (and wave); missing values are a value of their own. Columns with a
            single value are left out.

        Examples
        --------
        >>> found = Likeness.of(pd.DataFrame({"plan": ["a", "b", "a", "b"], "fixed": [1, 1, 1, 1]}))
        >>> found.surprise(np.array([0, 0]), np.array([1, 2])).round(2).tolist()
        [0.0, 0.69]
        """
        ranked = [_ranks(frame[name]) for name in frame]
        kept = [place for place, (below, _) in enumerate(ranked) if len(below) and below.max() > below.min()]
        shape = (len(kept), len(frame))
        below, upto = (np.array([ranked[k][side] for k in kept], np.float64).reshape(shape) for side in (0, 1))
        is_number = np.array([pd.api.types.is_numeric_dtype(frame.iloc[:, k]) for k in kept], bool)
        chance = [_chance(low, high, number) for low, high, number in zip(below, upto, is_number, strict=True)]
        weight = np.minimum(-np.log(np.array(chance, np.float64)), MOST)
        return cls(np.ascontiguousarray(below.T), np.ascontiguousarray(upto.T), is_number, weight)

    def __len__(self) -> int:
        return len(self.below)

    @property
    def columns(self) -> int:
        """How many columns vary."""
        return len(self.is_number)

    def take(self, order: Ints) -> Likeness:
        """Give the same rows in another order."""
        return Likeness(self.below[order], self.upto[order], self.is_number, self.weight)

    def own(self) -> Floats:
        """How surprising it would be to meet each row again in all columns, in nats, shape (rows,).

        Notes
        -----
        The sum over columns of ``-log(share of the rows with the same value)``, each at most log 64: for independent
        columns, minus the logarithm of the chance that another row is the same.
        """
        total: Floats = np.minimum(-np.log(self.upto - self.below), MOST).sum(axis=1)
        return total

    def surprises(self, first: Ints, second: Ints) -> Floats:
        """How surprising the agreement of pairs of rows is in each column, in nats, shape (pairs, columns).

        Notes
        -----
        Minus the logarithm of the share of the rows that lie at least as near to the one as the other does: Fisher's
        terms with the empirical distribution in place of a p-value. A value at the far edge counts half. 0 for
        different text, at most log 64.
        """
        a, b, a_upto, b_upto = self.below[first], self.below[second], self.upto[first], self.upto[second]
        low, low_upto = np.minimum(a, b), np.minimum(a_upto, b_upto)
        high, high_upto = np.maximum(a, b), np.maximum(a_upto, b_upto)
        apart = (high + high_upto - low - low_upto) / 2
        around_low = high_upto - np.maximum(0, np.minimum(low, (low + low_upto) / 2 - apart))
        around_high = np.minimum(self.upto.max(axis=0), np.maximum(high_upto, (high + high_upto) / 2 + apart)) - low
        chance = np.where(self.is_number & (low >= 0), np.minimum(np.maximum(around_low, around_high), 1.0), 1.0)
        chance = np.where(a == b, a_upto - a, chance)
        surprises: Floats = np.minimum(-np.log(chance), MOST)
        return surprises

    def surprise(self, first: Ints, second: Ints) -> Floats:
        """How surprising the agreement of pairs of rows is in all columns together, in nats, shape (pairs,)."""
        return _in_parts(lambda a, b: self.surprises(a, b).sum(axis=1), first, second)

    def agreement(self, first: Ints, second: Ints) -> Floats:
        """Share of the columns in which pairs of rows agree, weighted by how rare that is, shape (pairs,).

        Notes
        -----
        Numbers agree within a sixteenth of the rows, text if it is the same, missing values with each other. A column
        in which nearly all rows agree weighs nothing.
        """
        weight = self.weight / (self.weight.sum() or 1.0)
        allowed = np.where(self.is_number, 2 * WIDTH, 0.0)

        def share(a: Ints, b: Ints) -> Floats:
            apart = np.abs((self.below[a] + self.upto[a]) - (self.below[b] + self.upto[b]))
            return np.asarray((apart <= allowed) @ weight, np.float64)

        return _in_parts(share, first, second)

    def harmonics(self, column: int) -> Complex:
        """Turn a column into waves whose products tell whether two rows agree, shape (2, rows).

        Notes
        -----
        A number of rank u becomes ``exp(2 pi i k u)`` with k = 1, 2; a level, or one of few values, becomes
        ``exp(2 pi i v)`` with a v of its own, drawn once for each level. Mean 0 and variance 1: the mean over waves of
        ``Re(a conj(b))`` is about 1 for equal rows and 0 for rows that have nothing to do with each other.
        """
        below = self.below[:, column]
        levels, code = np.unique(below, return_inverse=True)
        if self.is_number[column] and len(levels) > _FEW_LEVELS:
            rank = (below + self.upto[:, column]) / 2
            waves = np.where(below >= 0, np.exp(2j * np.pi * np.outer((1, 2), rank)), 0.0)
        else:
            turns = np.random.default_rng(column).random((2, len(levels)))
            waves = np.exp(2j * np.pi * turns)[:, code]
        waves = waves - waves.mean(axis=1, keepdims=True)
        spread = np.sqrt((np.abs(waves) ** 2).mean(axis=1, keepdims=True))
        return np.asarray(waves / np.where(spread > 1e-9, spread, 1.0), np.complex128)


def _in_parts(measure: Callable[[Ints, Ints], Floats], first: Ints, second: Ints) -> Floats:
    """Measure pairs some at a time, so that memory does not grow with their number."""
    total = np.zeros(len(first))
    for start in range(0, len(first), _PART):
        part = slice(start, start + _PART)
        total[part] = measure(first[part], second[part])
    return total


def _ranks(values: pd.Series) -> tuple[Floats, Floats]:
    """Share of rows below and up to each value; both below zero where it is missing."""
    if pd.api.types.is_numeric_dtype(values):
        number = values.to_numpy(np.float64, na_value=np.nan)
    else:
        code = pd.factorize(values, sort=True)[0].astype(np.float64)
        number = np.where(code < 0, np.nan, code)
    missing, n = np.isnan(number), max(1, len(number))
    ordered = np.sort(number[~missing])
    below = np.where(missing, _MISSING, np.searchsorted(ordered, number, "left") / n)
    upto = np.where(missing, _MISSING + missing.sum() / n, np.searchsorted(ordered, number, "right") / n)
    return below, upto


def _chance(below: Floats, upto: Floats, is_number: bool) -> float:  # noqa: FBT001 (a column of three)
    """Chance that two random rows agree in a column."""
    same, given = upto - below, below >= 0
    if not is_number:
        return float(same.mean())
    middle = np.sort((below[given] + upto[given]) / 2)
    near = np.searchsorted(middle, middle + WIDTH, "right") - np.searchsorted(middle, middle - WIDTH, "left")
    return float((near.sum() / len(below) + same[~given].sum()) / len(below))
