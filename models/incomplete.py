"""A multivariate normal distribution from rows with gaps: maximum likelihood by EM.

Rows that miss the same columns are one pattern and enter by their moments, so that a step costs the same for a thousand
rows as for a million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.moments import group_moments

__all__ = ["Gaps", "Given", "IncompleteNormal", "chunks", "fit_normal"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_AT_ONCE = 256
"""Patterns worked on together: it bounds memory."""

_JITTER = 1e-8
"""Added to each variance, as a share of it, before it is inverted, so that columns which repeat each other do no
harm."""


@dataclass(frozen=True, slots=True)
class IncompleteNormal:
    """A normal distribution fitted to rows with gaps.

    Attributes
    ----------
    mean : ndarray of float, shape (columns,)
        In units of the columns.
    covariance : ndarray of float, shape (columns, columns)
        Divided by the weight, not by one less.
    log_likelihood : tuple of float
        Of the observed values of a row, on average, before each step and after the last.
    is_converged : bool
        The last step raised it by less than the tolerance.
    n_patterns : int
        Different sets of missing columns.
    """

    mean: FloatArray
    covariance: FloatArray
    log_likelihood: tuple[float, ...]
    is_converged: bool
    n_patterns: int

    @property
    def iterations(self) -> int:
        """Steps taken."""
        return len(self.log_likelihood) - 1


def fit_normal(
    values: FloatArray,
    weight: FloatArray,
    *,
    start: IncompleteNormal | None = None,
    tolerance: float = 1e-8,
    max_iterations: int = 1_000,
) -> IncompleteNormal:
    """Fit a multivariate normal distribution to rows with gaps.

    Parameters
    ----------
    values : ndarray of float, shape (rows, columns)
        NaN where there is no value; at least one in each column.
    weight : ndarray of float, shape (rows,)
        Non-negative.
    start : IncompleteNormal, optional
        Where to begin: a fit to nearly the same rows. Uncorrelated columns when left out.
    tolerance : float
        EM stops when a step raises the average log likelihood of a row by less.
    max_iterations : int
        EM stops here at the latest.

    Returns
    -------
    IncompleteNormal
        The order of rows and the units of columns have no influence but for rounding.

    Notes
    -----
    Each step replaces missing values by their conditional mean and adds their conditional covariance to the moments
    (Little and Rubin 2019, section 11.2.1); the likelihood never falls, but for rounding. Its maximum may be taken at
    face value where values are missing at random. Steps grow smaller with the share of what is missing; a fit that
    ended before it converged says so. A step costs patterns x columns^2 x (columns with gaps).

    References
    ----------
    Dempster, Laird, Rubin (1977), doi:10.1111/j.2517-6161.1977.tb01600.x. Little, Rubin (2019), Statistical Analysis
    with Missing Data, 3rd ed., doi:10.1002/9781119482260.

    Examples
    --------
    >>> found = fit_normal(np.array([[1.0, 1.0], [3.0, 3.0], [5.0, np.nan]]), np.ones(3))
    >>> found.mean.round(3).tolist()
    [3.0, 3.0]
    """
    z, origin, unit = _standardised(values, weight)
    patterns = _Patterns.of(z, weight)
    first = _Normal(np.zeros(len(unit)), np.eye(len(unit)))
    if start is not None:
        first = _Normal((start.mean - origin) / unit, start.covariance / np.outer(unit, unit))
    state, trace, is_converged = _maximised(patterns, first, tolerance, max_iterations)
    stretched = float(weight @ (~np.isnan(values) @ np.log(unit)) / weight.sum())
    return IncompleteNormal(
        mean=origin + unit * state.mean,
        covariance=state.covariance * np.outer(unit, unit),
        log_likelihood=tuple(one - stretched for one in trace),
        is_converged=is_converged,
        n_patterns=len(patterns.seen),
    )


def _standardised(values: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Columns with mean 0 and deviation 1 where they have a value; with their means and deviations."""
    there = ~np.isnan(values)
    total = weight @ there
    mean = weight @ np.where(there, values, 0.0) / total
    centred = np.where(there, values - mean, 0.0)
    deviation = np.sqrt(weight @ centred**2 / total)
    unit = np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)
    return (values - mean) / unit, mean, unit


class _Normal(NamedTuple):
    """Mean and covariance of a normal distribution."""

    mean: FloatArray
    covariance: FloatArray


