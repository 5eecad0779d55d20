"""Which initiatives to fund: the set that is worth most within the limits, and how close others come.

For choosing once, now, from joint draws of value. Not for when each is started (`models.early_wins`), nor for learning
first (`models.pilots`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.appetite import Appetite
from models.every_set import MOST, EverySet, Found, Valuation
from models.exchange_search import ExchangeSearch
from models.feasibility import allowed, check_limits
from models.integer_programme import IntegerProgramme
from models.proposals import Limits, Proposals

__all__ = ["MOST_PROVED", "Alternative", "Method", "Portfolio", "Search", "alternatives", "choose", "search"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Method = Literal["by size", "every set", "integer programme", "exchanges"]

MOST_PROVED = 40
"""Initiatives up to which the chosen set is proved best, by seconds of branch and bound."""

LOW, HIGH = 5, 95
"""Percentiles of the draws shown as an interval."""


class Search(Protocol):
    """A way of finding the best set: `EverySet`, `IntegerProgramme` or `ExchangeSearch`."""

    @property
    def proposals(self) -> Proposals:
        """What is chosen from."""

    @property
    def appetite(self) -> Appetite:
        """What draws are worth."""

    def best(self, limits: Limits, besides: Sequence[Flags] = ()) -> Found | None:
        """Find the best set within limits that is none of `besides`; None where there is none."""

    def best_weighted(self, weights: Array, limits: Limits) -> Found:
        """Find the best set when draws are summed with these weights, shape (draws,); worth is that sum."""

    def best_by_draw(self, limits: Limits) -> Flags:
        """Find the best set in each draw on its own: bool array, shape (draws, m)."""

    def draws(self, flags: Flags) -> Array:
        """Value of one set that keeps needs and exclusions, shape (draws,)."""

    def settle(self, found: Found, limits: Limits) -> Found:
        """Take the preferred one of the sets that are worth as much."""


@dataclass(frozen=True, slots=True, eq=False)
class Portfolio:
    """A set of initiatives and what it is worth.

    Attributes
    ----------
    members : tuple of str
        Funded, in the order of names.
    worth, bound : float
        Mean and worst draws weighed by the appetite, and what no set within the limits exceeds; currency.
    draws : float64 array, shape (draws,)
        Net value of the set, currency.
    worst : float
        Mean of the worst draws, currency; their share is the appetite's `tail`.
    cost : float
        Taken from the budget, currency.
    used : mapping of str to float
        Taken of each resource.
    table : DataFrame
        One row per initiative: see `to_frame`.
    """

    members: tuple[str, ...]
    worth: float
    bound: float
    draws: Array
    worst: float
    cost: float
    used: Mapping[str, float]
    table: pd.DataFrame

    @property
    def gap(self) -> float:
        """What the best set could be worth more at most, over the worth; 0 where the set is proved best."""
        rest = self.bound - self.worth
        return 0.0 if rest <= 0 else rest / abs(self.worth) if self.worth else float("inf")

    @property
    def mean(self) -> float:
        """Expected net value, currency."""
        return float(self.draws.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """90 % interval of the net value: 5th and 95th percentile of the draws."""
        low, high = np.percentile(self.draws, [LOW, HIGH])
        return float(low), float(high)

    @property
    def p_positive(self) -> float:
        """Share of the draws in which the set earns more than it costs."""
        return float(np.mean(self.draws > 0))

    def to_frame(self) -> pd.DataFrame:
        """One row per initiative, in the order of names.

        Returns
        -------
        DataFrame
            ``initiative``, ``is_funded``, ``cost``, ``value_alone`` (mean) and ``adds``: what worth loses without it,
            or gains with it where it is not funded, the other members as they are and no limit looked at; currency. NaN
            where no such set can be: a member needs it, it needs what is not a member, or a member excludes it.
        """
        return self.table.copy()


@dataclass(frozen=True, slots=True, eq=False)
class Alternative:
    """A set that comes close to the best.

    Attributes
    ----------
    members, added, dropped : tuple of str
        The set, and what it has more and less than the best.
    worth, behind, cost : float
        Currency; `behind` is the worth of the best less its own.
    p_better : float
        Share of the draws in which it earns more than the best; equal draws count half.
    """

    members: tuple[str, ...]
    added: tuple[str, ...]
    dropped: tuple[str, ...]
    worth: float
    behind: float
    cost: float
    p_better: float


def search(
    proposals: Proposals,
    appetite: Appetite | None = None,
    valuation: Valuation | None = None,
    method: Method = "by size",
) -> Search:
    """Prepare the search, once for all questions about the same proposals.

    Parameters
    ----------
    proposals : Proposals
        What could be funded.
    appetite : Appetite, optional
        The mean alone, when left out.
    valuation : callable, optional
        Exact draws of a set, in place of values and pairwise interactions; with every set only.
    method : {"by size", "every set", "integer programme", "exchanges"}
        By size: every set up to `models.every_set.MOST` initiatives, an integer programme up to `MOST_PROVED`, and
        exchanges with a bound beyond.

    Returns
    -------
    Search

    Raises
    ------
    ValueError
        A valuation without every set, or too many initiatives to look at every set.
    """
    appetite = appetite or Appetite()
    if method == "every set" or (method == "by size" and len(proposals) <= MOST):
        return EverySet.of(proposals, appetite, valuation)
    if valuation is not None:
        raise ValueError(
            f"a valuation was given for {len(proposals)} initiatives. Expected at most {MOST}: more are chosen by "
            "pairwise interactions. Leave the valuation out, or choose fewer."
        )
    if method == "exchanges" or (method == "by size" and len(proposals) > MOST_PROVED):
        return ExchangeSearch(proposals, appetite)
    return IntegerProgramme(proposals, appetite)


def choose(searched: Search, limits: Limits) -> Portfolio:
    """Choose the set that is worth most within the limits.

    Parameters
    ----------
    searched : Search
        From `search`.
    limits : Limits
        Budget, capacities, what must and what must not be done.

    Returns
    -------
    Portfolio
        May be empty, where nothing earns its cost.

    Raises
    ------
    StudyError
        Limits that contradict each other or let nothing be funded, each with its amount.

    Notes
    -----
    Estimand: the set S that maximises ``(1 - a) E[V(S)] + a E[V(S) | worst draws]`` over the draws, V(S) the sum of the
    members' values and of the interactions of pairs (or the valuation). Of equals: fewest initiatives, then lowest
    cost, then names. Assumptions: draws are joint; three together do what their pairs say. Cost: 15 initiatives and
    1,000 draws take a second; 40 take seconds, and are proved best unless `Portfolio.gap` says otherwise; of 200, a set
    within a thousandth of the bound is taken, in seconds.

    References
    ----------
    Markowitz (1952), Portfolio selection, Journal of Finance 7. Fox, Baker, Bryant (1984), Economic models for R&D
    project selection in the presence of project interactions, Management Science 30, doi:10.1287/mnsc.30.7.890.

    Examples
    --------
    >>> from models.proposals import Proposal
    >>> draws = np.ones(4)
    >>> items = [Proposal("a", 9 * draws, 5), Proposal("b", 8 * draws, 5), Proposal("c", 7 * draws, 5)]
    >>> offered = Proposals.of(items)
    >>> choose(search(offered), Limits(budget=10)).members
    ('a', 'b')
    >>> offered = Proposals.of(items, {("a", "b"): -3 * draws})
    >>> choose(search(offered), Limits(budget=10)).members
    ('a', 'c')
    """
    check_limits(searched.proposals, limits)
    return _portfolio(searched, searched.settle(_best(searched, limits), limits))


def alternatives(searched: Search, limits: Limits, share: float = 0.02, most: int = 10) -> tuple[Alternative, ...]:
    """Find the sets that are worth nearly as much as the best.

    Parameters
    ----------
    searched : Search
        From `search`.
    limits : Limits
        The same as for `choose`.
    share : float
        How far behind, over the size of the best worth.
    most : int
        Sets listed at most; the best first.

    Returns
    -------
    tuple of Alternative
        Without the best itself; best first.

    Raises
    ------
    StudyError
        As `choose`.
    """
    check_limits(searched.proposals, limits)
    best = searched.settle(_best(searched, limits), limits)
    seen: list[Flags] = [best.flags]
    found: list[Alternative] = []
    drawn = searched.draws(best.flags)
    while len(found) < most and (other := searched.best(limits, seen)) is not None:
        if other.worth < best.worth - share * abs(best.worth):
            break
        seen.append(other.flags)
        found.append(_alternative(searched, best, other, drawn))
    return tuple(found)


def _best(searched: Search, limits: Limits) -> Found:
    found = searched.best(limits)
    if found is None:
        raise ValueError("the solver stopped before it found a set. One was expected. Raise the number of nodes.")
    return found


def _alternative(searched: Search, best: Found, other: Found, drawn: Array) -> Alternative:
    proposals, more = searched.proposals, searched.draws(other.flags) - drawn
    return Alternative(
        members=proposals.members(other.flags),
        added=proposals.members(other.flags & ~best.flags),
        dropped=proposals.members(best.flags & ~other.flags),
        worth=other.worth,
        behind=best.worth - other.worth,
        cost=float(proposals.cost[other.flags].sum()),
        p_better=float(np.mean(more > 0) + np.mean(more == 0) / 2),
    )


def _portfolio(searched: Search, found: Found) -> Portfolio:
    proposals, flags = searched.proposals, found.flags
    draws = searched.draws(flags)
    return Portfolio(
        members=proposals.members(flags),
        worth=found.worth,
        bound=found.bound,
        draws=draws,
        worst=float(searched.appetite.worst(draws)),
        cost=float(proposals.cost[flags].sum()),
        used=dict(zip(proposals.resources, (proposals.use @ flags).tolist(), strict=True)),
        table=_table(searched, found),
    )


def _table(searched: Search, found: Found) -> pd.DataFrame:
    proposals = searched.proposals
    adds = []
    for i, is_in in enumerate(found.flags):
        turned = np.where(np.arange(len(proposals)) == i, ~is_in, found.flags)
        # A set that cannot be has no worth, and a valuation was never asked for it.
        possible = allowed(proposals, turned[np.newaxis])[0]
        gain = float(searched.appetite.worth(searched.draws(turned))) - found.worth if possible else float("nan")
        adds.append(-gain if is_in else gain)
    return pd.DataFrame(
        {
            "initiative": proposals.names,
            "is_funded": found.flags,
            "cost": proposals.cost,
            "value_alone": proposals.value.mean(axis=0),
            "adds": adds,
        }
    )
