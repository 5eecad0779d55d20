"""What each limit costs, and what each budget buys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.every_set import EverySet, Found
from models.feasibility import check_limits, within
from models.portfolio import Search
from models.proposals import Limits

__all__ = ["Frontier", "LimitCost", "LimitCosts", "Step", "frontier", "limit_costs"]

Array = NDArray[np.float64]

STEPS = 11
"""Budgets tried where not every set is looked at."""


@dataclass(frozen=True, slots=True)
class LimitCost:
    """What one limit costs.

    Attributes
    ----------
    limit : str
        ``budget``, ``capacity of x``, ``must x`` or ``never x``.
    change : str
        ``+1``, ``+10 %`` or ``lifted``.
    gain, gain_bound : float
        Worth with the limit relaxed less worth as it is, and what it could be at most; currency.
    members : tuple of str
        The best set then.
    """

    limit: str
    change: str
    gain: float
    gain_bound: float
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LimitCosts:
    """What every limit costs.

    Attributes
    ----------
    worth : float
        Worth under the limits as they are, currency.
    limits : tuple of LimitCost
        Budget, capacities by name, must, never.
    """

    worth: float
    limits: tuple[LimitCost, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row per relaxation: limit, change, gain, gain_bound (currency), members."""
        return pd.DataFrame(
            [(one.limit, one.change, one.gain, one.gain_bound, one.members) for one in self.limits],
            columns=["limit", "change", "gain", "gain_bound", "members"],
        )


@dataclass(frozen=True, slots=True)
class Step:
    """The best set from a budget on.

    Attributes
    ----------
    budget, worth, bound : float
        Currency.
    members : tuple of str
        The set.
    """

    budget: float
    worth: float
    bound: float
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frontier:
    """Worth against budget.

    Attributes
    ----------
    steps : tuple of Step
        By rising budget; between two steps the lower one holds where every set was looked at.
    """

    steps: tuple[Step, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row per step: budget, worth, bound (currency), members."""
        return pd.DataFrame(
            [(one.budget, one.worth, one.bound, one.members) for one in self.steps],
            columns=["budget", "worth", "bound", "members"],
        )


def limit_costs(searched: Search, limits: Limits) -> LimitCosts:
    """Compute what each limit costs: the worth with it relaxed, less the worth as it is.

    Parameters
    ----------
    searched : Search
        From `models.portfolio.search`.
    limits : Limits
        As for `models.portfolio.choose`.

    Returns
    -------
    LimitCosts
        Budget and capacities one unit more, 10 % more and lifted; each name in must and never taken out.

    Raises
    ------
    StudyError
        As `models.portfolio.choose`.

    Notes
    -----
    One limit at a time, the others as they are: two limits that bind together can each cost nothing. Sets are whole, so
    one unit more is often worth nothing and ten much; no price per unit is given that would hold for any amount.

    Examples
    --------
    >>> from models.portfolio import search
    >>> from models.proposals import Proposal, Proposals
    >>> draws = np.ones(4)
    >>> offered = Proposals.of([Proposal("a", 9 * draws, 5), Proposal("b", 8 * draws, 6)])
    >>> [(one.change, one.gain) for one in limit_costs(search(offered), Limits(budget=10)).limits]
    [('+1', 8.0), ('+10 %', 8.0), ('lifted', 8.0)]
    """
    check_limits(searched.proposals, limits)
    now = _found(searched, limits)
    costs = []
    for name, change, relaxed in _relaxations(limits):
        then = _found(searched, relaxed)
        # The set as it is stays allowed; a search that was stopped may have missed it.
        best = then if then.worth >= now.worth else now
        costs.append(
            LimitCost(
                limit=name,
                change=change,
                gain=best.worth - now.worth,
                gain_bound=max(then.bound, best.worth) - now.worth,
                members=searched.proposals.members(best.flags),
            )
        )
    return LimitCosts(now.worth, tuple(costs))


def frontier(searched: Search, limits: Limits, budgets: Sequence[float] | None = None) -> Frontier:
    """Find the best set for every budget, the other limits as they are.

    Parameters
    ----------
    searched : Search
        From `models.portfolio.search`.
    limits : Limits
        Its budget is not used.
    budgets : sequence of float, optional
        Budgets to try. Left out: every budget at which the best set changes where every set is looked at, and otherwise
        evenly spaced ones up to the cost of everything.

    Returns
    -------
    Frontier

    Raises
    ------
    StudyError
        Limits that contradict each other whatever the budget.
    """
    open_ended = replace(limits, budget=inf)
    check_limits(searched.proposals, open_ended)
    if budgets is None and isinstance(searched, EverySet):
        return Frontier(tuple(_every_step(searched, open_ended)))
    if budgets is None:
        budgets = np.linspace(0.0, float(searched.proposals.cost.sum()), STEPS).tolist()
    steps: list[Step] = []
    for budget in sorted(budgets):
        found = searched.best(replace(limits, budget=budget))
        if found is not None:
            step = Step(budget, found.worth, found.bound, searched.proposals.members(found.flags))
            # What a smaller budget buys can be bought still; a search that proves nothing may have missed it.
            steps.append(_kept(steps[-1], step) if steps and steps[-1].worth > step.worth else step)
    return Frontier(tuple(steps))


def _kept(before: Step, now: Step) -> Step:
    return replace(now, worth=before.worth, bound=max(before.worth, now.bound), members=before.members)


def _found(searched: Search, limits: Limits) -> Found:
    found = searched.best(limits)
    if found is None:
        raise ValueError("the solver stopped before it found a set. One was expected. Raise the number of nodes.")
    return found


def _relaxations(limits: Limits) -> Iterator[tuple[str, str, Limits]]:
    if isfinite(limits.budget):
        for change, more in _more(limits.budget):
            yield "budget", change, replace(limits, budget=more)
    for resource in sorted(limits.capacity):
        if isfinite(limits.capacity[resource]):
            for change, more in _more(limits.capacity[resource]):
                yield f"capacity of {resource}", change, replace(limits, capacity={**limits.capacity, resource: more})
    for name in sorted(limits.must):
        yield f"must {name}", "lifted", replace(limits, must=tuple(one for one in limits.must if one != name))
    for name in sorted(limits.never):
        yield f"never {name}", "lifted", replace(limits, never=tuple(one for one in limits.never if one != name))


def _more(limit: float) -> tuple[tuple[str, float], ...]:
    return ("+1", limit + 1), ("+10 %", 1.1 * limit), ("lifted", inf)


def _every_step(searched: EverySet, limits: Limits) -> Iterator[Step]:
    """Walk up the costs of all sets and stop wherever the worth rises."""
    rows = np.flatnonzero(within(searched.proposals, limits, searched.sets))
    cost = searched.sets[rows] @ searched.proposals.cost
    best = -inf
    slack = searched.tie(rows)
    # Stable: of sets that cost the same the preferred one comes first within its worth.
    for row, budget in ((rows[i], cost[i]) for i in np.lexsort((-searched.worth[rows], cost))):
        worth = float(searched.worth[row])
        if worth > best + slack:
            best = worth
            yield Step(float(budget), worth, worth, searched.proposals.members(searched.sets[row]))