class _Patterns(NamedTuple):
    """Rows by which columns they miss: observed columns (patterns, q), and moments of (1, what is there)."""

    seen: BoolArray
    moments: FloatArray

    @classmethod
    def of(cls, z: FloatArray, weight: FloatArray) -> _Patterns:
        missing, pattern = np.unique(np.isnan(z), axis=0, return_inverse=True)
        return cls(~missing, group_moments(np.nan_to_num(z), pd.Series(pattern), weight, groups=len(missing)).sums)


class Given(NamedTuple):
    """What patterns know of the open columns, those that some pattern misses.

    Deviations of observed columns to expected ones of missing columns (patterns, open, q); what stays open (patterns,
    open, open); log determinants of the precision of what is missing (patterns,).
    """

    onto: FloatArray
    left: FloatArray
    log_determinant: FloatArray


class Gaps(NamedTuple):
    """A normal distribution seen through gaps: open columns, precision, log determinant of the covariance.

    Conditioning by the precision inverts only what is missing: given the others, the missing columns have the inverse
    of their own block as covariance.
    """

    open: NDArray[np.intp]
    precision: FloatArray
    log_determinant: float

    @classmethod
    def of(cls, missing: BoolArray, covariance: FloatArray) -> Gaps:
        """Look at a distribution through the gaps of some rows or patterns, shape (patterns, columns)."""
        variance = np.diagonal(covariance)
        firm = covariance + _JITTER * np.diag(np.where(variance > 0, variance, 1.0))
        precision = np.asarray(np.linalg.inv(firm), dtype=np.float64)
        return cls(np.flatnonzero(missing.any(axis=0)), precision, float(np.linalg.slogdet(firm)[1]))

    def given(self, seen: BoolArray) -> Given:
        """Condition on the observed columns of some patterns."""
        m = 1.0 - seen[:, self.open]
        both = m[:, :, np.newaxis] * m[:, np.newaxis, :]
        own = self.precision[np.ix_(self.open, self.open)]
        A = both * own + np.eye(len(self.open)) * (1.0 - m)[:, np.newaxis, :]
        left = np.asarray(np.linalg.inv(A) * both, dtype=np.float64)
        onto = -(left @ self.precision[self.open]) * seen[:, np.newaxis, :]
        return Given(onto, left, np.asarray(np.linalg.slogdet(A)[1], dtype=np.float64))


def _maximised(
    patterns: _Patterns, state: _Normal, tolerance: float, max_iterations: int
) -> tuple[_Normal, tuple[float, ...], bool]:
    """Step until the likelihood hardly rises."""
    trace: list[float] = []
    while True:
        following, likelihood = _step(patterns, state)
        trace.append(likelihood)
        is_converged = len(trace) > 1 and trace[-1] - trace[-2] < tolerance
        if is_converged or len(trace) > max_iterations:
            return state, tuple(trace), is_converged
        state = following


def _step(patterns: _Patterns, state: _Normal) -> tuple[_Normal, float]:
    """Take one step of EM; with the log likelihood per unit of weight before it.

    Filling in conditional means leaves the distance from the mean, by the precision, as it is for what was observed.
    """
    gaps = Gaps.of(~patterns.seen, state.covariance)
    r, mean = gaps.open, state.mean
    filled, left = patterns.moments.sum(axis=0), np.zeros((len(r), len(r)))
    constant = 0.0
    for chunk in chunks(len(patterns.seen)):
        seen, moments = patterns.seen[chunk], patterns.moments[chunk]
        n, known = moments[:, 0, 0], gaps.given(seen)
        start = mean[r] * ~seen[:, r] - known.onto @ mean
        onto = np.concatenate([start[:, :, np.newaxis], known.onto], axis=2)
        expected = onto @ moments
        joint = expected.sum(axis=0)
        filled[1 + r] += joint
        filled[:, 1 + r] += joint.T
        filled[np.ix_(1 + r, 1 + r)] += (expected @ np.swapaxes(onto, 1, 2)).sum(axis=0)
        left += np.tensordot(n, known.left, axes=1)
        constant += float(n @ (seen.sum(axis=1) * np.log(2 * np.pi) + gaps.log_determinant + known.log_determinant))
    total, sums = filled[0, 0], filled[0, 1:]
    cross = np.outer(sums, mean)
    square = filled[1:, 1:] - cross - cross.T + total * np.outer(mean, mean)
    likelihood = -0.5 * (constant + float((gaps.precision * square).sum())) / float(total)
    square[np.ix_(r, r)] += left
    moved = sums / total - mean
    return _Normal(mean + moved, square / total - np.outer(moved, moved)), likelihood


def chunks(count: int) -> Iterator[slice]:
    """Cut a range into pieces."""
    for start in range(0, count, _AT_ONCE):
        yield slice(start, min(start + _AT_ONCE, count))
