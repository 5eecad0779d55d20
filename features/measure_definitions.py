"""What is made of a measure: its mean, its worst, its trend, how it ended, what was promised of it.

In folds ``t`` is a touchpoint with its facts (`features.facts`) and ``j`` a journey as it stood at the cutoff.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from features.definitions import RECENT_DAYS, Context, Definition, Role, is_recent, success, unit_suffix
from features.facts import DONE, HALF_LIFE_DAYS, is_bad
from features.folds import contrast, count, decayed, high, last, low, mean, recent
from features.study import Measure

__all__ = ["at_touchpoint", "of_measure", "role_of"]


def of_measure(context: Context, measure: Measure) -> tuple[Definition, ...]:
    """Define the features of a measure in a journey."""
    name, what = f"{measure.name}_{unit_suffix(measure.unit)}", f"{measure.name} ({measure.unit})"
    role, column = role_of(measure), measure.name
    worst = high if measure.direction == "lower" else low
    recent_words = f"mean {what}, a contact counting half after {HALF_LIFE_DAYS} days"
    found = {"mean": (f"mean {what}", mean(column)), "last": (f"latest {what}", last(column))}
    if not measure.is_rating:
        found["worst"] = (f"worst {what}", worst(column))
        found["decayed"] = (recent_words, recent(column, HALF_LIFE_DAYS))
    if context.study.snapshot.window_days > RECENT_DAYS:
        lately, before = _in_recent(column), _before_recent(column)
        found["trend"] = (f"mean {what} in the last {RECENT_DAYS} days less the mean before", contrast(lately, before))
        if not measure.is_rating:
            found["recent_worst"] = (f"worst {what} in the last {RECENT_DAYS} days", worst(lately))
    definitions = [
        Definition(f"{name}__{statistic}", words, measure.unit, fold, "touchpoints", measure.direction, role)
        for statistic, (words, fold) in found.items()
    ]
    if measure.kind == "share":
        words = f"mean over journeys of {what} at the last contact that has it"
        fold = mean(f"{column} at the end")
        definitions.append(
            Definition(f"{name}__final", words, measure.unit, fold, direction=measure.direction, role=role)
        )
    if measure.missing == "not_answered":
        words = f"share of contacts with an answer to {measure.name}"
        fold = mean(lambda t: 1.0 - np.isnan(getattr(t, column)))
        definitions.append(
            Definition(f"{measure.name}_answered_share__mean", words, "share", fold, "touchpoints", role=role)
        )
    return (*definitions, *_burden(measure, name, what), *_of_promise(context, measure), *_of_task(context, measure))


def at_touchpoint(measure: Measure | None) -> Definition:
    """Define the feature of a measure at a touchpoint; without a measure the number of contacts."""
    if measure is None:
        return Definition("touchpoints_count__total", "touchpoints", "touchpoints", count(), "touchpoints")
    name, what = f"{measure.name}_{unit_suffix(measure.unit)}", f"{measure.name} ({measure.unit})"
    fold, role = mean(measure.name), role_of(measure)
    return Definition(f"{name}__mean", f"mean {what}", measure.unit, fold, "touchpoints", measure.direction, role)


def role_of(measure: Measure) -> Role:
    """Tell an answer of the customer, what nobody moves, and what the company may move apart."""
    if measure.is_rating:
        return "rating"
    return "context" if measure.control == "none" else "experience"


def _burden(measure: Measure, name: str, what: str) -> tuple[Definition, ...]:
    """Define the remembered sum of what hurt: failures, or the value itself where lower is better."""
    is_failing_share = measure.kind == "share" and measure.direction == "higher"
    if measure.is_rating or (measure.direction == "higher" and not is_failing_share):
        return ()
    words = f"sum of {'1 - ' if is_failing_share else ''}{what}, a contact counting half after {HALF_LIFE_DAYS} days"
    bad: str | Callable[[Any], Any] = (lambda t: 1.0 - getattr(t, measure.name)) if is_failing_share else measure.name
    fold = decayed(bad, HALF_LIFE_DAYS)
    return (Definition(f"{name}__burden", words, measure.unit, fold, "touchpoints", "lower", role_of(measure)),)


def _of_task(context: Context, measure: Measure) -> Iterator[Definition]:
    """Define what became of a task over the touchpoints of a journey, and how customers rate what was done."""
    if measure.task:
        name = measure.name
        words = f"mean {name} at the end of journeys in which it had failed"
        fold = mean(lambda j: np.where(getattr(j, f"{name} failed") == 1, getattr(j, f"{name} at the end"), np.nan))
        yield Definition(f"{name}_recovered_share__mean", words, "share", fold, direction="higher", role="experience")
        words = f"mean success along a journey, halved by each touchpoint without {name}"
        yield Definition(f"{name}_success_share__mean", words, "share", mean(success(name)), direction="higher",
                         role="experience")  # fmt: skip
    elif measure.is_rating and measure.range is not None:
        for task in context.tasks:
            words = f"share with {measure.name} in its worst third, among journeys with {task.name} at the end"
            fold = mean(_bad_though_done(measure, task.name))
            yield Definition(f"{measure.name}_bad_though_{task.name}_share__mean", words, "share", fold,
                             direction="lower", role="rating")  # fmt: skip


def _of_promise(context: Context, measure: Measure) -> Iterator[Definition]:
    """Define how far the company stayed behind what it had promised."""
    name, role = measure.name, role_of(measure)
    broken = is_bad(measure) if measure.kind == "gap" else None
    if broken is not None:
        words = f"share of contacts with {name} on the bad side of the promise"
        yield Definition(f"{name}_broken_share__mean", words, "share", mean(broken), "touchpoints", "lower", role)
    if measure.promise in context.given:
        sign = 1.0 if measure.direction == "lower" else -1.0
        promise, unit = str(measure.promise), unit_suffix(measure.unit)
        words = f"{name} worse than promised ({measure.unit}; negative: better)"
        for statistic, fold in (("mean", mean), ("worst", high)):
            of = fold(lambda t: sign * (getattr(t, name) - getattr(t, promise)))
            yield Definition(f"{name}_promise_gap_{unit}__{statistic}", f"{statistic} {words}", measure.unit, of,
                             "touchpoints", "lower", role)  # fmt: skip


def _bad_though_done(rating: Measure, task: str) -> Callable[[Any], Any]:
    """Find a rating in the worst third of its range, where the task was done."""
    low_end, high_end = rating.bounds
    third = (high_end - low_end) / 3

    def bad(j: Any) -> Any:
        given, end = getattr(j, f"{rating.name} at the end"), getattr(j, f"{task} at the end")
        is_bad_rating = given <= low_end + third if rating.direction == "higher" else given >= high_end - third
        return np.where(np.isnan(given) | ~(end >= DONE), np.nan, is_bad_rating)

    return bad


def _in_recent(column: str) -> Callable[[Any], Any]:
    return lambda t: np.where(is_recent(t), getattr(t, column), np.nan)


def _before_recent(column: str) -> Callable[[Any], Any]:
    return lambda t: np.where(is_recent(t), np.nan, getattr(t, column))
