"""The touchpoints of a week in the synthetic company: how good they are, how much they hurt, what they cause.

Causes run forward within a touchpoint (a longer wait resolves less) and across touchpoints (a wrong bill makes people
call, an unresolved call comes back, a case gone wrong becomes a complaint). The policy moves a measure before it acts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from features.company_policy import CHANNELS
from features.company_state import HOUR, Flags, Floats, Ints, Now, Place, Rows, State, Touches, joining_case
from features.snapshot import DAY

__all__ = ["Support", "answer_complaints", "answer_support", "happen_anyway", "install", "send_bills"]

_PHONE, _CHAT, _WEB, _APP, _MAIL, _HOME = range(len(CHANNELS))
_CALL, _CHATTED = ("support", "call"), ("support", "chat")


def happen_anyway(now: Now) -> tuple[Touches, ...]:
    """Let happen what nobody asks for: app sessions, power cuts, newsletters, renewal notices."""
    return (_sessions(now), _storms(now), _newsletters(now), _notices(now))


def _sessions(now: Now) -> Touches:
    """Open the app; pages load slowly on the old devices of the hills, and nobody minds."""
    people = now.people
    rows = np.flatnonzero(now.luck("session") < 0.16 * np.exp(0.15 * people.need))
    level = 0.8 + np.array([0.0, 0.8, 0.1, 0.0])[people.region[rows]] + np.array([0.0, 0.0, 0.1])[people.age[rows]]
    seconds = np.round(np.exp(level + 0.3 * now.noise("page load", rows)), 2)
    return _painless(now, ("usage", "session"), rows, _APP, {"page_load": seconds})


def _newsletters(now: Now) -> Touches:
    """Send a newsletter a quarter; the old read it for longer, and it moves nobody."""
    people = now.people
    rows = np.flatnonzero((now.week + people.index) % 13 == 0)
    level = 3.2 + np.array([-0.4, 0.0, 0.7])[people.age[rows]] + np.array([0.0, 0.2, 0.4])[people.segment[rows]]
    seconds = np.round(np.exp(level + 0.4 * now.noise("reading", rows)), 1)
    return _painless(now, ("advert", "newsletter"), rows, _MAIL, {"read_time": seconds})


def _notices(now: Now) -> Touches:
    """Remind of the yearly renewal."""
    tenure = now.week - now.people.first_week
    rows = np.flatnonzero((tenure % 52 == 48) & (tenure > 0))
    return _painless(now, ("renewal", "notice"), rows, _MAIL, {})


def _storms(now: Now) -> Touches:
    """Cut the power of half a region for hours when a storm comes."""
    cut = now.world.outage[now.week, now.people.region]
    rows = np.flatnonzero((cut > 0) & (now.luck("storm hits") < 0.5))
    hours = np.round(cut[rows] * (0.5 + now.luck("storm length", rows)), 1)
    touch = _painless(now, ("usage", "outage_notice"), rows, _APP, {"outage": hours})
    return replace(touch, hurt=_felt(0.5 * np.clip(touch.measures["outage"] / 15, 0, 1), np.zeros(len(rows))))


def _painless(now: Now, place: Place, rows: Rows, channel: int, measures: dict[str, Floats]) -> Touches:
    """Make touchpoints that hurt nobody."""
    channels = np.full(len(rows), channel, dtype=np.int64)
    moved = {name: now.moved(place, name, values, rows, channels) for name, values in measures.items()}
    return Touches(place, rows, now.at(place, rows), now.new_case(place, rows), channels, np.zeros(len(rows)), moved)


def install(now: Now) -> tuple[Touches, Flags]:
    """Install at home, often later than promised; a late visit makes customers call next week."""
    people, place = now.people, ("onboarding", "visit")
    rows = np.flatnonzero(people.visit_week == now.week)
    level = np.array([0.2, 0.0, -0.5])[people.segment[rows]] + np.array([0.0, 0.3, 0.0, 0.2])[people.region[rows]]
    level += people.disfavour[rows] + 0.8 * now.noise("promise gap", rows)
    channel = np.full(len(rows), _HOME, dtype=np.int64)
    days = now.moved(place, "promise_gap", np.round(np.maximum(3.2 * np.exp(level) - 1, 0), 1), rows, channel)
    hurt = _felt(0.6 * np.clip((days - 0.5) / 10, 0, 1), np.where(days < 0.5, 0.15, 0.0))
    calls = now.luck("call after visit", rows) < 0.6 * (1 - np.exp(-days / 4))
    visits = Touches(place, rows, now.at(place, rows), joining_case(people, rows), channel, hurt, {"promise_gap": days})
    return visits, _flags(now, rows[calls])


def send_bills(now: Now) -> tuple[Touches, Flags]:
    """Send the month's bill, sometimes a wrong one; a wrong bill makes four in ten call next week."""
    people, place = now.people, ("billing", "invoice")
    offset = now.world.bill_offset[now.week, people.bill_day]
    rows = np.flatnonzero(offset >= 0)
    odds = (
        -2.0 + np.array([-0.3, 0.1, 0.7])[people.segment[rows]] + np.array([0.2, -0.3, 0.1, 0.0])[people.region[rows]]
    )
    odds += now.world.billing[now.week, people.region[rows]] + people.disfavour[rows]
    channel = np.where(people.age[rows] == 2, _MAIL, _APP).astype(np.int64)
    wrong = (now.luck("bill error", rows) < expit(odds)).astype(np.float64)
    wrong = now.moved(place, "bill_error", wrong, rows, channel)
    calls = (wrong > 0) & (now.luck("call after bill", rows) < 0.4)
    at = now.world.week_start(now.week) + offset[rows] * DAY + 6 * HOUR
    hurt = _felt(0.5 * wrong, np.zeros(len(rows)))
    bills = Touches(place, rows, at, now.new_case(place, rows), channel, hurt, {"bill_error": wrong})
    return bills, _flags(now, rows[calls])


