"""What each feature makes of a few contacts: the specification of the catalogue, one line a feature."""

import pyarrow as pa
import pytest

from features.definitions import (
    Definition,
    at_touchpoint,
    of_contacts,
    of_customer,
    of_measure,
    of_revenue,
    unit_suffix,
)
from features.engine import build
from features.folds import CUSTOMER, Plan
from features.measures import Observed, catalogue
from features.outcomes import dated
from features.snapshot import DAY
from features.study import parse_study

STUDY = """
study: small
sources: {t: t.parquet}
customers: {from: t}
touchpoints: {from: t}
churn: {from: t}
revenue: {from: t}
journeys: [{name: billing, stage: pay}, {name: support, stage: help}]
measures:
  - {name: wait, unit: min, kind: duration, direction: lower}
  - {name: resolved, unit: share, kind: share, direction: higher}
  - {name: failed, unit: share, kind: share, direction: lower}
  - {name: reading, unit: s, kind: duration, direction: higher}
  - {name: rating, unit: points, kind: rating, direction: higher, response: voluntary}
"""
STUDY_READ = parse_study(STUDY, "study.yaml")
MEASURES = {measure.name: measure for measure in STUDY_READ.measures}


TOUCHES = [  # day, journey key, channel, wait, resolved
    (10, 1, "phone", 4.0, 0.0),
    (12, 1, "mail", 10.0, 1.0),
    (17, 2, "phone", None, 0.0),
    (70, 3, "phone", 1.0, None),
]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("support__journeys_count__total", 3),
        ("support__touchpoints_count__total", 4),
        ("support__touchpoints_count__mean", 4 / 3),
        ("support__touchpoints_count__decayed", 2**-3 + 2 ** -(88 / 30) + 2 ** -(83 / 30) + 0.5),
        ("support__repeats_count__total", 1),
        ("support__switches_count__mean", 1 / 3),
        ("support__duration_days__mean", 2 / 3),
        ("support__last_contact_days__since", 30),
        ("support__wait_min__mean", 5),
        ("support__wait_min__worst", 10),
        ("support__wait_min__last", 1),
        ("support__wait_min__burden", 4 * 2**-3 + 10 * 2 ** -(88 / 30) + 0.5),
        ("support__resolved_share__worst", 0),
        ("support__resolved_share__final", 0.5),
        ("support__resolved_share__burden", 2**-3 + 2 ** -(83 / 30)),
        ("support__rating_answered_share__mean", 0),
        ("customer__contacts_count__recent", 0),
        ("customer__contacts_share__recent", 0),
        ("customer__last_contact_days__since", 30),
        ("billing__journeys_count__total", 0),
    ],
)
def test_what_each_feature_makes_of_four_contacts(name: str, wanted: float) -> None:
    everywhere = [Observed(j, "call", m, 1) for j in ("billing", "support") for m in ("", *MEASURES)]
    found = catalogue(STUDY_READ, {"channel": ("mail", "phone")}, everywhere)
    rows = [
        {"customer_key": 1, "journey": "support", "journey_key": key, "touchpoint": "call", "channel": channel,
         "occurred_at": day * DAY, "known_at": day * DAY, "wait": wait, "resolved": resolved}
        for day, key, channel, wait, resolved in TOUCHES
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows)
    for measure in ("failed", "reading", "rating"):
        table = table.append_column(measure, pa.nulls(len(rows), pa.float64()))
    spine = pa.table({"customer_key": [1], "cutoff": [100 * DAY]})
    got = build(found.plan, table, spine, found.levels)
    column = next(column for column, feature in found.columns.items() if feature == name)
    assert got[column][0].as_py() == pytest.approx(wanted)


PAID = [(10, 5.0), (60, 20.0), (80, -5.0)]  # day, amount


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("revenue_past", 20),
        ("revenue_eur__recent", -5),
        ("revenue_share__recent", -0.25),
        ("payments_count__total", 3),
        ("last_revenue_days__since", 20),
    ],
)
def test_what_each_feature_makes_of_three_payments(name: str, wanted: float) -> None:
    days, amounts = zip(*PAID, strict=True)
    table = pa.table({"customer_key": [1] * 3, "at": [day * DAY for day in days], "amount": amounts})
    folds = {definition.name: definition.fold for definition in of_revenue("EUR", 180)}
    plan = Plan(touch_features={CUSTOMER: folds})
    spine = pa.table({"customer_key": [1], "cutoff": [100 * DAY]})
    got = build(plan, dated(table, "at", "amount"), spine, {})
    assert got[f"{name}__customer"][0].as_py() == pytest.approx(wanted)


def statistics(name: str) -> set[str]:
    return {definition.name.rsplit("__", 1)[-1] for definition in of_measure(MEASURES[name])}


def test_a_rating_is_only_averaged_and_remembered_and_its_answers_counted() -> None:
    assert [definition.name for definition in of_measure(MEASURES["rating"])] == [
        "rating_points__mean",
        "rating_points__last",
        "rating_answered_share__mean",
    ]


def test_a_burden_exists_where_something_hurts() -> None:
    assert all("burden" in statistics(name) for name in ("wait", "resolved", "failed"))
    assert "burden" not in statistics("reading")


def test_only_shares_have_an_outcome_of_the_journey() -> None:
    assert "final" in statistics("resolved") & statistics("failed")
    assert "final" not in statistics("wait")


def test_one_channel_never_changes() -> None:
    assert len(of_contacts(has_channels=True)) == len(of_contacts(has_channels=False)) + 1


def test_a_short_window_has_no_recent_part() -> None:
    assert all("recent" not in definition.name for definition in (*of_customer(30), *of_revenue("EUR", 30)))


def test_at_a_touchpoint_there_is_the_mean_or_the_count() -> None:
    assert at_touchpoint(None).name == "touchpoints_count__total"
    assert at_touchpoint(MEASURES["wait"]).name == "wait_min__mean"


def test_every_definition_says_what_it_is() -> None:
    every: list[Definition] = [*of_contacts(has_channels=True), *of_customer(180), *of_revenue("EUR", 180)]
    every += [definition for measure in MEASURES.values() for definition in of_measure(measure)]
    assert all(definition.words and definition.unit for definition in every)


@pytest.mark.parametrize(
    ("unit", "suffix"), [("min", "min"), ("EUR", "eur"), ("%", "unit"), ("Stück/Tag", "stück_tag")]
)
def test_units_become_parts_of_names(unit: str, suffix: str) -> None:
    assert unit_suffix(unit) == suffix
