import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    mean_tweedie_deviance,
    r2_score,
    roc_auc_score,
)

from models.metrics import (
    Sample,
    churn_metrics,
    mean_difference,
    metrics_frame,
    reliability,
    revenue_metrics,
)
from tests.forecasts import bent, churners, spread, widths

LIFTS = ("lift_1", "captured_1", "lift_5", "captured_5", "lift_10", "captured_10", "lift_20", "captured_20")
CHURN = (
    "log_loss",
    "brier",
    "brier_miscalibration",
    "brier_discrimination",
    "brier_uncertainty",
    "auc",
    "average_precision",
    "calibration_intercept",
    "calibration_slope",
    *LIFTS,
    "expected_max_profit",
    "max_profit_share",
    "mean_calibration",
)
REVENUE = ("mae", "rmse", "deviance", "r2", "calibration_slope", "mean_calibration")


def value(estimates, metric: str) -> float:
    return next(found.value for found in estimates if found.metric == metric)


def interval(estimates, metric: str) -> tuple[float, float]:
    return next((found.lo, found.hi) for found in estimates if found.metric == metric)


@pytest.mark.parametrize("digits", [6, 1])
def test_ranking_and_loss_equal_scikit_learn_with_weights_and_ties(digits):
    s = churners(2000, 400, digits=digits)
    p = np.clip(s.predicted, 1e-6, 1 - 1e-6)
    found = churn_metrics(s)
    assert value(found, "log_loss") == pytest.approx(log_loss(s.observed, p, sample_weight=s.weight))
    assert value(found, "brier") == pytest.approx(brier_score_loss(s.observed, s.predicted, sample_weight=s.weight))
    assert value(found, "auc") == pytest.approx(roc_auc_score(s.observed, s.predicted, sample_weight=s.weight))
    theirs = average_precision_score(s.observed, s.predicted, sample_weight=s.weight)
    assert value(found, "average_precision") == pytest.approx(theirs)


def test_calibration_slope_and_its_interval_equal_statsmodels_clustered_by_customer():
    s = churners(3000, 500)
    s = Sample.of(s.observed, s.predicted, s.customer, np.ones(len(s)))
    model = sm.GLM(s.observed, sm.add_constant(logit(s.predicted)), family=sm.families.Binomial())
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": s.customer})
    found = churn_metrics(s)
    assert value(found, "calibration_slope") == pytest.approx(fit.params[1], abs=1e-6)
    lo, hi = interval(found, "calibration_slope")
    assert (hi - lo) / (2 * 1.6448536) == pytest.approx(fit.bse[1], rel=0.01)


def test_calibration_in_the_large_equals_statsmodels_with_an_offset():
    s = churners(3000, 500)
    s = Sample.of(s.observed, expit(logit(s.predicted) - 0.5), s.customer, np.ones(len(s)))
    model = sm.GLM(s.observed, np.ones(len(s)), family=sm.families.Binomial(), offset=logit(s.predicted))
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": s.customer})
    found = churn_metrics(s)
    assert value(found, "calibration_intercept") == pytest.approx(fit.params[0], abs=1e-6)
    lo, hi = interval(found, "calibration_intercept")
    assert (hi - lo) / (2 * 1.6448536) == pytest.approx(fit.bse[0], rel=0.01)


def test_a_true_risk_has_slope_one_and_intercept_zero():
    found = churn_metrics(churners(60_000, 60_000))
    assert value(found, "calibration_slope") == pytest.approx(1.0, abs=0.04)
    assert value(found, "calibration_intercept") == pytest.approx(0.0, abs=0.04)
    assert value(found, "mean_calibration") == pytest.approx(1.0, abs=0.03)


@given(st.integers(0, 1000))
def test_metrics_do_not_depend_on_row_order(seed):
    s = churners(120, 40, seed=1, digits=1)
    order = np.random.default_rng(seed).permutation(120)
    mixed = Sample.of(s.observed[order], s.predicted[order], s.customer[order], s.weight[order])
    for first, second in zip(churn_metrics(s), churn_metrics(mixed), strict=True):
        assert second.value == pytest.approx(first.value)
        assert second.lo == pytest.approx(first.lo)


@given(st.floats(0.1, 10))
def test_metrics_do_not_depend_on_the_unit_of_the_weights(scale):
    s = churners(200, 50)
    scaled = Sample.of(s.observed, s.predicted, s.customer, s.weight * scale)
    assert value(churn_metrics(scaled), "auc") == pytest.approx(value(churn_metrics(s), "auc"))


def test_whole_weights_equal_repeated_rows_of_the_same_customer():
    s = churners(300, 100, digits=2)
    times = np.random.default_rng(5).integers(1, 4, 300)
    weighted = Sample.of(s.observed, s.predicted, s.customer, times)
    repeated = Sample.of(*(np.repeat(x, times) for x in (s.observed, s.predicted, s.customer)), np.ones(times.sum()))
    for first, second in zip(churn_metrics(weighted), churn_metrics(repeated), strict=True):
        assert (second.value, second.lo, second.hi) == pytest.approx((first.value, first.lo, first.hi), rel=0.03)


