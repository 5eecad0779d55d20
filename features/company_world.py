"""One week in the life of the synthetic company: contacts, what they leave behind, who leaves, who pays.

A week is a pure function of the state at its start, the environment, the policy and keyed luck. What hurts is remembered
in two decaying sums and in a decaying worst moment; the hazard of leaving at the end of the week and the spend during it
depend on the memories at its start. Loyalty and need move hazard, spend, ratings and the number of contacts, but never
the quality of a contact (unless hidden confounding was asked for).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features.company_people import People, World
from features.company_policy import CHANNELS, Policy
from features.luck import normal, uniform
from features.snapshot import DAY

__all__ = ["State", "Touches", "Week", "churned_at", "live_week", "start_state"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]

FAST_DAYS, SLOW_DAYS, WORST_DAYS = 14.0, 60.0, 45.0
_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_PHONE, _CHAT, _WEB, _APP, _MAIL, _HOME = range(len(CHANNELS))


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
    journey, touchpoint : str
        What they are.
    rows : int
        Positions of the customers.
    at, case, channel : int64
        Microseconds; number of the journey instance; position in `CHANNELS`.
    hurt : float64
        What is felt, between -0.5 and 1.5; bad counts about twice as much as good.
    measures : dict of float64 arrays
        What was measured.
    """

    journey: str
    touchpoint: str
    rows: Rows
    at: Ints
    case: Ints
    channel: Ints
    hurt: Floats
    measures: dict[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Week:
    """What happened in a week: touchpoints, spend and chance of leaving a customer (shape (n,)), and the new state."""

    touches: tuple[Touches, ...]
    spend: Floats
    hazard: Floats
    state: State


@dataclass(frozen=True, slots=True)
class _Now:
    """A week being lived: gives each touchpoint its luck, its time and what the policy makes of it."""

    world: World
    people: People
    policy: Policy
    week: int

    def luck(self, purpose: str, rows: Rows | None = None) -> Floats:
        index = self.people.index if rows is None else self.people.index[rows]
        return uniform(self.world.seed, purpose, self.week, index)

    def noise(self, purpose: str, rows: Rows | None = None) -> Floats:
        index = self.people.index if rows is None else self.people.index[rows]
        return normal(self.world.seed, purpose, self.week, index)

    def at(self, purpose: str, rows: Rows) -> Ints:
        """Draw a moment of the week between 8:00 and 20:00, whole seconds."""
        days = 7 * self.luck(f"time of {purpose}", rows)
        day = np.floor(days).astype(np.int64)
        seconds = np.floor((days - day) * 12 * 3600).astype(np.int64)
        return self.world.week_start(self.week) + day * DAY + 8 * _HOUR + seconds * _SECOND

    def new_case(self, kind: int, rows: Rows) -> Ints:
        """Number a journey instance by week, customer and kind."""
        return ((self.week + 1) * self.world.customers + self.people.index[rows]) * 8 + kind


def start_state(n: int) -> State:
    """Return the state of `n` customers who remember nothing."""
    zero = np.zeros(n)
    flag = np.zeros(n, dtype=np.bool_)
    count = np.zeros(n, dtype=np.int64)
    return State(
        zero.copy(), zero.copy(), zero.copy(), flag.copy(), flag.copy(), flag.copy(), flag.copy(), count.copy(), count
    )


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
    now = _Now(world, people, policy, week)
    visits, visit_due = _visits(now)
    invoices, bill_due = _invoices(now)
    spend = _spend(now, state, invoices)
    support, after = _support(now, state)
    touches = (*_background(now), *visits, *invoices, *support, *_complaints(now, state))
    fast, slow, worst = _remember(now, state, touches)
    new = State(
        fast, slow, worst, after.repeat_due, bill_due, visit_due, after.complaint_due, after.failures, after.case
    )
    return Week(touches, spend, _hazard(now, state), new)


def churned_at(world: World, people: People, week: int, rows: Rows) -> Ints:
    """Draw when customers who leave in this week do so: in its last three hours, after all contacts."""
    seconds = np.floor(3 * 3600 * uniform(world.seed, "time of leaving", week, people.index[rows])).astype(np.int64)
    return world.week_start(week) + 7 * DAY - 3 * _HOUR + seconds * _SECOND


def _background(now: _Now) -> Iterable[Touches]:
    """Yield what happens without anybody asking: app sessions, storms, newsletters, renewal notices."""
    people, week = now.people, now.week
    tenure = week - people.first_week
    session = now.luck("session") < 0.16 * np.exp(0.15 * people.need)
    rows = np.flatnonzero(session)
    slow_devices = np.array([0.0, 0.8, 0.1, 0.0])[people.region[rows]]
    load = np.exp(0.8 + slow_devices + 0.1 * (people.age[rows] == 2) + 0.3 * now.noise("page load", rows))
    yield _plain(now, 2, "usage", "session", rows, _APP, "page_load", np.round(load, 2))
    cut = now.world.outage[week, people.region]
    rows = np.flatnonzero((cut > 0) & (now.luck("storm hits") < 0.5))
    yield _storms(now, rows, cut[rows])
    rows = np.flatnonzero((week + people.index) % 13 == 0)
    reading = np.exp(3.2 + np.array([-0.4, 0.0, 0.7])[people.age[rows]] + 0.2 * people.segment[rows])
    reading *= np.exp(0.4 * now.noise("reading", rows))
    yield _plain(now, 0, "advert", "newsletter", rows, _MAIL, "read_time", np.round(reading, 1))
    rows = np.flatnonzero((tenure % 52 == 48) & (tenure > 0))
    yield _plain(now, 6, "renewal", "notice", rows, _MAIL)


def _plain(
    now: _Now,
    kind: int,
    journey: str,
    touchpoint: str,
    rows: Rows,
    channel: int,
    measure: str = "",
    values: Floats | None = None,
) -> Touches:
    """Make touchpoints that hurt nobody."""
    where = np.full(len(rows), channel, dtype=np.int64)
    measures = {}
    if values is not None:
        measures[measure] = now.policy.move((journey, touchpoint), measure, values, rows, where, now.week)
    hurt = np.zeros(len(rows))
    return Touches(journey, touchpoint, rows, now.at(touchpoint, rows), now.new_case(kind, rows), where, hurt, measures)


def _storms(now: _Now, rows: Rows, hours: Floats) -> Touches:
    """Make the notices of a power cut, and how much it hurt."""
    hours = np.round(hours * (0.5 + now.luck("storm length", rows)), 1)
    plain = _plain(now, 2, "usage", "outage_notice", rows, _APP, "outage", hours)
    hurt = _felt(0.5 * np.clip(plain.measures["outage"] / 15, 0, 1), np.zeros(len(rows)))
    case = plain.case + 5
    return Touches(plain.journey, plain.touchpoint, rows, plain.at, case, plain.channel, hurt, plain.measures)


def _visits(now: _Now) -> tuple[list[Touches], Flags]:
    """Install at home, often later than promised; a late visit makes customers call."""
    people = now.people
    rows = np.flatnonzero(people.visit_week == now.week)
    size = np.array([0.2, 0.0, -0.5])[people.segment[rows]] + np.array([0.0, 0.3, 0.0, 0.2])[people.region[rows]]
    size += people.disfavour[rows] + 0.8 * now.noise("promise gap", rows)
    gap = np.round(np.maximum(3.2 * np.exp(size) - 1.0, 0.0), 1)
    channel = np.full(len(rows), _HOME, dtype=np.int64)
    gap = now.policy.move(("onboarding", "visit"), "promise_gap", gap, rows, channel, now.week)
    hurt = _felt(0.6 * np.clip((gap - 0.5) / 10, 0, 1), np.where(gap < 0.5, 0.15, 0.0))
    due = np.zeros(len(people), dtype=np.bool_)
    due[rows] = now.luck("call after visit", rows) < 0.6 * (1 - np.exp(-gap / 4))
    case = people.index[rows] * 8 + 1
    visit = Touches("onboarding", "visit", rows, now.at("visit", rows), case, channel, hurt, {"promise_gap": gap})
    return [visit], due


def _invoices(now: _Now) -> tuple[list[Touches], Flags]:
    """Send the month's bill, sometimes a wrong one; a wrong bill makes customers call."""
    people = now.people
    offset = now.world.bill_offset[now.week, people.bill_day]
    rows = np.flatnonzero(offset >= 0)
    odds = (
        -2.0 + np.array([-0.3, 0.1, 0.7])[people.segment[rows]] + np.array([0.2, -0.3, 0.1, 0.0])[people.region[rows]]
    )
    odds += now.world.billing[now.week, people.region[rows]] + people.disfavour[rows]
    wrong = (now.luck("bill error", rows) < expit(odds)).astype(np.float64)
    channel = np.where(people.age[rows] == 2, _MAIL, _APP).astype(np.int64)
    wrong = now.policy.move(("billing", "invoice"), "bill_error", wrong, rows, channel, now.week)
    due = np.zeros(len(people), dtype=np.bool_)
    due[rows] = (wrong > 0) & (now.luck("call after bill", rows) < 0.4)
    at = now.world.week_start(now.week) + offset[rows] * DAY + 6 * _HOUR
    hurt = _felt(0.5 * wrong, np.zeros(len(rows)))
    return [Touches("billing", "invoice", rows, at, now.new_case(3, rows), channel, hurt, {"bill_error": wrong})], due


def _spend(now: _Now, state: State, invoices: list[Touches]) -> Floats:
    """Charge fee and usage; bad memories lower usage, a wrong bill costs a credit."""
    people = now.people
    spend = np.zeros(len(people))
    for invoice in invoices:
        rows = invoice.rows
        level = 0.3 * people.need[rows] + 0.1 * people.loyalty[rows] + 0.1 * now.world.season[now.week]
        level += -0.2 * np.clip(state.slow[rows], -1, 4) + 0.3 * now.noise("usage", rows)
        credit = 0.12 * invoice.measures["bill_error"]
        spend[rows] = np.round(people.fee[rows] * (1 - credit + 0.4 * np.exp(level)), 2)
    return spend


@dataclass(frozen=True, slots=True)
class _After:
    """What the support contacts of a week leave to do."""

    repeat_due: Flags
    complaint_due: Flags
    failures: Ints
    case: Ints


def _support(now: _Now, state: State) -> tuple[list[Touches], _After]:
    """Answer calls and chats: those of their own need, and those that something broken caused."""
    people = now.people
    rate = 0.065 * np.exp(0.35 * people.need - 0.1 * people.loyalty) * (1 + 0.2 * now.world.season[now.week])
    rate = rate * np.array([1.0, 1.15, 1.0, 0.95])[people.region]
    own = now.luck("contact") < rate
    rows = np.flatnonzero(own | state.repeat_due | state.bill_due | state.visit_due)
    again = state.repeat_due[rows]
    phone = now.luck("channel", rows) < np.array([0.4, 0.65, 0.9])[people.age[rows]]
    channel = np.where(phone, _PHONE, _CHAT).astype(np.int64)
    case = np.where(again, state.case[rows], now.new_case(4, rows))
    at = now.at("contact", rows)
    quality = _answered(now, rows, channel, again)
    hurt = _support_hurt(quality)
    touches = [
        Touches(
            "support", name, rows[is_it], at[is_it], case[is_it], channel[is_it], hurt[is_it], _only(quality, is_it)
        )
        for name, is_it in (("call", phone), ("chat", ~phone))
    ]
    return touches, _what_follows(now, state, rows, quality["resolved"], again, case)


def _answered(now: _Now, rows: Rows, channel: Ints, again: Flags) -> dict[str, Floats]:
    """Draw wait, talk and whether the matter was resolved, each moved by the policy before it acts on the next."""
    people = now.people
    segment, region, phone = people.segment[rows], people.region[rows], channel == _PHONE
    level = np.where(phone, 1.9, 1.5) + np.array([0.25, 0.0, -0.7])[segment] + np.array([0.1, 0.1, -0.2, 0.0])[region]
    level += now.world.load[now.week, region] + people.disfavour[rows]
    wait = np.round(np.exp(level + 0.6 * now.noise("wait", rows)), 1)
    wait = _moved(now, "wait", wait, rows, channel)
    level = np.where(phone, 2.0, 2.2) + np.array([0.05, 0.0, 0.05])[segment] + np.array([0.0, 0.35, 0.0, 0.05])[region]
    talk = np.round(np.exp(level + 0.45 * now.noise("talk", rows)), 1)
    talk = _moved(now, "talk", talk, rows, channel)
    odds = 0.75 - 0.05 * np.minimum(wait, 40) + 1.1 * np.log(np.maximum(talk, 0.5) / 7.5) - 0.4 * again
    odds += np.array([0.0, -0.35, 0.1, 0.0])[region] + np.array([0.0, 0.0, 0.3])[segment] + 0.2 * phone
    resolved = (now.luck("resolved", rows) < expit(odds - 0.5 * people.disfavour[rows])).astype(np.float64)
    resolved = _moved(now, "resolved", resolved, rows, channel)
    return {"wait": wait, "talk": talk, "resolved": resolved}


def _moved(now: _Now, measure: str, values: Floats, rows: Rows, channel: Ints) -> Floats:
    """Let the policy act on calls and chats, each under its own name."""
    phone = channel == _PHONE
    values = values.copy()
    for name, is_it in (("call", phone), ("chat", ~phone)):
        moved = now.policy.move(("support", name), measure, values[is_it], rows[is_it], channel[is_it], now.week)
        values[is_it] = moved
    return values


def _support_hurt(quality: dict[str, Floats]) -> Floats:
    """Weigh a contact: waits hurt more and more beyond five minutes, an unresolved matter hurts most."""
    wait, resolved = quality["wait"], quality["resolved"]
    too_long = np.clip((wait - 5) / 20, 0, 1) ** 1.3
    short = np.clip((5 - wait) / 5, 0, 1)
    return _felt(0.45 * too_long + 0.3 * (1 - resolved), 0.1 * short + 0.15 * resolved)


def _what_follows(now: _Now, state: State, rows: Rows, resolved: Floats, again: Flags, case: Ints) -> _After:
    """Let unresolved matters come back within days, and repeated failures turn into complaints."""
    n = len(now.people)
    failures, cases = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    repeat, complaint = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    failed = resolved < 1
    in_a_row = np.where(failed, np.where(again, state.failures[rows], 0) + 1, 0)
    repeat[rows] = failed & (now.luck("calls again", rows) < 0.45)
    complaint[rows] = failed & (now.luck("complains", rows) < np.where(in_a_row >= 2, 0.4, 0.08))
    failures[rows] = np.where(repeat[rows], in_a_row, 0)
    cases[rows] = case
    return _After(repeat, complaint, failures, cases)


def _complaints(now: _Now, state: State) -> list[Touches]:
    """Answer complaints; the touchpoint is the reply, and the measure says how long it took."""
    people = now.people
    rows = np.flatnonzero(state.complaint_due)
    level = (
        1.9 + np.array([0.15, 0.0, -0.4])[people.segment[rows]] + np.array([0.0, 0.3, 0.0, 0.1])[people.region[rows]]
    )
    days = np.round(np.exp(level + people.disfavour[rows] + 0.5 * now.noise("reply", rows)), 1)
    channel = np.where(people.age[rows] == 2, _MAIL, _WEB).astype(np.int64)
    days = now.policy.move(("complaint", "reply"), "reply_days", days, rows, channel, now.week)
    hurt = _felt(0.7 * np.clip((days - 2) / 10, 0, 1), 0.3 * np.clip((2 - days) / 2, 0, 1))
    case = now.new_case(5, rows)
    return [Touches("complaint", "reply", rows, now.at("reply", rows), case, channel, hurt, {"reply_days": days})]


def _felt(loss: Floats, gain: Floats) -> Floats:
    """Weigh losses twice as much as gains, bounded."""
    return np.clip(2 * loss - gain, -0.5, 1.5)


def _only(quality: dict[str, Floats], rows: Flags) -> dict[str, Floats]:
    """Keep some of the contacts."""
    return {measure: values[rows] for measure, values in quality.items()}


def _remember(now: _Now, state: State, touches: Iterable[Touches]) -> tuple[Floats, Floats, Floats]:
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


def _hazard(now: _Now, state: State) -> Floats:
    """Give the chance of leaving at the end of the week, from the memories at its start."""
    people = now.people
    tenure = now.week - people.first_week
    odds = -6.9 + np.array([0.2, 0.0, -0.6])[people.segment] + np.array([0.0, 0.55, -0.1, 0.0])[people.region]
    odds += np.array([0.2, 0.0, -0.55])[people.age] + 0.15 * now.world.season[now.week]
    odds += 0.7 * np.exp(-np.maximum(tenure, 0) / 12) + 0.15 * np.minimum(tenure / 260, 1)
    odds += 0.5 * ((tenure % 52 < 4) & (tenure > 48)) - 0.35 * people.loyalty - 0.15 * people.need
    odds += 1.0 * np.clip(state.fast, -1, 4) + 0.4 * np.clip(state.slow, -1, 4) + 0.8 * state.worst
    return expit(odds)
