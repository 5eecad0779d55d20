"""Columns of a flat table: pieces by third, levels, flags; the same whatever the unit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.baseline import LEAST_OF_LEVEL
from models.flat_design import Pieces, design, quantiles

ONES = np.ones(6)


def test_a_missing_value_is_a_level_of_its_own_with_nothing_in_the_pieces():
    value = np.array([1.0, 2.0, 3.0, 4.0, 5.0, np.nan])
    columns = Pieces.learn(value, ONES).columns(value)
    assert columns[-1].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert columns[:-1, -1].tolist() == [0.0] * 5


def test_every_third_has_a_slope_of_its_own():
    value = np.arange(9.0)
    pieces = Pieces.learn(value, np.ones(9))
    assert pieces.knots == (2.0, 5.0)
    # Beyond the knots only the hinge grows faster; size is the standard deviation.
    slopes = np.diff(pieces.columns(value)[:, 1]) * pieces.size
    assert slopes == pytest.approx([0, 0, 1, 1, 1, 1, 1, 1])


def test_a_measure_with_two_values_is_one_straight_line():
    assert Pieces.learn(np.array([0.0, 1.0, 1.0, 0.0, 0.0, 1.0]), ONES).knots == ()


def test_columns_do_not_depend_on_the_unit():
    minutes = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    laid = [Pieces.learn(value, ONES).columns(value) for value in (minutes, 60 * minutes)]
    assert laid[0] == pytest.approx(laid[1])


def test_rare_levels_stand_together_and_missing_ones_are_a_level():
    text = ["a"] * 50 + ["b"] * 30 + ["c"] * (LEAST_OF_LEVEL - 1) + ["d"] + [None] * 25
    n = len(text)
    laid = design(pd.DataFrame({"x": text}), np.zeros((n, 1)), np.ones(n))
    # The intercept; b, (none), (other): a is the most frequent and is left out.
    assert laid.controls.sum(axis=0).tolist() == [n, 30, 25, LEAST_OF_LEVEL]


def test_a_column_without_any_value_adds_nothing():
    laid = design(pd.DataFrame({"x": [np.nan] * 6}), np.zeros((6, 1)), ONES)
    assert laid.controls.shape == (6, 1)


def test_only_products_take_the_ridge_and_they_are_centred():
    rng = np.random.default_rng(1)
    A, x, weight = rng.normal(size=(50, 1)), rng.normal(size=50), rng.uniform(1, 2, 50)
    laid = design(pd.DataFrame({"x": x}), A, weight, ["x"])
    assert laid.penalised.sum() == laid.moderators.shape[1] == 3
    assert np.average(laid.moderators, axis=0, weights=weight) == pytest.approx(0, abs=1e-12)
    assert laid.basis(A).shape == (50, len(laid.penalised))


def test_quantiles_take_the_weight_at_or_below_and_do_not_see_the_order():
    value, weight = np.array([5.0, 1.0, 3.0]), np.array([1.0, 2.0, 1.0])
    assert quantiles(value, weight, (0.5, 0.51, 0.75, 1.0)).tolist() == [1.0, 3.0, 3.0, 5.0]
    assert quantiles(value[::-1], weight[::-1], (0.5,)).tolist() == [1.0]
