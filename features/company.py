"""The synthetic company whose true effects are known: the default demo and the judge of every estimator.

A subscription company lives week by week (`company_world`). Because luck belongs to customer and week and not to the
order of drawing, the true effect of an initiative is the same world run again under it, customer by customer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from features.company_initiatives import HORIZON_DAYS
from features.company_people import WEEK, People, World, make_people, make_world
from features.company_policy import CompanyInitiative, Policy
from features.company_record import Record, Recorder
from features.company_state import State, start_state
from features.company_world import Week, churned_at, live_week
from features.errors import EmptyResultError, UnsupportedError
from features.luck import uniform
from features.snapshot import cutoffs, go_live_dates, midnight

__all__ = ["COMPANY_GRID", "Company", "LivedWeek", "Truth", "live_weeks", "simulate_company", "truth_for"]


@dataclass(frozen=True, slots=True)
class CompanyGrid:
    """The snapshot grid of the company's study: monthly cutoffs, half a year back, a quarter ahead."""

    every: Literal["month", "week"] | int = "month"
    window_days: int = 180
    gap_days: int = 0
    horizon_days: int = HORIZON_DAYS
    first: date | None = None
    last: date | None = None


COMPANY_GRID = CompanyGrid()


@dataclass(frozen=True, slots=True)
class GoLive:
    """The world as it stood when initiatives could go live.

    Attributes
    ----------
    date : int
        Go-live in microseconds.
    week : int
        The first week that begins at or after the date: less than seven days later.
    rows : int array, shape (n,)
        Customers at risk at the beginning of that week.
    state : State
        What they carry.
    """

    date: int
    week: int
    rows: NDArray[np.intp]
    state: State


@dataclass(frozen=True, slots=True)
class Company:
    """A simulated company: what happened, and what is needed to ask what else could have happened.

    Attributes
    ----------
    world, people : World, People
        Environment and customers.
    record : Record
        Everything that happened, as columns.
    go_lives : tuple of GoLive
        The last three matured cutoffs of the company's study, ascending.
    """

    world: World
    people: People
    record: Record
    go_lives: tuple[GoLive, ...]

    @property
    def monthly_churn(self) -> float:
        """Customers who left, per customer and month of 365.25 / 12 days at risk."""
        weeks = self.record.weeks_at_risk
        return float(len(self.record.leaver) / max(weeks, 1) * 365.25 / 12 / 7)


@dataclass(frozen=True, slots=True)
class Truth:
    """What an initiative truly does, mean over the customers at risk at go-live and over the go-live dates.

    Attributes
    ----------
    name : str
        The initiative.
    churn_effect : float
        Change in the probability of leaving within the horizon.
    revenue_effect : float
        Change in revenue per customer over the horizon.
    kind : str
        good, useless, harmful or uncontrolled, as meant.
    reached_share : float
        Share of customers of whom at least one touchpoint changed within the horizon.
    """

    name: str
    churn_effect: float
    revenue_effect: float
    kind: str
    reached_share: float


@dataclass(frozen=True, slots=True)
class LivedWeek:
    """A week of all who are there.

    Attributes
    ----------
    week : int
        Which one.
    rows : int array, shape (n,)
        Customers at risk at its beginning.
    people, state : People, State
        They, and what they carry at its beginning.
    lived : Week
        What happened.
    leavers : int array
        Positions among them of those who leave at its end.
    """

    week: int
    rows: NDArray[np.intp]
    people: People
    state: State
    lived: Week
    leavers: NDArray[np.intp]


def live_weeks(world: World, people: People) -> Iterator[LivedWeek]:
    """Live all weeks as they come, without any initiative; the same arguments give the same weeks."""
    state, gone = start_state(len(people)), np.zeros(len(people), dtype=np.bool_)
    for week in range(world.weeks):
        rows = np.flatnonzero((people.first_week <= week) & ~gone)
        here, carried = people.take(rows), state.take(rows)
        lived = live_week(world, here, carried, week, Policy(world.seed, here))
        leavers = np.flatnonzero(uniform(world.seed, "leaving", week, here.index) < lived.hazard)
        yield LivedWeek(week, rows, here, carried, lived, leavers)
        gone[rows[leavers]] = True
        state.put(rows, lived.state)


