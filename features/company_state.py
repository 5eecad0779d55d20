"""What the synthetic company's customers carry from week to week, and the touchpoints of a week."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from features.company_people import People, World
from features.company_policy import Policy
from features.luck import normal, uniform
from features.snapshot import DAY

__all__ = [
    "HOUR",
    "PLACES",
    "SECOND",
    "Flags",
    "Floats",
    "Ints",
    "Now",
    "Place",
    "Rows",
    "State",
    "Touches",
    "joining_case",
    "start_state",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]
Place = tuple[str, str]

PLACES: tuple[Place, ...] = (
    ("advert", "advert"),
    ("advert", "newsletter"),
    ("onboarding", "order"),
    ("onboarding", "visit"),
    ("usage", "session"),
    ("usage", "outage_notice"),
    ("billing", "invoice"),
    ("support", "call"),
    ("support", "chat"),
    ("complaint", "reply"),
    ("renewal", "notice"),
)
"""Every journey with its touchpoints, in the order of a customer's life."""

SECOND = 1_000_000
HOUR = 3600 * SECOND


@dataclass(frozen=True, slots=True)
class State:
    """What customers carry from week to week; every array has shape (n,).

    Attributes
    ----------
    fast, slow, worst : float64
        Memories of hurt: sums with half-lives of 14 and 60 days, and the worst moment with one of 45 days.
    repeat_due, bill_due, visit_due, complaint_due : bool
        Contacts that follow next week from an unresolved contact, a wrong bill, a late visit, a case gone wrong.
    failures : int64
        Unresolved contacts in a row in the open case.
    case : int64
        Number of the open case.
    """

    fast: Floats
    slow: Floats
    worst: Floats
    repeat_due: Flags
    bill_due: Flags
    visit_due: Flags
    complaint_due: Flags
    failures: Ints
    case: Ints

    def take(self, rows: Rows) -> State:
        """Return the state of some customers."""
        return State(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})

    def put(self, rows: Rows, new: State) -> None:
        """Write the state of some customers in place."""
        for item in fields(self):
            getattr(self, item.name)[rows] = getattr(new, item.name)


@dataclass(frozen=True, slots=True)
class Touches:
    """Touchpoints of one kind in one week, at most one a customer; every array has shape (k,).

    Attributes
    ----------
    place : (str, str)
        Journey and touchpoint.
    rows : int
        Positions of the customers.
    at, case, channel : int64
        Microseconds; number of the journey instance; position in `CHANNELS`.
    hurt : float64
        What is felt, between -0.5 and 1.5; bad counts about twice as much as good.
    measures : dict of float64 arrays
        What was measured.
    """

    place: Place
    rows: Rows
    at: Ints
    case: Ints
    channel: Ints
    hurt: Floats
    measures: dict[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Now:
    """A week being lived: gives each touchpoint its luck, its time and what the policy makes of it."""

    world: World
    people: People
    policy: Policy
    week: int

    def luck(self, purpose: str, rows: Rows | None = None) -> Floats:
        """Draw uniform luck of this week for these customers, or for all."""
        index = self.people.index if rows is None else self.people.index[rows]
        return uniform(self.world.seed, purpose, self.week, index)

    def noise(self, purpose: str, rows: Rows | None = None) -> Floats:
        """Draw normal luck of this week for these customers, or for all."""
        index = self.people.index if rows is None else self.people.index[rows]
        return normal(self.world.seed, purpose, self.week, index)

    def at(self, place: Place, rows: Rows) -> Ints:
        """Draw a moment of the week between 8:00 and 20:00, whole seconds."""
        days = 7 * self.luck(f"time of {place[1]}", rows)
        day = np.floor(days).astype(np.int64)
        seconds = np.floor((days - day) * 12 * 3600).astype(np.int64)
        return self.world.week_start(self.week) + day * DAY + 8 * HOUR + seconds * SECOND

    def new_case(self, place: Place, rows: Rows) -> Ints:
        """Give journey instances numbers that depend on week, customer and place only."""
        return ((self.week + 1) * self.world.customers + self.people.index[rows]) * len(PLACES) + PLACES.index(place)

    def moved(self, place: Place, measure: str, values: Floats, rows: Rows, channel: Ints) -> Floats:
        """Return the values of a measure as the policy makes them."""
        return self.policy.move(place, measure, values, rows=rows, channel=channel, week=self.week)


def joining_case(people: People, rows: Rows) -> Ints:
    """Give the journeys of joining, one a customer, numbers below those of `Now.new_case`."""
    return people.index[rows] * len(PLACES) + PLACES.index(("onboarding", "order"))


def start_state(n: int) -> State:
    """Return the state of `n` customers who remember nothing."""
    fast, slow, worst = np.zeros((3, n))
    repeat_due, bill_due, visit_due, complaint_due = np.zeros((4, n), dtype=np.bool_)
    failures, case = np.zeros((2, n), dtype=np.int64)
    return State(fast, slow, worst, repeat_due, bill_due, visit_due, complaint_due, failures, case)
