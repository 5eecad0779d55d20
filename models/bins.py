"""How values are spread over bins, and how far apart two spreads are: the population stability index.

Bins are cut once, at the quantiles of a reference, so that each holds about as many of its rows. Missing is a bin of
its own: that values stop to arrive is a change like any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.counted import Counted

__all__ = ["Bins", "expected_psi", "psi", "smoothed"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_HALF = 0.5
"""Rows that every bin is taken to hold beforehand (Jeffreys): an empty bin is rare, not impossible."""


@dataclass(frozen=True, slots=True)
class Bins:
    """Where one column is cut.

    Attributes
    ----------
    edges : ndarray of float, shape (k,)
        Upper ends of all bins of numbers but the last, ascending; a value on an edge belongs below it.
    levels : tuple of str or None
        For categories: those of the reference, ascending; all others share one bin. None for numbers.
    """

    edges: FloatArray
    levels: tuple[str, ...] | None = None

    @classmethod
    def of(cls, reference: Counted, bins: int = 10) -> Bins:
        """Cut at the quantiles of a reference.

        Parameters
        ----------
        reference : Counted
            Numbers, or categories.
        bins : int
            How many bins for numbers; fewer where many values are tied.

        Returns
        -------
        Bins
        """
        if reference.levels is not None:
            return cls(np.array([]), reference.levels)
        if reference.known == 0:
            return cls(np.array([]))
        reached = np.cumsum(reference.counts)
        wanted = -(-np.arange(1, bins) * reference.known // bins)  # rounded up: the first value that reaches the share
        edges = np.unique(reference.numbers[np.searchsorted(reached, wanted)])
        return cls(edges[edges < reference.numbers[-1]])

    @property
    def cells(self) -> int:
        """Number of bins, the one for missing (the last) included."""
        return len(self.edges) + 2 if self.levels is None else len(self.levels) + 2

    def counts(self, column: Counted) -> IntArray:
        """Count the rows of each bin, shape (cells,); the last one counts missing values."""
        if self.levels is None:
            place = np.searchsorted(self.edges, column.numbers, side="left")
        else:
            place = pd.Index(self.levels, dtype=object).get_indexer(pd.Index(column.levels or (), dtype=object))
            place = np.where(place < 0, len(self.levels), place)
        found = np.bincount(place, weights=column.counts[: len(place)], minlength=self.cells).astype(np.int64)
        found[-1] = column.missing
        return found


def smoothed(counts: IntArray) -> FloatArray:
    """Turn counts, shape (..., cells), into shares that are never zero."""
    shares: FloatArray = (counts + _HALF) / (counts.sum(axis=-1, keepdims=True) + _HALF * counts.shape[-1])
    return shares


def psi(new: FloatArray, reference: FloatArray) -> FloatArray:
    r"""Measure how far two spreads over the same bins are apart.

    Parameters
    ----------
    new, reference : ndarray of float, shape (..., cells)
        Shares above zero that add up to 1.

    Returns
    -------
    ndarray of float, shape (...)
        :math:`\sum (p - q) \log(p / q)`; 0 where they are equal. By custom below 0.1 is called small, above 0.25 large.

    Notes
    -----
    The sum of both Kullback-Leibler divergences (Jeffreys 1946). Its expectation between samples of one population is
    above zero, see :func:`expected_psi`, and grows as samples get smaller.

    References
    ----------
    Siddiqi 2006, Credit Risk Scorecards, Wiley, chapter 8 (the index, and what is small and large by custom).

    Examples
    --------
    >>> float(psi(np.array([0.5, 0.5]), np.array([0.25, 0.75])).round(4))  # 0.25 log 2 - 0.25 log(2/3)
    0.2747
    """
    distance: FloatArray = ((new - reference) * np.log(new / reference)).sum(axis=-1)
    return distance


def expected_psi(cells: int, n: float, n_reference: float) -> float:
    """Expect that much between two samples of one population: ``(cells - 1) (1 / n + 1 / n_reference)``.

    References
    ----------
    Yurdakul 2018, Statistical properties of the population stability index, Western Michigan University, section 3
    (for independent rows; the index is about a chi-square over n).
    """
    return (cells - 1) * (1 / max(n, 1.0) + 1 / max(n_reference, 1.0))
