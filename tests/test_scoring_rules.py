import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import StudyError
from features.scoring_rules import Scoring, Sink, age_limit
from features.snapshot import DAY
from features.study import Study, parse_study

EVENTS = """\
study: a
sources: {t: t.parquet}
customers: {from: t}
touchpoints: {from: t}
churn: {from: t}
revenue: {from: t}
outcomes: [{name: review, kind: mean, from: t}]
journeys: [{name: x, stage: use}]
"""
FLAT = "study: a\nsources: {t: t.csv}\njourneys: [{name: x, stage: use}]\nflat: {from: t, churned: left}\n"


def _study(scoring: str = "", text: str = EVENTS) -> Study:
    return parse_study(text + (f"scoring: {scoring}\n" if scoring else ""), "study.yaml")


@given(st.integers(1, 5_000))
def test_ages_in_hours_days_and_weeks_are_one_scale(weeks: int) -> None:
    assert age_limit(f"{weeks} weeks") == age_limit(f"{7 * weeks} days") == age_limit(f"{168 * weeks} hours")
    assert age_limit("1 day") == DAY


def test_one_age_holds_for_the_tables_that_grow_and_others_are_named() -> None:
    assert _study("{freshness: 40 days}").scoring.freshness == {"touchpoints": "40 days", "revenue": "40 days"}
    named = "{freshness: {churn: 8 weeks, outcomes.review: 1 day}}"
    assert _study(named).scoring.freshness == {"churn": "8 weeks", "outcomes.review": "1 day"}
    assert _study().scoring == Scoring()


def test_operations_are_no_part_of_the_fingerprints() -> None:
    plain, scored = _study(), _study("{freshness: 40 days, sink: {duckdb: out/scores.duckdb}}")
    assert scored.fingerprint() == plain.fingerprint()
    assert scored.panel_fingerprint() == plain.panel_fingerprint()
    assert scored != plain


def test_a_sink_names_its_secret_and_its_table() -> None:
    assert _study("{sink: {postgres: SCORES_URL, table: crm.scores}}").scoring.sink == Sink(
        postgres="SCORES_URL", table="crm.scores"
    )
    assert _study("{sink: {duckdb: out.duckdb}}").scoring.sink == Sink(duckdb="out.duckdb", table="scores")


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        ("{freshness: 40}", r"40 is not an age\. Expected a number of hours, days or weeks"),
        ("{freshness: 40 years}", "40 years is not an age"),
        ("{freshness: {revenue: 0 days}}", "0 days is not an age"),
        ("{freshness: {touchpoint: 1 day}}", "no such table with times. Did you mean 'touchpoints'"),
        ("{sink: {}}", "neither duckdb nor postgres is given"),
        ("{sink: {duckdb: a.duckdb, postgres: A}}", "both duckdb and postgres are given"),
        ("{sink: {duckdb: ../a.duckdb}}", r"'\.\./a.duckdb' leaves the folder of the study"),
        ("{sink: {duckdb: /tmp/a.duckdb}}", "leaves the folder of the study"),
        ("{sink: {duckdb: a.duckdb, table: a.b.c}}", "'a.b.c' is not a table"),
        (f"{{sink: {{duckdb: a.duckdb, table: {'a' * 51}}}}}", "too long for Postgres"),
        ("{sinks: {duckdb: a.duckdb}}", "unknown key. Did you mean 'sink'"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(scoring: str, message: str) -> None:
    with pytest.raises(StudyError, match=rf"study.yaml:9: scoring.*{message}"):
        _study(scoring)


def test_an_address_in_the_place_of_a_variable_is_not_repeated() -> None:
    with pytest.raises(StudyError, match="never the URL itself") as caught:
        _study("{sink: {postgres: 'postgresql://app:p4ss@host/db'}}")
    assert "p4ss" not in str(caught.value)


def test_a_flat_table_has_no_ages_and_a_rule_of_churn_has_no_table() -> None:
    with pytest.raises(StudyError, match="rows of a flat table have no times"):
        _study("{freshness: 40 days}", FLAT)
    with pytest.raises(StudyError, match="no such table with times"):
        _study("{freshness: {churn: 1 day}}", EVENTS.replace("churn: {from: t}", "churn: {inactive_days: 45}"))
