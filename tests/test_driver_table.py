"""The table of drivers: sums, order, what stands beside what, and what a person reads."""

import numpy as np
import pandas as pd
import pytest

from flows import console
from flows.driver_table import COLUMNS, LINEAR, driver_table, drivers_of, journeys_of, show_driver_table, with_refits
from tests.driver_rows import journeys, ratings, reach, shares, table

NOTHING = pd.DataFrame()


def test_journeys_stand_above_their_drivers_and_both_fall_in_their_share() -> None:
    found = table()
    assert found["level"].tolist() == ["journey", "driver", "driver", "driver", "journey", "driver"]
    assert found["journey"].tolist() == ["stay"] * 4 + ["help"] * 2
    assert found["feature"].tolist() == ["", "room", "noise", "room_in", "", "wait"]
    assert list(found) == [name for name in COLUMNS if name in found]
    assert {"outcome", "reach", "n", "share", "tier", "point", "penalty", "reward", "kind", "warning"} <= set(found)


def test_a_journey_is_the_sum_of_its_drivers_with_the_interval_of_the_whole() -> None:
    stay, helped = (row for _, row in journeys_of(table(), "satisfaction").iterrows())
    assert (stay["share"], helped["share"]) == pytest.approx((0.7, 0.3))
    assert (stay["quality_part"], stay["reach_part"]) == pytest.approx((0.6, 0.1))
    assert (stay["share_lo"], stay["share_hi"], stay["tier"]) == (0.6, 0.8, 1)
    assert (stay["reach"], stay["n"], stay["r2"]) == (1.0, 900, 0.082)


def test_a_journey_that_was_ranked_otherwise_has_no_interval() -> None:
    other = journeys().assign(share=[0.68, 0.305])
    found = journeys_of(driver_table(shares(), other, reach(), NOTHING, {}), "satisfaction").set_index("journey")
    assert found["share_lo"].isna().to_dict() == {"stay": True, "help": False}
    alone = journeys_of(driver_table(shares(), NOTHING, reach(), NOTHING, {}), "satisfaction")
    assert alone["share"].tolist() == pytest.approx([0.7, 0.3])
    assert "share_lo" not in alone or alone["share_lo"].isna().all()


def test_ratings_stand_beside_their_driver_and_speak_of_no_effect() -> None:
    found = drivers_of(table(), "satisfaction").set_index("feature")
    assert found.loc["room", ["point", "population_point", "penalty", "reward"]].tolist() == [0.14, 0.12, -0.31, 0.2]
    assert found.loc["room", "kind"] == "basic"
    assert found.loc["wait", "kind"] == ""
    assert np.isnan(found.loc["wait", "point"])
    assert found.loc["room_in", "share"] != found.loc["room_in", "share"]  # a touchpoint's rating is no driver: NaN
    assert (found.loc["room_in", "n"], found.loc["room_in", "kind_reason"]) == (
        300,
        "the two sides cannot be told apart",
    )
    assert not [name for name in found if "effect" in name or "impact" in name]


def test_a_column_that_holds_codes_is_warned_of_beside_its_driver() -> None:
    found = drivers_of(table(wait="may hold codes", room="0 in 12 rows"), "satisfaction").set_index("feature")
    assert (
        found.loc["wait", "warning"]
        == "may hold codes; moves in step with stay noise: the two share what either explains"
    )
    assert found.loc["room", "warning"] == "0 in 12 rows"
    assert found.loc["noise", "warning"] == ""


def test_p_values_are_taken_over_when_they_are_there() -> None:
    assert "p_value" not in table()
    with_p = shares().assign(p_value=[0.2, 0.01, 0.001], p_adjusted=[0.2, 0.02, 0.003])
    found = drivers_of(driver_table(with_p, journeys(), reach(), NOTHING, {}), "satisfaction")
    assert found.set_index("feature")["p_adjusted"].to_dict() == {"room": 0.003, "noise": 0.02, "wait": 0.2}


def test_why_nothing_is_ranked_is_not_said_beside_every_driver() -> None:
    reason = "not ranked: chance"
    refused = shares().assign(share=np.nan, quality=np.nan, reach=np.nan, warning=["leak. " + reason, reason, reason])
    found = driver_table(refused, NOTHING, reach(), ratings(), {}, [f"satisfaction: {reason}"])
    assert set(found["warning"]) == {"leak.", ""}
    assert found["share"].isna().all()
    assert found["journey"].tolist() == ["help"] * 2 + ["stay"] * 4


def test_the_table_does_not_depend_on_the_order_of_rows() -> None:
    turned = [one.iloc[::-1] for one in (shares(), journeys(), reach(), ratings())]
    pd.testing.assert_frame_equal(driver_table(*turned, {}), table())


def refits(error: float = 0.0) -> pd.DataFrame:
    rows = {"feature": ["room", "noise", "wait"], "share_mcfadden": [0.5, np.nan, 0.5], "share_mcfadden_error": error}
    return pd.DataFrame(rows).assign(outcome="churn", mcfadden_r2=0.06)


def test_shares_of_a_logistic_fit_are_summed_over_journeys_too() -> None:
    found = with_refits(table("churn", "lower"), [refits()])
    assert journeys_of(found, "churn")["share_mcfadden"].tolist() == [0.5, 0.5]
    assert journeys_of(found, "churn")["share_mcfadden_error"].tolist() == [0.0, 0.0]
    assert found["mcfadden_r2"].tolist() == [0.06] * len(found)
    sampled = with_refits(table("churn", "lower"), [refits(0.01)])
    assert journeys_of(sampled, "churn")["share_mcfadden_error"].isna().all()
    pd.testing.assert_frame_equal(with_refits(table(), []), table())


def said(found: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> str:
    console.set_up(results_on_stdout=True)
    show_driver_table(found)
    return capsys.readouterr().out.replace("\u00a0", " ")


def test_the_console_says_r2_before_any_share_and_indents_drivers(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(table(wait="may hold codes"), capsys)
    assert told.startswith("Association with satisfaction: all drivers together explain 8.2 % of its variance (R²)")
    lines = told.splitlines()
    (stay,) = (line for line in lines if line.startswith("stay "))
    (room,) = (line for line in lines if line.startswith("  room "))
    assert "70 % (60 % to 80 %)" in stay
    assert "60 % (50 % to 70 %)" in room
    assert "+0.14 (+0.12 to +0.16)" in room
    assert room.rstrip().endswith("basic")
    assert "note: help · wait: may hold codes; moves in step" in told
    assert LINEAR not in told
    for word in ("drives", "effect", "impact"):
        assert word not in told


def test_the_console_says_what_r2_of_churn_means_and_shows_mcfadden(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(with_refits(table("churn", "lower"), [refits()]), capsys)
    assert "McFadden" in told
    assert LINEAR in told
    assert "+14.00" in told  # points of 100 customers


def test_an_outcome_without_shares_and_ratings_has_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    refused = shares().assign(share=np.nan, warning="")
    assert said(driver_table(refused, NOTHING, reach(), NOTHING, {}), capsys) == ""


def test_without_drivers_the_table_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    found = driver_table(shares().head(0), NOTHING, NOTHING, NOTHING, {})
    assert found.empty
    assert {"outcome", "level", "share", "warning"} <= set(found)
    assert said(found, capsys) == ""
