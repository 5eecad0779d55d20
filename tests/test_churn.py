import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy.special import expit, logit

from features.errors import EmptyResultError
from features.measures import Feature
from features.snapshot import DAY
from models.churn import candidates, churn_coefficients, evaluate_churn, fit_churn, predict_churn
from models.grids import churn_grids
from models.preparation import STORED_TYPES
from models.splits import grouped, rolling_origin
from tests.elsewhere import predicted_elsewhere

NAMES = ("logistic", "boosting", "additive boosting")
DAYS = tuple(range(0, 300, 30))


def feature(name: str, role: str = "experience", direction: str = "lower", kind: str = "number") -> Feature:
    journey = "support" if role in {"experience", "rating"} else None
    return Feature(name, name, "min", direction, "journey" if journey else "customer", journey, None, role, kind)


FEATURES = (
    feature("wait"),
    feature("resolved", direction="higher"),
    feature("rating", "rating", "higher"),
    feature("tenure", "covariate", "none"),
    feature("since", "recency", "none"),
    feature("contacts", "volume", "none"),
    feature("plan", "covariate", "none", "category"),
    feature("never", "experience"),
    feature("same", "context", "none"),
)


def risk_of(frame: pd.DataFrame) -> pd.Series:
    wait = frame["wait"].fillna(0)
    return expit(
        -2.6 + 0.12 * wait - 1.0 * frame["resolved"] + 0.8 * (frame["plan"] == "basic") + 0.01 * frame["since"]
    )


