"""Charts of a portfolio: what they write is what the tables say."""

from __future__ import annotations

import math

import pandas as pd

from flows.portfolio_charts import frontier_chart, stability_chart
from flows.theme import to_svg

STEPS = pd.DataFrame({"budget": [0.0, 20_000.0], "worth": [0.0, 45_000.0], "members": [(), ("a",)]})


def test_every_step_has_its_worth_and_the_budget_its_line() -> None:
    drawn = to_svg(frontier_chart(STEPS, 30_000.0, "EUR"))
    assert "€45k" in drawn
    assert "the budget of €30k" in drawn
    assert "dashed" not in to_svg(frontier_chart(STEPS, math.inf, "EUR"))


def test_a_budget_that_buys_nothing_can_be_drawn() -> None:
    assert "What a budget buys" in to_svg(frontier_chart(STEPS.head(1), math.inf, "EUR"))


def test_initiatives_stand_in_order_of_their_share_with_titles() -> None:
    table = pd.DataFrame(
        {"initiative": ["a", "b"], "by_draw": [0.2, 0.9], "by_draw_lo": [0.1, 0.8], "by_draw_hi": [0.3, 0.95]}
    ).assign(is_funded=[False, True])
    drawn = to_svg(stability_chart(table, {"a": "Rarely <best>", "b": "Mostly best"}))
    assert drawn.index("Mostly best") < drawn.index("Rarely &lt;best&gt;")
    assert "not funded" in drawn
