"""What `simulate` shows: tables that fit a terminal, the best first, every word of a heading explained below."""

from __future__ import annotations

import io
import math

import pandas as pd
import pytest
from rich.console import Console

from flows import console
from flows.simulation_shown import effects_shown, money_shown, pairs_shown, show

NAN = math.nan


def initiative(name: str, npv: float, **given) -> dict[str, object]:
    return {
        "name": name, "title": name.capitalize(), "churn_effect": -0.0046, "churn_lo": -0.0053, "churn_hi": -0.0039,
        "revenue_effect": 0.408, "revenue_lo": 0.352, "revenue_hi": 0.464, "cost": 91_234.0, "npv": npv,
        "npv_lo": npv - 23_456.0, "npv_hi": npv + 23_456.0, "npv_worst": npv - 28_000.0, "npv_constant": npv + 5_000.0,
        "npv_constant_lo": npv - 20_000.0, "npv_constant_hi": npv + 30_000.0, "p_npv_positive": 0.19,
        "churn_times_as_strong": 75.5, "churn_as_strong_as": "monthly_fee", "effect_verdict": "likely",
        "verdict": "not worth it", "n": 18_527.0,
    } | given  # fmt: skip


FOUND = pd.DataFrame(
    [
        initiative("faster-complaint-replies", -117_499.0),
        {"name": "fewer-storm-outages", "title": "Storms", "effect_verdict": None, "verdict": "refused"},
        initiative("first-contact-resolution", 27_200.0, verdict="worth it", effect_verdict="unsupported"),
    ]
)
PAIRS = pd.DataFrame(
    [
        {"first": "faster-complaint-replies", "second": "first-contact-resolution", "churn_overlap": overlap,
         "npv_sum": -90_000.0, "npv_together": -101_000.0, "npv_together_lo": -123_000.0, "npv_together_hi": -79_000.0,
         "difference": -6_340.0, "difference_lo": -7_900.0, "difference_hi": -4_700.0}
        for overlap in (-0.0008, NAN)
    ]
)  # fmt: skip


def shown(width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    screen = io.StringIO()
    terminal = console._Terminal(Console(file=screen, width=width))
    console.set_up()
    monkeypatch.setattr(console._LOGGER, "handlers", [terminal])
    show(FOUND, PAIRS, "EUR", horizon_days=91, months=24, customers=12_485)
    return screen.getvalue().replace("\u00a0", " ")


def test_tables_fit_100_columns_with_every_initiative_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [line for line in shown(100, monkeypatch).splitlines() if line.startswith("first-contact-resolution ")]
    money, effects = [" ".join(row.split()) for row in rows[:2]]
    assert money == "first-contact-resolution €27k (€3.7k to €51k) €91k −€800 19 % worth it"
    assert effects.startswith("first-contact-resolution −0.46 (−0.53 to −0.39) 0.41 (0.35 to 0.46) unsupported")


@pytest.mark.parametrize("width", [80, 100])
def test_no_word_is_broken_or_cut(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(width, monkeypatch)
    tables = [line for line in text.splitlines() if ": " not in line and not line.startswith("If customers")]
    assert len(tables) > 15
    assert max(map(len, tables)) <= width
    for word in ("faster-complaint-replies", "fewer-storm-outages", "(−€141k", "−€101k", "unsupported", "refused"):
        assert word in text.split()
    assert "…" not in text


def test_the_most_valuable_comes_first_and_the_refused_last() -> None:
    rows = FOUND.sort_values("npv", ascending=False)
    assert money_shown(rows, "EUR")["initiative"].tolist() == [
        "first-contact-resolution", "faster-complaint-replies", "fewer-storm-outages",
    ]  # fmt: skip
    assert money_shown(rows, "EUR").iloc[-1].tolist()[1:] == ["–", "–", "–", "–", "refused"]


def test_every_heading_that_is_no_everyday_word_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(100, monkeypatch)
    for word in ("worst tenth: ", "chance to pay: ", "undone by: ", "counted twice: "):
        assert word in text
    assert "would be worth €32,200" in text


def test_pairs_without_a_shared_path_have_a_dash() -> None:
    found = pairs_shown(PAIRS, "EUR")
    assert found["counted twice"].tolist() == ["+0.08", "–"]
    assert found["difference (90 %)"].iloc[0] == "−€6.3k (−€7.9k to −€4.7k)"


def test_effects_are_in_points_and_in_cents_of_the_currency() -> None:
    first = effects_shown(FOUND.iloc[:1], "CHF").iloc[0]
    assert first["revenue, CHF (90 %)"] == "0.41 (0.35 to 0.46)"
    assert first["undone by"] == "75.5 x monthly fee"