@dataclass(frozen=True, slots=True)
class Support:
    """What the support contacts of a week leave to do."""

    repeat_due: Flags
    complaint_due: Flags
    failures: Ints
    case: Ints


def answer_support(now: Now, state: State) -> tuple[tuple[Touches, Touches], Support]:
    """Answer calls and chats: those of the customers' own need, and those that something broken caused."""
    people = now.people
    rows = np.flatnonzero(_has_need(now) | state.repeat_due | state.bill_due | state.visit_due)
    phone = now.luck("channel", rows) < np.array([0.4, 0.65, 0.9])[people.age[rows]]
    channel = np.where(phone, _PHONE, _CHAT).astype(np.int64)
    case = np.where(state.repeat_due[rows], state.case[rows], now.new_case(_CALL, rows))
    at = now.at(_CALL, rows)
    quality = _answered(now, rows, channel, again=state.repeat_due[rows])
    hurt = _support_hurt(quality)
    calls, chats = (
        Touches(place, rows[it], at[it], case[it], channel[it], hurt[it], {k: v[it] for k, v in quality.items()})
        for place, it in ((_CALL, phone), (_CHATTED, ~phone))
    )
    return (calls, chats), _what_follows(now, state, rows, quality["resolved"], case)


def _has_need(now: Now) -> Flags:
    """Draw who contacts support without anything of the company's having gone wrong."""
    people = now.people
    rate = 0.065 * np.exp(0.35 * people.need - 0.1 * people.loyalty) * (1 + 0.2 * now.world.season[now.week])
    rate *= np.array([1.0, 1.15, 1.0, 0.95])[people.region]
    return np.asarray(now.luck("contact") < rate)


def _answered(now: Now, rows: Rows, channel: Ints, *, again: Flags) -> dict[str, Floats]:
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


def _moved(now: Now, measure: str, values: Floats, rows: Rows, channel: Ints) -> Floats:
    """Let the policy act on calls and on chats, each under its own name."""
    values = values.copy()
    for place, it in ((_CALL, channel == _PHONE), (_CHATTED, channel != _PHONE)):
        values[it] = now.moved(place, measure, values[it], rows[it], channel[it])
    return values


def _support_hurt(quality: dict[str, Floats]) -> Floats:
    """Weigh a contact: waits hurt more and more beyond five minutes, an unresolved matter hurts most."""
    wait, resolved = quality["wait"], quality["resolved"]
    too_long = np.clip((wait - 5) / 20, 0, 1) ** 1.3
    short = np.clip((5 - wait) / 5, 0, 1)
    return _felt(0.45 * too_long + 0.3 * (1 - resolved), 0.1 * short + 0.15 * resolved)


def _what_follows(now: Now, state: State, rows: Rows, resolved: Floats, case: Ints) -> Support:
    """Let unresolved matters come back within days, and repeated failures turn into complaints."""
    n, failed = len(now.people), resolved < 1
    earlier = np.where(state.repeat_due[rows], state.failures[rows], 0)
    in_a_row = np.where(failed, earlier + 1, 0)
    repeats = failed & (now.luck("calls again", rows) < 0.45)
    complains = failed & (now.luck("complains", rows) < np.where(in_a_row >= 2, 0.4, 0.08))
    failures, cases = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    failures[rows] = np.where(repeats, in_a_row, 0)
    cases[rows] = case
    return Support(_flags(now, rows[repeats]), _flags(now, rows[complains]), failures, cases)


def answer_complaints(now: Now, state: State) -> Touches:
    """Answer complaints; the touchpoint is the reply, and the measure says how long it took."""
    people, place = now.people, ("complaint", "reply")
    rows = np.flatnonzero(state.complaint_due)
    level = (
        1.9 + np.array([0.15, 0.0, -0.4])[people.segment[rows]] + np.array([0.0, 0.3, 0.0, 0.1])[people.region[rows]]
    )
    days = np.round(np.exp(level + people.disfavour[rows] + 0.5 * now.noise("reply", rows)), 1)
    channel = np.where(people.age[rows] == 2, _MAIL, _WEB).astype(np.int64)
    days = now.moved(place, "reply_days", days, rows, channel)
    hurt = _felt(0.7 * np.clip((days - 2) / 10, 0, 1), 0.3 * np.clip((2 - days) / 2, 0, 1))
    return Touches(place, rows, now.at(place, rows), now.new_case(place, rows), channel, hurt, {"reply_days": days})


def _flags(now: Now, rows: Rows) -> Flags:
    """Mark some of the customers."""
    flags = np.zeros(len(now.people), dtype=np.bool_)
    flags[rows] = True
    return flags


def _felt(loss: Floats, gain: Floats) -> Floats:
    """Weigh losses twice as much as gains, bounded."""
    return np.clip(2 * loss - gain, -0.5, 1.5)