def panel(customers: int = 700, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = customers * len(DAYS)
    frame = pd.DataFrame(
        {
            "customer_id": np.repeat([f"c{i:04d}" for i in range(customers)], len(DAYS)),
            "cutoff": pd.to_datetime(np.tile(DAYS, customers) * DAY, unit="us", utc=True),
            "wait": np.where(rng.random(n) < 0.3, np.nan, rng.gamma(2, 4, n)),
            "resolved": rng.beta(4, 2, n),
            "rating": np.where(rng.random(n) < 0.8, np.nan, rng.integers(0, 11, n)),
            "tenure": rng.integers(0, 2000, n).astype(float),
            "since": rng.exponential(30, n),
            "contacts": rng.poisson(3, n).astype(float),
            "plan": pd.Categorical(rng.choice(["basic", "plüs"], n)),
            "never": np.nan,
            "same": 1.0,
            "weight": 1.0,
            "is_mature": True,
        }
    )
    return frame.assign(is_churned=(rng.random(n) < risk_of(frame)).astype(float))


def folds(count: int = 3):
    return rolling_origin([day * DAY for day in DAYS], gap_days=0, horizon_days=30, folds=count)


@pytest.fixture(scope="module")
def evaluated():
    frame = panel()
    return frame, evaluate_churn(frame, FEATURES, folds(), np.random.default_rng(1), max_rows=3000)


def metric(table: pd.DataFrame, candidate: str, name: str) -> float:
    rows = table.query("candidate == @candidate and metric == @name and fold == 'all'")
    return float(rows["value"].iloc[0])


def test_both_candidates_come_near_the_true_risk_and_the_baselines_do_not(evaluated):
    frame, found = evaluated
    tested = frame[frame["cutoff"].isin(found.predictions["cutoff"].unique())]
    risk = risk_of(tested)
    best = float(-(risk * np.log(risk) + (1 - risk) * np.log(1 - risk)).mean())
    loss = {name: metric(found.metrics, name, "log_loss") for name in ("logistic", "boosting", "prevalence")}
    assert loss["logistic"] - best < 0.3 * (loss["prevalence"] - best)
    assert loss["boosting"] - best < 0.5 * (loss["prevalence"] - best)
    assert found.winner == "logistic"
    assert found.beats_baseline
    assert found.sentence.startswith("logistic beats the best baseline (recency-frequency)")


def test_metrics_cover_every_candidate_and_every_test_cutoff(evaluated):
    _, found = evaluated
    assert set(found.metrics["candidate"]) == {*NAMES, "prevalence", "recency-frequency"}
    assert set(found.metrics["fold"]) == {"all", *(fold.label for fold in folds())}
    assert set(found.reliability["candidate"]) == set(found.metrics["candidate"])
    assert not found.leaks


def test_evaluation_repeats_exactly_with_the_same_seed_and_whatever_the_row_order(evaluated):
    frame, found = evaluated
    again = evaluate_churn(frame, FEATURES, folds(), np.random.default_rng(1), max_rows=3000)
    pd.testing.assert_frame_equal(again.predictions, found.predictions)
    mixed = frame.sample(frac=1, random_state=5)
    other = evaluate_churn(mixed, FEATURES, folds(), np.random.default_rng(1), max_rows=3000).metrics
    np.testing.assert_allclose(other["value"], found.metrics["value"], rtol=0.02, atol=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_the_stored_model_loads_and_predicts_where_our_code_is_not(evaluated, name, tmp_path):
    frame, found = evaluated
    model = fit_churn(frame, FEATURES, name, np.random.default_rng(2), evaluation=found)
    expected = predict_churn(model, frame.head(50), FEATURES)
    assert set(skops.io.get_untrusted_types(data=skops.io.dumps(model))) <= set(STORED_TYPES)
    found_there = predicted_elsewhere(model, frame.head(50), tmp_path, "predict_proba")[:, 1]
    np.testing.assert_allclose(found_there, expected, rtol=1e-12)


def test_the_stored_risks_mean_what_they_say_on_new_customers(evaluated):
    frame, found = evaluated
    fresh = panel(3000, seed=9)
    for name in NAMES:
        model = fit_churn(frame, FEATURES, name, np.random.default_rng(2), evaluation=found)
        predicted = predict_churn(model, fresh, FEATURES)
        assert predicted.mean() == pytest.approx(fresh["is_churned"].mean(), rel=0.1)
        assert np.corrcoef(logit(predicted), logit(risk_of(fresh)))[0, 1] > 0.85


def test_boosting_never_lowers_the_risk_when_experience_gets_worse(evaluated):
    frame, _ = evaluated
    model = fit_churn(frame, FEATURES, "boosting", np.random.default_rng(2))
    rows = frame.dropna(subset="wait").head(300)
    before = predict_churn(model, rows, FEATURES)
    worse = rows.assign(wait=rows["wait"] * 2, resolved=rows["resolved"] / 2)
    assert (predict_churn(model, worse, FEATURES) >= before - 1e-12).all()


def test_unseen_categories_and_missing_values_are_scored(evaluated):
    frame, found = evaluated
    rows = frame.head(5).assign(plan="new", wait=np.nan, since=np.nan)
    for name in NAMES:
        model = fit_churn(frame, FEATURES, name, np.random.default_rng(2), evaluation=found)
        assert np.isfinite(predict_churn(model, rows, FEATURES)).all()


def test_no_rows_give_no_risks(evaluated):
    frame, found = evaluated
    model = fit_churn(frame, FEATURES, "logistic", np.random.default_rng(2), evaluation=found)
    assert predict_churn(model, frame.head(0), FEATURES).shape == (0,)


def test_features_that_tell_nothing_are_not_part_of_the_model(evaluated):
    frame, found = evaluated
    model = fit_churn(frame, FEATURES, "logistic", np.random.default_rng(2), evaluation=found)
    assert set(model.feature_names_in_) == {one.name for one in FEATURES} - {"never", "same"}


def test_a_leak_is_left_out_unless_it_is_allowed():
    frame = panel(300)
    frame["score"] = frame["is_churned"]
    features = (*FEATURES, feature("score", "context", "none"))
    found = evaluate_churn(frame, features, folds(1), np.random.default_rng(1))
    assert [leak.feature for leak in found.leaks] == ["score"]
    assert "score" not in fit_churn(frame, features, "logistic", np.random.default_rng(1)).feature_names_in_
    vouched = frozenset({"score"})
    allowed = evaluate_churn(frame, features, folds(1), np.random.default_rng(1), allow=vouched)
    assert metric(allowed.metrics, allowed.winner, "auc") > 0.99


def test_a_lasting_change_of_the_churn_rate_is_repaired_by_earlier_folds_and_in_the_stored_model():
    frame = panel(900)
    early = frame["cutoff"] < pd.Timestamp(150, unit="D", tz="UTC")
    frame.loc[early & (np.arange(len(frame)) % 3 > 0), "is_churned"] = 0.0
    found = evaluate_churn(frame, FEATURES, folds(), np.random.default_rng(1))
    own = found.predictions.query("candidate == 'logistic'")
    first = own["fold"] == own["fold"].iloc[0]
    assert (own["predicted"] == own["raw"])[first].all()
    assert (own["predicted"] > own["raw"])[~first].mean() > 0.9
    unrepaired = replace(found, predictions=found.predictions.assign(predicted=found.predictions["raw"]))
    for name in NAMES:
        repaired, raw = (
            predict_churn(fit_churn(frame, FEATURES, name, np.random.default_rng(1), evaluation=e), frame, FEATURES)
            for e in (found, unrepaired)
        )
        assert repaired.mean() > 1.05 * raw.mean()


def test_a_shock_that_is_not_yet_known_repairs_nothing():
    # Outcomes take 120 days to be known and the test cutoffs follow each other by 30: none may teach another.
    frame = panel(900)
    frame.loc[(frame["cutoff"] < frame["cutoff"].max()) & (np.arange(len(frame)) % 3 > 0), "is_churned"] = 0.0
    plan = rolling_origin([day * DAY for day in DAYS], gap_days=0, horizon_days=120, folds=3)
    assert [later.test - fold.test for fold, later in itertools.pairwise(plan)] == [30 * DAY] * 2
    found = evaluate_churn(frame, FEATURES, plan, np.random.default_rng(1))
    assert (found.predictions["predicted"] == found.predictions["raw"]).all()


def test_where_nothing_was_counted_yet_the_simple_rule_is_the_churn_rate():
    frame = panel(300).assign(since=np.nan, contacts=0.0)
    frame.loc[frame["cutoff"] == frame["cutoff"].max(), "contacts"] = 3.0 - frame["is_churned"]
    found = evaluate_churn(frame, FEATURES, folds(1), np.random.default_rng(1))
    own = found.predictions.query("candidate == 'recency-frequency'")["predicted"]
    assert own.min() == own.max()


def test_weighted_risks_add_up_to_the_weighted_churners_and_the_unit_of_weights_has_no_influence():
    frame = panel(200)
    frame["weight"] = np.where(frame["plan"] == "basic", 3.0, 1.0)
    first, second = (
        predict_churn(fit_churn(some, FEATURES, "logistic", np.random.default_rng(1)), frame, FEATURES)
        for some in (frame, frame.assign(weight=frame["weight"] * 10))
    )
    assert frame["weight"] @ first == pytest.approx(frame["weight"] @ frame["is_churned"], rel=1e-3)
    np.testing.assert_allclose(first, second, rtol=1e-9)


def test_a_flat_table_with_one_cutoff_is_evaluated_by_customer():
    frame = panel(2000).query("cutoff == cutoff.min()")
    rng = np.random.default_rng(0)
    found = evaluate_churn(frame, FEATURES, grouped(frame, 3, rng), rng)
    assert set(found.metrics["fold"]) == {"all"}
    assert len(found.predictions.query("candidate == 'logistic'")) == 2000


@pytest.mark.parametrize(("value", "who"), [(0.0, "no churners"), (1.0, "only churners")])
def test_one_class_is_refused(value, who):
    frame = panel(50).assign(is_churned=value)
    with pytest.raises(EmptyResultError, match=f"There are {who} among all mature rows"):
        evaluate_churn(frame, FEATURES, folds(), np.random.default_rng(0))


def test_no_churner_before_the_first_test_cutoff_is_refused():
    frame = panel(100)
    frame.loc[frame["cutoff"] < frame["cutoff"].max(), "is_churned"] = 0.0
    with pytest.raises(EmptyResultError, match="no churners among the training rows of a fold"):
        evaluate_churn(frame, FEATURES, folds(1), np.random.default_rng(0))


def test_the_coefficients_are_those_of_the_fitted_model_and_find_what_matters():
    frame = panel(300)
    found = churn_coefficients(frame, FEATURES, np.random.default_rng(1))
    model = fit_churn(frame, FEATURES, "logistic", np.random.default_rng(1))
    np.testing.assert_array_equal(found["coefficient"].iloc[1:], model["model"].coef_[0])
    table = found.set_index("column")
    assert table.loc["wait", "lo"] > 0
    assert table.loc["resolved", "hi"] < 0


def oversampled(share: float, seed: int = 0) -> pd.DataFrame:
    """Draw as many churners as stayers and weigh them back to the true share, as `features.flat` does."""
    frame, n = panel(2000, seed), 1200
    frame = frame.assign(cutoff=frame["cutoff"].min())
    churned = frame[frame["is_churned"] == 1].sample(n, random_state=1)
    stayed = frame[frame["is_churned"] == 0].sample(n, random_state=2)
    both = pd.concat([churned, stayed], ignore_index=True)
    weight = np.where(both["is_churned"] == 1, share / 0.5, (1 - share) / 0.5)
    return both.assign(customer_id=[f"c{i}" for i in range(2 * n)], weight=weight)


def test_where_churners_are_oversampled_risks_are_those_of_all_customers():
    frame, fresh = oversampled(0.04), oversampled(0.04, seed=3)
    rng = np.random.default_rng(0)
    found = evaluate_churn(frame, FEATURES, grouped(frame, 3, rng), rng)
    shown = found.predictions.groupby("candidate")[["predicted", "weight"]]
    for name, part in shown:
        assert np.average(part["predicted"], weights=part["weight"]) == pytest.approx(0.04, rel=0.1), name
    assert metric(found.metrics, "prevalence", "log_loss") == pytest.approx(
        -0.04 * np.log(0.04) - 0.96 * np.log(0.96), rel=0.01
    )
    for name in NAMES:
        model = fit_churn(frame, FEATURES, name, np.random.default_rng(1), evaluation=found)
        risk = predict_churn(model, fresh, FEATURES)
        assert np.average(risk, weights=fresh["weight"]) == pytest.approx(0.04, rel=0.1)
        assert risk.mean() > 0.05


def test_an_unknown_candidate_is_refused():
    with pytest.raises(ValueError, match="candidate must be one of"):
        fit_churn(panel(50), FEATURES, "forest", np.random.default_rng(0))


def test_with_one_journey_there_is_nothing_to_add_up():
    tried = candidates(FEATURES[:3], churn_grids(9999, 1))
    assert [one.name for one in tried if not one.is_baseline] == ["logistic", "boosting"]
    frame = panel(300)
    found = evaluate_churn(frame, FEATURES[:3], folds(1), np.random.default_rng(1))
    assert found.comparisons.empty


def test_the_evaluation_shows_every_setting_and_what_additivity_costs(evaluated):
    _, found = evaluated
    assert set(found.settings["candidate"]) == set(NAMES)
    assert found.settings.groupby("candidate")["is_chosen"].sum().eq(1).all()
    costs = found.comparisons.set_index("metric")
    assert costs.loc["auc", "difference"] == pytest.approx(
        metric(found.metrics, "additive boosting", "auc") - metric(found.metrics, "boosting", "auc")
    )
    assert costs.loc["log_loss", "lo"] < costs.loc["log_loss", "hi"]


def test_the_stored_model_has_the_chosen_setting(evaluated):
    frame, found = evaluated
    wanted = found.settings["setting"].eq("C = 0.003") | found.settings["candidate"].ne("logistic")
    other = replace(found, settings=found.settings.assign(is_chosen=wanted))
    model = fit_churn(frame, FEATURES, "logistic", np.random.default_rng(2), evaluation=other)
    assert model["model"].C == 0.003


def test_without_recency_and_volume_the_only_baseline_is_prevalence():
    tried = candidates(FEATURES[:3], churn_grids(9999, 1))
    assert [one.name for one in tried if one.is_baseline] == ["prevalence"]
