"""A comparison as sentences and as a page: what is said follows from the numbers, and nothing is loaded."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flows.compare_page import answer_sentence, difference_sentences, render_comparison
from models.outlooks import OUTCOMES


def a_content(npv: tuple[float, float] = (100.0, 140.0), verdict: str = "better", **given: Any) -> dict[str, Any]:
    """A comparison of two plans whose difference has an interval of 20 either way."""
    first, second = npv
    plans = [
        {
            "label": label, "given": label, "kind": "file", "origin": "the last simulation", "initiatives": ["a", "b"],
            "months": 24, "customers": 1_000, "seed": "0", "p_best": p, "made_from": {},
        }
        for label, p in (("Spring", 0.04), ("Autumn & <more>", 0.96))
    ]  # fmt: skip
    levels = [
        {"plan": plan, "outcome": name, "value": value, "lo": value - 50, "hi": value + 50, "n": 4_000}
        for plan, value in enumerate(npv)
        for name in OUTCOMES
    ]
    change = second - first
    differences = [
        {
            "outcome": name, "plan": 1, "value": change, "lo": change - 20, "hi": change + 20, "p_better": 0.96,
            "verdict": verdict, "is_paired": True, "n": 4_000,
        }
        for name in OUTCOMES
    ]  # fmt: skip
    told = {"study": "northline", "currency": "EUR", "months": 24, "draws": 4_000, "warnings": []}
    return {**told, "plans": plans, "levels": levels, "differences": differences, **given}


def test_the_answer_names_the_plan_that_is_worth_most_with_its_interval_and_chance() -> None:
    assert answer_sentence(a_content()) == (
        "“Autumn & <more>” is worth most over 24 months: €140.00 (€90.00 to €190.00). "
        "With a chance of 96\u00a0% it is the best of the 2."
    )
    assert "“Spring” loses least" in answer_sentence(a_content((-100.0, -140.0)))


@pytest.mark.parametrize(
    ("npv", "verdict", "told"),
    [
        ((100.0, 140.0), "better", "is worth €40.00 more than “Spring” (€20.00 to €60.00)"),
        ((100.0, 60.0), "worse", "is worth €40.00 less than “Spring” (€20.00 to €60.00)"),
        ((100.0, 110.0), "undecided", "(from €10.00 less to €30.00 more, so undecided)"),
        ((100.0, 100.0), "the same", "is worth the same as “Spring” in every draw."),
    ],
)
def test_a_difference_is_told_with_its_direction(npv: tuple[float, float], verdict: str, told: str) -> None:
    (sentence,) = difference_sentences(a_content(npv, verdict))
    assert told in sentence


def test_plans_that_are_the_same_are_worth_the_same() -> None:
    told = answer_sentence(a_content((100.0, 100.0), "the same"))
    assert told == "All are worth the same over 24 months: €100.00."


def test_the_page_escapes_names_shows_warnings_and_loads_nothing() -> None:
    page = render_comparison(a_content(warnings=["“A” shares no draws with “B”: the data differs."]))
    assert "Autumn &amp; &lt;more&gt;" in page
    assert "<more>" not in page
    assert "Note: “A” shares no draws with “B”: the data differs." in page
    assert page.count("<svg") == 4
    assert not re.search(r'(src|href)="(?!#)|url\((?!#)|<script|@import', page)
    assert len(page) < 300_000
