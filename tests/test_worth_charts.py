"""Charts of what initiatives are worth: what they write is what the tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.study import Money
from flows.theme import to_svg
from flows.worth_charts import path_chart, tornado_chart
from models.cash import Cohort
from models.costs import Cost
from models.simulation import Comparison, simulate
from tests.worths import a_forecast, an_effect


def compared() -> Comparison:
    forecasts = [
        a_forecast(name, an_effect(churn=-0.01 * size, se=0.002), delivery=(0.5, 0.8, 1.0), cost=Cost(once=(1, 2, 9)))
        for name, size in (("little", 1), ("much", 3))
    ]
    names = ["little", "much"]
    return simulate(forecasts, [], Cohort(1_000, 91), Money(months=12), np.random.default_rng(1), order=names)


def test_every_input_is_named_with_its_range_and_unit() -> None:
    bars = compared().tornado()
    drawn = to_svg(tornado_chart(bars[bars["name"] == "much"], "Much & <more>", "EUR"))
    assert "Much &amp; &lt;more&gt;" in drawn
    for text in ("effect on churn", "effect on spending", "delivery", "cost once"):
        assert text in drawn


def test_panels_follow_the_given_order_and_each_has_its_title() -> None:
    paths: pd.DataFrame = compared().paths()
    drawn = to_svg(path_chart(paths, [("much", "Much better"), ("little", "A little")], "EUR"))
    assert drawn.index("Much better") < drawn.index("A little")
    assert "EUR a month" in drawn


def test_an_initiative_that_is_not_asked_for_is_not_drawn() -> None:
    drawn = to_svg(path_chart(compared().paths(), [("much", "Much better")], "EUR"))
    assert "Much better" in drawn
    assert "little" not in drawn
