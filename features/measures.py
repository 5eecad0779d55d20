"""The catalogue: which features a study has, what each means, and the plan that computes them.

Features are named ``{journey}__{measure}_{unit}__{statistic}``; at touchpoint level the touchpoint follows the journey,
at customer level ``customer`` stands for the journey. The definitions stand in `features.definitions`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from features.definitions import Context, Definition, Direction, Role, of_contacts, of_customer, of_revenue
from features.errors import StudyError
from features.facts import Recorded, facts_of, journey_folds, known_measures
from features.folds import CUSTOMER, Fold, Plan, Slice, slice_label
from features.measure_definitions import at_touchpoint, of_measure
from features.study import Measure, Study

__all__ = ["Catalogue", "Feature", "Observed", "catalogue", "features_hash", "flat_features", "typed"]

Missing: TypeAlias = Literal["never", "no contact", "not applicable", "not answered"]

MOST_TOUCHPOINT_FEATURES = 120
REVISION = 2
"""Raise when equal inputs give other values than before: models fitted on the old ones must not score the new ones."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the panel that a model may use.

    Attributes
    ----------
    name : str
        The column.
    meaning : str
        A sentence for people.
    unit : str
        Unit of the value; empty for categories.
    direction : {"lower", "higher", "none"}
        Which way is better for the customer.
    level : {"journey", "touchpoint", "customer"}
        What it is about.
    journey, measure : str or None
        Where it belongs; None when it is about the customer, or about contacts as such.
    role : str
        ``experience``: quality the company may move; ``volume``: how much happened; ``rating``: an answer of the
        customer, a consequence; ``context``: nobody moves it; ``covariate``: known at joining; ``recency``: how long
        ago.
    kind : {"number", "category"}
        What the column holds.
    touchpoint : str or None
        The touchpoint, at touchpoint level.
    missing : str
        What a missing value means. ``never``: there is none. ``no contact``: nothing of the kind happened.
        ``not applicable``: no contact to which the measure applies. ``not answered``: nothing of the kind happened, or
        nobody answered; where the counts of touchpoints are above 0 it is the latter.
    """

    name: str
    meaning: str
    unit: str
    direction: Direction
    level: Literal["journey", "touchpoint", "customer"]
    journey: str | None
    measure: str | None
    role: Role
    kind: Literal["number", "category"] = "number"
    touchpoint: str | None = None
    missing: Missing = "never"


class Observed(NamedTuple):
    """How many rows of a touchpoint have a value of a measure; measure ``""`` counts all its rows."""

    journey: str
    touchpoint: str
    measure: str
    rows: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The features of a study and how they are computed.

    Attributes
    ----------
    features : tuple of Feature
        In the order of the panel's columns.
    plan : Plan
        What the engine computes from touchpoints.
    revenue_plan : Plan
        What it computes from revenue, read as touchpoints of one journey with the column ``amount``.
    levels : mapping
        The levels that the plan is cut into.
    columns : mapping of str to str
        Column of the engine to name of the feature.
    notes : tuple of str
        What was left out and why.
    """

    features: tuple[Feature, ...]
    plan: Plan
    revenue_plan: Plan
    levels: Mapping[Slice, tuple[str | tuple[str, ...], ...]]
    columns: Mapping[str, str]
    notes: tuple[str, ...]


class _Entry(NamedTuple):
    """A feature, and how the engine computes it."""

    feature: Feature
    by: Slice
    level: str
    definition: Definition

    @property
    def column(self) -> str:
        """The name that the engine gives it."""
        return f"{self.definition.name}__{self.level}"


