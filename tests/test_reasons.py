from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from features.errors import ModelError
from features.measures import Feature
from models import additive
from models.calibration import Sigmoid
from models.churn import fit_churn, predict_churn
from models.estimators import calibrated, fit_amount_boosting
from models.evaluation import known_rows
from models.grids import Setting
from models.reasons import contributions, reasons, risk_points
from models.revenue import fit_revenue, predict_revenue

NAMES = ("logistic", "boosting", "additive boosting")


def feature(name: str, direction: str = "lower", journey: str | None = None, measure: str | None = None, **more):
    level, role = ("journey", "experience") if journey else ("customer", "covariate")
    fields = {"meaning": name, "unit": "", "level": level, "role": role} | more
    return Feature(name=name, direction=direction, journey=journey, measure=measure, **fields)


FEATURES = (
    feature("support__wait_min__mean", journey="support", measure="wait", unit="min"),
    feature("support__wait_min__burden", journey="support", measure="wait", unit="min"),
    feature("support__resolved_share__last", "higher", "support", "resolved", unit="share"),
    feature("billing__last_contact_days__since", "none", "billing", unit="days", role="recency"),
    feature("tenure_days", "none", unit="days"),
    feature("plan", "none", kind="category"),
)


def panel(n: int = 3000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    wait = np.where(rng.random(n) < 0.1, np.nan, rng.gamma(2, 4, n))
    frame = pd.DataFrame(
        {
            "customer_id": np.arange(n).astype(str),
            "cutoff": 0,
            "support__wait_min__mean": wait,
            "support__wait_min__burden": np.nan_to_num(wait) * rng.uniform(0.5, 2, n),
            "support__resolved_share__last": rng.choice([0.0, 1.0], n, p=[0.2, 0.8]),
            "billing__last_contact_days__since": np.where(rng.random(n) < 0.7, np.nan, rng.uniform(0, 90, n)),
            "tenure_days": rng.uniform(0, 1000, n),
            "plan": rng.choice(["basic", "plus"], n, p=[0.7, 0.3]),
        }
    )
    eta = -2 + 0.2 * np.nan_to_num(wait) - 2 * frame["support__resolved_share__last"] + (frame["plan"] == "plus")
    return frame.assign(is_churned=(rng.random(n) < expit(eta)).astype(float), revenue=frame["tenure_days"] / 10)


@pytest.fixture(scope="module")
def models():
    frame = panel()
    fits = {name: fit_churn(frame, FEATURES, name, np.random.default_rng(0)) for name in NAMES}
    return frame, fits


@pytest.mark.parametrize("name", NAMES)
def test_contributions_add_up_to_the_prediction(models, name):
    frame, fits = models
    found = contributions(fits[name], frame, FEATURES)
    score = logit(predict_churn(fits[name], frame, FEATURES))
    assert found.base == pytest.approx(score.mean(), abs=1e-9)
    np.testing.assert_allclose(found.amounts.sum(axis=1), score - score.mean(), atol=1e-9)


def test_contributions_of_a_linear_model_of_amounts_add_up_in_currency(models):
    frame, _ = models
    model = fit_revenue(frame, FEATURES, "ridge", np.random.default_rng(0))
    amount = predict_revenue(model, frame, FEATURES)
    found = contributions(model, frame, FEATURES)
    np.testing.assert_allclose(found.amounts.sum(axis=1), amount - amount.mean(), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_reason_is_what_is_bad_about_this_customer(models, name):
    frame, fits = models
    typical = frame.median(numeric_only=True)
    customer = frame.head(1).assign(plan="basic", **{one.name: typical[one.name] for one in FEATURES[:5]})
    waits = customer.assign(support__wait_min__mean=34.2, support__wait_min__burden=40.0)
    unresolved = customer.assign(support__resolved_share__last=0.0)
    rows = pd.concat([waits, unresolved])
    found = reasons(fits[name], rows, FEATURES, reference=frame)
    usual = typical["support__wait_min__mean"]
    assert found["reason_1"].tolist() == [
        f"support: wait mean 34 min (typical {usual:.1f})",
        "support: resolved latest 0 % (typical 100 %)",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_one_measure_of_a_journey_is_one_reason(models, name):
    frame, fits = models
    found = reasons(fits[name], frame, FEATURES)
    assert list(found) == ["reason_1", "reason_2", "reason_3"]
    assert found.index.equals(frame.index)
    spoken = found.map(lambda text: text.split(" ")[0:2] == ["support:", "wait"])
    assert (spoken.sum(axis=1) <= 1).all()
    assert spoken.to_numpy().any()


def test_the_falls_of_large_trees_are_those_of_replacing_a_group_by_typical_values(models):
    frame, _ = models
    rows = known_rows(frame, FEATURES, "revenue").rows(np.arange(len(frame)))
    amount = frame["tenure_days"] * (2 - frame["support__resolved_share__last"])
    outcome = replace(rows, observed=amount.to_numpy())
    large = Setting("large", {"max_iter": 20, "max_leaf_nodes": 15, "learning_rate": 0.1})
    model = next(fit_amount_boosting(outcome, FEATURES, 0, [large]))
    found = contributions(model, frame, FEATURES)
    fall = predict_revenue(model, frame, FEATURES) - predict_revenue(
        model, frame.assign(support__resolved_share__last=1.0), FEATURES
    )
    assert np.abs(fall).max() > 10
    np.testing.assert_allclose(found.amounts[:, 1], fall, atol=1e-9)
    with pytest.raises(ValueError, match="do not add up"):
        risk_points(found)


def test_the_groups_of_a_model_with_several_columns_a_feature_are_replaced_whole(models):
    frame, _ = models
    model = fit_revenue(frame, FEATURES, "two-part", np.random.default_rng(0))
    found = contributions(model, frame, FEATURES)
    assert found.features[found.groups[3][0]].name == "tenure_days"
    assert np.corrcoef(found.amounts[:, 3], frame["tenure_days"])[0, 1] > 0.95


@pytest.mark.parametrize("name", ["boosting", "additive boosting"])
def test_contributions_of_a_repaired_model_add_up_to_the_repaired_prediction(models, name):
    frame, fits = models
    model = calibrated(fits[name], Sigmoid(0.3, 0.6))
    found = contributions(model, frame, FEATURES)
    score = logit(predict_churn(model, frame, FEATURES))
    np.testing.assert_allclose(found.base + found.amounts.sum(axis=1), score, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_points_of_risk_add_up_to_the_distance_from_the_risk_at_the_mean_logit(models, name):
    frame, fits = models
    risk = predict_churn(fits[name], frame, FEATURES)
    points = risk_points(contributions(fits[name], frame, FEATURES))
    np.testing.assert_allclose(points.sum(axis=1), risk - expit(logit(risk).mean()), atol=1e-9)


def test_a_point_of_risk_is_the_slope_of_the_risk_where_nothing_is_special(models):
    frame, fits = models
    found = contributions(fits["logistic"], frame.head(2), FEATURES)
    plain = replace(found, amounts=np.array([[0.3, -0.3], [2.0, 0.0]]), base=-1.0)
    slope = expit(-1.0) * (1 - expit(-1.0))
    expected = [[0.3 * slope, -0.3 * slope], [expit(1.0) - expit(-1.0), 0.0]]
    np.testing.assert_allclose(risk_points(plain), expected, atol=1e-12)


def test_contributions_of_a_journey_are_its_part_of_the_additive_model(models):
    frame, fits = models
    model = fits["additive boosting"]
    found = contributions(model, frame, FEATURES)
    parts = additive.contributions(model["model"], model["prepare"].transform(frame[list(model.feature_names_in_)]))
    order = list(dict.fromkeys(one.journey for one in found.features))
    for number, journey in enumerate(order):
        own = found.amounts[:, [name == journey for name in found.journeys]].sum(axis=1)
        part = parts.amounts[:, number]
        np.testing.assert_allclose(own, part - part.mean(), atol=1e-9)


def test_a_customer_like_all_others_has_no_reason(models):
    frame, fits = models
    same = pd.concat([frame.head(1)] * 5, ignore_index=True)
    for model in fits.values():
        assert (reasons(model, same, FEATURES) == "").all(axis=None)


def test_no_rows_give_no_reasons(models):
    frame, fits = models
    for model in fits.values():
        assert reasons(model, frame.head(0), FEATURES, reference=frame).empty


def test_missing_values_are_said_in_words(models):
    frame, fits = models
    found = contributions(fits["logistic"], frame, FEATURES)
    row = frame.head(1).assign(support__wait_min__mean=np.nan, plan=None)
    texts = reasons(fits["logistic"], row, FEATURES, top=5, reference=frame).iloc[0].tolist()
    assert found.typical["plan"] == "basic"
    assert not any("nan" in text for text in texts)


def test_reasons_do_not_depend_on_the_order_of_rows(models):
    frame, fits = models
    mixed = frame.sample(frac=1, random_state=1)
    first, second = (reasons(fits["logistic"], some, FEATURES) for some in (frame, mixed))
    assert (second.loc[first.index] == first).all(axis=None)


def test_a_panel_without_a_feature_of_the_model_is_refused(models):
    frame, fits = models
    with pytest.raises(ModelError, match="1 features that the panel does not have, such as 'tenure_days'"):
        reasons(fits["logistic"], frame.drop(columns="tenure_days"), FEATURES)
