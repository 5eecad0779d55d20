"""A fifth better: what it means per kind, what correlation would say, and a flat table whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.errors import EmptyResultError
from features.measures import flat_features
from features.study import Measure, parse_study
from models.levers import flat_levers, raw_contrast, standard_improvement, to_frame

STUDY = parse_study(
    """
study: flat
sources: {t: t.csv}
flat: {from: t, columns: {customer_id: id}, churned: left, revenue: paid, covariates: [segment]}
journeys: [{name: billing, stage: use, leads_to: [support]}, {name: support, stage: use}]
measures:
  - {name: error, unit: share, kind: share, direction: lower, journey: billing}
  - {name: wait, unit: min, kind: duration, direction: lower, journey: support}
  - {name: score, unit: points, kind: rating, direction: higher, journey: support}
  - {name: storm, unit: h, kind: duration, direction: lower, control: none, journey: support}
""",
    "study.yaml",
)
FEATURES = flat_features(STUDY)
NAMES = {feature.measure: feature.name for feature in FEATURES if feature.measure}


def panel(n: int = 20_000, seed: int = 1) -> pd.DataFrame:
    """The segment moves errors and churn; an error makes people wait; both move churn; the score follows churn."""
    rng = np.random.default_rng(seed)
    basic = rng.random(n) < 0.5
    error = (rng.random(n) < np.where(basic, 0.3, 0.1)).astype(float)
    wait = rng.gamma(2.0, 4.0 + 3.0 * error)
    risk = 0.05 + 0.10 * basic + 0.08 * error + 0.004 * wait
    left = (rng.random(n) < risk).astype(float)
    return pd.DataFrame(
        {
            "customer_id": np.arange(n).astype(str), "customer_key": np.arange(n), "weight": 1.0,
            "segment": np.where(basic, "basic", "plus"), "is_churned": left,
            "revenue": 100 - 20 * error - wait + rng.normal(size=n),
            NAMES["error"]: error, NAMES["wait"]: wait, NAMES["score"]: 10 * (1 - left), NAMES["storm"]: rng.random(n),
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "direction", "expected"),
    [
        ("duration", "lower", "j m x 0.8"),
        ("count", "higher", "j m x 1.2"),
        ("share", "lower", "j m: 20 % of failures mended"),
    ],
)
def test_a_fifth_better_depends_on_kind_and_direction(kind, direction, expected):
    measure = Measure(name="m", unit="u", kind=kind, direction=direction)
    assert standard_improvement(measure, "j").describe() == expected


def test_the_raw_contrast_is_slope_times_change_times_share():
    frame = pd.DataFrame({"x": [0.0, 1.0, 2.0, np.nan], "y": [0.0, 2.0, 4.0, 9.0], "weight": 1.0})
    assert raw_contrast(frame, "x", "y", -0.5) == pytest.approx(2.0 * -0.5 * 0.75)


def test_there_is_no_raw_contrast_without_a_column_or_variation():
    frame = pd.DataFrame({"x": [1.0, 1.0, 1.0], "y": [0.0, 1.0, 0.0], "weight": 1.0})
    assert np.isnan(raw_contrast(frame, None, "y", 1.0))
    assert np.isnan(raw_contrast(frame, "x", "y", 1.0))
    assert np.isnan(raw_contrast(frame, "x", "z", 1.0))


def test_flat_effects_are_the_total_effects_of_a_known_world():
    found = {lever.exposure.measure: lever for lever in flat_levers(STUDY, panel(), FEATURES, np.random.default_rng(2))}
    error, wait = found["error"], found["wait"]
    # Mending a fifth of the errors (20 % of customers): less churn by itself, and six minutes less to wait.
    churn = -0.2 * 0.2 * (0.08 + 6 * 0.004)
    assert abs(error.effect.churn.value - churn) < 3 * error.effect.churn.se
    assert error.effect.churn.se < 0.3 * abs(churn)
    revenue = 0.2 * 0.2 * (20 + 6)
    assert abs(error.effect.revenue.value - revenue) < 3 * error.effect.revenue.se + 0.02
    # A fifth off a mean wait of 0.2 x 14 + 0.8 x 8 minutes, errors and segment as they are.
    assert abs(wait.effect.churn.value + 0.2 * 9.2 * 0.004) < 3 * wait.effect.churn.se
    assert wait.adjustment.upstream[0].measure == "error"


def test_what_correlation_says_of_a_confounded_measure_is_too_much():
    (error,) = (
        lv for lv in flat_levers(STUDY, panel(), FEATURES, np.random.default_rng(3)) if lv.exposure.measure == "error"
    )
    assert error.raw_churn < error.effect.churn.lo


def test_ratings_and_the_weather_are_no_levers():
    measures = {
        lever.exposure.measure for lever in flat_levers(STUDY, panel(2_000), FEATURES, np.random.default_rng(4))
    }
    assert measures == {"error", "wait"}


def test_the_table_shows_the_strongest_effect_first_with_interval_n_and_adjustment():
    frame = to_frame(flat_levers(STUDY, panel(5_000), FEATURES, np.random.default_rng(5)), np.random.default_rng(5))
    assert frame["churn_effect"].is_monotonic_increasing
    assert (frame["churn_lo"] < frame["churn_effect"]).all()
    assert (frame["n"] == 5_000).all()
    assert frame.loc[frame["measure"] == "wait", "adjustment"].item() == "billing: error, support: storm, segment"


def test_one_class_of_churn_is_refused():
    with pytest.raises(EmptyResultError, match="All rows have the same churn"):
        flat_levers(STUDY, panel(500).assign(is_churned=0.0), FEATURES, np.random.default_rng(6))


def test_a_study_without_covariates_has_effects_too():
    bare = STUDY.model_copy(update={"flat": STUDY.flat.model_copy(update={"covariates": ()})})
    found = flat_levers(bare, panel(2_000), FEATURES, np.random.default_rng(7))
    assert {lever.exposure.measure for lever in found} == {"error", "wait"}
    assert all(np.isfinite(lever.effect.churn.value) and lever.effect.churn.se > 0 for lever in found)
