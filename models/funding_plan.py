"""What to fund: the answers of the portfolio library put together for the initiatives of a simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import StudyError
from features.study import Money
from models.cash import Cohort
from models.combinations import Combinations
from models.early_wins import Schedule, order_starts
from models.every_set import MOST
from models.forecasts import Refusal
from models.funding import Funding
from models.initiatives import Initiative
from models.limit_costs import Frontier, LimitCosts, frontier, limit_costs
from models.pilots import Pilot, Pilots, PilotWorth, worth_of_pilots
from models.portfolio import Alternative, Portfolio, alternatives, choose, search
from models.proposals import Proposal, Proposals
from models.purse import Purse, Rollout
from models.simulation import Worth
from models.stability import Stability, stability

__all__ = ["LEAST_CHANGE", "QUESTIONS", "FundingPlan", "customer_spread", "draws_used", "fundable", "plan_funding"]

Array = NDArray[np.float64]

PILOT_CUSTOMERS: Final = 2_000
"""Customers of a pilot, both halves together; fewer where fewer are reached."""

LEAST_CHANGE: Final = 0.005
"""Chance of another choice below which a trial is not worth speaking of."""

START_MONTHS: Final = 12
"""Months within which everything that is funded starts."""

MOST_MONTHS: Final = 24
"""Months within which many start; several a month, if need be."""

QUESTIONS: Final = (
    "the set that is worth most", "sets that come close", "what each budget buys", "what each limit costs",
    "how often each is in the best set", "what to try first", "in which order to start",
)  # fmt: skip
"""What a plan answers, in turn."""

_MANY: Final = 10
_FEW_DRAWS, _FEWEST_DRAWS = 1_000, 100
_SAMPLES, _FEWER_SAMPLES = 200, 50


@dataclass(frozen=True, slots=True, eq=False)
class FundingPlan:
    """What to fund, how sure that is, in which order to start, and what to try first.

    Attributes
    ----------
    portfolio : Portfolio
        The chosen set, with the gap to the bound.
    others : tuple of Alternative
        Sets that come close.
    frontier : Frontier
        Best set by budget.
    costs : LimitCosts
        What each limit costs.
    stability : Stability
        How often each initiative is in the best set.
    pilots : Pilots
        What trying first is worth.
    schedule : Schedule, optional
        Order of starts; None where nothing is funded, or no order keeps the cash above zero.
    cash : float
        Money at hand that the order keeps to, currency.
    notes : tuple of str
        What was left out and why.
    """

    portfolio: Portfolio
    others: tuple[Alternative, ...]
    frontier: Frontier
    costs: LimitCosts
    stability: Stability
    pilots: Pilots
    schedule: Schedule | None
    cash: float
    notes: tuple[str, ...]

    @property
    def first_pilot(self) -> PilotWorth | None:
        """The trial that is worth most, where one could change the choice at all."""
        able = [one for one in self.pilots.pilots if one.p_change >= LEAST_CHANGE]
        return able[0] if able else None

    @property
    def most_uncertain(self) -> PilotWorth:
        """The initiative whose exact value would be worth most to know; equals by name."""
        return max(self.pilots.pilots, key=lambda one: (one.perfect, one.name))

    def starts(self, waits: Mapping[str, int]) -> pd.DataFrame:
        """Lay out when each initiative starts, as `models.early_wins.Schedule.to_frame`; no row without an order."""
        if self.schedule is None:
            return pd.DataFrame(columns=["initiative", "month", "balance"])
        return self.schedule.to_frame(waits)


def plan_funding(
    worths: Sequence[Worth],
    refusals: Sequence[Refusal],
    pairs: Combinations,
    funding: Funding,
    cohort: Cohort,
    money: Money,
    rng: np.random.Generator,
    tell: Callable[[str], object] = str,
) -> FundingPlan:
    """Choose what to fund and answer what goes with the choice.

    Parameters
    ----------
    worths : sequence of Worth
        Of all simulated initiatives, with joint draws.
    refusals : sequence of Refusal
        What cannot be done; what needs it cannot either.
    pairs : Combinations
        What pairs are worth more or less than the sum.
    funding : Funding
        Budget, capacities, must, never, appetite, cash at hand.
    cohort, money
        As for `models.simulation.compare`; for the spread of customers in pilots, and the discount rate.
    rng : numpy.random.Generator
        For bootstrap samples of draws.
    tell : callable, optional
        Told which of `QUESTIONS` is being answered.

    Returns
    -------
    FundingPlan

    Raises
    ------
    StudyError
        Limits that contradict each other or let nothing be funded; cash that no order of starts keeps.

    Notes
    -----
    The budget is taken by the mean present value of what is spent; savings count as value. What hardly lies within what
    was observed (verdict `unsupported`) is not chosen from. With more than ten initiatives the first 1,000 draws are
    used, and with more than 15 the first 100 for what is searched in each draw: those sets are climbed to by exchanges,
    and what a pilot is worth is counted among them, so that it is worth at least so much.
    """
    kept, notes = fundable(worths, refusals, funding)
    is_many, draws = len(kept) > MOST, draws_used(len(kept))
    limits = funding.limits
    tell(QUESTIONS[0])
    searched = search(_proposals(kept, pairs, draws), funding.appetite)
    chosen = choose(searched, limits)
    tell(QUESTIONS[1])
    others = alternatives(searched, limits)
    tell(QUESTIONS[2])
    bought = frontier(searched, limits)
    tell(QUESTIONS[3])
    costs = limit_costs(searched, limits)
    tell(QUESTIONS[4])
    by_draw = (
        search(_proposals(kept, pairs, _FEWEST_DRAWS), funding.appetite, method="exchanges") if is_many else searched
    )
    stable = stability(by_draw, limits, rng, _FEWER_SAMPLES if is_many else _SAMPLES)
    tell(QUESTIONS[5])
    among = by_draw.best_by_draw(limits) if is_many else None
    pilots = worth_of_pilots(by_draw, limits, [_pilot(one, cohort, money) for one in kept], among)
    tell(QUESTIONS[6])
    cash = _cash(funding, kept)
    schedule = _schedule(chosen, kept, cash, funding, money)
    return FundingPlan(chosen, others, bought, costs, stable, pilots, schedule, cash, notes)


def draws_used(count: int) -> int | None:
    """Say how many draws a choice among so many rests on, from the first on; None: all."""
    return None if count <= _MANY else _FEW_DRAWS


def fundable(
    worths: Sequence[Worth], refusals: Sequence[Refusal], funding: Funding
) -> tuple[list[Worth], tuple[str, ...]]:
    """Leave out what is refused or unsupported, and what needs it.

    Parameters
    ----------
    worths, refusals, funding
        As for `plan_funding`.

    Returns
    -------
    kept : list of Worth
        What is chosen from.
    notes : tuple of str
        What was left out and why, a sentence each.

    Raises
    ------
    StudyError
        Nothing is left, or something that must be done is not.
    """
    out = {one.initiative.name: "it is refused" for one in refusals}
    out |= {
        one.initiative.name: "its change hardly lies within what was observed"
        for one in worths
        if one.verdict == "unsupported"
    }
    kept = [one for one in worths if one.initiative.name not in out]
    while blocked := [one for one in kept if set(one.initiative.needs) & set(out)]:
        for one in blocked:
            needed = sorted(set(one.initiative.needs) & set(out))[0]
            out[one.initiative.name] = f"it needs '{needed}', which is left out"
        kept = [one for one in kept if one.initiative.name not in out]
    wanted = [f"'{name}' must be done, but {out[name]}. Take it out of must." for name in funding.must if name in out]
    if wanted:
        raise StudyError.collect(wanted)
    if not kept:
        raise StudyError(
            "No initiative is left to choose from: all are refused or unsupported. At least one was expected. "
            "See why with: journeylift simulate"
        )
    return kept, tuple(f"left out: {name}, as {why}." for name, why in sorted(out.items()))


def _proposals(kept: Sequence[Worth], pairs: Combinations, draws: int | None) -> Proposals:
    names = {one.initiative.name for one in kept}
    items = [
        Proposal(
            name=one.initiative.name,
            value=one.npv[:draws],
            cost=one.outlay,
            capacity=one.initiative.capacity,
            needs=one.initiative.needs,
            excludes=tuple(name for name in one.initiative.excludes if name in names),
        )
        for one in kept
    ]
    return Proposals.of(items, {pair: d[:draws] for pair, d in pairs.interactions.items() if set(pair) <= names})


def _cash(funding: Funding, kept: Sequence[Worth]) -> float:
    """Money at hand: as given, else the budget, else enough for everything."""
    if funding.cash is not None:
        return funding.cash
    return funding.budget if funding.budget is not None else sum(one.outlay for one in kept)


def _schedule(chosen: Portfolio, kept: Sequence[Worth], cash: float, funding: Funding, money: Money) -> Schedule | None:
    funded: Mapping[str, Worth] = {one.initiative.name: one for one in kept if one.initiative.name in chosen.members}
    if not funded:
        return None
    rollouts = [Rollout(name, one.path.balance, _needs(one.initiative, funded)) for name, one in funded.items()]
    months = min(max(START_MONTHS, len(rollouts)), MOST_MONTHS)
    purse = Purse(cash, months, money.discount_rate, starts_a_month=ceil(len(rollouts) / months))
    try:
        return order_starts(rollouts, purse)
    except StudyError:
        if funding.cash is not None:
            raise
        return None


def _needs(initiative: Initiative, funded: Mapping[str, Worth]) -> tuple[str, ...]:
    return tuple(name for name in initiative.needs if name in funded)


def _pilot(worth: Worth, cohort: Cohort, money: Money) -> Pilot:
    reached = worth.reached_share * cohort.customers
    customers = max(2, int(min(PILOT_CUSTOMERS, reached)))
    return Pilot(worth.initiative.name, customers, customer_spread(worth, cohort, money), reached)


def customer_spread(worth: Worth, cohort: Cohort, money: Money) -> float:
    """Compute how much customers differ in what they bring over the months of money, as some leave early and some stay.

    Parameters
    ----------
    worth : Worth
        Its path without the initiative gives survival and revenue.
    cohort, money
        As for `plan_funding`.

    Returns
    -------
    float
        Currency. Customers pay alike in it: where they differ, more customers are needed than it says.

    Notes
    -----
    With S_k the share still there after month k and v_k the discounted margin of a customer until then, the variance of
    v over the month of leaving, which has probability S_(k-1) - S_k.
    """
    path = worth.path
    stays = path.customers_without / cohort.customers
    mid = (stays[1:] + stays[:-1]) / 2
    discount = (1 + money.discount_rate) ** (-np.arange(1, len(stays)) / 12)
    monthly = money.margin * path.revenue_without[1:] / (mid * cohort.customers)
    earned = np.cumsum(monthly * discount)
    # Who leaves within a month has paid half of it.
    value = np.append(earned - monthly * discount / 2, earned[-1])
    chance = np.append(stays[:-1] - stays[1:], stays[-1])
    mean = float(chance @ value)
    return float(np.sqrt(chance @ (value - mean) ** 2))
