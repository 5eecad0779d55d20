"""What pairs of initiatives are worth together, and by how much that differs from the sum of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.study import Money
from models.cash import Baseline, Cohort, Stake, discounts, roll_forward
from models.forecasts import Sampled, SampledOverlap, Samples
from models.retention import Retention

__all__ = [
    "MOST_ALL_PAIRS", "Combinations", "Pair", "Together", "combine", "counted_pairs", "counts_every_pair",
    "differences",
    "pair_difference",
]  # fmt: skip

Array = NDArray[np.float64]

MOST_ALL_PAIRS: Final = 15
"""Initiatives up to which every pair is counted; of more, those whose overlap was estimated."""


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """Two initiatives done at once.

    Attributes
    ----------
    names : tuple of str
        Sorted.
    npv_sum : float64 array, shape (draws,)
        Net present values of each alone, added; currency.
    difference : float64 array, shape (draws,)
        Value of both less that sum, currency: below zero where they do the same work twice.
    overlap : SampledOverlap, optional
        Of the effects, where it was estimated.
    """

    names: tuple[str, str]
    npv_sum: Array
    difference: Array
    overlap: SampledOverlap | None


@dataclass(frozen=True, slots=True, eq=False)
class Combinations:
    """All pairs that were counted, by name."""

    pairs: tuple[Together, ...]

    @property
    def interactions(self) -> dict[tuple[str, str], Array]:
        """Differences by pair, as `models.proposals.Proposals` takes them."""
        return {one.names: one.difference for one in self.pairs}

    def to_frame(self) -> pd.DataFrame:
        """One row per pair, largest difference first.

        Returns
        -------
        DataFrame
            first, second, churn_overlap with _lo and _hi (share of customers that the sum counts twice, below zero; NaN
            where no overlap was estimated), npv_sum, npv_together with _lo and _hi, difference with _lo and _hi
            (currency; 90 % intervals).
        """
        rows = [_row(one) for one in self.pairs]
        columns = [
            "first", "second", "churn_overlap", "churn_overlap_lo", "churn_overlap_hi", "npv_sum", "npv_together",
            "npv_together_lo", "npv_together_hi", "difference", "difference_lo", "difference_hi",
        ]  # fmt: skip
        found = pd.DataFrame(rows, columns=columns)
        order = np.lexsort((found["second"], found["first"], -found["difference"].abs()))
        return found.iloc[order].reset_index(drop=True)


def combine(samples: Samples, cohort: Cohort, money: Money, retention: Retention) -> Combinations:
    """Count the money of every pair done at once.

    Parameters
    ----------
    samples : Samples
        From `models.forecasts.sample`.
    cohort, money, retention
        As for `models.simulation.compare`.

    Returns
    -------
    Combinations

    Notes
    -----
    Both act on the same hazard and spend, less their overlap (`models.overlaps`) with the product of their activities
    and deliveries; a pair without an estimated overlap adds up in its hazard. Whoever stays because of one can also
    spend more because of the other, so the difference is not zero even then. For a pair all three values are counted
    from the mean of its two baselines, so that the difference is not about those.
    """
    overlaps = {one.overlap.names: one for one in samples.overlaps}
    discount = discounts(money)
    own = {
        one.name: roll_forward([one.stake], one.forecast.baseline, cohort, money, retention).balance @ discount
        for one in samples.initiatives
    }
    pairs = [(one, other, overlaps.get((one.name, other.name))) for one, other in counted_pairs(samples)]
    found = differences(pairs, cohort, money, retention)
    return Combinations(
        tuple(Together((a, b), own[a] + own[b], lost, overlaps.get((a, b))) for (a, b), lost in found.items())
    )


def differences(
    pairs: Iterable[tuple[Sampled, Sampled, SampledOverlap | None]],
    cohort: Cohort,
    money: Money,
    retention: Retention,
    draws: int | None = None,
) -> dict[tuple[str, str], Array]:
    """Count what each of many pairs is worth together less the sum of both; as `pair_difference`, quicker.

    Parameters
    ----------
    pairs : iterable of (Sampled, Sampled, SampledOverlap or None)
        Two initiatives, each the same in all its pairs, and their overlap, if estimated.
    cohort, money, retention
        As for `combine`.
    draws : int, optional
        How many of the draws are wanted, from the first on; all when left out.

    Returns
    -------
    dict of (str, str) to float64 array, shape (draws,)
        By the names as given; currency.

    Notes
    -----
    What one of them is worth alone is counted once for each baseline that it is paired under, and its luck is turned
    into amounts once: of 1,900 pairs that was nine tenths of the time.
    """
    discount = discounts(money)
    stakes: dict[str, Stake] = {}
    alone: dict[tuple[str, float, float], Array] = {}

    def npv(chosen: list[Stake], baseline: Baseline, lost: Array | None = None) -> Array:
        return np.asarray(roll_forward(chosen, baseline, cohort, money, retention, lost).balance @ discount)

    def own(name: str, baseline: Baseline) -> Array:
        key = (name, baseline.churn, baseline.revenue)
        if key not in alone:
            alone[key] = npv([stakes[name]], baseline)
        return alone[key]

    found = {}
    for one, other, overlap in pairs:
        for part in (one, other):
            if part.name not in stakes:
                stakes[part.name] = part.stake.first(draws)
        baseline = _shared(one, other)
        less = None if overlap is None else overlap.drawn(one.luck, other.luck)[:draws]
        both = npv([stakes[one.name], stakes[other.name]], baseline, less)
        found[one.name, other.name] = both - own(one.name, baseline) - own(other.name, baseline)
    return found


def counts_every_pair(samples: Samples) -> bool:
    """Whether so few were simulated together that every pair is counted, and not only those that were estimated."""
    return max(samples.among, len(samples.initiatives)) <= MOST_ALL_PAIRS


def counted_pairs(samples: Samples, *, is_every: bool | None = None) -> tuple[tuple[Sampled, Sampled], ...]:
    """Give the pairs of which it is counted what both are worth together, names sorted within and across them.

    Parameters
    ----------
    samples : Samples
        Initiatives and overlaps.
    is_every : bool, optional
        Every pair, or those whose overlap was estimated; as `counts_every_pair` when left out.
    """
    ordered = sorted(samples.initiatives, key=lambda one: one.name)
    estimated = {one.overlap.names for one in samples.overlaps}
    is_every = counts_every_pair(samples) if is_every is None else is_every
    pairs = combinations(ordered, 2)
    return tuple((one, other) for one, other in pairs if is_every or (one.name, other.name) in estimated)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two initiatives as money needs them: stakes, what happens without them, draws of their overlap if estimated."""

    one: Stake
    other: Stake
    baseline: Baseline
    less: Array | None

    @classmethod
    def of(cls, one: Sampled, other: Sampled, overlap: SampledOverlap | None) -> Pair:
        """Draw both, and their overlap."""
        less = None if overlap is None else overlap.drawn(one.luck, other.luck)
        return cls(one.stake, other.stake, _shared(one, other), less)


