"""Feature definitions: what a data scientist edits. Each is a fold with a name, a unit and words for people.

In folds ``t`` is a touchpoint with its facts (`features.facts`) and ``j`` a journey as it stood at the cutoff.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from features.facts import DONE, HALF_LIFE_DAYS, Recorded, after, is_bad, known_measures, tasks_of
from features.folds import Fold, count, decayed, distinct, high, last, low, mean, since, total
from features.snapshot import DAY
from features.study import Measure, Study

__all__ = [
    "RECENT_DAYS",
    "Context",
    "Definition",
    "Direction",
    "Role",
    "is_recent",
    "of_contacts",
    "of_customer",
    "of_revenue",
    "success",
    "unit_suffix",
]

Direction: TypeAlias = Literal["lower", "higher", "none"]
Role: TypeAlias = Literal["experience", "volume", "rating", "context", "covariate", "recency"]

RECENT_DAYS = 30


class Definition(NamedTuple):
    """A feature before it is put at a journey, a touchpoint or the customer.

    Attributes
    ----------
    name : str
        ``{measure}_{unit}__{statistic}``.
    words : str
        What it is; the place and the window are added.
    unit, direction, role
        As in `features.measures.Feature`.
    fold : Fold
        How it is computed.
    over : {"journeys", "touchpoints", "revenue"}
        The rows that are folded.
    """

    name: str
    words: str
    unit: str
    fold: Fold
    over: Literal["journeys", "touchpoints", "revenue"] = "journeys"
    direction: Direction = "none"
    role: Role = "volume"


@dataclass(frozen=True, slots=True)
class Context:
    """What the definitions depend on besides a measure.

    Attributes
    ----------
    study : Study
        Journeys, tasks, days.
    recorded : Recorded
        Which optional columns the touchpoints have.
    given : frozenset of str
        Measures that have values in the journey (or with the customer) at hand.
    """

    study: Study
    recorded: Recorded
    given: frozenset[str]

    @property
    def repeat_days(self) -> float:
        """Days within which somebody comes back with the same problem."""
        return self.study.touchpoints.repeat_days if self.study.touchpoints else 0.0

    @property
    def tasks(self) -> tuple[Measure, ...]:
        """What says here whether a journey has done what it is for."""
        return tuple(task for task in tasks_of(self.study) if task.name in self.given)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The measures that have values here and are known before the outcome."""
        return tuple(measure for measure in known_measures(self.study) if measure.name in self.given)


def of_contacts(context: Context, journey: str) -> tuple[Definition, ...]:
    """Define the features of the contacts of a journey as such.

    Parameters
    ----------
    context : Context
        See there.
    journey : str
        The journey.
    """
    near = f"{context.repeat_days:g} days"
    found = [
        Definition("journeys_count__total", "journeys", "journeys", count()),
        Definition("touchpoints_count__total", "touchpoints", "touchpoints", total("touches")),
        Definition("touchpoints_count__mean", "touchpoints per journey", "touchpoints", mean("touches")),
        Definition(
            "touchpoints_count__decayed",
            f"touchpoints, each counting half after {HALF_LIFE_DAYS} days",
            "touchpoints",
            total("felt"),
        ),
        _lower("repeats_count__total", f"journeys begun within {near} of the one before", "journeys", total("returns")),
        Definition("duration_days__mean", "days from first to last touchpoint of a journey", "days", mean("days")),
        Definition(
            "last_contact_days__since", "days since the last touchpoint", "days", low("age_days"), role="recency"
        ),
        _felt("pause_days__mean", "days between the touchpoints of a journey", "days", mean("pause_days")),
        _felt("pause_days__worst", "longest pause between the touchpoints of a journey", "days", high("pause_days")),
        _felt("interleaved_count__total", "touchpoints that return to a journey after one of another journey",
              "touchpoints", total("interleaved")),
        Definition("effort_steps__mean", _effort_words(context.recorded), "steps", mean(_effort(context.recorded)),
                   direction="lower", role="experience"),
    ]  # fmt: skip
    if context.recorded.channels:
        found.append(_lower("switches_count__mean", "changes of channel per journey", "changes", mean("switches")))
    if context.recorded.departments:
        words = "times a journey is handed to another department"
        found.append(_lower("handoffs_count__mean", words, "changes", mean("handovers")))
    if context.recorded.causes:
        words = f"touchpoints whose cause last came up in another journey, within {near}"
        found.append(_felt("asked_again_count__total", words, "touchpoints", total("asked_again")))
    for source in context.study.journeys:
        if journey in source.leads_to:
            words = f"journeys begun within {near} of a touchpoint of {source.name}"
            name = f"after_{source.name}_count__total"
            found.append(_felt(name, words, "journeys", total(after(source.name)), "volume"))
    return (*found, *_of_endings(context, journey), *_of_trouble(context))


