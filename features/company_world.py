"""One week in the life of the synthetic company: contacts, what they leave behind, who leaves, who pays.

A week is a pure function of the state at its start, the environment, the policy and keyed luck. What hurts is
remembered in two decaying sums and in a decaying worst moment; the hazard of leaving at the end of the week and the
spend during it depend on the memories at its start. Loyalty and need move hazard, spend, ratings and
the number of contacts, but never the quality of a contact (unless hidden confounding was asked for).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from features.company_contacts import answer_complaints, answer_support, happen_anyway, install, send_bills
from features.company_people import People, World
from features.company_policy import Policy
from features.company_state import HOUR, SECOND, Floats, Ints, Now, Rows, State, Touches
from features.luck import uniform
from features.snapshot import DAY

__all__ = ["Week", "churned_at", "live_week", "remember"]

FAST_DAYS, SLOW_DAYS, WORST_DAYS = 14.0, 60.0, 45.0
"""Half-lives of the memories."""


@dataclass(frozen=True, slots=True)
class Week:
    """What happened in a week: touchpoints, spend and chance of leaving a customer (shape (n,)), and the new state."""

    touches: tuple[Touches, ...]
    spend: Floats
    hazard: Floats
    state: State


def live_week(world: World, people: People, state: State, week: int, policy: Policy) -> Week:
    """Live one week.

    Parameters
    ----------
    world, people, week
        Environment, customers, and which week.
    state : State
        At the start of the week, aligned with `people`.
    policy : Policy
        Made for the same `people`.

    Returns
    -------
    Week
        With the state at its end. Nobody is removed: the hazard says with which chance each customer leaves.
    """
    now = Now(world, people, policy, week)
    visits, visit_due = install(now)
    bills, bill_due = send_bills(now)
    spend = _spend(now, state, bills)
    support, after = answer_support(now, state)
    touches = (*happen_anyway(now), visits, bills, *support, answer_complaints(now, state))
    fast, slow, worst = remember(now, state, touches)
    new = State(
        fast, slow, worst, after.repeat_due, bill_due, visit_due, after.complaint_due, after.failures, after.case
    )
    return Week(touches, spend, _hazard(now, state), new)


def churned_at(world: World, people: People, week: int, rows: Rows) -> Ints:
    """Draw when customers who leave in this week do so: in its last three hours, after all contacts."""
    seconds = np.floor(3 * 3600 * uniform(world.seed, "time of leaving", week, people.index[rows])).astype(np.int64)
    return world.week_start(week) + 7 * DAY - 3 * HOUR + seconds * SECOND


def _spend(now: Now, state: State, bills: Touches) -> Floats:
    """Charge fee and usage; bad memories lower usage, a wrong bill costs a credit."""
    people, rows = now.people, bills.rows
    level = 0.3 * people.need[rows] + 0.1 * people.loyalty[rows] + 0.1 * now.world.season[now.week]
    level += -0.2 * np.clip(state.slow[rows], -1, 4) + 0.3 * now.noise("usage", rows)
    credit = 0.12 * bills.measures["bill_error"]
    spend = np.zeros(len(people))
    spend[rows] = np.round(people.fee[rows] * (1 - credit + 0.4 * np.exp(level)), 2)
    return spend


def remember(now: Now, state: State, touches: Iterable[Touches]) -> tuple[Floats, Floats, Floats]:
    """Let a week pass over the memories and add what hurt in it, by its age at the end of the week."""
    fast, slow = state.fast * 2 ** (-7 / FAST_DAYS), state.slow * 2 ** (-7 / SLOW_DAYS)
    worst = state.worst * 2 ** (-7 / WORST_DAYS)
    end = now.world.week_start(now.week + 1)
    for touch in touches:
        if not touch.hurt.any():
            continue
        rows, days = touch.rows, (end - touch.at) / DAY
        fast[rows] += touch.hurt * 2 ** (-days / FAST_DAYS)
        slow[rows] += touch.hurt * 2 ** (-days / SLOW_DAYS)
        worst[rows] = np.maximum(worst[rows], touch.hurt * 2 ** (-days / WORST_DAYS))
    return fast, slow, worst


def _hazard(now: Now, state: State) -> Floats:
    """Give the chance of leaving at the end of the week, from the memories at its start."""
    people = now.people
    tenure = now.week - people.first_week
    odds = -6.9 + np.array([0.2, 0.0, -0.6])[people.segment] + np.array([0.0, 0.55, -0.1, 0.0])[people.region]
    odds += np.array([0.2, 0.0, -0.55])[people.age] + 0.15 * now.world.season[now.week]
    odds += 0.7 * np.exp(-np.maximum(tenure, 0) / 12) + 0.15 * np.minimum(tenure / 260, 1)
    odds += 0.5 * ((tenure % 52 < 4) & (tenure > 48)) - 0.35 * people.loyalty - 0.15 * people.need
    odds += 1.0 * np.clip(state.fast, -1, 4) + 0.4 * np.clip(state.slow, -1, 4) + 0.8 * state.worst
    return np.asarray(expit(odds), dtype=np.float64)
