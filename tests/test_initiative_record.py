"""What MLflow shows of an initiative: the same names for all, units in them, two sentences."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from features.study import Money
from flows.initiative_record import described, metrics_of, params_of, plan_described
from flows.storage import records
from models.cash import Cohort
from models.costs import Cost
from models.forecasts import Refusal, sample
from models.initiatives import Initiative
from models.retention import constant_retention
from models.simulation import compare
from tests.worths import CHANGE, a_forecast, an_effect, an_initiative

COHORT, MONEY = Cohort(1_000, 91), Money(months=12)


def simulated() -> pd.DataFrame:
    import numpy as np  # noqa: PLC0415

    one = a_forecast("one", an_effect(churn=-0.02, se=0.001), title="Answer sooner", cost=Cost(once=100))
    samples = sample([one], (), np.random.default_rng(0), 500)
    refused = (Refusal(an_initiative("storms"), "Nobody controls storms."),)
    return compare(samples, refused, COHORT, MONEY, constant_retention(12), ["one", "storms"]).to_frame()


def test_every_initiative_has_the_same_parameters_none_of_them_empty() -> None:
    bare = params_of(Initiative(name="a", changes=(CHANGE,)), "EUR")
    full = params_of(
        Initiative(
            name="b", changes=(CHANGE,), owner="Ann", where={"segment": ("basic", "plus")}, lasts_months=6, reach=0.8,
            delivery=(0.5, 0.8, 1), cost=Cost(once=(10, 20, 60)),
        ),
        "EUR",
    )  # fmt: skip
    assert list(bare) == list(full)
    assert all(str(value) for value in bare.values())
    assert (bare["where"], bare["lasts_months"], bare["owner"]) == ("all customers", "to the end", "nobody named")
    assert full["where"] == "segment: basic, plus"
    assert full["changes"] == "support wait x 0.5"
    assert full["cost_once_eur"] == 25  # the mean of a PERT: (10 + 4 x 20 + 60) / 6


def test_metrics_are_few_in_order_with_units_and_churn_in_points() -> None:
    row, refused = records(simulated())
    found = metrics_of(row, "EUR")
    assert list(found) == sorted(found)
    assert len(found) <= 18
    assert found["churn_points_mean"] == pytest.approx(-2)
    assert found["npv_eur_low"] < found["npv_eur_mean"] < found["npv_eur_high"]
    assert all(math.isfinite(value) for value in found.values())
    assert metrics_of(refused, "EUR") == {}


def test_a_description_says_value_interval_chance_and_where_it_comes_from() -> None:
    row, refused = records(simulated())
    told = described(row, "EUR", 12, 91)
    assert told.startswith("**Worth it**: €")
    assert "over 12 months, >\u00a099\u00a0% likely to pay. It changes churn over 91 days by −2.00 points" in told
    assert described(refused, "EUR", 12, 91) == "**Refused.** Nobody controls storms."


def test_the_parent_says_how_many_are_worth_it_and_which_most() -> None:
    found = simulated()
    told = plan_described(found, "EUR", 12, 1_000)
    assert told.startswith(
        "Of 2 initiatives for 1,000 customers over 12 months one is worth its cost, **Answer sooner**"
    )
    none = plan_described(found.assign(verdict="undecided"), "EUR", 12, 1_000)
    assert "none is worth its cost" in none