def of_customer(context: Context) -> tuple[Definition, ...]:
    """Define the features of all contacts of a customer, across journeys."""
    window_days = context.study.snapshot.window_days
    return (
        Definition("contacts_count__total", "touchpoints of any journey", "touchpoints", count(), "touchpoints"),
        *(_lately("contacts", "touchpoints", None, "touchpoints") if window_days > RECENT_DAYS else ()),
        *_across_journeys(context),
        Definition(
            "last_contact_days__since",
            "days since the last touchpoint of any journey",
            "days",
            since(),
            "touchpoints",
            role="recency",
        ),
    )


def of_revenue(currency: str, window_days: int) -> tuple[Definition, ...]:
    """Define the features of a customer's revenue; ``revenue_past`` keeps its short name in the panel."""
    return (
        Definition("revenue_past", "revenue", currency, total("amount"), "revenue"),
        *(_lately("revenue", currency, "amount", "revenue") if window_days > RECENT_DAYS else ()),
        Definition("payments_count__total", "payments", "payments", count(), "revenue"),
        Definition(
            "last_revenue_days__since", "days since the last revenue", "days", since(), "revenue", role="recency"
        ),
    )


def unit_suffix(unit: str) -> str:
    """Write a unit as the end of a column name.

    Examples
    --------
    >>> unit_suffix("€/kWh"), unit_suffix("EUR"), unit_suffix("%")
    ('kwh', 'eur', 'unit')
    """
    return re.sub(r"\W+", "_", unit.lower()).strip("_") or "unit"


def is_recent(t: Any) -> Any:
    """Say which touchpoints lie in the last days before the cutoff."""
    return t.cutoff - t.occurred_at < RECENT_DAYS * DAY


def success(task: str) -> Callable[[Any], Any]:
    """Multiply over the touchpoints at which the task was measured; missing where it never was."""
    return lambda j: np.where(np.isnan(getattr(j, f"{task} at the end")), np.nan, np.exp(getattr(j, f"{task} success")))


def _across_journeys(context: Context) -> Iterator[Definition]:
    """Define what shows only when journeys are seen together."""
    yield Definition("stage_number__last", "stage of the latest touchpoint, counted from 1 along the journey map",
                     "number", last("stage"), "touchpoints", role="context")  # fmt: skip
    words = "different journey types that the customer was in"
    yield Definition("journeys_count__distinct", words, "journeys", distinct(_journey_code), "touchpoints")
    words = "touchpoints that return to a journey after one of another journey"
    yield _felt("interleaved_count__total", words, "touchpoints", total("interleaved"))
    if any(not measure.is_rating for measure in context.measures):
        words = "share of measured values, ratings apart, that the company alone controls"
        yield Definition("controlled_share__mean", words, "share", Fold("ratio", "controlled", "measured"),
                         "touchpoints", "none", "context")  # fmt: skip
    if any(is_bad(measure) is not None for measure in context.measures):
        words = "different journey types in which something went wrong"
        yield _felt("troubled_journeys_count__distinct", words, "journeys", distinct(_troubled_journey))
        words = f"touchpoints at which something went wrong, each counting half after {HALF_LIFE_DAYS} days"
        yield _felt("trouble_count__decayed", words, "touchpoints", decayed("trouble", HALF_LIFE_DAYS))
    for task in context.tasks:
        words = f"lowest success along a journey, halved by each touchpoint without {task.name}"
        yield Definition(f"{task.name}_success_share__worst", words, "share", low(success(task.name)),
                         direction="higher", role="experience")  # fmt: skip


