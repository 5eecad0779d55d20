import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from features.errors import ModelError
from features.measures import Feature
from models.churn import fit_churn, predict_churn
from models.reasons import contributions, reasons
from models.revenue import fit_revenue, predict_revenue


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
    fits = {name: fit_churn(frame, FEATURES, name, np.random.default_rng(0)) for name in ("logistic", "boosting")}
    return frame, fits


def test_contributions_of_a_linear_model_add_up_to_its_prediction(models):
    frame, fits = models
    found = contributions(fits["logistic"], frame, FEATURES)
    score = logit(predict_churn(fits["logistic"], frame, FEATURES))
    np.testing.assert_allclose(found.amounts.sum(axis=1), score - score.mean(), atol=1e-9)


def test_contributions_of_a_linear_model_of_amounts_add_up_in_currency(models):
    frame, _ = models
    model = fit_revenue(frame, FEATURES, "ridge", np.random.default_rng(0))
    amount = predict_revenue(model, frame, FEATURES)
    found = contributions(model, frame, FEATURES)
    np.testing.assert_allclose(found.amounts.sum(axis=1), amount - amount.mean(), atol=1e-6)


@pytest.mark.parametrize("name", ["logistic", "boosting"])
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


@pytest.mark.parametrize("name", ["logistic", "boosting"])
def test_one_measure_of_a_journey_is_one_reason(models, name):
    frame, fits = models
    found = reasons(fits[name], frame, FEATURES)
    assert list(found) == ["reason_1", "reason_2", "reason_3"]
    assert found.index.equals(frame.index)
    spoken = found.map(lambda text: text.split(" ")[0:2] == ["support:", "wait"])
    assert (spoken.sum(axis=1) <= 1).all()
    assert spoken.to_numpy().any()


def test_the_falls_of_boosting_are_those_of_replacing_a_group_by_typical_values(models):
    frame, fits = models
    model = fits["boosting"]
    found = contributions(model, frame, FEATURES)
    moved = frame.assign(support__resolved_share__last=1.0)
    fall = logit(predict_churn(model, frame, FEATURES)) - logit(predict_churn(model, moved, FEATURES))
    np.testing.assert_allclose(found.amounts[:, 1], fall, atol=1e-9)


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