def simulate_company(
    customers: int, seed: int, *, hidden_confounding: float = 0.0, weeks: int = 130, start: str = "2023-07-03"
) -> Company:
    """Let a company live.

    Parameters
    ----------
    customers : int
        How many customers it ever has; about two thirds are there at the start.
    seed : int
        The same seed gives the same company, bit for bit.
    hidden_confounding : float
        0: the quality of contacts depends on what is observed, and effects can be identified. 1: the latent loyalty and
        need move it too, and no adjustment for observed columns repairs that.
    weeks : int
        How long.
    start : str
        First day, a date.

    Returns
    -------
    Company

    Raises
    ------
    UnsupportedError
        No customers or no weeks.
    EmptyResultError
        Too short for a cutoff with a full window behind it and a full horizon ahead.

    Notes
    -----
    Time and memory grow linearly in customers times weeks.
    """
    if customers < 1 or weeks < 1:
        raise UnsupportedError(
            f"A company of {customers} customers and {weeks} weeks cannot live. At least 1 of each was expected. "
            "Ask for more, for instance 20000 customers and 130 weeks."
        )
    world = make_world(seed, customers, weeks, midnight(date.fromisoformat(start)))
    people = make_people(world, hidden_confounding)
    record, snapshots = _live(world, people)
    return Company(world, people, record, _go_lives(record, snapshots))


def truth_for(company: Company, initiatives: Sequence[CompanyInitiative]) -> tuple[Truth, ...]:
    """Run the world again under each initiative.

    Parameters
    ----------
    company : Company
        A simulated company.
    initiatives : sequence of CompanyInitiative
        Each is run alone.

    Returns
    -------
    tuple of Truth
        In the order of the initiatives.

    Notes
    -----
    For each go-live date, everybody at risk is followed for the horizon with and without the initiative, with the same
    luck. Nobody is removed: S_{t+1} = S_t (1 - h_t) carries each customer's chance of still being there, so that
    churn effect = mean(S_H - S^d_H) and revenue effect = mean(sum_t S^d_t m^d_t - S_t m_t) are free of coin flips.
    Delivery is at its PERT mean, reach is drawn per customer. A useless initiative has an effect of exactly zero.
    """
    effects = np.mean([_effects(company, go_live, initiatives) for go_live in company.go_lives], axis=0)
    return tuple(
        Truth(initiative.name, float(churn), float(revenue), initiative.kind, float(reached))
        for initiative, (churn, revenue, reached) in zip(initiatives, effects, strict=True)
    )


def _effects(company: Company, go_live: GoLive, initiatives: Sequence[CompanyInitiative]) -> NDArray[np.float64]:
    """Return change in churn, change in revenue and share affected for each initiative at one go-live date."""
    world, people = company.world, company.people.take(go_live.rows)
    stay, revenue = _follow(world, people, go_live, Policy(world.seed, people))
    effects = np.empty((len(initiatives), 3))
    for row, initiative in enumerate(initiatives):
        policy = Policy(world.seed, people, [initiative])
        stay_under, revenue_under = _follow(world, people, go_live, policy)
        effects[row] = (stay - stay_under).mean(), (revenue_under - revenue).mean(), policy.affected.mean()
    return effects


def _live(world: World, people: People) -> tuple[Record, dict[int, GoLive]]:
    """Live all weeks; return what happened and, by date, the world as it stood at each possible go-live."""
    recorder, candidates, snapshots = Recorder(world, people), _candidates(world), {}
    for one in live_weeks(world, people):
        if one.week in candidates:
            date = candidates[one.week]
            snapshots[date] = GoLive(date, one.week, one.rows, one.state)
        recorder.add(one.week, one.people, one.state, one.lived)
        recorder.leave(one.people.index[one.leavers], churned_at(world, one.people, one.week, one.leavers))
    return recorder.finish(), snapshots


def _follow(
    world: World, people: People, go_live: GoLive, policy: Policy
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each customer's chance of staying over the horizon, and expected revenue in it."""
    stay, revenue, state = np.ones(len(people)), np.zeros(len(people)), go_live.state
    for week in range(go_live.week, go_live.week + HORIZON_DAYS // 7):
        lived = live_week(world, people, state, week, policy)
        revenue += stay * lived.spend
        stay *= 1 - lived.hazard
        state = lived.state
    return stay, revenue


def _candidates(world: World) -> dict[int, int]:
    """Map the weeks in which a month's first cutoff can go live to that cutoff."""
    dates = cutoffs(COMPANY_GRID, world.start - 60 * WEEK, world.week_start(world.weeks))
    return {world.first_week_from(moment): moment for moment in dates if moment >= world.start}


def _go_lives(record: Record, snapshots: dict[int, GoLive]) -> tuple[GoLive, ...]:
    """Keep the snapshots at the dates that `simulate` will choose from the written tables."""
    candidates = cutoffs(COMPANY_GRID, record.data_start, record.data_end)
    dates = go_live_dates(COMPANY_GRID, candidates, record.data_end)
    if not dates:
        raise EmptyResultError(
            "The company did not live long enough for a go-live date: a window of 180 days behind it and a horizon of "
            f"{HORIZON_DAYS} days ahead were expected. Let it live for at least 45 weeks."
        )
    if not all(len(snapshots[moment].rows) for moment in dates):
        raise EmptyResultError(
            "Nobody is left at a go-live date. At least one customer at risk was expected. Ask for more customers."
        )
    return tuple(snapshots[moment] for moment in dates)
