import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from features.measures import Feature
from models.amounts import fit_tweedie, fit_two_part
from models.calibration import Sigmoid
from models.estimators import Fit, calibrated, fit_additive, fit_amount_boosting, fit_boosting, fit_logistic, fit_ridge
from models.evaluation import Rows
from models.grids import Grid, churn_grids, revenue_grids

FEATURES = tuple(Feature(n, n, "", "none", "customer", None, None, "context") for n in ("a", "b"))
CHURN, REVENUE = churn_grids(9999, 1), revenue_grids(9999, 1, 1)
GRIDS: dict[Fit, Grid] = {
    fit_logistic: CHURN["logistic"],
    fit_boosting: CHURN["boosting"],
    fit_additive: CHURN["additive boosting"],
    fit_ridge: REVENUE["ridge"],
    fit_amount_boosting: REVENUE["boosting"],
    fit_tweedie: REVENUE["Tweedie"],
    fit_two_part: REVENUE["two-part"],
}


def first(fit: Fit, rows: Rows, seed: int = 0):
    return next(fit(rows, FEATURES, seed, [GRIDS[fit].default]))


@pytest.fixture
def rows() -> Rows:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
    observed = (rng.random(600) < expit(table["a"] - 1)).astype(float).to_numpy()
    return Rows(table, observed, np.ones(600), np.zeros(600))


@pytest.mark.parametrize("fit", [fit_logistic, fit_boosting, fit_additive])
def test_the_repair_is_built_in_exactly(rows, fit):
    before = first(fit, rows).predict_proba(rows.table)[:, 1]
    repaired = calibrated(first(fit, rows), Sigmoid(0.3, 0.6)).predict_proba(rows.table)[:, 1]
    np.testing.assert_allclose(logit(repaired), 0.3 + 0.6 * logit(before), rtol=1e-9)


@pytest.mark.parametrize("fit", GRIDS)
def test_a_fit_repeats_exactly(rows, fit):
    one, other = (first(fit, rows, 3).predict(rows.table) for _ in range(2))
    assert (one == other).all()


@pytest.mark.parametrize("fit", [fit_boosting, fit_additive, fit_amount_boosting])
def test_equal_weights_are_no_weights(rows, fit):
    heavy = Rows(rows.table, rows.observed, np.full(600, 2.0), rows.past)
    assert (first(fit, rows).predict(rows.table) == first(fit, heavy).predict(rows.table)).all()


@pytest.mark.parametrize("fit", GRIDS)
def test_a_setting_is_fitted_as_if_it_were_alone(rows, fit):
    together = fit(rows, FEATURES, 0, GRIDS[fit].order)
    for setting in GRIDS[fit].order:
        alone = next(fit(rows, FEATURES, 0, [setting]))
        assert (next(together).predict(rows.table) == alone.predict(rows.table)).all()


def test_an_unrelated_feature_gets_a_small_coefficient(rows):
    coefficients = first(fit_logistic, rows)["model"].coef_[0]
    assert abs(coefficients[1]) < 0.3 * abs(coefficients[0])
