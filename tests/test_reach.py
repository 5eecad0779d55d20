"""Reach: to whom a driver applied, counted by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from models.drivers import Driver
from models.importance import association
from models.reach import reach_of, whole_journeys
from tests.test_churn_shares import customers, drivers

ROWS = pd.DataFrame(
    {
        "customer_id": ["a", "a", "b", "c", "d", "e"],
        "weight": [1.0, 1.0, 2.0, 4.0, 0.0, 1.0],
        "wait": [3.0, math.nan, math.nan, 1.0, 5.0, 9.0],
        "talk": [math.nan, math.nan, 2.0, math.nan, 5.0, 9.0],
        "left": [0.0, 1.0, 0.0, 1.0, 1.0, math.nan],
    }
)
WAIT = Driver("wait", "support", ("wait", "is_missing:wait"))
TALK = Driver("talk", "support", ("talk", "is_missing:talk"))


def test_reach_is_the_share_of_the_weight_with_a_value_and_n_counts_customers() -> None:
    parts = [WAIT, TALK, *whole_journeys([WAIT, TALK])]
    found = reach_of(ROWS, parts, "left", weight="weight", customer="customer_id").set_index("driver")
    # rows without the outcome (e) and without weight (d) are none
    assert found["reach"].to_dict() == {"wait": 5 / 8, "talk": 2 / 8, "support": 7 / 8}
    assert found["n"].to_dict() == {"wait": 2, "talk": 1, "support": 3}
    assert found["feature"].to_dict() == {"wait": "wait", "talk": "talk", "support": "wait"}
    alone = reach_of(ROWS, [WAIT], "left", customer="customer_id")
    assert alone["reach"].tolist() == [3 / 5]


def test_without_rows_there_is_no_reach() -> None:
    found = reach_of(ROWS.assign(left=math.nan), [WAIT], "left", customer="customer_id")
    assert math.isnan(found["reach"].iloc[0])
    assert found["n"].tolist() == [0]


def test_the_share_of_a_whole_journey_is_the_sum_over_its_drivers() -> None:
    frame, parts = customers(), drivers(*"abc")
    told = {}
    for name, players in {"parts": parts, "whole": whole_journeys(parts)}.items():
        found = association(frame, players, "left", weight="w", rng=np.random.default_rng(4), replicates=20)
        told[name] = found.to_frame().groupby("journey")["share"].sum()
    assert told["whole"].to_dict() == pytest.approx(told["parts"].to_dict(), abs=1e-10)
