"""The chart of effects over one wave."""

from __future__ import annotations

import pandas as pd

from flows.flat_chart import SHOWN, wave_chart
from flows.theme import to_svg
from flows.wording import points, signed

EFFECTS = pd.DataFrame(
    {
        "title": ["Faster help", "Fewer errors", "Magic"], "outcome": "churn", "effect": [-0.01, -0.03, None],
        "lo": [-0.02, -0.04, None], "hi": [0.0, -0.02, None], "raw_effect": [-0.05, -0.02, -0.4],
        "n_customers": 1_200,
    }
)  # fmt: skip


def test_the_strongest_comes_first_and_refused_ones_are_not_drawn():
    svg = to_svg(wave_chart(EFFECTS, "churn", points))
    assert svg.index("Fewer errors") < svg.index("Faster help")
    assert "Magic" not in svg
    assert "Percentage points" in svg
    assert "1,200 customers" in svg


def test_of_other_outcomes_more_comes_first():
    svg = to_svg(wave_chart(EFFECTS.assign(outcome="satisfaction"), "satisfaction", signed))
    assert svg.index("Faster help") < svg.index("Fewer errors")
    assert "Change of satisfaction over one wave" in svg


def test_revenue_has_its_unit():
    svg = to_svg(wave_chart(EFFECTS.assign(outcome="revenue"), "revenue", signed, "CHF"))
    assert "Revenue per customer, CHF" in svg


def test_long_lists_end():
    many = pd.concat([EFFECTS.head(1)] * 40).assign(title=[f"plan {i:02d}" for i in range(40)])
    assert to_svg(wave_chart(many, "churn", points)).count("plan ") <= 2 * SHOWN
