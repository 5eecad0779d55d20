"""Pairs of rows that are nearly the same, anywhere in a table: hashed into buckets, then looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from features.likeness import Likeness

__all__ = ["Twins", "components", "find_twins"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

LEVELS = (0.9, 0.97)
"""Share of the columns in which near copies agree; the first level that stands out counts."""

STEP = 0.1
"""Distance of the two lower levels from which the share of natural twins is extrapolated; one column at least."""

LEAST_ROWS = 0.02
"""Least share of the rows that must have a twin; fewer move no cross-validation."""

FEWEST_ROWS = 20
"""Fewest rows that must have a twin."""

LEAST_DISTINCT = 0.5
"""Least share of the rows that the columns must tell apart; else twins are natural and mean nothing."""

LEAST_RATIO = 3.0
"""How many times more rows must have a twin than the thinning of neighbours lets expect."""

_BINS = 16
_BANDS = 32
_MANY_ROWS = 200_000
_FEWEST_TABLE = 100
_CHANCE = 0.01
_SAMPLE = 50_000
_REACH = 2


@dataclass(frozen=True, slots=True, eq=False)
class Twins:
    """Pairs of near copies, and how they stand out.

    Parameters
    ----------
    first, second : ndarray of int64, shape (pairs,)
        Rows that are near copies; empty where they do not stand out.
    level : float
        Share of the columns in which they agree at least.
    share : float
        Share of the rows that have a twin at this level.
    natural : float
        Share that the thinning of neighbours lets expect.
    distinct : float
        Share of the rows that the columns can tell apart; others cannot have a twin that means something.
    """

    first: Ints
    second: Ints
    level: float
    share: float
    natural: float
    distinct: float


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Candidate pairs that agree well enough to be counted; at least one row of each can be told apart."""

    first: Ints
    second: Ints
    agreement: Floats
    distinct: Bools
    step: float

    def rows(self, pairs: Bools) -> int:
        """Count the rows that can be told apart and occur in some pairs."""
        seen = np.zeros(len(self.distinct), bool)
        seen[self.first[pairs]] = True
        seen[self.second[pairs]] = True
        return int((seen & self.distinct).sum())


def find_twins(likeness: Likeness, customer: Ints, rng: np.random.Generator) -> Twins:
    """Find near copies in any order of the rows, if more rows have one than is natural.

    Parameters
    ----------
    likeness : Likeness
        The columns.
    customer : ndarray of int64, shape (rows,)
        Number of each row's customer: a customer's own rows are not twins.
    rng : numpy.random.Generator
        Chooses the columns and borders of the hashes.

    Returns
    -------
    Twins
        Without pairs where nothing stands out.

    Notes
    -----
    Candidates: 32 hashes (8 from 200,000 rows on), each of as many random columns as it takes to spread the rows,
    numbers in 16 bins of equal rank with random borders; rows with equal hashes are sorted by further columns and
    compared with the next two. That is band hashing as in locality-sensitive search: no pair of rows is looked at
    twice in a band, and the cost grows with the rows, not with their square.

    Rows count only if the columns can tell them apart: their own surprise, divided by how much dependence between the
    columns spreads the surprise of random pairs, is at least ``log n + log 100`` (one accidental twin in a hundred
    rows). Then the share of rows with a twin that agrees in 90 % of the columns is compared with what neighbours let
    expect. In natural tables, the share of rows with a neighbour at least this near falls faster than geometrically:
    from 70 % agreement to 80 % by some factor, from 80 % to 90 % by that factor or more, so ``S(80 %)^2 / S(70 %)``
    bounds it. Copies are a heap beyond a gap. The neighbours are counted outside of a row's own group of copies.
    """
    n = len(likeness)
    nothing = Twins(np.zeros(0, np.int64), np.zeros(0, np.int64), LEVELS[0], 0.0, 0.0, 0.0)
    if n < _FEWEST_TABLE or not likeness.columns:
        return nothing
    distinct = _distinct(likeness, rng)
    if distinct.mean() < LEAST_DISTINCT:
        return replace(nothing, distinct=float(distinct.mean()))
    pairs = _candidates(likeness, customer, distinct, rng)
    for level in LEVELS:
        found = _at_level(pairs, level)
        if found.share >= max(LEAST_ROWS, FEWEST_ROWS / n, LEAST_RATIO * found.natural):
            return found
    return replace(nothing, distinct=float(distinct.mean()))


