"""The catalogue: names, meanings, roles and directions of the features of a study."""

import re
from collections import Counter
from typing import Any

import pytest

from features.engine import output_names
from features.errors import StudyError
from features.facts import Recorded
from features.measures import Catalogue, Observed, catalogue, features_hash, flat_features, typed
from features.study import Study, parse_study

JOURNEYS = ("advert", "onboarding", "usage", "billing", "support", "complaint")
HEAD = """
study: small
sources: {t: t.parquet}
customers: {from: t, covariates: [region]}
touchpoints: {from: t}
churn: {from: t}
revenue: {from: t}
journeys: [%s]
measures: [%s]
snapshot: {window_days: %d}
"""
MEASURES = (
    "{name: wait, unit: min, kind: duration, direction: lower}",
    "{name: resolved, unit: share, kind: share, direction: higher}",
    "{name: failed, unit: share, kind: share, direction: lower}",
    "{name: gap, unit: days, kind: gap, direction: lower}",
    "{name: outage, unit: h, kind: duration, direction: lower, control: none}",
    "{name: reading, unit: s, kind: duration, direction: higher}",
    "{name: rating, unit: points, kind: rating, direction: higher, response: voluntary}",
    "{name: room, unit: share, kind: share, direction: higher, known: after}",
)


def study_with(measures: tuple[str, ...] = MEASURES, window_days: int = 180) -> Study:
    journeys = ", ".join(f"{{name: {name}, stage: use}}" for name in JOURNEYS)
    return parse_study(HEAD % (journeys, ", ".join(measures), window_days), "study.yaml")


def observed_everywhere(study: Study, touchpoints: tuple[str, ...] = ("call",)) -> list[Observed]:
    names = ("", *study.measure_names)
    return [Observed(j, t, m, 10) for j in JOURNEYS for t in touchpoints for m in names]


def small_catalogue(**more: Any) -> Catalogue:
    study = study_with()
    return catalogue(study, Recorded(channels=True), observed_everywhere(study, **more))


def test_a_company_of_six_journeys_and_eight_measures_has_sixty_features_of_journeys() -> None:
    assert sum(feature.level == "journey" for feature in small_catalogue().features) >= 60


def test_every_feature_has_a_name_of_its_own_and_a_sentence() -> None:
    features = small_catalogue(touchpoints=("call", "chat")).features
    assert max(Counter(feature.name for feature in features).values()) == 1
    assert all(re.fullmatch(r"[A-Z].* .*\.", feature.meaning) for feature in features)


def test_names_are_journey_measure_unit_and_statistic() -> None:
    names = {feature.name for feature in small_catalogue(touchpoints=("call", "chat")).features}
    assert {
        "support__wait_min__mean",
        "support__wait_min__worst",
        "support__wait_min__last",
        "support__wait_min__decayed",
        "support__wait_min__burden",
        "support__resolved_share__final",
        "support__rating_answered_share__mean",
        "support__chat__wait_min__mean",
        "support__repeats_count__total",
        "support__switches_count__mean",
        "customer__contacts_share__recent",
        "customer__last_revenue_days__since",
        "revenue_past",
        "tenure_days",
        "region",
        "season__sin",
    } <= names


@pytest.mark.parametrize(
    ("name", "role", "direction"),
    [
        ("support__wait_min__mean", "experience", "lower"),
        ("support__resolved_share__last", "experience", "higher"),
        ("support__resolved_share__burden", "experience", "lower"),
        ("support__outage_h__mean", "context", "lower"),
        ("support__rating_points__mean", "rating", "higher"),
        ("support__rating_answered_share__mean", "rating", "none"),
        ("support__journeys_count__total", "volume", "none"),
        ("support__last_contact_days__since", "recency", "none"),
        ("region", "covariate", "none"),
    ],
)
def test_roles_and_directions_come_from_the_measures(name: str, role: str, direction: str) -> None:
    found = {feature.name: feature for feature in small_catalogue().features}[name]
    assert (found.role, found.direction) == (role, direction)