def _of_endings(context: Context, journey: str) -> Iterator[Definition]:
    """Define what is known of journeys that are not finished; nothing where nothing tells."""
    has_ending = any(one.ends_with for one in context.study.journeys if one.name == journey)
    tasks = tuple(task.name for task in context.tasks)
    if not (has_ending or tasks or context.recorded.sessions):
        return
    is_open = _is_open(tasks, context)
    words = "journeys not finished at the cutoff"
    yield Definition("open_count__total", words, "journeys", total(is_open), direction="lower", role="experience")
    words = "days since the oldest journey that is not finished began"
    fold = high(lambda j: np.where(is_open(j) == 1, j.age_days + j.days, np.nan))
    yield Definition("open_days__worst", words, "days", fold, direction="lower", role="experience")


def _is_open(tasks: Sequence[str], context: Context) -> Callable[[Any], Any]:
    """Say whether a journey goes on: no touchpoint has ended it, else its task is not done, else its pause is not over.

    The first of these that is known decides; missing where none is.
    """
    has_endings = any(one.ends_with for one in context.study.journeys)

    def is_open(j: Any) -> Any:
        found = np.full(len(j.age_days), np.nan)
        if context.recorded.sessions:
            found = np.where(np.isnan(j.over_days), found, j.age_days <= j.over_days)
        for name in tasks:
            end = getattr(j, f"{name} at the end")
            found = np.where(np.isnan(end), found, end < DONE)
        if has_endings:
            found = np.where(np.isnan(j.ends), found, j.ends == 0)
        return found

    return is_open


def _of_trouble(context: Context) -> Iterator[Definition]:
    """Define how often something went wrong: a task not done, a failure, a promise broken."""
    if any(is_bad(measure) is not None for measure in context.measures):
        words = "share of touchpoints at which something went wrong, among those that could tell"
        yield _felt("trouble_share__mean", words, "share", mean("trouble"))
        words = f"touchpoints at which something went wrong, each counting half after {HALF_LIFE_DAYS} days"
        yield _felt("trouble_count__decayed", words, "touchpoints", decayed("trouble", HALF_LIFE_DAYS))


def _effort(recorded: Recorded) -> Callable[[Any], Any]:
    """Count the steps that a journey which is done at once does not take."""

    def effort(j: Any) -> Any:
        steps = j.touches - 1
        steps = steps + j.switches if recorded.channels else steps
        return steps + j.handovers if recorded.departments else steps

    return effort


def _effort_words(recorded: Recorded) -> str:
    parts = ["touchpoints after the first"]
    parts += ["changes of channel"] if recorded.channels else []
    parts += ["hand-overs"] if recorded.departments else []
    return f"steps that a journey takes the customer: {', '.join(parts)}"


def _journey_code(t: Any) -> Any:
    return t.journey.codes


def _troubled_journey(t: Any) -> Any:
    return np.where(t.trouble == 1, t.journey.codes, np.nan)


def _lower(name: str, words: str, unit: str, fold: Fold) -> Definition:
    """Define a volume over journeys of which less is better."""
    return Definition(name, words, unit, fold, direction="lower")


def _felt(name: str, words: str, unit: str, fold: Fold, role: Role = "experience") -> Definition:
    """Define something over touchpoints of which less is better."""
    return Definition(name, words, unit, fold, "touchpoints", "lower", role)


def _lately(
    what: str, unit: str, column: str | None, over: Literal["touchpoints", "revenue"]
) -> tuple[Definition, Definition]:
    """Define how much fell into the last days of the window, and which share of the window that is: the trend."""
    words = "revenue" if column else "touchpoints of any journey"
    suffix = unit_suffix(unit) if column else "count"

    def amount(t: Any) -> Any:
        return getattr(t, column) if column else np.ones(len(t.occurred_at))

    def lately(t: Any) -> Any:
        return np.where(is_recent(t), amount(t), 0.0)

    share = Fold("ratio", lately, amount)
    return (
        Definition(f"{what}_{suffix}__recent", f"{words} in the last {RECENT_DAYS} days", unit, total(lately), over),
        Definition(f"{what}_share__recent", f"share of {words} in the last {RECENT_DAYS} days", "share", share, over),
    )
