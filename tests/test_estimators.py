import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from features.measures import Feature
from models.calibration import Sigmoid
from models.estimators import calibrated, fit_amount_boosting, fit_boosting, fit_logistic, fit_ridge
from models.evaluation import Rows

FEATURES = tuple(Feature(n, n, "", "none", "customer", None, None, "context") for n in ("a", "b"))


@pytest.fixture
def rows() -> Rows:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
    observed = (rng.random(600) < expit(table["a"] - 1)).astype(float).to_numpy()
    return Rows(table, observed, np.ones(600), np.zeros(600))


@pytest.mark.parametrize("fit", [fit_logistic, fit_boosting])
def test_the_repair_is_built_in_exactly(rows, fit):
    before = fit(rows, FEATURES, 0).predict_proba(rows.table)[:, 1]
    repaired = calibrated(fit(rows, FEATURES, 0), Sigmoid(0.3, 0.6)).predict_proba(rows.table)[:, 1]
    np.testing.assert_allclose(logit(repaired), 0.3 + 0.6 * logit(before), rtol=1e-9)


@pytest.mark.parametrize("fit", [fit_logistic, fit_boosting, fit_ridge, fit_amount_boosting])
def test_a_fit_repeats_exactly(rows, fit):
    first, second = (fit(rows, FEATURES, 3).predict(rows.table) for _ in range(2))
    assert (first == second).all()


@pytest.mark.parametrize("fit", [fit_boosting, fit_amount_boosting])
def test_equal_weights_are_no_weights(rows, fit):
    heavy = Rows(rows.table, rows.observed, np.full(600, 2.0), rows.past)
    assert (fit(rows, FEATURES, 0).predict(rows.table) == fit(heavy, FEATURES, 0).predict(rows.table)).all()


def test_an_unrelated_feature_gets_a_small_coefficient(rows):
    coefficients = fit_logistic(rows, FEATURES, 0)["model"].coef_[0]
    assert abs(coefficients[1]) < 0.3 * abs(coefficients[0])
