import numpy as np
import pandas as pd
import pytest
import skops.io

from features.errors import EmptyResultError
from features.measures import Feature
from features.snapshot import DAY
from models.preparation import STORED_TYPES
from models.revenue import evaluate_revenue, fit_revenue, predict_revenue
from models.splits import rolling_origin

DAYS = tuple(range(0, 210, 30))


def feature(name: str, role: str, kind: str = "number") -> Feature:
    return Feature(name, name, "EUR", "none", "customer", None, None, role, kind)


FEATURES = (
    feature("revenue_past", "volume"),
    feature("tenure", "covariate"),
    feature("wait", "experience"),
    feature("plan", "covariate", "category"),
)


def panel(customers: int = 500, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = customers * len(DAYS)
    frame = pd.DataFrame(
        {
            "customer_id": np.repeat([f"c{i:04d}" for i in range(customers)], len(DAYS)),
            "cutoff": pd.to_datetime(np.tile(DAYS, customers) * DAY, unit="us", utc=True),
            "revenue_past": rng.gamma(2, 50, n),
            "tenure": rng.uniform(0, 1000, n),
            "wait": np.where(rng.random(n) < 0.3, np.nan, rng.gamma(2, 4, n)),
            "plan": rng.choice(["basic", "plus"], n),
            "weight": 1.0,
            "is_churned": 0.0,
        }
    )
    mean = 0.5 * frame["revenue_past"] + np.where(frame["plan"] == "plus", 30, 0) - 2 * frame["wait"].fillna(0)
    return frame.assign(mean=mean, revenue=mean + rng.normal(0, 15, n))


def folds():
    return rolling_origin([day * DAY for day in DAYS], gap_days=0, horizon_days=30)


@pytest.fixture(scope="module")
def evaluated():
    frame = panel()
    return frame, evaluate_revenue(frame, FEATURES, folds(), np.random.default_rng(1))


def metric(table: pd.DataFrame, candidate: str, name: str) -> float:
    rows = table.query("candidate == @candidate and metric == @name and fold == 'all'")
    return float(rows["value"].iloc[0])


def test_candidates_explain_what_can_be_explained_and_baselines_less(evaluated):
    frame, found = evaluated
    possible = 1 - 15**2 / frame["revenue"].var()
    assert metric(found.metrics, "ridge", "r2") == pytest.approx(possible, abs=0.03)
    assert metric(found.metrics, "boosting", "r2") == pytest.approx(possible, abs=0.06)
    assert metric(found.metrics, "last period", "r2") < possible - 0.1
    assert metric(found.metrics, "mean", "r2") == pytest.approx(0, abs=0.02)
    assert found.winner == "ridge"
    assert found.beats_baseline


def test_predictions_are_right_on_average_although_amounts_may_be_negative(evaluated):
    frame, found = evaluated
    assert (frame["revenue"] < 0).any()
    for name in ("ridge", "boosting"):
        assert metric(found.metrics, name, "mean_calibration") == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name", ["ridge", "two-part", "boosting"])
def test_the_stored_model_holds_no_class_of_ours_and_predicts_the_mean(evaluated, name):
    frame, found = evaluated
    model = fit_revenue(frame, FEATURES, name, np.random.default_rng(2), evaluation=found)
    stored = skops.io.dumps(model)
    assert set(skops.io.get_untrusted_types(data=stored)) <= set(STORED_TYPES)
    fresh = panel(300, seed=8)
    again = skops.io.loads(stored, trusted=list(STORED_TYPES))
    predicted = predict_revenue(again, fresh, FEATURES)
    assert np.sqrt(np.mean((predicted - fresh["mean"]) ** 2)) < (12 if name == "two-part" else 9)
    assert predicted.mean() == pytest.approx(fresh["mean"].mean(), rel=0.05)


def test_no_rows_give_no_amounts(evaluated):
    frame, _ = evaluated
    model = fit_revenue(frame, FEATURES, "ridge", np.random.default_rng(2))
    assert predict_revenue(model, frame.head(0), FEATURES).shape == (0,)


def test_predicting_in_another_currency_rescales_the_predictions(evaluated):
    frame, _ = evaluated
    cents = frame.assign(revenue=frame["revenue"] * 100)
    first, second = (
        predict_revenue(fit_revenue(some, FEATURES, "ridge", np.random.default_rng(0)), frame, FEATURES)
        for some in (frame, cents)
    )
    np.testing.assert_allclose(second, 100 * first, rtol=1e-6)


def test_without_past_revenue_the_last_period_falls_back_to_the_mean(evaluated):
    frame, _ = evaluated
    found = evaluate_revenue(frame.drop(columns="revenue_past"), FEATURES[1:], folds(), np.random.default_rng(1))
    assert metric(found.metrics, "last period", "mae") == pytest.approx(metric(found.metrics, "mean", "mae"))


def test_nobody_paying_anything_is_still_measured(evaluated):
    frame, _ = evaluated
    found = evaluate_revenue(frame.assign(revenue=0.0), FEATURES, folds(), np.random.default_rng(1))
    assert metric(found.metrics, "mean", "mae") == pytest.approx(0)
    assert not found.beats_baseline


def test_a_leak_of_churn_is_left_out_here_too(evaluated):
    frame, _ = evaluated
    rng = np.random.default_rng(0)
    frame = frame.assign(is_churned=(rng.random(len(frame)) < 0.1).astype(float))
    frame["score"] = frame["is_churned"]
    features = (*FEATURES, feature("score", "context"))
    found = evaluate_revenue(frame, features, folds(), np.random.default_rng(1))
    assert [one.name for one in found.features] == [one.name for one in FEATURES]
    assert "score" not in fit_revenue(frame, features, "ridge", np.random.default_rng(1)).feature_names_in_


def test_no_known_revenue_is_refused(evaluated):
    frame, _ = evaluated
    with pytest.raises(EmptyResultError, match="0 rows have a known 'revenue'"):
        evaluate_revenue(frame.assign(revenue=np.nan), FEATURES, folds(), np.random.default_rng(1))


def test_features_that_never_differ_are_refused(evaluated):
    frame, _ = evaluated
    with pytest.raises(EmptyResultError, match="None of the 1 features differs"):
        fit_revenue(frame.assign(tenure=1.0), FEATURES[1:2], "ridge", np.random.default_rng(1))


def test_amounts_below_zero_leave_out_the_candidate_that_does_not_take_them(evaluated):
    frame, found = evaluated
    assert set(found.settings["candidate"]) == {"ridge", "two-part", "boosting"}
    with pytest.raises(ValueError, match="'Tweedie' does not take amounts below zero"):
        fit_revenue(frame, FEATURES, "Tweedie", np.random.default_rng(1))
    paid = frame.assign(revenue=frame["revenue"].clip(lower=0))
    model = fit_revenue(paid, FEATURES, "Tweedie", np.random.default_rng(1))
    assert predict_revenue(model, paid, FEATURES).min() > 0


def test_an_unknown_candidate_is_refused(evaluated):
    with pytest.raises(ValueError, match="candidate must be one of"):
        fit_revenue(evaluated[0], FEATURES, "logistic", np.random.default_rng(1))
