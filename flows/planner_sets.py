"""Initiatives taken together: what a choice is worth, what it loses by overlap, and scenarios beside each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import StudyError
from flows.planner import Bench, Setting
from models.combinations import Combinations, Together, counts_every_pair, differences
from models.funding import Funding
from models.simulation import WORST, Worth

if TYPE_CHECKING:
    from models.funding_plan import FundingPlan

__all__ = ["FEWEST", "MOST", "Range", "SetWorth", "clashes", "compare_sets", "fund", "overlap_lost", "set_worth"]

Array = NDArray[np.float64]

FEWEST: Final = 2
MOST: Final = 6
"""Scenarios beside each other."""

MOST_KEPT_PAIRS: Final = 105
"""All pairs of 15 initiatives."""


@dataclass(frozen=True, slots=True)
class Range:
    """A mean with its 90 % interval."""

    value: float
    lo: float
    hi: float

    @classmethod
    def of(cls, draws: Array) -> Range:
        """Summarise draws."""
        low, high = np.percentile(draws, [5, 95])
        return cls(float(draws.mean()), float(low), float(high))


@dataclass(frozen=True, slots=True, eq=False)
class SetWorth:
    """What initiatives do together; draws are joint, present values in currency over the months of money.

    Attributes
    ----------
    names : tuple of str
        Of the initiatives, in the order chosen.
    npv, cost, revenue : float64 arrays, shape (draws,)
        Net present value, cost less savings, and revenue gained.
    churn : float64 array, shape (draws,)
        Change of the probability to leave over the horizon, per customer at risk, fully active.
    lost : float64 array, shape (draws,)
        Value of all together less the sum of each alone: below zero where they do the same work.
    kept : float
        Customers of the cohort kept over the horizon; mean.
    """

    names: tuple[str, ...]
    npv: Array
    cost: Array
    revenue: Array
    churn: Array
    lost: Array
    kept: float

    @property
    def p_positive(self) -> float:
        """Share of draws that earn more than they cost."""
        return float(np.mean(self.npv > 0))

    @property
    def worst(self) -> float:
        """Mean of the worst tenth of the draws, currency."""
        return float(WORST.worst(self.npv))


def set_worth(bench: Bench, settings: Mapping[str, Setting]) -> SetWorth:
    """Say what initiatives are worth together.

    Parameters
    ----------
    bench : Bench
        The simulation.
    settings : mapping of str to Setting
        Those that are in, as set.

    Raises
    ------
    StudyError
        A setting is out of range, or two exclude each other.

    Notes
    -----
    Sum of each alone and of what every pair is worth more or less, as the portfolio counts; with more than 15
    initiatives in the simulation only pairs whose overlap was estimated. The revenue follows from value and cost.
    """
    refuse_clashes(bench, settings)
    worths = [bench.worth(name, setting) for name, setting in settings.items()]
    zeros = np.zeros(bench.surface.samples.draws)
    lost, churn = zeros.copy(), zeros.copy()
    for one, other in pairs_of(bench, settings):
        lost = lost + bench.difference((one, settings[one]), (other, settings[other]))
    sampled = {name: bench.sampled(name, setting) for name, setting in settings.items()}
    mean = sum(one.forecast.effect.churn.value for one in sampled.values())
    for draws in sampled.values():
        churn = churn + draws.effect[:, 0]
    for one, other in bench.overlapping(sampled):
        overlap = bench.surface.overlap(sampled[one], sampled[other])
        if overlap is not None:
            churn = churn - overlap.drawn(sampled[one].luck, sampled[other].luck)[:, 0]
            mean -= overlap.overlap.churn.value
    # So that one initiative alone has the estimate that is shown of it, and not the mean of its draws.
    churn = churn + (mean - churn.mean())
    npv = sum((one.npv for one in worths), zeros) + lost
    cost = sum((one.cost for one in worths), zeros)
    margin = bench.surface.money.margin
    revenue = (npv + cost) / margin if margin else zeros + nan
    kept = float(-churn.mean() * bench.surface.cohort.customers)
    return SetWorth(tuple(settings), npv, cost, revenue, churn, lost, kept)


def pairs_of(bench: Bench, names: Mapping[str, Setting]) -> list[tuple[str, str]]:
    """Name the pairs that are counted, as `models.combinations.combine` does."""
    if counts_every_pair(bench.surface.samples):
        return list(combinations(sorted(names), 2))
    return bench.overlapping(names)


def refuse_clashes(bench: Bench, names: Collection[str]) -> None:
    """Raise a StudyError where two of the chosen exclude each other, or one needs what is not chosen."""
    faults = clashes(bench, names)
    if faults:
        raise StudyError.collect(faults)


def clashes(bench: Bench, names: Collection[str]) -> list[str]:
    """Say which of the chosen exclude each other, and which need what is not chosen, a sentence each."""
    faults = []
    for name in names:
        one = bench.initiatives[name]
        faults += [
            f"“{one.label}” and “{bench.initiatives[other].label}” exclude each other. Take one of them out."
            for other in one.excludes
            if other in names
        ]
        faults += [
            f"“{one.label}” needs “{bench.initiatives[other].label if other in bench.initiatives else other}”, which "
            "is not chosen. Choose it as well."
            for other in one.needs
            if other not in names
        ]
    return faults


def compare_sets(sets: Mapping[str, SetWorth], currency: str) -> pd.DataFrame:
    """Put two to six scenarios beside each other, under the same luck.

    Parameters
    ----------
    sets : mapping of str to SetWorth
        By name, in order; the first is what the others are compared with.
    currency : str
        Code; for the message.

    Returns
    -------
    DataFrame
        One row a scenario: scenario, initiatives (how many), churn, revenue, cost, npv, each with _lo and _hi (90 %),
        p_npv_positive, npv_worst, overlap with _lo and _hi, customers_kept, difference with _lo and _hi and p_better
        (than the first; NaN for itself).

    Raises
    ------
    StudyError
        Fewer than two or more than six.
    """
    if not FEWEST <= len(sets) <= MOST:
        raise StudyError(
            f"{len(sets)} scenarios in {currency} are to be compared. Expected {FEWEST} to {MOST}. Choose others."
        )
    first = next(iter(sets.values()))
    return pd.DataFrame([_row(name, one, first if at else None) for at, (name, one) in enumerate(sets.items())])


def _row(name: str, one: SetWorth, first: SetWorth | None) -> dict[str, object]:
    row: dict[str, object] = {"scenario": name, "initiatives": len(one.names)}
    for column in ("churn", "revenue", "cost", "npv"):
        row |= _spread(column, Range.of(getattr(one, column)))
    row |= {"p_npv_positive": one.p_positive, "npv_worst": one.worst, "customers_kept": one.kept}
    row |= _spread("overlap", Range.of(one.lost))
    if first is None:
        return row | _spread("difference", Range(nan, nan, nan)) | {"p_better": nan}
    difference = one.npv - first.npv
    return row | _spread("difference", Range.of(difference)) | {"p_better": float(np.mean(difference > 0))}


def _spread(column: str, found: Range) -> dict[str, object]:
    return {column: found.value, f"{column}_lo": found.lo, f"{column}_hi": found.hi}


def fund(
    bench: Bench, settings: Mapping[str, Setting], funding: Funding, tell: Callable[[str], object] = str
) -> FundingPlan:
    """Choose among all initiatives of the simulation, as they are set.

    Parameters
    ----------
    bench : Bench
        The simulation.
    settings : mapping of str to Setting
        Those that were changed; the others are as simulated.
    funding : Funding
        Budget, capacities, must, never, cash, appetite.
    tell : callable, optional
        Told what is counted, then as for `models.funding_plan.plan_funding`.

    Raises
    ------
    StudyError
        The limits contradict each other or let nothing be funded.

    Notes
    -----
    The same answer as ``journeylift portfolio`` of the saved scenario, as long as no size or delivery was moved.
    """
    from models.funding_plan import draws_used, fundable, plan_funding  # noqa: PLC0415 (a solver, needed only here)

    tell("the money of all initiatives and pairs")
    everything = {name: bench.setting(name, settings) for name in bench.initiatives}
    worths = [bench.worth(name, setting) for name, setting in everything.items()]
    on = bench.surface
    rng = np.random.default_rng([on.samples.seed % 2**32, 14])  # as flows.portfolio, so that both say the same
    kept, _ = fundable(worths, bench.stored.refusals, funding)
    pairs = _combined(bench, everything, kept, draws_used(len(kept)))
    return plan_funding(worths, bench.stored.refusals, pairs, funding, on.cohort, on.money, rng, tell)  # fmt: skip


def _combined(
    bench: Bench, everything: Mapping[str, Setting], kept: Sequence[Worth], draws: int | None
) -> Combinations:
    npv = {one.initiative.name: one.npv[:draws] for one in kept}
    pairs = pairs_of(bench, {name: everything[name] for name in npv})
    lost = _lost(bench, everything, pairs, draws)
    return Combinations(tuple(Together(names, npv[names[0]] + npv[names[1]], lost[names], None) for names in pairs))


def _lost(
    bench: Bench, settings: Mapping[str, Setting], pairs: Sequence[tuple[str, str]], draws: int | None = None
) -> dict[tuple[str, str], Array]:
    """Count pairs; few are kept for the next time that a limit moves, many are counted quicker and not kept."""
    if len(pairs) <= MOST_KEPT_PAIRS:
        return {(a, b): bench.difference((a, settings[a]), (b, settings[b]))[:draws] for a, b in pairs}
    on, sampled = bench.surface, {name: bench.sampled(name, settings[name]) for pair in pairs for name in pair}
    both = ((sampled[a], sampled[b], on.overlap(sampled[a], sampled[b])) for a, b in pairs)
    return differences(both, on.cohort, on.money, on.retention, draws)


def overlap_lost(bench: Bench, settings: Mapping[str, Setting], members: Sequence[str]) -> Range:
    """Say what funded initiatives are worth together less the sum of each alone; currency."""
    chosen = {name: bench.setting(name, settings) for name in members}
    counted = _lost(bench, chosen, pairs_of(bench, chosen))
    return Range.of(sum(counted.values(), np.zeros(bench.surface.samples.draws)))
