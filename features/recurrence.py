"""Whether the rows of a table repeat at a fixed distance: autocorrelation along the row index, at all lags at once.

A table that was written by copying a block again and again, or each row several times, shows as a spike at the length
of the block. Sorted tables show as a slope near lag 0, columns that go round in a cycle as spikes of those columns
alone; neither is a spike in most columns that pairs of rows then confirm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, ifft, next_fast_len
from scipy.ndimage import median_filter
from scipy.stats import norm

from features.likeness import Likeness

__all__ = ["Recurrence", "candidate_lags", "recurrences"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

LEVEL = 0.01
"""Chance to see any spike among all lags in a table of independent rows."""

FALSE_PAIRS = 0.001
"""Share of coincidences among the pairs that are taken for copies at a lag."""

LEAST_SHARE = 0.2
"""Least share of the pairs at a lag that must be copies."""

LEAST_COLUMNS = 0.5
"""Least share of the columns that must repeat at a lag."""

_FEWEST_PAIRS = 50
_NEIGHBOURS = 101
_BLOCK = 2_000
_MOST_LAGS = 8
_NULL_LAGS = 20
_NULL_REACH = 400
_NULL_PAIRS = 100_000
_COLUMN_PAIRS = 10_000
_RARE = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Recurrence:
    """A distance at which rows are near copies of each other.

    Parameters
    ----------
    lag : int
        Rows from one to its copy.
    first, second : ndarray of int64, shape (pairs,)
        The pairs that are copies.
    share : float
        Share of copies among all pairs at this distance.
    columns : float
        Share of the columns that repeat.
    """

    lag: int
    first: Ints
    second: Ints
    share: float
    columns: float


def candidate_lags(likeness: Likeness) -> tuple[int, ...]:
    """Find the distances at which rows resemble each other more than at the distances around.

    Parameters
    ----------
    likeness : Likeness
        Rows in the order of the table.

    Returns
    -------
    tuple of int
        Strongest first; none for fewer than three columns or 100 rows.

    Notes
    -----
    With the mean over columns of the autocorrelations ``r(d) = sum_i Re(a_i conj(a_(i + d)))`` of the waves of
    :meth:`features.likeness.Likeness.harmonics`, ``s(d) = r(d) / sqrt(n - d)`` has mean about 0 and the same variance
    at all lags if rows are independent. From it the median of the 101 lags around is taken, so that sorted tables,
    where it falls slowly, show no spike; what is left, over its median absolute deviation (of all lags or of the 2,000
    around, whichever is larger), is compared with the normal quantile of ``0.01 / lags`` (Bonferroni). Lags with fewer
    than 50 pairs, or than a hundredth of the rows, are not looked at. Cost: two Fourier transforms of twice the rows
    for each column; memory: the table.
    """
    n, columns = len(likeness), likeness.columns
    fewest = max(_FEWEST_PAIRS, n // 100)
    lags = n - fewest
    if columns < 3 or lags < _FEWEST_PAIRS:
        return ()
    size = next_fast_len(2 * n)
    power = np.zeros(size)
    for column in range(columns):
        waves = likeness.harmonics(column)
        for wave in waves:
            power += np.abs(fft(wave, size)) ** 2 / len(waves)
    along = ifft(power).real[1 : lags + 1] / np.sqrt(n - np.arange(1, lags + 1))
    spikes = _spikes(along)
    high = np.flatnonzero(spikes > norm.isf(LEVEL / lags))
    return tuple((high[np.argsort(-spikes[high], kind="stable")] + 1).tolist())


def recurrences(likeness: Likeness, lags: tuple[int, ...], customer: Ints) -> tuple[Recurrence, ...]:
    """Keep the distances at which pairs of rows of different customers are copies, with those pairs.

    Parameters
    ----------
    likeness : Likeness
        Rows in the order of the table.
    lags : tuple of int
        From :func:`candidate_lags`.
    customer : ndarray of int64, shape (rows,)
        Number of each row's customer: a customer's own rows are not copies.

    Returns
    -------
    tuple of Recurrence
        In the order of the lags: at most the 8 strongest, and 8 that are stronger than their neighbours.

    Notes
    -----
    The null is empirical: pairs at up to 20 other lags nearby, with the same order, the same columns and the same
    dependence between them. With the share ``P1(t)`` of the pairs at the lag whose surprise is at least t, and
    ``P0(t)`` at the other lags, the share of copies is ``p = max over t of (P1 - P0) / (1 - P0)``, and pairs are taken
    from the lowest t on with ``(1 - p) P0(t) / P1(t) <= 0.001`` (Storey 2002). The lag counts if a fifth of its pairs
    is taken and half of the columns repeat: their mean surprise lies above that of the other lags by a tenth of what
    equal rows would add, and by 4 standard errors.
    """
    found = (_confirmed(likeness, lag, lags, customer) for lag in _strongest(lags))
    return tuple(one for one in found if one is not None)


def _spikes(along: Floats) -> Floats:
    """Height of each lag above the lags around it, in robust standard deviations."""
    rest = along - median_filter(along, _NEIGHBOURS, mode="reflect")
    deviation = np.abs(rest)
    parts = np.array_split(deviation, max(1, len(rest) // _BLOCK))
    local = np.concatenate([np.full(len(part), np.median(part)) for part in parts])
    scale = np.maximum(local, np.median(deviation)) * 1.4826
    return np.where(scale > 0, rest / np.where(scale > 0, scale, 1.0), 0.0)


def _strongest(lags: tuple[int, ...]) -> tuple[int, ...]:
    """Take the strongest lags, and the strongest among those that are stronger than their neighbours."""
    rank = {lag: place for place, lag in enumerate(lags)}
    last = len(lags)
    peaks = [lag for lag in lags if rank[lag] < min(rank.get(lag - 1, last), rank.get(lag + 1, last))]
    chosen = {*lags[:_MOST_LAGS], *peaks[:_MOST_LAGS]}
    return tuple(lag for lag in lags if lag in chosen)


def _confirmed(likeness: Likeness, lag: int, lags: tuple[int, ...], customer: Ints) -> Recurrence | None:
    first, second = _pairs(lag, customer)
    others = _others(likeness, lag, lags, customer)
    if len(first) < _FEWEST_PAIRS or others is None:
        return None
    columns = _repeating(likeness, (first, second), others)
    if columns < LEAST_COLUMNS:
        return None
    surprise, null = likeness.surprise(first, second), np.sort(likeness.surprise(*others))
    copies = surprise >= _threshold(surprise, null)
    share = float(copies.mean())
    return Recurrence(lag, first[copies], second[copies], share, columns) if share >= LEAST_SHARE else None


def _pairs(lag: int, customer: Ints) -> tuple[Ints, Ints]:
    first = np.flatnonzero(customer[:-lag] != customer[lag:])
    return first, first + lag


def _others(likeness: Likeness, lag: int, lags: tuple[int, ...], customer: Ints) -> tuple[Ints, Ints] | None:
    """Pairs at other lags nearby, thinned evenly."""
    near = [lag + sign * step for step in range(3, _NULL_REACH) for sign in (-1, 1)]
    taken = set(lags)
    usable = [other for other in near if 0 < other < len(likeness) - _FEWEST_PAIRS and other not in taken]
    parts = [_thinned(_pairs(other, customer), _NULL_PAIRS // _NULL_LAGS) for other in usable[:_NULL_LAGS]]
    if sum(len(first) for first, _ in parts) < _FEWEST_PAIRS:
        return None
    return np.concatenate([first for first, _ in parts]), np.concatenate([second for _, second in parts])


def _thinned(pairs: tuple[Ints, Ints], most: int) -> tuple[Ints, Ints]:
    step = len(pairs[0]) // most + 1
    return pairs[0][::step], pairs[1][::step]


def _threshold(surprise: Floats, null: Floats) -> float:
    """Least surprise from which on at most a thousandth of the pairs are coincidences; infinite if there is none."""
    levels = np.sort(surprise)[::-1]
    here = np.arange(1, len(levels) + 1) / len(levels)
    elsewhere = (len(null) - np.searchsorted(null, levels, "left") + 1) / (len(null) + 1)
    # Where nearly all other pairs reach t as well, the quotient is noise.
    rare = elsewhere <= _RARE
    copies = np.max((here[rare] - elsewhere[rare]) / (1 - elsewhere[rare]), initial=0.0)
    good = np.flatnonzero((1 - copies) * elsewhere / here <= FALSE_PAIRS)
    return float(levels[good[-1]]) if len(good) else float("inf")


def _repeating(likeness: Likeness, pairs: tuple[Ints, Ints], others: tuple[Ints, Ints]) -> float:
    """Share of the columns in which pairs at a lag agree more than pairs at other lags."""
    pairs, others = _thinned(pairs, _COLUMN_PAIRS), _thinned(others, _COLUMN_PAIRS)
    here, elsewhere = likeness.surprises(*pairs), likeness.surprises(*others)
    same = likeness.surprises(others[0], others[0])
    more = here.mean(axis=0) - elsewhere.mean(axis=0)
    error = np.sqrt(here.var(axis=0) / len(here) + elsewhere.var(axis=0) / len(elsewhere))
    room = same.mean(axis=0) - elsewhere.mean(axis=0)
    return float(np.mean((more > 4 * error) & (more > room / 10)))
