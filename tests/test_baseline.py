"""Covariates as complete columns: levels that hardly anyone has are one, and what names customers says nothing."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from models.baseline import LEAST_OF_LEVEL, NO_VALUE, OTHER, baseline_frame, known_levels, rare_together

MANY = LEAST_OF_LEVEL


def customers(**covariates):
    n = len(next(iter(covariates.values())))
    ids = {"customer_key": range(n), "customer_id": [f"c{i}" for i in range(n)], "joined_at": [0] * n}
    return pa.table(ids | covariates)


def test_levels_of_fewer_than_twenty_customers_are_one():
    plan = ["plus"] * MANY + ["basic"] * (MANY - 1) + ["telex"] + [None] * MANY
    levels = known_levels(customers(plan=plan, fee=[1.0] * len(plan)))
    assert levels == {"plan": frozenset({"plus"})}
    frame = baseline_frame(customers(plan=plan), levels)
    assert frame["plan"].value_counts().to_dict() == {"plus": MANY, OTHER: MANY, NO_VALUE: MANY}


def test_a_covariate_that_names_customers_is_a_single_level_in_any_part_of_them():
    named = customers(name=[f"Ada {i}" for i in range(500)])
    levels = known_levels(named)
    assert levels == {"name": frozenset()}
    assert baseline_frame(named.slice(100, 7), levels)["name"].tolist() == [OTHER] * 7


def test_parts_of_the_customers_get_the_levels_of_all():
    whole = customers(plan=["plus", "basic"] * MANY)
    levels = known_levels(whole)
    parts = [v for at in range(0, 2 * MANY, 2) for v in baseline_frame(whole.slice(at, 2), levels)["plan"]]
    assert parts == baseline_frame(whole, levels)["plan"].tolist() == ["plus", "basic"] * MANY


def test_numbers_get_their_median_and_a_flag_and_no_flag_where_nobody_has_one():
    frame = baseline_frame(customers(fee=[1.0, None, 3.0, 8.0], debt=[None] * 4), {"debt": frozenset()})
    assert frame["fee"].tolist() == [1.0, 3.0, 3.0, 8.0]
    assert frame["fee missing"].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert "debt missing" not in frame


@pytest.mark.parametrize("dtype", [object, "category"])
def test_rows_of_rare_levels_are_put_together_in_any_order(dtype):
    column = pd.Series(["a"] * MANY + ["b"] * (MANY - 1) + ["c", None], dtype=dtype)
    found = rare_together(column)
    assert found.value_counts().to_dict() == {"a": MANY, OTHER: MANY + 1}
    assert rare_together(column[::-1])[::-1].tolist() == found.tolist()
