"""What is said of a touchpoint by looking back, and what a journey remembers of its touchpoints.

In facts ``t`` is a touchpoint, ``t.before`` the one before it in its journey, ``t.thread`` the one before it in any
journey of that type, ``t.earlier`` the one before it in any journey, ``t.alike`` the one before it with the same cause,
``t.latest(...)`` the latest that is such and such.
In journey folds ``t`` is a touchpoint of one journey. A fold cannot look back, so what looks back is a fact.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from features.folds import Fold, count, decayed, high, last, since, span, total
from features.journeys import Labels
from features.snapshot import DAY
from features.study import Measure, Study

__all__ = ["HALF_LIFE_DAYS", "Recorded", "after", "facts_of", "is_bad", "journey_folds", "known_measures", "tasks_of"]

Fact: TypeAlias = Callable[[Any], Any]

HALF_LIFE_DAYS = 30
DONE = 0.5
"""A share from which on something counts as done, or as having happened."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Which optional columns the touchpoints have.

    Attributes
    ----------
    channels, departments, causes, sessions : bool
        Whether there are several channels, departments, causes of contacts, and journeys found by pauses.
    """

    channels: bool = False
    departments: bool = False
    causes: bool = False
    sessions: bool = False


def known_measures(study: Study) -> tuple[Measure, ...]:
    """List the measures that are known before the outcome."""
    return tuple(measure for measure in study.measures if measure.known == "before")


def tasks_of(study: Study) -> tuple[Measure, ...]:
    """List the measures that say whether what the customer came for was done."""
    return tuple(measure for measure in known_measures(study) if measure.task)


def after(journey: str) -> str:
    """Name the fact that a journey began soon after a contact in another."""
    return f"after {journey}"


def facts_of(study: Study, recorded: Recorded) -> dict[str, Fact]:
    """Define what is said of each touchpoint.

    Parameters
    ----------
    study : Study
        Measures, journeys, and the days within which somebody comes back with the same problem.
    recorded : Recorded
        Facts about columns that are absent are left out.

    Returns
    -------
    dict of name to function
        See `features.folds.Plan`.
    """
    near = round((study.touchpoints.repeat_days if study.touchpoints else 0) * DAY)
    facts: dict[str, Fact] = {
        "came_back": lambda t: t.is_first & (t.occurred_at - t.thread.occurred_at <= near),
        "pause_days": lambda t: (t.occurred_at - t.before.occurred_at) / DAY,
        "interleaved": lambda t: ~t.is_first & (t.earlier.journey_key != t.journey_key),
        "stage": lambda t: _looked_up(t.journey, _stage_numbers(study)),
    }
    if recorded.channels:
        facts["switched"] = lambda t: t.channel != t.before.channel
    if recorded.departments:
        facts["handed_on"] = lambda t: (
            t.department.is_known & t.before.department.is_known & (t.department != t.before.department)
        )
    if recorded.causes:
        facts["asked_again"] = lambda t: (
            (t.journey_key != t.alike.journey_key) & (t.occurred_at - t.alike.occurred_at <= near)
        )
    for source in study.journeys:
        if source.leads_to:
            facts[after(source.name)] = _follows(source.name, source.leads_to, near)
    return facts | _endings(study, recorded) | _qualities(study)


def journey_folds(study: Study, recorded: Recorded) -> dict[str, Fold]:
    """Define what a journey remembers of its touchpoints."""
    measures = known_measures(study)
    folds = {
        "touches": count(),
        "felt": decayed(lambda t: np.ones(len(t.occurred_at)), HALF_LIFE_DAYS),
        "returns": total("came_back"),
        "days": span(),
        "age_days": since(),
    }
    folds |= {"switches": total("switched")} if recorded.channels else {}
    folds |= {"handovers": total("handed_on")} if recorded.departments else {}
    folds |= {name: high(name) for name in _endings(study, recorded)}
    folds |= {f"{m.name} at the end": last(m.name) for m in measures if m.kind in {"share", "rating"}}
    for task in tasks_of(study):
        folds[f"{task.name} failed"] = high(_failed(task.name))
        folds[f"{task.name} success"] = total(f"log success of {task.name}")
    return folds


def is_bad(measure: Measure) -> Fact | None:
    """Say how to tell that a value is bad by itself: a task not done, a failure, a promise broken; None if nothing can.

    The value is 1, 0, or missing where the measure is.
    """
    name = measure.name
    if measure.task:
        return _failed(name)
    if measure.kind == "share" and measure.direction == "lower":
        return lambda t: _where_known(getattr(t, name), getattr(t, name) >= DONE)
    if measure.kind == "gap":
        sign = 1.0 if measure.direction == "lower" else -1.0
        return lambda t: _where_known(getattr(t, name), sign * getattr(t, name) > 0)
    return None


def _failed(name: str) -> Fact:
    return lambda t: _where_known(getattr(t, name), getattr(t, name) < DONE)


def _where_known(values: Any, is_so: Any) -> Any:
    return np.where(np.isnan(values), np.nan, is_so)


def _follows(source: str, targets: Sequence[str], near: int) -> Fact:
    """Find a journey of one of the targets that begins soon after a contact in the source."""

    def follows(t: Any) -> Any:
        is_target = np.isin(_looked_up(t.journey, dict.fromkeys(targets, 1.0)), 1.0)
        is_near = t.occurred_at - t.latest(t.journey == source).occurred_at <= near
        return t.is_first & is_target & is_near

    return follows


def _endings(study: Study, recorded: Recorded) -> dict[str, Fact]:
    """Tell whether a journey is finished: a touchpoint that ends it, or the pause after which it is over."""
    ends = {one.name: one.ends_with for one in study.journeys if one.ends_with}
    facts: dict[str, Fact] = {}
    if ends:
        facts["ends"] = lambda t: _ends(t, ends)
    if recorded.sessions:
        gaps = {name: study.session_gap_days(name) for name in study.journey_names}
        facts["over_days"] = lambda t: np.where(t.is_session, _looked_up(t.journey, gaps), np.nan)
    return facts


def _ends(t: Any, ends: Mapping[str, Collection[str]]) -> Any:
    """1 for a touchpoint that finishes its journey, 0 for another one, missing where no touchpoint does."""
    found = np.full(len(t.occurred_at), np.nan)
    for journey, touchpoints in ends.items():
        is_ending = np.isin(_looked_up(t.touchpoint, dict.fromkeys(touchpoints, 1.0)), 1.0)
        found = np.where(t.journey == journey, is_ending, found)
    return found


def _qualities(study: Study) -> dict[str, Fact]:
    """Put together what the measures of a touchpoint say."""
    measures = [measure for measure in known_measures(study) if not measure.is_rating]
    facts: dict[str, Fact] = {f"log success of {task.name}": _log_success(task.name) for task in measures if task.task}
    bad = [one for one in map(is_bad, measures) if one is not None]
    if bad:
        facts["trouble"] = lambda t: np.fmax.reduce([one(t) for one in bad])
    if measures:
        own = [measure.name for measure in measures if measure.control == "own"]
        facts["measured"] = lambda t: _given(t, [measure.name for measure in measures])
        facts["controlled"] = lambda t: _given(t, own)
    return facts


def _log_success(name: str) -> Fact:
    """Each touchpoint that fails halves the success of its journey, so that one failure is not the end of it."""
    return lambda t: np.log(0.5 + 0.5 * getattr(t, name))


def _given(t: Any, names: Sequence[str]) -> Any:
    """Count how many of some measures a touchpoint has."""
    return np.sum([~np.isnan(getattr(t, name)) for name in names], axis=0, initial=0.0)


def _stage_numbers(study: Study) -> dict[str, float]:
    """Give each journey the number of its stage, from 1 in the order of the map."""
    stages = list(dict.fromkeys(journey.stage for journey in study.journeys))
    return {journey.name: stages.index(journey.stage) + 1.0 for journey in study.journeys}


def _looked_up(labels: Labels, values: Mapping[str, float]) -> Any:
    """Give each row the value of its label; missing where the label has none."""
    table = np.array([*(values.get(name, np.nan) for name in labels.names), np.nan])
    return table[labels.codes]