def components(first: Ints, second: Ints, n: int) -> Ints:
    """Give each of n rows the number of its connected component, in the order of first rows, shape (n,)."""
    graph = coo_matrix((np.ones(len(first), bool), (first, second)), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    _, start, number = np.unique(label, return_index=True, return_inverse=True)
    place = np.empty(len(start), np.int64)
    place[np.argsort(start)] = np.arange(len(start))
    return place[number]


def _distinct(likeness: Likeness, rng: np.random.Generator) -> Bools:
    """Find the rows that are told apart by their columns, dependence between the columns allowed for."""
    n = len(likeness)
    first, second = rng.integers(0, n, _SAMPLE), rng.integers(0, n, _SAMPLE)
    other = first != second
    terms = likeness.surprises(first[other], second[other])
    alone = terms.var(axis=0).sum()
    dependence = max(1.0, float(terms.sum(axis=1).var() / alone)) if alone > 0 else 1.0
    return np.asarray(likeness.own() / dependence >= np.log(n) - np.log(_CHANCE), bool)


def _candidates(likeness: Likeness, customer: Ints, distinct: Bools, rng: np.random.Generator) -> _Pairs:
    """Hash the rows again and again, and keep the pairs of different customers that agree well enough."""
    n, step = len(likeness), max(STEP, 1.05 * float(likeness.weight.max() / likeness.weight.sum()))
    codes, agreements = [], []
    for band in range(_BANDS if n < _MANY_ROWS else _BANDS // 4):
        # Every other band is of half of the columns at most: those who are near in the others must meet as well.
        most = likeness.columns if band % 2 else max(1, likeness.columns // 2)
        for neighbours in _band(likeness, most, rng):
            first, second = np.sort(neighbours, axis=0)
            asked = (customer[first] != customer[second]) & (distinct[first] | distinct[second])
            agreement = likeness.agreement(first[asked], second[asked])
            kept = agreement >= LEVELS[0] - 2 * step
            codes.append((first[asked] * n + second[asked])[kept])
            agreements.append(agreement[kept])
    code, once = np.unique(np.concatenate(codes), return_index=True)
    return _Pairs(code // n, code % n, np.concatenate(agreements)[once], distinct, step)


def _band(likeness: Likeness, most: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Yield neighbours among the rows with equal hashes, shape (2, pairs): the next row, and the one after it."""
    order = rng.permutation(likeness.columns)
    needed = np.log(len(likeness)) + 1
    key, spread, used = np.zeros(len(likeness), np.uint64), 0.0, 0
    for column in order:
        if spread >= needed or used == most:
            break
        token = _tokens(likeness, column, rng.random())
        spread += float(-np.log(((np.unique(token, return_counts=True)[1] / len(token)) ** 2).sum()))
        key = _mixed(key, token, column)
        used += 1
    further = [likeness.below[:, column] for column in order[used : used + 3]]
    sequence = np.lexsort([*further, key])
    for step in range(1, _REACH + 1):
        same = key[sequence[:-step]] == key[sequence[step:]]
        yield np.stack([sequence[:-step][same], sequence[step:][same]])


def _tokens(likeness: Likeness, column: int, border: float) -> NDArray[np.uint64]:
    """Bins of numbers, levels of text; what is missing has a token of its own."""
    below = likeness.below[:, column]
    if likeness.is_number[column]:
        middle = (below + likeness.upto[:, column]) / 2
        return np.where(below >= 0, np.floor(middle * _BINS + border) + 1, 0).astype(np.uint64)
    return np.where(below >= 0, np.rint(below * len(likeness)) + 1, 0).astype(np.uint64)


def _mixed(key: NDArray[np.uint64], token: NDArray[np.uint64], column: int) -> NDArray[np.uint64]:
    """Stir a token into a hash (the finaliser of SplitMix64)."""
    key = (key ^ (token + np.uint64(column << 40))) * np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(key ^ (key >> np.uint64(31)), np.uint64)


def _at_level(pairs: _Pairs, level: float) -> Twins:
    """Compare the share of rows with a twin with what the neighbours outside of their groups let expect."""
    n, both = len(pairs.distinct), pairs.distinct[pairs.first] & pairs.distinct[pairs.second]
    near = both & (pairs.agreement >= level)
    group = components(pairs.first[near], pairs.second[near], n)
    is_small = np.bincount(group)[group] <= max(20, n // 20)
    own = (group[pairs.first] == group[pairs.second]) & is_small[pairs.first]
    nearer, further = (pairs.rows(~own & (pairs.agreement >= level - steps * pairs.step)) for steps in (1, 2))
    # The upper end of what a count of this size may stand for, so that few rows prove nothing.
    natural = (nearer + 2 * np.sqrt(nearer) + 2) ** 2 / max(further, nearer, 1)
    share = pairs.rows(near) / n
    return Twins(pairs.first[near], pairs.second[near], level, share, natural / n, float(pairs.distinct.mean()))
