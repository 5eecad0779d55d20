"""Straight lines and codes among ratings, counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.health_codes import Counted, find_codes
from features.manifest import Code
from features.measures import Feature
from features.study import Measure
from models.rating_quality import code_warnings, straight_liners

NAN = np.nan


def feature(name: str, measure: str | None) -> Feature:
    return Feature(name, "A number.", "points", "higher", "journey", "support", measure, "rating")


def test_the_same_score_for_at_least_four_items_is_a_straight_line() -> None:
    ratings = np.array(
        [[3.0, 3, 3, 3, NAN], [3, 3, 3, NAN, NAN], [1, 1, 1, 1, 2], [NAN] * 5, [0, 0, 0, 0, 0], [4, 5, 4, 5, 4]]
    )
    found = straight_liners(ratings, pd.Series(np.arange(6)))
    assert found.is_straight.tolist() == [True, False, False, False, True, False]
    assert (found.share.value, found.share.n) == (0.5, 4)


def test_weights_count_and_rows_without_weight_do_not() -> None:
    ratings = np.array([[3.0, 3, 3, 3], [1, 2, 3, 4], [5, 5, 5, 5]])
    found = straight_liners(ratings, pd.Series([1, 2, 3]), np.array([1.0, 3.0, 0.0]))
    assert (found.share.value, found.share.n) == (0.25, 2)


@pytest.mark.parametrize(("straight", "warns"), [(20, False), (21, True)])
def test_more_than_a_fifth_is_a_warning(straight: int, warns: bool) -> None:
    ratings = np.tile([1.0, 2, 3, 4], (100, 1))
    ratings[:straight] = 4.0
    found = straight_liners(ratings, pd.Series(np.arange(100)))
    assert bool(found.warning) is warns
    if warns:
        assert found.warning.startswith("21 % of 100 rows with at least 4 ratings give the same score to everything")
    assert found.to_frame().loc[0, "warning"] == found.warning


def test_rows_of_one_customer_count_as_one_for_the_interval() -> None:
    ratings = np.tile([1.0, 2, 3, 4], (100, 1))
    ratings[::4] = 4.0
    alone = straight_liners(ratings, pd.Series(np.arange(100))).share
    together = straight_liners(ratings, pd.Series(np.arange(100) // 10)).share
    assert together.hi - together.lo > 2 * (alone.hi - alone.lo)


def test_without_enough_ratings_nothing_is_told() -> None:
    for ratings in (np.full((3, 5), NAN), np.full((3, 0), NAN)):
        found = straight_liners(ratings, pd.Series([1, 2, 3]))
        assert np.isnan(found.share.value)
        assert (found.share.n, found.warning, found.is_straight.any()) == (0, "", False)


def test_codes_found_in_the_tables_warn_of_the_features_made_of_them() -> None:
    measure = Measure(name="score", unit="points", kind="rating", direction="higher")
    counted = Counted({1: 50, 2: 60, 3: 70, 4: 80, 5: 90, 99: 40}, 390, 1.0, 5.0, {}, 0, {})
    codes = find_codes(counted, measure)
    features = (feature("support__score_points__mean", "score"), feature("support__effort", None), feature("b", "wait"))
    found = code_warnings(codes, features)
    assert list(found) == ["support__score_points__mean"]
    assert "99 in 40 rows (other values lie between 1 and 5)" in found["support__score_points__mean"]


def test_codes_in_quarantine_are_no_values_and_need_no_warning() -> None:
    code = Code(measure="score", value=99, rows=40, is_outside=True, low=1, high=5)
    assert code_warnings([code], (feature("support__score_points__mean", "score"),)) == {}
