"""The page in words: advice by verdict, what was changed, how far a slider can be trusted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.study import Money
from flows.planner import Setting
from flows.planner_page import together_html
from flows.planner_sets import set_worth
from flows.planner_words import advice, changed_words, driver_name, overlap_sentence, surface_sentence
from models.cash import Cohort
from models.costs import Cost
from models.forecasts import sample
from models.response_surface import ResponseSurface
from models.retention import constant_retention
from models.simulation import Worth
from tests.benches import a_bench
from tests.worths import a_forecast, an_effect, an_initiative

BEFORE = Setting(0.9, (0.5, 0.8, 1.0), 1.0, 2, 3, None, Cost(once=(1.0, 2_000.0, 4_000.0)))


def a_worth(churn: float, cost: float) -> Worth:
    forecast = a_forecast("one", an_effect(churn=churn, se=0.0001), cost=Cost(once=cost))
    surface = ResponseSurface(
        sample([forecast], (), np.random.default_rng(0), 200), Cohort(1_000, 91), Money(margin=0.5, months=12),
        constant_retention(12),
    )  # fmt: skip
    return surface.answer("one")


@pytest.mark.parametrize(
    ("churn", "cost", "answer", "why"),
    [
        (-0.02, 10.0, "Fund it.", "in more than 99 % of the draws"),
        (-0.02, 1e6, "Not as it is.", "it costs €1.00\u00a0million. On average it pays once the cost is below €"),
        (0.01, 10.0, "Not as it is.", "Even without any cost it brings −€"),
    ],
)
def test_advice_follows_the_verdict_and_names_the_cost_at_which_it_pays(
    churn: float, cost: float, answer: str, why: str
) -> None:
    said, because = advice(a_worth(churn, cost), "EUR")
    assert said == answer
    assert why in because


def test_at_the_cost_that_is_named_it_pays_on_average() -> None:
    brought = float((a_worth(-0.02, 1e6).npv + 1e6).mean())
    assert a_worth(-0.02, brought - 1).npv.mean() > 0 > a_worth(-0.02, brought + 1).npv.mean()


def test_what_was_changed_is_listed_with_before_and_after() -> None:
    assert changed_words(BEFORE, BEFORE, "EUR") == ""
    now = replace(BEFORE, reach=0.5, delivery=(0.5, 0.7, 1.0), lasts_months=6, cost=Cost(once=(1.0, 3_000.0, 4_000.0)))
    assert changed_words(now, BEFORE, "EUR").replace("\u00a0", " ") == (
        "reach 90 % → 50 %, delivered 50 % / 80 % / 100 % → 50 % / 70 % / 100 %, lasts for good → 6 months, "
        "cost once €2.0k → €3.0k"
    )


@pytest.mark.parametrize(
    ("size", "told"),
    [(0.2, "at most 20 % of the effect"), (0.75, "at most 6 % of the effect"), (0.5, "Exact: reach, start")],
)
def test_the_error_of_the_curve_is_told_where_the_curve_is_used(size: float, told: str) -> None:
    simulated = an_initiative("one", delivery=(0.5, 0.8, 1.0))
    setting = replace(Setting.of(simulated), size=size)
    assert told in surface_sentence(setting, simulated)[0]
    assert surface_sentence(Setting.of(simulated), simulated) == ()
    more = replace(Setting.of(simulated), delivery=(0.9, 1.0, 1.0))
    assert "at most 13 %" in surface_sentence(more, simulated)[0]


def test_what_a_value_hangs_on_is_named_with_its_range() -> None:
    names = {bar.input: driver_name(bar, "EUR") for bar in a_worth(-0.02, 10.0).bars}
    assert names["churn effect"] == ("Effect on churn", "−2.02 to −1.98 points")


def test_what_is_done_twice_is_an_approximation_only_where_size_or_delivery_is_another(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    both = {name: Setting.of(bench.initiatives[name]) for name in ("good", "poor")}
    assert overlap_sentence(both, bench.initiatives) == ()
    assert overlap_sentence({**both, "good": replace(both["good"], reach=0.1)}, bench.initiatives) == (), "exact"
    (told,) = overlap_sentence({**both, "poor": replace(both["poor"], size=0.5)}, bench.initiatives)
    assert "at most 17 % of what they did twice" in told
    moved = {**both, "poor": replace(both["poor"], delivery=(0.1, 0.2, 0.3))}
    assert overlap_sentence(moved, bench.initiatives) == (told,)
    page = together_html(bench, set_worth(bench, moved), moved).text
    assert told in page
    alone = {"good": replace(both["good"], size=0.5)}
    assert "do twice is taken" not in together_html(bench, set_worth(bench, alone), alone).text
