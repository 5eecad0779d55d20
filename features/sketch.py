"""Quantiles of very many values in little room: counts in bins that grow with the size of the value."""

from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["ERROR", "Sketch"]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
_Any = TypeVar("_Any", np.int64, np.bool_)

ERROR = 1 / 128
"""A quantile is at most this share of itself nearer to zero than the value it stands for, and never further."""

_DROPPED = 45  # bits of a double that are dropped: sign, 11 bits of exponent and 7 of the mantissa stay
_ZERO = 1 << 18
_BINS = 1 << 19


@dataclass(slots=True)
class Sketch:
    """Counts of values by cell (a month, a journey, ...) and bin; from them quantiles of each cell.

    Parameters
    ----------
    keys : array of int
        ``cell * 2**19 + bin``, ascending.
    counts : array of int
        Values in each.

    Notes
    -----
    The bin of a value is its sign, its exponent and the first 7 bits of its mantissa, so that a bin is at most 1/128 of
    its lower end wide and whole numbers up to 255 have one each. Quantiles are lower ends of bins: never further from
    zero than the value, and less than 1/128 nearer. Counts are whole numbers and add up: the same values in any order,
    cut in any way, give the same quantiles. Room: 16 bytes for each bin that is not empty, whatever the number of
    values; waits from a second to a week fill at most 2,500.

    References
    ----------
    Masson, Rim and Lee 2019, DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees,
    doi:10.14778/3352063.3352135. Here the bins come from the bits of the number in place of its logarithm.

    Examples
    --------
    >>> sketch = Sketch()
    >>> sketch.add(np.array([0, 0, 0, 1]), np.array([5.0, 7.0, 900.0, -3.0]))
    >>> sketch.quantile(0.5).tolist(), sketch.sizes().tolist()
    ([7.0, -3.0], [3, 1])
    """

    keys: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def cells(self) -> Ints:
        """Cells that hold values, ascending."""
        return np.unique(self.keys // _BINS)

    def add(self, cells: Ints, values: Floats) -> None:
        """Count values, none of them missing, each in its cell (a whole number from 0)."""
        size = np.abs(values).view(np.int64) >> _DROPPED
        bins = np.where(values < 0, -size, size) + _ZERO
        keys, counts = np.unique(cells * _BINS + bins, return_counts=True)
        self._merge(keys, counts.astype(np.int64))

    def sizes(self) -> Ints:
        """Count the values of each cell, in the order of ``cells``."""
        return np.add.reduceat(self.counts, self._starts()) if len(self.keys) else self.counts

    def quantile(self, share: float) -> Floats:
        """Give the smallest value that at least a share of its cell does not exceed, for each of ``cells``."""
        if not len(self.keys):
            return np.zeros(0)
        sizes, reached = self.sizes(), np.cumsum(self.counts)
        before = np.cumsum(sizes) - sizes
        wanted = before + np.maximum(1, np.ceil(share * sizes).astype(np.int64))
        return _lower_ends(self.keys[np.searchsorted(reached, wanted)])

    def where(self, is_wanted: NDArray[np.bool_]) -> "Sketch":
        """Keep some of ``cells``."""
        kept = self._spread(is_wanted)
        return Sketch(self.keys[kept], self.counts[kept])

    def regrouped(self, cells: Ints) -> "Sketch":
        """Put each of ``cells`` into another one; those that share one are added up."""
        return _summed(self._spread(cells) * _BINS + self.keys % _BINS, self.counts)

    def magnitudes(self) -> "Sketch":
        """Leave out zeros, and signs."""
        bins = self.keys % _BINS - _ZERO
        is_there = bins != 0
        return _summed((self.keys // _BINS * _BINS + np.abs(bins) + _ZERO)[is_there], self.counts[is_there])

    def _spread(self, of_cells: NDArray[_Any]) -> NDArray[_Any]:
        """Give each bin what its cell has."""
        return np.repeat(of_cells, np.diff(np.append(self._starts(), len(self.keys))))

    def _starts(self) -> Ints:
        return np.flatnonzero(np.diff(self.keys // _BINS, prepend=-1)).astype(np.int64)

    def _merge(self, keys: Ints, counts: Ints) -> None:
        both = _summed(np.concatenate([self.keys, keys]), np.concatenate([self.counts, counts]))
        self.keys, self.counts = both.keys, both.counts


def _summed(keys: Ints, counts: Ints) -> Sketch:
    found, place = np.unique(keys, return_inverse=True)
    sums = np.zeros(len(found), np.int64)
    np.add.at(sums, place, counts)
    return Sketch(found, sums)


def _lower_ends(keys: Ints) -> Floats:
    bins = keys % _BINS - _ZERO
    ends = (np.abs(bins) << _DROPPED).view(np.float64)
    return np.where(bins < 0, -ends, ends)