def catalogue(study: Study, recorded: Recorded, observed: Collection[Observed]) -> Catalogue:
    """Choose the features of a study from its measures and from what really occurs in its journeys.

    Parameters
    ----------
    study : Study
        Measures, journeys, covariates, window.
    recorded : Recorded
        Which optional columns the touchpoints have.
    observed : collection of Observed
        Which measure has values where, and with measure ``""`` every touchpoint of every journey.

    Returns
    -------
    Catalogue

    Raises
    ------
    StudyError
        Two features would have the same name.

    Notes
    -----
    A measure known only after the outcome is left out. Touchpoint features appear where a journey has several
    touchpoints (and a measure values at several of them), else they would repeat the journey's; the 120 with most rows
    are kept.
    """
    occurs = {(row.journey, row.measure) for row in observed if row.rows}
    journeys = tuple(name for name in study.journey_names if (name, "") in occurs)
    entries: list[_Entry] = []
    for journey in journeys:
        context = Context(study, recorded, frozenset(measure for name, measure in occurs if name == journey))
        entries += [_at_journey(study, journey, None, one) for one in of_contacts(context, journey)]
        for measure in context.measures:
            entries += [_at_journey(study, journey, measure, one) for one in of_measure(context, measure)]
    at_touchpoints = _at_touchpoints(study, journeys, observed)
    entries += sorted(at_touchpoints[:MOST_TOUCHPOINT_FEATURES], key=lambda entry: entry.feature.name)
    everywhere = Context(study, recorded, frozenset(measure for name, measure in occurs if name in journeys))
    entries += [_at_customer(study, definition) for definition in of_customer(everywhere)]
    entries += [
        _at_customer(study, definition) for definition in of_revenue(study.currency, study.snapshot.window_days)
    ]
    features = (*(entry.feature for entry in entries), *_baseline(study))
    _check_names(features, study)
    pairs = {(row.journey, row.touchpoint) for row in observed if row.rows and row.journey in journeys}
    return Catalogue(
        features=features,
        plan=_plan(entries, study, recorded),
        revenue_plan=_revenue_plan(entries, study.snapshot.window_days),
        levels={"journey": journeys, ("journey", "touchpoint"): tuple(sorted(pairs))},
        columns={entry.column: entry.feature.name for entry in entries},
        notes=_notes(study, len(at_touchpoints) - MOST_TOUCHPOINT_FEATURES),
    )


