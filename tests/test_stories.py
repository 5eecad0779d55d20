"""What Prefect's pages show of a run, from results as they stand in files."""

from __future__ import annotations

from typing import Any

import pytest

from flows.artefacts import key_of
from flows.stories import as_markdown, told

FEATURES = {
    "customers": 1200, "touchpoints": 34567, "rows": 9000, "cutoffs": ["2025-01-01", "2025-02-01", "2025-03-01"],
    "matured": ["2025-01-01"], "notes": ["one month is short."], "features": [{}, {}], "parts_built": 1,
    "parts_reused": 2,
    "quarantined": [
        {"table": "touchpoints", "reason": "unknown customer", "rows": 3, "examples": [1, 2, 3]},
        {"table": "churn", "reason": "duplicate", "rows": 1234, "examples": [9]},
    ],
}  # fmt: skip


def _metric(metric: str, value: float, lo: float | None, hi: float | None, **more: str) -> dict[str, Any]:
    return {
        "candidate": "logistic",
        "fold": "all",
        "metric": metric,
        "value": value,
        "lo": lo,
        "hi": hi,
        "n": 5000,
    } | more


TRAIN = {
    "rows": 5000,
    "churn_rate": 0.0564,
    "outcomes": {
        "churn": {
            "winner": "logistic", "version": "4", "alias": "challenger", "reason": "it is worse.",
            "sentence": "logistic beats the best baseline.",
            "metrics": [
                _metric("auc", 0.71234, 0.70, 0.72),
                _metric("auc", 0.9, 0.8, 0.95, candidate="boosting"),
                _metric("log_loss", 0.19896, 0.1936, 0.2043),
                _metric("log_loss", 0.3, 0.2, 0.4, fold="1"),
                _metric("captured_10", 0.25, None, None),
            ],
        }
    },
}  # fmt: skip


def test_features_say_what_came_in_and_what_was_set_aside_most_first() -> None:
    story = told("features", FEATURES)
    assert story is not None
    assert story.sentences[0] == (
        "**9,000 rows** of 1,200 customers from 34,567 touchpoints: 2 features at 3 cutoffs, 2025-01-01 to "
        "2025-03-01; outcomes are known at 1."
    )
    assert story.table == (
        {"table": "churn", "set aside because": "duplicate", "rows": "1,234"},
        {"table": "touchpoints", "set aside because": "unknown customer", "rows": "3"},
    )
    assert "Note: one month is short." in story.sentences
    flat = {key: value for key, value in FEATURES.items() if key != "touchpoints"}
    assert "touchpoints:" not in told("features", flat).sentences[0]  # type: ignore[union-attr]


def test_rows_of_customers_are_in_no_story() -> None:
    text = str(told("features", FEATURES))
    assert "examples" not in text
    assert "[1, 2, 3]" not in text


def test_training_shows_the_winner_over_all_folds_with_interval_and_rows() -> None:
    story = told("train", TRAIN)
    assert story is not None
    assert "**churn**: version 4 is the challenger: it is worse." in story.sentences
    assert [(row["metric"], row["value"], row["90 % interval"]) for row in story.table] == [
        ("log_loss", "0.199", "0.194 to 0.204"),
        ("auc", "0.712", "0.700 to 0.720"),
        ("captured_10", "0.250", ""),
    ]
    assert {row["rows"] for row in story.table} == {"5,000"}


def test_scores_are_summed_up_and_revenue_is_left_out_where_there_is_none() -> None:
    result = {
        "customers": 400, "mean_churn_risk": 0.055, "expected_revenue": None, "revenue_at_risk": None,
        "churn_model_version": "3", "revenue_model_version": None, "cutoff": "2025-06-01",
    }  # fmt: skip
    story = told("score", result)
    assert story is not None
    assert story.sentences == ("**400 customers** scored at 2025-06-01 with version 3 of churn.",)
    assert [row["what"] for row in story.table] == [
        "customers at risk", "mean churn risk", "customers expected to leave",
    ]  # fmt: skip
    assert story.table[2]["value"] == "22"
    money = told(
        "score", result | {"expected_revenue": 47193.2, "revenue_at_risk": 2365.0, "revenue_model_version": "2"}
    )
    assert [row["value"] for row in money.table[3:]] == ["47,193", "2,365"]  # type: ignore[union-attr]


def test_initiatives_are_sorted_by_value_with_interval_and_chance() -> None:
    rows = [
        {"name": "b", "title": "B", "npv": -10.0, "npv_lo": -20.0, "npv_hi": -1.0, "p_npv_positive": 0.001,
         "verdict": "not worth it"},
        {"name": "a", "title": "A", "npv": 2000.0, "npv_lo": 100.0, "npv_hi": 3900.0, "p_npv_positive": 0.97,
         "verdict": "worth it"},
        {"name": "c", "title": "C", "npv": None, "npv_lo": None, "npv_hi": None, "p_npv_positive": None,
         "verdict": "refused"},
    ]  # fmt: skip
    story = told(
        "simulate", {"currency": "EUR", "months": 24, "initiatives": rows, "customers": 10, "cutoff": "2025-01-01"}
    )
    assert story is not None
    assert [row["initiative"] for row in story.table] == ["A", "B"]
    assert story.table[0]["chance to pay"] == "97\u00a0%"
    assert story.table[1]["chance to pay"] == "<\u00a01\u00a0%"
    assert story.sentences == (
        "3 initiatives were simulated for 10 customers at 2025-01-01. The most valuable is **A**: worth it.",
    )


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ([], ("Verdict: **ok**. Nothing stands out.",)),
        (["Scores moved."], ("Verdict: **ok**.", "- Scores moved.")),
        ([{"kind": "drift", "text": "Waits doubled."}], ("Verdict: **ok**.", "- Waits doubled.")),
    ],
)
def test_monitoring_shows_verdict_and_reasons(reasons: list[Any], said: tuple[str, ...]) -> None:
    story = told("monitor", {"verdict": "ok", "reasons": reasons})
    assert story is not None
    assert story.sentences == said


def test_a_retraining_says_which_version_scores_next() -> None:
    one = {"version": "5", "alias": "challenger", "reason": "it is no better.", "scores_next": "4"}
    story = told("retrain", {"why": "By schedule, or asked for.", "outcomes": {"churn": one}})
    assert story is not None
    assert story.table == ({"model": "churn", "new version": "5", "became": "challenger", "scores next": "4"},)
    assert as_markdown(story, [("result", "/a/retrain.json")]).endswith("\n\n- result: `/a/retrain.json`")


def test_what_has_nothing_to_tell_tells_nothing() -> None:
    assert told("check", {}) is None


@pytest.mark.parametrize("parts", [("north_line", "build features"), ("a--b", "Ü x"), ("9", "T")])
def test_keys_are_what_prefect_takes(parts: tuple[str, ...]) -> None:
    key = key_of(*parts)
    assert key == key.lower().strip("-")
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
