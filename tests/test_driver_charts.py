"""The bar of each journey: what is named, what is folded, and how much of the variance is explained."""

import numpy as np
import pandas as pd
import pytest

from flows.driver_charts import drawings, journey_chart
from flows.theme import to_svg
from tests.driver_rows import table


def many(drivers: int, journeys: int) -> pd.DataFrame:
    """A table of drivers with shares that fall by a fifth from one to the next."""
    shares = 0.8 ** np.arange(drivers)
    rows = pd.DataFrame(
        {
            "outcome": "churn",
            "level": "driver",
            "journey": [f"journey {k % journeys:02d}" for k in range(drivers)],
            "driver": [f"touchpoint {k}, mean (points)" for k in range(drivers)],
            "share": shares / shares.sum(),
            "r2": 0.032,
        }
    )
    sums = rows.groupby("journey", as_index=False)["share"].sum().sort_values("share", ascending=False)
    sums = sums.assign(outcome="churn", level="journey", driver="", r2=0.032)
    sums = sums.assign(share_lo=0.9 * sums["share"], share_hi=1.1 * sums["share"])
    return pd.concat([sums, rows], ignore_index=True)


def drawn(found: pd.DataFrame, outcome: str, column: str) -> pd.DataFrame:
    tables = [pd.DataFrame(one) for one in journey_chart(found, outcome).to_dict()["datasets"].values()]
    (one,) = (rows for rows in tables if column in rows)
    return one


def test_segments_add_up_to_the_bar_and_the_interval_is_that_of_the_journey() -> None:
    bars, parts = drawn(table(), "satisfaction", "number"), drawn(table(), "satisfaction", "text_at")
    assert bars["name"].tolist() == ["stay", "help"]
    assert bars["share"].tolist() == pytest.approx([0.7, 0.3])
    assert bars["note"].tolist() == ["60 to 80\u00a0%", "20 to 40\u00a0%"]
    assert parts["text"].tolist() == ["room", "noise", "wait"]
    assert parts.groupby("rank")["end"].max().tolist() == pytest.approx([0.7, 0.3])
    assert parts["end"].iloc[0] == parts["start"].iloc[1] == pytest.approx(0.6)


@pytest.mark.parametrize(("drivers", "journeys"), [(14, 3), (40, 5), (40, 20)])
def test_no_driver_is_lost_whether_named_or_counted(drivers: int, journeys: int) -> None:
    found = many(drivers, journeys)
    bars, parts = drawn(found, "churn", "number"), drawn(found, "churn", "text_at")
    assert len(bars) <= 12
    assert bars["share"].sum() == pytest.approx(1.0)
    assert (parts["end"] - parts["start"]).sum() == pytest.approx(1.0)
    shown = parts["text"].str.startswith("touchpoint").sum()
    counted = parts["text"].str.extract(r"^\+?(\d+)(?: others)?$")[0].dropna().astype(int).sum()
    assert shown + counted + (parts["text"] == "").sum() == drivers
    if journeys > 12:
        assert bars["name"].iloc[-1] == "9 other journeys"
        assert np.isnan(bars["share_lo"].astype(float).iloc[-1])


def test_the_title_says_association_and_how_much_is_explained() -> None:
    svg = to_svg(journey_chart(many(14, 3), "churn")).replace("\u00a0", " ")
    assert "Association with churn: 3.2 % of variance explained" in svg
    assert "touchpoint 0" in svg
    for word in ("drives", "effect", "impact"):
        assert word not in svg


def test_a_name_that_does_not_fit_stands_behind_the_bar() -> None:
    found = table()
    found.loc[found["feature"] == "wait", "driver"] = "a very long name of a very small driver indeed"
    found.loc[found["journey"] == "help", "share"] = 0.02
    part = drawn(found, "satisfaction", "text_at").iloc[-1]
    assert part["text"].startswith("a very long name")
    assert part["text_at"] == part["end"] == pytest.approx(0.02)


def test_only_what_has_something_to_show_is_drawn() -> None:
    assert list(drawings(table())) == ["journeys_satisfaction", "penalty_reward_satisfaction"]
    assert list(drawings(table().assign(share=np.nan))) == ["penalty_reward_satisfaction"]
    assert list(drawings(many(14, 3))) == ["journeys_churn"]
    wide = pd.concat([table(), table()[lambda rows: rows["kind"] != ""].assign(driver="again")])
    assert "ratings_satisfaction" in drawings(wide)
