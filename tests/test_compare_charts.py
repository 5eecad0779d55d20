"""Charts of differences: largest first, coloured by the better side, whatever was the same said in words."""

from __future__ import annotations

import pandas as pd
import pytest

from flows.compare_charts import difference_chart, outcome_title, writer
from flows.theme import BAD, GOOD, NEUTRAL, to_svg

LABELS = ["First", "Second", "Third", "Fourth"]


def found(outcome: str) -> pd.DataFrame:
    rows = [
        (outcome, 1, 0.01, 0.005, 0.02, 0.99, "better"),
        (outcome, 2, 0.03, 0.02, 0.04, 0.0, "worse"),
        (outcome, 3, 0.0, 0.0, 0.0, 0.5, "the same"),
        ("cost", 1, 9.0, 9.0, 9.0, 0.0, "worse"),
    ]
    return pd.DataFrame(rows, columns=["outcome", "plan", "value", "lo", "hi", "p_better", "verdict"])


def drawn(outcome: str) -> pd.DataFrame:
    chart = difference_chart(found(outcome), LABELS, outcome, "EUR").to_dict()
    rows = next(rows for rows in chart["datasets"].values() if "label" in rows[0])
    return pd.DataFrame(rows)


@pytest.mark.parametrize("outcome", ["npv", "churn", "revenue"])
def test_rows_are_sorted_and_coloured_by_what_is_better(outcome: str) -> None:
    rows = drawn(outcome)
    assert rows["label"].tolist() == ["Third", "Second", "Fourth"]
    assert rows["shade"].tolist() == [BAD, GOOD, NEUTRAL]


def test_churn_is_drawn_in_points_and_told_with_its_unit() -> None:
    rows = drawn("churn")
    assert rows["value"].tolist() == [3, 1, 0]
    assert rows["text"].iloc[0] == "+3.00 points"
    assert rows["note"].iloc[0] == "+2.00 to +4.00 points · worse with a chance of >\u00a099\u00a0%"


def test_what_is_the_same_or_certain_has_no_interval_in_words() -> None:
    assert drawn("npv")["note"].iloc[2] == "the same in every draw"
    assert drawn("cost")["note"].iloc[0] == "worse with a chance of >\u00a099\u00a0%"


def test_every_outcome_has_a_title_a_unit_and_a_picture() -> None:
    assert outcome_title("npv") == "Net present value"
    assert writer("churn", "EUR")(0.012) == "+1.20 points"
    assert writer("cost", "EUR")(12_000) == "€12k"
    assert "difference to “First”" in to_svg(difference_chart(found("npv"), LABELS, "npv", "EUR"))