def features_hash(features: Collection[Feature], window_days: int) -> str:
    """Give the SHA-256 of a catalogue: models and panels that agree on it agree on every column."""
    plain = json.dumps([REVISION, window_days, *map(asdict, features)], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(plain.encode()).hexdigest()


def flat_features(study: Study) -> tuple[Feature, ...]:
    """List the features of a study whose table has one row per customer: its measures and covariates."""
    features = [_flat(measure) for measure in study.measures if measure.known == "before"]
    features += [_covariate(name) for name in (study.flat.covariates if study.flat else ())]
    _check_names(features, study)
    return tuple(features)


def _at_journey(study: Study, journey: str, measure: Measure | None, definition: Definition) -> _Entry:
    feature = Feature(
        name=f"{journey}__{definition.name}",
        meaning=_meaning(study, f"{journey}: {definition.words}"),
        unit=definition.unit,
        direction=definition.direction,
        level="journey",
        journey=journey,
        measure=measure.name if measure else None,
        role=definition.role,
        missing=_missing(definition, measure),
    )
    return _Entry(feature, "journey", journey, definition)


def _at_touchpoints(study: Study, journeys: Collection[str], observed: Collection[Observed]) -> list[_Entry]:
    """Features of touchpoints where the journey has several, those with most rows first."""
    several = Counter((row.journey, row.measure) for row in observed if row.rows)
    measures: dict[str, Measure | None] = {m.name: m for m in known_measures(study) if not m.is_rating}
    measures[""] = None
    return [
        _at_touchpoint(study, row, measures[row.measure])
        for row in sorted(observed, key=lambda row: (-row.rows, row[:3]))
        if row.measure in measures and row.journey in journeys and row.rows and several[row.journey, row.measure] > 1
    ]


def _at_touchpoint(study: Study, row: Observed, measure: Measure | None) -> _Entry:
    definition = at_touchpoint(measure)
    level = slice_label((row.journey, row.touchpoint))
    feature = Feature(
        name=f"{level}__{definition.name}",
        meaning=_meaning(study, f"{row.journey}, {row.touchpoint}: {definition.words}"),
        unit=definition.unit,
        direction=definition.direction,
        level="touchpoint",
        journey=row.journey,
        measure=measure.name if measure else None,
        role=definition.role,
        touchpoint=row.touchpoint,
        missing=_missing(definition, measure),
    )
    return _Entry(feature, ("journey", "touchpoint"), level, definition)


def _at_customer(study: Study, definition: Definition) -> _Entry:
    is_short = "__" not in definition.name
    feature = Feature(
        name=definition.name if is_short else f"{CUSTOMER}__{definition.name}",
        meaning=_meaning(study, definition.words),
        unit=definition.unit,
        direction=definition.direction,
        level="customer",
        journey=None,
        measure=None,
        role=definition.role,
        missing=_missing(definition, None),
    )
    return _Entry(feature, CUSTOMER, CUSTOMER, definition)


def _missing(definition: Definition, measure: Measure | None) -> Missing:
    """Say what it means when a feature is missing."""
    if definition.fold.empty == 0:
        return "never"
    if measure is None:
        return "no contact"
    return "not answered" if measure.missing == "not_answered" else "not applicable"


def _baseline(study: Study) -> tuple[Feature, ...]:
    """List what is known of a customer without any event: tenure, season, covariates."""

    def about(name: str, meaning: str, unit: str, role: Role) -> Feature:
        return Feature(name, meaning, unit, "none", "customer", None, None, role)

    covariates = study.customers.covariates if study.customers else ()
    return (
        about("tenure_days", "Days since the customer joined.", "days", "covariate"),
        about("season__sin", "Season: sine of the month of the cutoff.", "", "context"),
        about("season__cos", "Season: cosine of the month of the cutoff.", "", "context"),
        *map(_covariate, covariates),
    )


def _covariate(name: str) -> Feature:
    """Describe a covariate; `typed` says later whether it holds numbers."""
    return Feature(
        name, f"{_capital(name)}, as known when the customer joined.", "", "none", "customer", None, None, "covariate"
    )


def typed(features: Collection[Feature], categories: Collection[str]) -> tuple[Feature, ...]:
    """Mark the features that turned out to hold text."""
    return tuple(replace(feature, kind="category") if feature.name in categories else feature for feature in features)


def _flat(measure: Measure) -> Feature:
    where = [str(measure.journey), *([measure.touchpoint] if measure.touchpoint else [])]
    definition = at_touchpoint(measure)
    return Feature(
        name="__".join([*where, definition.name]),
        meaning=f"{', '.join(where)}: {measure.name} ({measure.unit}).",
        unit=measure.unit,
        direction=measure.direction,
        level="touchpoint" if measure.touchpoint else "journey",
        journey=measure.journey,
        measure=measure.name,
        role=definition.role,
        touchpoint=measure.touchpoint,
        missing=_missing(definition, measure),
    )


def _plan(entries: Collection[_Entry], study: Study, recorded: Recorded) -> Plan:
    parts: dict[str, dict[Slice, dict[str, Fold]]] = {"journeys": {}, "touchpoints": {}, "revenue": {}}
    for entry in entries:
        parts[entry.definition.over].setdefault(entry.by, {})[entry.definition.name] = entry.definition.fold
    return Plan(
        facts=facts_of(study, recorded),
        journey=journey_folds(study, recorded),
        features=parts["journeys"],
        touch_features=parts["touchpoints"],
        window_days=study.snapshot.window_days,
        keep=frozenset(entry.column for entry in entries),
        session_gap_days={name: study.session_gap_days(name) for name in study.journey_names},
    )


def _revenue_plan(entries: Collection[_Entry], window_days: int) -> Plan:
    folds = {e.definition.name: e.definition.fold for e in entries if e.definition.over == "revenue"}
    return Plan(touch_features={CUSTOMER: folds}, window_days=window_days)


def _notes(study: Study, n_left_out: int) -> tuple[str, ...]:
    after = [m.name for m in study.measures if m.known == "after"]
    notes = [f"{name}: known only after the outcome, left out of the panel." for name in after]
    if n_left_out > 0:
        notes.append(f"{n_left_out} touchpoint features with the fewest rows are left out of the panel.")
    return tuple(notes)


def _meaning(study: Study, words: str) -> str:
    return f"{_capital(words)}, over {study.snapshot.window_days} days."


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _check_names(features: Collection[Feature], study: Study) -> None:
    taken = Counter([*(feature.name for feature in features), *(outcome.name for outcome in study.outcomes)])
    doubled = [name for name, n in taken.items() if n > 1]
    if doubled:
        raise StudyError(
            f"Two columns of the panel would be called '{doubled[0]}'. Every feature and outcome needs its own name. "
            "Rename a measure, unit, covariate or outcome of the study."
        )
