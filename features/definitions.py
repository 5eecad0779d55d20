"""Feature definitions: what a data scientist edits. Each is a fold with a name, a unit and words for people.

In facts ``t`` is a touchpoint, ``t.before`` the one before it in its journey, ``t.thread`` the one before it in any
journey of that type. In folds ``t`` is a touchpoint and ``j`` a journey as it stood at the cutoff.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from features.folds import Fold, count, decayed, high, last, low, mean, recent, since, span, total
from features.snapshot import DAY
from features.study import Measure

__all__ = [
    "FACTS",
    "Definition",
    "Direction",
    "Role",
    "at_touchpoint",
    "journey_folds",
    "of_contacts",
    "of_customer",
    "of_measure",
    "of_revenue",
    "unit_suffix",
]

Direction: TypeAlias = Literal["lower", "higher", "none"]
Role: TypeAlias = Literal["experience", "volume", "rating", "context", "covariate", "recency"]

HALF_LIFE_DAYS = 30
RECENT_DAYS = 30
REPEAT_DAYS = 7


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


FACTS: Mapping[str, Callable[[Any], Any]] = {
    "switched": lambda t: t.channel != t.before.channel,
    "came_back": lambda t: t.is_first & (t.occurred_at - t.thread.occurred_at <= REPEAT_DAYS * DAY),
}


def journey_folds(measures: tuple[Measure, ...]) -> dict[str, Fold]:
    """Define what a journey remembers of its touchpoints."""
    return {
        "touches": count(),
        "felt": decayed(lambda t: np.ones(len(t.occurred_at)), HALF_LIFE_DAYS),
        "switches": total("switched"),
        "returns": total("came_back"),
        "days": span(),
        "age_days": since(),
    } | {f"{measure.name} at the end": last(measure.name) for measure in measures if measure.kind == "share"}


def of_contacts(*, has_channels: bool) -> tuple[Definition, ...]:
    """Define the features of the contacts of a journey as such."""
    switches = Definition(
        "switches_count__mean", "changes of channel per journey", "changes", mean("switches"), direction="lower"
    )
    return (
        Definition("journeys_count__total", "journeys", "journeys", count()),
        Definition("touchpoints_count__total", "touchpoints", "touchpoints", total("touches")),
        Definition("touchpoints_count__mean", "touchpoints per journey", "touchpoints", mean("touches")),
        Definition(
            "touchpoints_count__decayed",
            f"touchpoints, each counting half after {HALF_LIFE_DAYS} days",
            "touchpoints",
            total("felt"),
        ),
        Definition(
            "repeats_count__total",
            f"journeys begun within {REPEAT_DAYS} days of the one before",
            "journeys",
            total("returns"),
            direction="lower",
        ),
        Definition("duration_days__mean", "days from first to last touchpoint of a journey", "days", mean("days")),
        Definition(
            "last_contact_days__since", "days since the last touchpoint", "days", low("age_days"), role="recency"
        ),
        *([switches] if has_channels else []),
    )


def of_measure(measure: Measure) -> tuple[Definition, ...]:
    """Define the features of a measure in a journey."""
    name, what = f"{measure.name}_{unit_suffix(measure.unit)}", f"{measure.name} ({measure.unit})"
    role = _role(measure)
    found = {
        "mean": (f"mean {what}", mean(measure.name)),
        "last": (f"latest {what}", last(measure.name)),
    }
    if not measure.is_rating:
        worst = high(measure.name) if measure.direction == "lower" else low(measure.name)
        found["worst"] = (f"worst {what}", worst)
        words = f"mean {what}, a contact counting half after {HALF_LIFE_DAYS} days"
        found["decayed"] = (words, recent(measure.name, HALF_LIFE_DAYS))
    definitions = [
        Definition(f"{name}__{statistic}", words, measure.unit, fold, "touchpoints", measure.direction, role)
        for statistic, (words, fold) in found.items()
    ]
    if measure.kind == "share":
        words = f"mean over journeys of {what} at the last contact"
        fold = mean(f"{measure.name} at the end")
        definitions.append(
            Definition(f"{name}__final", words, measure.unit, fold, direction=measure.direction, role=role)
        )
    if measure.missing == "not_answered":
        words = f"share of contacts with an answer to {measure.name}"
        fold = mean(lambda t: 1.0 - np.isnan(getattr(t, measure.name)))
        definitions.append(
            Definition(f"{measure.name}_answered_share__mean", words, "share", fold, "touchpoints", role=role)
        )
    return (*definitions, *_burden(measure, name, what))


def at_touchpoint(measure: Measure | None) -> Definition:
    """Define the feature of a measure at a touchpoint; without a measure the number of contacts."""
    if measure is None:
        return Definition("touchpoints_count__total", "touchpoints", "touchpoints", count(), "touchpoints")
    return next(definition for definition in of_measure(measure) if definition.name.endswith("__mean"))


def of_customer(window_days: int) -> tuple[Definition, ...]:
    """Define the features of all contacts of a customer."""
    return (
        Definition("contacts_count__total", "touchpoints of any journey", "touchpoints", count(), "touchpoints"),
        *(_lately("contacts", "touchpoints", None, "touchpoints") if window_days > RECENT_DAYS else ()),
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


def _role(measure: Measure) -> Role:
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
    return (Definition(f"{name}__burden", words, measure.unit, fold, "touchpoints", "lower", _role(measure)),)


def _lately(
    what: str, unit: str, column: str | None, over: Literal["touchpoints", "revenue"]
) -> tuple[Definition, Definition]:
    """Define how much fell into the last days of the window, and which share of the window that is: the trend."""
    words = "revenue" if column else "touchpoints of any journey"
    suffix = unit_suffix(unit) if column else "count"

    def amount(t: Any) -> Any:
        return getattr(t, column) if column else np.ones(len(t.occurred_at))

    def lately(t: Any) -> Any:
        return np.where(t.cutoff - t.occurred_at < RECENT_DAYS * DAY, amount(t), 0.0)

    share = Fold("ratio", lately, amount)
    return (
        Definition(f"{what}_{suffix}__recent", f"{words} in the last {RECENT_DAYS} days", unit, total(lately), over),
        Definition(f"{what}_share__recent", f"share of {words} in the last {RECENT_DAYS} days", "share", share, over),
    )