@pytest.fixture(scope="module")
def bootstrapped() -> tuple[dict[str, float], dict[str, float]]:
    """Standard errors of intervals, and of a bootstrap of customers; risks are too extreme."""
    s = bent(churners(4000, 800, seed=4))
    return widths(churn_metrics(s)), spread(s, churn_metrics)


@pytest.mark.parametrize("metric", CHURN)
def test_intervals_have_the_width_of_a_bootstrap_of_customers(bootstrapped, metric):
    found, truth = bootstrapped
    assert found[metric] == pytest.approx(truth[metric], rel=0.2)


@pytest.fixture(scope="module")
def amounts() -> Sample:
    """What customers pay, a gamma amount around a prediction that is too extreme."""
    rng = np.random.default_rng(4)
    who = np.arange(3000) % 600
    mean = np.exp(rng.normal(0, 0.5, 600))[who]
    return Sample.of(mean * rng.gamma(2.0, 0.5, 3000), mean**1.2, who, np.ones(3000))


def test_revenue_intervals_have_the_width_of_a_bootstrap_of_customers(amounts):
    found, truth = widths(revenue_metrics(amounts)), spread(amounts, revenue_metrics)
    assert set(found) == set(REVENUE)
    for metric in REVENUE:
        assert found[metric] == pytest.approx(truth[metric], rel=0.2), metric


def test_deviance_equals_scikit_learn_and_is_zero_for_what_came_true(amounts):
    y = np.where(np.arange(3000) % 3 == 0, 0.0, amounts.observed)
    w = np.random.default_rng(0).choice([0.5, 2.0], 3000)
    found = revenue_metrics(Sample.of(y, amounts.predicted, amounts.customer, w))
    theirs = mean_tweedie_deviance(y, amounts.predicted, sample_weight=w, power=1.5)
    assert value(found, "deviance") == pytest.approx(theirs)
    perfect = Sample.of(amounts.observed, amounts.observed, amounts.customer, amounts.weight)
    assert value(revenue_metrics(perfect), "deviance") == 0


@pytest.mark.parametrize(("column", "amount"), [(0, -0.01), (1, 0.0), (1, -1.0)])
def test_a_refund_or_a_prediction_of_nothing_leaves_the_deviance_undefined(amounts, column, amount):
    columns = [amounts.observed.copy(), amounts.predicted.copy(), amounts.customer, amounts.weight]
    columns[column][7] = amount
    found = revenue_metrics(Sample.of(*columns))
    assert np.isnan(value(found, "deviance"))
    assert np.isfinite(value(found, "mae"))


def test_the_slope_of_amounts_and_its_interval_equal_statsmodels_clustered_by_customer(amounts):
    fit = sm.OLS(amounts.observed, sm.add_constant(amounts.predicted)).fit(
        cov_type="cluster", cov_kwds={"groups": amounts.customer}
    )
    found = revenue_metrics(amounts)
    assert value(found, "calibration_slope") == pytest.approx(fit.params[1])
    assert widths(found)["calibration_slope"] == pytest.approx(fit.bse[1], rel=0.01)


def test_one_amount_for_all_has_no_slope():
    found = revenue_metrics(Sample.of([1.0, 2.0, 4.0], [0.1] * 3, np.arange(3), np.ones(3)))
    assert np.isnan(value(found, "calibration_slope"))


rows = st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1e-9, 0.3, 0.5, 1.0]), st.integers(0, 5))


@given(st.lists(rows, min_size=1, max_size=30))
def test_every_small_sample_is_measured_and_intervals_hold_their_value(table):
    y, p, who = (np.array(column, dtype=float) for column in zip(*table, strict=True))
    for found in churn_metrics(Sample.of(y, p, who, np.ones(len(y)))):
        assert found.n == len(y)
        if np.isfinite(found.lo):
            assert found.lo <= found.value + 1e-9
            assert found.value <= found.hi + 1e-9


def test_revenue_metrics_equal_scikit_learn_and_hand_values():
    y, p, w = np.array([0.0, 10.0, -4.0, 6.0]), np.array([1.0, 8.0, 0.0, 6.0]), np.array([1.0, 1.0, 2.0, 1.0])
    found = revenue_metrics(Sample.of(y, p, np.arange(4), w))
    assert value(found, "mae") == pytest.approx((1 + 2 + 8 + 0) / 5)
    assert value(found, "r2") == pytest.approx(r2_score(y, p, sample_weight=w))
    assert value(found, "mean_calibration") == pytest.approx(15 / 8)


def test_one_class_leaves_ranking_undefined_and_the_loss_defined():
    found = churn_metrics(Sample.of(np.zeros(5), np.full(5, 0.1), np.arange(5), np.ones(5)))
    assert value(found, "log_loss") == pytest.approx(-np.log(0.9))
    undefined = [one.metric for one in found if np.isnan(one.value)]
    assert undefined == list(CHURN[2:])


