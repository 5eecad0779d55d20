"""What differences between laid out rows say in words."""

from dataclasses import replace
from typing import Any

import pytest

from features.leak_causes import JOURNEY_START, ROWS, Change, Evidence, explain
from features.measures import Feature
from features.queries import mentions
from features.truncation import Late

FEATURE = Feature("support__wait_min__mean", "", "min", "lower", "journey", "support", "wait", "experience")
WAIT = Change("touchpoints", "wait", "only later", 3, 100)
NOTHING = Evidence((), {}, {}, frozenset({"revenue_past"}), {})


def told(*changes: Change, feature: Feature | None = FEATURE, **more: Any) -> tuple[str, str]:
    name = feature.name if feature is not None else "at risk"
    cause = explain(name, feature, replace(NOTHING, changes=changes, **more))
    return cause.sentence, cause.advice


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("elsewhere", "3 of 100 touchpoints known at the cutoff stand at another time"),
        ("not there", "3 of 100 touchpoints known at the cutoff had not been there"),
        ("gone", "3 touchpoints that were there at the cutoff are gone"),
        ("known too soon", "known_at moved beyond it later"),
    ],
)
def test_what_happened_to_whole_rows_is_said(kind: Any, words: str) -> None:
    sentence, advice = told(Change("touchpoints", ROWS, kind, 3, 100))
    assert words in sentence
    assert "known_at" in advice


def test_times_are_named_only_where_the_column_is_made_of_them() -> None:
    late = (Late("tickets", "closed_at", 9), Late("tickets", "Shut_At", 3))
    both = {"queries": {"touchpoints": mentions("select 1 as wait")}, "late": {"touchpoints": late}}
    sentence, advice = told(WAIT, **both, origins={("touchpoints", "wait"): frozenset({"shut_at"})})
    assert sentence.endswith(
        "is only known later in 3 of 100 touchpoints known at the cutoff, from times after the cutoff (tickets.Shut_At)"
    )
    assert "known_at = Shut_At" in advice
    assert "--planned tickets.Shut_At" in advice
    assert "(tickets.closed_at, tickets.Shut_At)" in told(WAIT, **both)[0]


def test_the_clock_is_named_where_the_query_asks_it() -> None:
    sentence, advice = told(WAIT, queries={"touchpoints": mentions("select now() as wait")})
    assert sentence.endswith("touchpoints.sql asks now()")
    assert advice.startswith("First take now() out")


def test_a_feature_is_explained_by_what_it_is_made_of() -> None:
    rows, paid = Change("touchpoints", ROWS, "not there", 50, 100), Change("revenue", "amount", "otherwise", 2, 9)
    joined = Change("customers", "joined_at", "otherwise", 1, 9)
    everything = (rows, paid, joined, WAIT)
    assert "wait" in told(*everything)[0]
    assert "had not been there" in told(*everything, feature=replace(FEATURE, measure=None))[0]
    assert "payments" in told(*everything, feature=replace(FEATURE, name="revenue_past", measure=None))[0]
    assert (
        "'joined_at' changes in 1"
        in told(*everything, feature=replace(FEATURE, name="tenure_days", role="covariate"))[0]
    )
    assert "'joined_at' changes in 1" in told(*everything, feature=None)[0]
    moved = Change("touchpoints", JOURNEY_START, "otherwise", 4, 100)
    assert "belong to another journey" in told(moved)[0]


def test_what_no_row_explains_is_in_the_definition() -> None:
    sentence, advice = told(Change("customers", "region", "otherwise", 1, 9))
    assert "its definition asks the clock or chance" in sentence
    assert "features/definitions.py" in advice
