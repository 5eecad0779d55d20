"""Rated drivers: which features they are, thirds and levels counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.measures import flat_features
from features.study import parse_study
from models.rated import Rated, goodness, levels_of, rated_design, rated_drivers, thirds_of

FLAT = """
study: flat
sources: {t: t.csv}
flat: {from: t, columns: {customer_id: id}, churned: left, covariates: [region]}
journeys: [{name: support, stage: use}, {name: billing, stage: use}]
measures:
  - {name: wait, unit: min, kind: duration, direction: lower, journey: support}
  - {name: effort, unit: points, kind: rating, direction: lower, range: [1, 7], journey: support, touchpoint: call}
  - {name: clear_bill, unit: points, kind: rating, direction: higher, journey: billing}
  - {name: empty, unit: points, kind: rating, direction: higher, journey: billing}
"""
NAN = np.nan


def test_ratings_are_found_with_their_scale_and_direction() -> None:
    study = parse_study(FLAT, "study.yaml")
    features = flat_features(study)
    frame = pd.DataFrame({one.name: [1.0, 2.0] for one in features}).assign(billing__empty_points__mean=NAN)
    assert rated_drivers(features, study.measures, frame) == (
        Rated("call, effort (points)", "support", "support__call__effort_points__mean", "lower", 1.0, 7.0),
        Rated("clear bill (points)", "billing", "billing__clear_bill_points__mean"),
    )


@pytest.mark.parametrize(
    ("direction", "expected_low", "expected_top"),
    [("higher", [1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 0]), ("lower", [0, 0, 0, 1, 1, 0], [1, 1, 0, 0, 0, 0])],
)
def test_thirds_of_a_scale_turn_with_its_direction(
    direction: str, expected_low: list[int], expected_top: list[int]
) -> None:
    rated = Rated("r", "j", "r", direction, 1.0, 5.0)  # type: ignore[arg-type]
    points = goodness(pd.Series([1, 2, 3, 4, 5, NAN]), rated)
    low, top = thirds_of(points, rated, np.ones(6))
    assert low.astype(int).tolist() == expected_low
    assert top.astype(int).tolist() == expected_top


def test_without_ends_thirds_are_those_of_the_weight_and_ties_join_the_outer_third() -> None:
    rated = Rated("r", "j", "r")
    points = np.array([1.0, 2, 3, 4, 5, 6])
    low, top = thirds_of(points, rated, np.ones(6))
    assert (low.tolist(), top.tolist()) == ([True, True, False, False, False, False], [False] * 3 + [True] * 3)
    low, _ = thirds_of(points, rated, np.array([4.0, 1, 1, 1, 1, 1]))
    assert low.tolist() == [True, False, False, False, False, False]
    low, top = thirds_of(np.array([5.0, 5, 5, 5, NAN]), rated, np.ones(5))
    assert low.tolist() == [True] * 4 + [False]
    assert not top.any()


def test_levels_are_columns_and_the_lowest_has_none() -> None:
    assert levels_of(np.array([1.0, 3, 2, NAN]), np.ones(4)).tolist() == [[0, 0], [0, 1], [1, 0], [0, 0]]


def test_many_values_are_cut_into_fifths() -> None:
    found = levels_of(np.arange(100.0), np.ones(100))
    assert found.shape == (100, 4)
    assert found.sum(axis=0).tolist() == [20, 20, 20, 20]


def test_the_design_has_points_thirds_flag_and_levels_behind_the_controls() -> None:
    rows = pd.DataFrame(
        {"customer_id": ["a", "a", "b", "c"], "r": [1.0, 5.0, 3.0, NAN], "y": [0.0, 2.0, 1.0, 1.0], "t": [1.0, 2, 3, 4]}
    )
    design = rated_design(rows, (Rated("r", "j", "r", "higher", 1, 5),), ["t"], "y", None, "customer_id")
    place = design.places[0]
    assert design.n_controls == 2
    assert design.matrix[:, place.value].tolist() == [-2, 2, 0, 0]
    assert design.matrix[:, [place.low, place.top, *place.flag]].tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 0],
        [0, 0, 1],
    ]
    assert design.matrix[:, place.levels].tolist() == [[0, 0], [0, 1], [1, 0], [0, 0]]
    assert design.matrix[:, -1].tolist() == [-1, 1, 0, 0]
    assert place.customers == (2, 1, 1, 1)
