"""What happened in the synthetic company, gathered week by week into columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.company_people import People, World
from features.company_policy import CHANNELS
from features.company_state import PLACES, State, Touches, joining_case
from features.company_world import Week
from features.luck import normal, uniform
from features.snapshot import DAY

__all__ = ["MEASURES", "Record", "Recorder"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MEASURES = (
    "read_time", "promise_gap", "page_load", "outage", "bill_error", "wait", "talk", "resolved", "reply_days", "rating",
)  # fmt: skip
_RATED = frozenset({"visit", "call", "chat", "reply"})
_WEB = CHANNELS.index("web")


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that happened, in order of time.

    Attributes
    ----------
    customer, kind, channel, case, at : int64 arrays, shape (touchpoints,)
        Customer, position in `PLACES` and in `CHANNELS`, journey instance, microseconds.
    measures : dict of float64 arrays, shape (touchpoints,)
        NaN where a measure does not apply or was not given.
    leaver, left_at : int64 arrays, shape (churners,)
        Who left, and when.
    payer, paid_at : int64 arrays, amount : float64 array, shape (invoices,)
        Who paid what, and when.
    weeks_at_risk : int
        Customer weeks lived.
    """

    customer: Ints
    kind: Ints
    channel: Ints
    case: Ints
    at: Ints
    measures: dict[str, Floats]
    leaver: Ints
    left_at: Ints
    payer: Ints
    paid_at: Ints
    amount: Floats
    weeks_at_risk: int

    @property
    def data_start(self) -> int:
        """The earliest event."""
        return int(self.at.min())

    @property
    def data_end(self) -> int:
        """The latest event over all tables."""
        ends = [column.max() for column in (self.at, self.left_at, self.paid_at) if len(column)]
        return int(max(ends))


@dataclass(frozen=True, slots=True)
class _Part:
    """Touchpoints of one kind in one week."""

    kind: int
    customer: Ints
    channel: Ints
    case: Ints
    at: Ints
    measures: dict[str, Floats]


class Recorder:
    """Collects weeks; `finish` turns them into a `Record`."""

    __slots__ = ("_left", "_paid", "_parts", "_people", "_weeks", "_world")

    def __init__(self, world: World, people: People) -> None:
        self._world = world
        self._people = people
        self._parts = _before_the_first_week(world, people)
        self._left: list[tuple[Ints, Ints]] = []
        self._paid: list[tuple[Ints, Ints, Floats]] = []
        self._weeks = 0

    def add(self, week: int, people: People, state: State, lived: Week) -> None:
        """Record the touchpoints and the invoices of a week for the customers who were at risk in it."""
        self._weeks += len(people)
        for touch in lived.touches:
            measures = dict(touch.measures)
            if touch.place[1] in _RATED:
                measures["rating"] = _ratings(self._world, people, state, week, touch)
            kind = PLACES.index(touch.place)
            self._parts.append(_Part(kind, people.index[touch.rows], touch.channel, touch.case, touch.at, measures))
            if touch.place[0] == "billing":
                self._paid.append((people.index[touch.rows], touch.at, lived.spend[touch.rows]))

    def leave(self, customers: Ints, moments: Ints) -> None:
        """Record who left."""
        self._left.append((customers, moments))

    def finish(self) -> Record:
        """Put everything together, sorted by time, then customer, then kind."""
        parts = self._parts
        kind = np.concatenate([np.full(len(part.at), part.kind) for part in parts])
        customer = np.concatenate([part.customer for part in parts])
        at = np.concatenate([part.at for part in parts])
        order = np.lexsort((kind, customer, at))
        left = [np.concatenate(column) for column in zip(*self._left, strict=True)]
        payer, paid_at, amount = (np.concatenate(column) for column in zip(*self._paid, strict=True))
        return Record(
            customer=customer[order],
            kind=kind[order],
            channel=np.concatenate([part.channel for part in parts])[order],
            case=np.concatenate([part.case for part in parts])[order],
            at=at[order],
            measures={measure: _column(parts, measure)[order] for measure in MEASURES},
            leaver=left[0],
            left_at=left[1],
            payer=payer,
            paid_at=paid_at,
            amount=amount,
            weeks_at_risk=self._weeks,
        )


def _column(parts: list[_Part], measure: str) -> Floats:
    """Line up a measure over all parts, NaN where it does not apply."""
    return np.concatenate([part.measures.get(measure, np.full(len(part.at), np.nan)) for part in parts])


def _before_the_first_week(world: World, people: People) -> list[_Part]:
    """Let those who join while the world runs see an advert, up to three weeks before, and order."""
    rows = np.flatnonzero(people.joined_at >= world.start)
    customer, joined = people.index[rows], people.joined_at[rows]
    lead = np.floor((1 + 20 * uniform(world.seed, "advert", customer)) * DAY / 1_000_000).astype(np.int64) * 1_000_000
    web = np.full(len(rows), _WEB, dtype=np.int64)
    return [
        _Part(PLACES.index(("advert", "advert")), customer, web, joining_case(people, rows) - 2, joined - lead, {}),
        _Part(PLACES.index(("onboarding", "order")), customer, web, joining_case(people, rows), joined, {}),
    ]


def _ratings(world: World, people: People, state: State, week: int, touch: Touches) -> Floats:
    """Draw answers to "how was it", 0 to 10: a symptom of experience and loyalty, given by about a quarter.

    Those who are hurt answer more often. Nothing in the world depends on an answer.
    """
    index = people.index[touch.rows]
    answers = uniform(world.seed, f"answers:{touch.place[1]}", week, index) < 0.2 + 0.12 * np.clip(touch.hurt, 0, 1)
    mood = people.loyalty[touch.rows] - 0.8 * np.clip(state.slow[touch.rows], -1, 3)
    score = 7.5 + 1.3 * mood - 3.0 * touch.hurt + 1.2 * normal(world.seed, f"rating:{touch.place[1]}", week, index)
    return np.where(answers, np.clip(np.round(score), 0, 10), np.nan)
