"""Charts of ratings, drawn for real: which dots are named and hollow, and which way is better."""

import re

import pandas as pd
import pytest

from flows.rating_charts import penalty_reward_chart, quadrant_chart
from flows.theme import to_svg
from tests.rated_rows import rated as ratings


def _values(chart) -> pd.DataFrame:
    return max((pd.DataFrame(one) for one in chart.to_dict()["datasets"].values()), key=len)


@pytest.mark.parametrize("draw", [quadrant_chart, penalty_reward_chart])
def test_the_title_says_association_and_every_name_is_there(draw) -> None:
    svg = to_svg(draw(ratings(), "satisfaction"))
    assert "Association" in svg
    for name in ("room", "noise", "pool", "bar"):
        assert re.search(rf">{name}<", svg)


def test_less_churn_is_up_and_in_points() -> None:
    values = _values(quadrant_chart(ratings("churn", "lower"), "churn")).set_index("driver")
    assert values.loc["room (points)", "population_point"] == pytest.approx(30.0)
    assert (values["population_point_lo"] < values["population_point_hi"]).all()
    assert "Percentage points fewer leave" in to_svg(quadrant_chart(ratings("churn", "lower"), "churn"))


def test_a_dot_whose_interval_crosses_an_average_is_hollow() -> None:
    rows = ratings()
    rows.loc[1, ["population_point_lo", "population_point_hi"]] = [0.1, 0.4]
    values = _values(quadrant_chart(rows, "satisfaction")).set_index("driver")
    assert values["is_clear"].to_dict() == {
        "room (points)": True,
        "noise (points)": False,
        "pool (points)": True,
        "bar (points)": True,
    }


def test_names_that_would_cover_each_other_give_way_to_the_more_important_one() -> None:
    rows = ratings().assign(performance=70.0, performance_lo=69.0, performance_hi=71.0)
    rows["population_point"] = [0.3, 0.299, 0.1, 0.0]
    values = _values(quadrant_chart(rows, "satisfaction")).set_index("driver")
    assert values["label"].to_dict() == {
        "room (points)": "room",
        "noise (points)": "",
        "pool (points)": "pool",
        "bar (points)": "bar",
    }


@pytest.mark.parametrize("draw", [quadrant_chart, penalty_reward_chart])
def test_nothing_to_draw_is_an_empty_plot(draw) -> None:
    assert "<svg" in to_svg(draw(ratings().head(0), "satisfaction"))