def test_a_measure_known_after_the_outcome_is_left_out_and_noted() -> None:
    found = small_catalogue()
    assert not any(feature.measure == "room" for feature in found.features)
    assert found.notes == ("room: known only after the outcome, left out of the panel.",)


def test_only_what_occurs_becomes_a_feature() -> None:
    found = catalogue(study_with(), Recorded(), [Observed("support", "call", m, 1) for m in ("", "wait")])
    assert {feature.journey for feature in found.features} == {"support", None}
    assert {feature.measure for feature in found.features} == {"wait", None}
    assert not any("switches" in feature.name for feature in found.features)


def test_touchpoints_get_features_only_where_a_journey_has_several() -> None:
    assert not any(feature.level == "touchpoint" for feature in small_catalogue().features)
    two = [
        feature for feature in small_catalogue(touchpoints=("call", "chat")).features if feature.level == "touchpoint"
    ]
    assert {feature.touchpoint for feature in two} == {"call", "chat"}


def test_of_very_many_touchpoints_the_busiest_are_kept_and_the_rest_noted() -> None:
    rows = [Observed("support", f"t{i}", "", i) for i in range(1, 201)]
    found = catalogue(study_with(), Recorded(), rows)
    kept = [feature.touchpoint for feature in found.features if feature.level == "touchpoint"]
    assert set(kept) == {f"t{i}" for i in range(81, 201)}
    assert found.notes[-1] == "80 touchpoint features with the fewest rows are left out of the panel."


def test_the_plan_computes_exactly_the_columns_of_the_catalogue() -> None:
    found = small_catalogue(touchpoints=("call", "chat"))
    names = (*output_names(found.plan, found.levels), *output_names(found.revenue_plan, {}))
    assert set(names) == set(found.columns)
    assert set(found.columns.values()) <= {feature.name for feature in found.features}


def test_two_measures_that_would_share_a_name_are_refused() -> None:
    rows = ("{name: a, unit: b_c, kind: gap, direction: lower}", "{name: a_b, unit: c, kind: gap, direction: lower}")
    study = study_with(rows)
    with pytest.raises(StudyError, match=r"would be called 'advert__a_b_c__mean'.*Rename"):
        catalogue(study, Recorded(), observed_everywhere(study))


def test_the_hash_changes_with_any_feature_and_with_the_window() -> None:
    features = small_catalogue().features
    hashes = {features_hash(features, 180), features_hash(features, 90), features_hash(features[1:], 180)}
    hashes.add(features_hash(typed(features, {"region"}), 180))
    assert len(hashes) == 4
    assert features_hash(features, 180) == features_hash(small_catalogue().features, 180)


def test_a_short_window_has_no_trend() -> None:
    study = study_with(window_days=20)
    found = catalogue(study, Recorded(), observed_everywhere(study))
    assert not any(feature.name.endswith("__recent") for feature in found.features)


FLAT = """
study: flat
sources: {t: t.csv}
journeys: [{name: hotel, stage: use}]
flat: {from: t, churned: left, covariates: [age]}
measures:
  - {name: price, unit: eur, kind: amount, direction: lower, journey: hotel}
  - {name: lead, unit: days, kind: duration, direction: higher, journey: hotel, touchpoint: booking}
  - {name: room, unit: share, kind: share, direction: higher, journey: hotel, known: after}
"""


def test_a_flat_table_has_one_feature_per_measure_and_covariate() -> None:
    assert [
        (feature.name, feature.level, feature.role) for feature in flat_features(parse_study(FLAT, "study.yaml"))
    ] == [
        ("hotel__price_eur__mean", "journey", "experience"),
        ("hotel__booking__lead_days__mean", "touchpoint", "experience"),
        ("age", "customer", "covariate"),
    ]
