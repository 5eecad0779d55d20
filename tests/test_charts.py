"""Charts: what is drawn, in which order, and that nothing in a name can run."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd
import pytest

from flows import charts
from flows.theme import Chart, inline_svg, to_png, to_svg

EVIL = "<script>alert('x')</script> & \"Zoë\""


def effects(**changes: Any) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "journey": ["support", "billing", "usage"],
            "touchpoint": ["call", None, "session"],
            "measure": ["wait", "bill_error", "page_load"],
            "unit": ["min", "share", "s"],
            "change": ["wait x 0.8", "bill_error x 0.5", "page_load x 0.8"],
            "churn_effect": [-0.004, -0.006, 0.0],
            "churn_lo": [-0.006, -0.009, -0.001],
            "churn_hi": [-0.002, -0.003, 0.001],
            "revenue_effect": [0.7, 1.1, 0.0],
            "revenue_lo": [0.3, 0.5, -0.1],
            "revenue_hi": [1.1, 1.7, 0.1],
            "raw_churn_effect": [0.003, -0.09, -0.001],
            "raw_revenue_effect": [-0.5, 1.5, 0.1],
            "verdict": ["likely", "likely", "unsupported"],
        }
    )
    return rows.assign(**changes)


def initiatives() -> pd.DataFrame:
    rows = effects()[["churn_effect", "churn_lo", "churn_hi", "revenue_effect", "revenue_lo", "revenue_hi"]]
    money = {"npv": [4e5, -1e5, math.nan], "npv_lo": [1e5, -2e5, math.nan], "npv_hi": [7e5, 1e4, math.nan]}
    verdicts = ["worth it", "undecided", "refused"]
    return rows.assign(
        title=["Answer faster", EVIL, "Storms"], p_npv_positive=[0.99, 0.1, math.nan], verdict=verdicts, **money
    )


def metrics() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "outcome": "churn",
            "candidate": ["boosting", "prevalence", "boosting"],
            "metric": "log_loss",
            "value": [0.19, 0.21, 0.2],
            "lo": [0.188, 0.208, 0.19],
            "hi": [0.192, 0.212, 0.21],
            "fold": ["all", "all", "2025-01-01"],
        }
    )


def reliability() -> pd.DataFrame:
    bins = {"bin": [0, 1], "predicted": [0.02, 0.1], "observed": [0.03, 0.09], "lo": [0.02, 0.08], "hi": [0.04, 0.1]}
    return pd.concat([pd.DataFrame(bins).assign(candidate=name) for name in ("logistic", "boosting")])


def volumes() -> pd.DataFrame:
    months = ["2025-01", "2025-02", "2025-01", "2025-02"]
    return pd.DataFrame({"month": months, "journey": ["a", "a", "b", "b"], "touchpoints": [1, 2, 1000, 2000]})


def everything() -> dict[str, Chart]:
    missing = pd.DataFrame({"measure": ["rating", "wait"], "n": [10, 20], "missing_share": [0.7, 0.0]})
    return {
        "npv": charts.npv_chart(initiatives(), "EUR", 24),
        "initiative churn": charts.initiative_churn_chart(initiatives(), 91),
        "initiative revenue": charts.initiative_revenue_chart(initiatives(), "EUR", 91),
        "churn effects": charts.churn_effects_chart(effects(), 91),
        "revenue effects": charts.revenue_effects_chart(effects(), "EUR", 91),
        "metric": charts.metric_chart(metrics(), "churn", "log_loss", "Log loss"),
        "reliability": charts.reliability_chart(reliability()),
        "missing": charts.missing_chart(missing),
        "volumes": charts.volume_chart(volumes()),
    }


def texts(chart: Chart) -> list[str]:
    """Every piece of text in the drawing, in the order in which it is drawn."""
    return re.findall(r"<t(?:ext|span)[^>]*>([^<]+)<", to_svg(chart))


@pytest.mark.parametrize("name", list(everything()))
def test_every_chart_is_drawn_with_a_title_and_without_anything_that_runs(name: str) -> None:
    svg = to_svg(everything()[name])
    assert svg.startswith("<svg")
    assert "<script" not in svg
    assert "NaN" not in svg
    assert "undefined" not in svg
    assert "null" not in svg


def test_a_name_with_markup_is_shown_as_text() -> None:
    shown = " ".join(texts(charts.npv_chart(initiatives(), "EUR", 24)))
    assert "&lt;script&gt;alert('x')&lt;/script&gt; &amp; \"Zoë\"" in shown


def test_effects_are_sorted_from_most_customers_kept() -> None:
    shown = [text.replace("\u00a0", " ") for text in texts(charts.churn_effects_chart(effects(), 91))]
    names = ["billing: bill error × 0.5", "support · call: wait × 0.8", "usage · session: page load × 0.8"]
    assert [text for text in shown if text in names] == names


def test_every_estimate_carries_its_number_and_interval_with_a_unit() -> None:
    shown = texts(charts.churn_effects_chart(effects(), 91))
    for expected in ("−0.60 points", "−0.90 to −0.30 points", "Percentage points", "← fewer leave", "more leave →"):
        assert expected in shown
    shown = texts(charts.revenue_effects_chart(effects(), "EUR", 91))
    for expected in ("€1.10", "€0.50 to €1.70", "EUR per customer"):
        assert expected in shown


def test_a_raw_contrast_far_away_does_not_squeeze_the_estimates() -> None:
    far = charts.churn_effects_chart(effects(raw_churn_effect=[0.003, -0.9, -0.001]), 91).to_dict()
    rows = next(rows for rows in far["datasets"].values() if "raw" in rows[0])
    assert rows[0]["raw_shape"] == "triangle-left"
    assert -1.5 < rows[0]["raw"] < -0.9
    assert rows[1]["raw_shape"] == "diamond"


def test_colours_mean_better_worse_undecided_and_unsupported() -> None:
    worse = effects(
        churn_effect=[0.004, -0.006, 0.0], churn_lo=[0.002, -0.009, -0.001], churn_hi=[0.006, -0.003, 0.001]
    )
    drawn = charts.churn_effects_chart(worse, 91).to_dict()
    rows = next(rows for rows in drawn["datasets"].values() if "shade" in rows[0])
    better, hollow, bad = (row["shade"] for row in rows)
    assert len({better, hollow, bad}) == 3
    assert rows[1]["fill"] != hollow


def test_initiatives_without_numbers_are_not_drawn() -> None:
    assert "Storms" not in texts(charts.npv_chart(initiatives(), "EUR", 24))


def test_baselines_are_hollow_and_folds_left_out() -> None:
    drawn = charts.metric_chart(metrics(), "churn", "log_loss", "Log loss").to_dict()
    rows = next(rows for rows in drawn["datasets"].values() if "fill" in rows[0])
    assert [row["label"] for row in rows] == ["boosting", "prevalence"]
    assert rows[0]["fill"] == rows[0]["shade"]
    assert rows[1]["fill"] != rows[1]["shade"]


def test_busiest_journeys_come_first() -> None:
    shown = texts(charts.volume_chart(volumes()))
    assert shown.index("b") < shown.index("a")
    assert "3,000" in shown


def test_an_empty_table_gives_an_empty_plot() -> None:
    assert to_svg(charts.churn_effects_chart(effects().head(0), 91)).startswith("<svg")


def test_the_same_table_gives_the_same_drawing() -> None:
    assert to_svg(charts.churn_effects_chart(effects(), 91)) == to_svg(charts.churn_effects_chart(effects(), 91))


def test_png_is_a_picture() -> None:
    assert to_png(charts.churn_effects_chart(effects(), 91)).startswith(b"\x89PNG")


def test_inline_svg_has_own_ids_the_colours_of_the_page_and_no_address() -> None:
    part = '<g id="a" clip-path="url(#a)" fill="#1d62ab"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="40">{part}</svg>'
    assert inline_svg(svg, "one") == (
        '<svg style="max-width:90px"><g id="one-a" clip-path="url(#one-a)" fill="var(--good,#1d62ab)"/></svg>'
    )
    for name, chart in everything().items():
        drawn = inline_svg(to_svg(chart), "x")
        assert "http" not in drawn, name
        assert "var(--ink," in drawn, name