def test_nothing_paid_leaves_the_ratio_undefined():
    found = revenue_metrics(Sample.of(np.zeros(5), np.ones(5), np.arange(5), np.ones(5)))
    assert np.isnan(value(found, "mean_calibration"))
    assert np.isnan(value(found, "r2"))


def test_a_constant_prediction_has_no_slope():
    y = np.array([1.0, 0.0, 0.0, 0.0])
    assert np.isnan(value(churn_metrics(Sample.of(y, np.full(4, 0.25), np.arange(4), np.ones(4))), "calibration_slope"))


@pytest.mark.parametrize(("column", "bad"), [(0, np.nan), (1, np.inf), (3, 0.0)])
def test_rows_without_a_number_are_refused(column, bad):
    columns = [np.ones(3), np.ones(3), np.arange(3), np.ones(3)]
    columns[column][0] = bad
    with pytest.raises(ValueError, match="must be finite"):
        Sample.of(*columns)


def test_a_paired_difference_is_much_sharper_than_two_intervals():
    s = churners(2000, 500)
    loss = (s.predicted - s.observed) ** 2
    found = mean_difference(s, loss + 0.01, loss, "difference")
    assert (found.value, found.lo, found.hi) == pytest.approx((0.01, 0.01, 0.01))


def test_the_metrics_table_has_the_columns_of_the_contract():
    table = metrics_frame(churn_metrics(churners(50, 20)), outcome="churn", candidate="logistic")
    assert list(table) == ["outcome", "candidate", "metric", "value", "lo", "hi", "n", "fold"]
    assert table["metric"].tolist() == list(CHURN)
    assert set(table["fold"]) == {"all"}


def test_reliability_bins_hold_equal_weight_and_keep_ties_together():
    s = churners(5000, 5000)
    table = reliability(s, candidate="x")
    assert list(table) == ["candidate", "bin", "predicted", "observed", "lo", "hi", "n"]
    assert table["bin"].tolist() == list(range(10))
    assert table["predicted"].is_monotonic_increasing
    assert ((table["lo"] <= table["observed"]) & (table["observed"] <= table["hi"])).all()
    tied = reliability(Sample.of(s.observed, np.full(5000, 0.2), s.customer, s.weight), candidate="x")
    assert len(tied) == 1


def test_reliability_of_an_empty_sample_is_an_empty_table():
    none = np.array([])
    assert reliability(Sample.of(none, none, none, none), candidate="x").empty


def test_wilson_interval_of_a_bin_without_churners_by_hand():
    table = reliability(Sample.of(np.zeros(100), np.full(100, 0.1), np.arange(100), np.ones(100)), candidate="x")
    z2 = 1.6448536**2
    assert table["hi"].iloc[0] == pytest.approx(z2 / (100 + z2), rel=1e-6)


def test_reliability_of_amounts_may_be_negative():
    rng = np.random.default_rng(0)
    p = rng.normal(0, 10, 400)
    table = reliability(Sample.of(p + rng.normal(0, 1, 400), p, np.arange(400), np.ones(400)), candidate="x")
    assert table["lo"].iloc[0] < -10


@pytest.fixture(scope="module")
def coverage() -> dict[str, float]:
    """Share of 300 companies whose interval holds the value of a company 800 times as large."""
    truth = {one.metric: one.value for one in churn_metrics(churners(2_000_000, 400_000, seed=99))}
    covered = dict.fromkeys(truth, 0)
    for seed in range(300):
        for one in churn_metrics(churners(2500, 500, seed=seed)):
            covered[one.metric] += one.lo <= truth[one.metric] <= one.hi
    return {metric: count / 300 for metric, count in covered.items()}


@pytest.mark.slow
@pytest.mark.parametrize("metric", CHURN)
def test_intervals_cover_the_truth_nine_times_in_ten(coverage, metric):
    if metric in {"brier_miscalibration", "brier_discrimination"}:
        assert coverage[metric] > 0.88  # on the safe side where risks are right: their lower ends are moved down
    else:
        assert coverage[metric] == pytest.approx(0.9, abs=0.06)  # 3.5 Monte Carlo standard errors of 300 runs


def test_customers_are_numbered_whatever_their_type():
    s = Sample.of([0.0, 1.0, 0.0], [0.1, 0.2, 0.3], pd.Series(["b", "a", "b"]), [1, 1, 1])
    assert s.customer.tolist() == [0, 1, 0]


@pytest.mark.parametrize("amount", [0.1, 29.95, 9.99])
def test_equal_amounts_have_no_variance_to_explain(amount):
    y = np.full(60_000, amount)
    found = {one.metric: one for one in revenue_metrics(Sample.of(y, y + 1e-9, np.arange(len(y)), np.ones(len(y))))}
    assert np.isnan(found["r2"].value)
