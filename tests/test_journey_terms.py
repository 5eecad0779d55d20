"""What only the journey view has, on the catalogues of real studies."""

from __future__ import annotations

from features.facts import Recorded
from features.measures import Observed, catalogue, flat_features
from features.study import parse_study
from models.journey_terms import journey_terms

STUDY = """
study: small
sources: {t: t.parquet}
customers: {from: t, covariates: [region]}
touchpoints: {from: t}
churn: {from: t}
revenue: {from: t}
journeys: [{name: support, stage: use}]
measures:
  - {name: wait, unit: min, kind: duration, direction: lower}
  - {name: resolved, unit: share, kind: share, direction: higher, task: true}
  - {name: rating, unit: points, kind: rating, direction: higher}
"""
FLAT = """
study: flat
sources: {t: t.csv}
flat: {from: t, columns: {customer_id: id}, churned: left, covariates: [region]}
journeys: [{name: support, stage: use}]
measures:
  - {name: wait, unit: min, kind: duration, direction: lower, journey: support}
  - {name: rating, unit: points, kind: rating, direction: higher, journey: support, touchpoint: call}
"""


def terms(*touchpoints: str) -> tuple[set[str], set[str]]:
    """Journey terms of the study, and all other features."""
    study = parse_study(STUDY, "study.yaml")
    names = ("", *study.measure_names)
    observed = [Observed("support", touchpoint, name, 10) for touchpoint in touchpoints for name in names]
    every = {feature.name for feature in catalogue(study, Recorded(), observed).features}
    found = {feature.name for feature in journey_terms(catalogue(study, Recorded(), observed).features)}
    return found, every - found


def test_order_memory_and_endings_are_journey_terms_and_means_of_touchpoints_are_not() -> None:
    found, others = terms("call", "chat")
    assert {
        "support__wait_min__worst",
        "support__wait_min__last",
        "support__resolved_share__final",
        "support__effort_steps__mean",
        "support__repeats_count__total",
        "customer__interleaved_count__total",
        "customer__journeys_count__distinct",
        "customer__resolved_success_share__worst",
    } <= found
    assert {
        "support__call__wait_min__mean",
        "support__chat__touchpoints_count__total",
        "customer__contacts_count__total",
        "customer__last_contact_days__since",
        "support__last_contact_days__since",
        "revenue_past",
        "tenure_days",
        "region",
    } <= others


def test_a_plain_mean_belongs_to_touchpoints_unless_they_have_it_themselves() -> None:
    found, _ = terms("call", "chat")
    assert {"support__wait_min__mean", "support__touchpoints_count__total"} <= found
    assert "support__rating_points__mean" not in found
    found, _ = terms("call")
    assert not {"support__wait_min__mean", "support__touchpoints_count__total"} & found
    assert "support__wait_min__worst" in found


def test_a_flat_table_has_no_journey_terms() -> None:
    assert journey_terms(flat_features(parse_study(FLAT, "study.yaml"))) == ()