def pair_difference(pair: Pair, cohort: Cohort, money: Money, retention: Retention) -> Array:
    """Count what two initiatives are worth together less the sum of both, draw by draw; see `combine`.

    Parameters
    ----------
    pair : Pair
        The two.
    cohort, money, retention
        As for `combine`.

    Returns
    -------
    float64 array, shape (draws,)
        Currency; below zero where they do the same work twice.
    """
    discount = discounts(money)

    def npv(chosen: list[Stake], lost: Array | None = None) -> Array:
        return np.asarray(roll_forward(chosen, pair.baseline, cohort, money, retention, lost).balance @ discount)

    return npv([pair.one, pair.other], pair.less) - npv([pair.one]) - npv([pair.other])


def _shared(one: Sampled, other: Sampled) -> Baseline:
    """Mean of two baselines, which differ by the models they come from."""
    first, second = one.forecast.baseline, other.forecast.baseline
    return Baseline((first.churn + second.churn) / 2, (first.revenue + second.revenue) / 2)


def _row(one: Together) -> list[object]:
    nothing = (float("nan"),) * 3
    churn = nothing if one.overlap is None else _ends(one.overlap)
    both = one.npv_sum + one.difference
    return [
        *one.names, *churn, float(one.npv_sum.mean()), float(both.mean()), *_percentiles(both),
        float(one.difference.mean()), *_percentiles(one.difference),
    ]  # fmt: skip


def _ends(overlap: SampledOverlap) -> tuple[float, float, float]:
    churn = overlap.overlap.churn
    return churn.value, churn.lo, churn.hi


def _percentiles(draws: Array) -> tuple[float, float]:
    low, high = np.percentile(draws, [5, 95])
    return float(low), float(high)
