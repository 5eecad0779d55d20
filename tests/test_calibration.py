import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from models.calibration import Sigmoid, fit_sigmoid, to_logit


def sample(n: int, intercept: float, slope: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.normal(-1.0, 1.5, n)
    return score, (rng.random(n) < expit(intercept + slope * score)).astype(float)


def test_no_prior_is_the_maximum_likelihood_of_scikit_learn():
    score, y = sample(3000, 0.4, 0.7)
    weight = np.random.default_rng(1).uniform(0.5, 2, 3000)
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(score[:, None], y, sample_weight=weight)
    ours = fit_sigmoid(score, y, weight, intercept_sd=np.inf, slope_sd=np.inf)
    assert ours.slope == pytest.approx(theirs.coef_[0, 0], abs=1e-5)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-5)


def test_intercept_and_slope_of_a_distorted_model_are_found():
    found = fit_sigmoid(*sample(60_000, 0.4, 0.7), np.ones(60_000))
    assert found.intercept == pytest.approx(0.4, abs=0.05)
    assert found.slope == pytest.approx(0.7, abs=0.04)


def test_few_rows_hardly_move_the_predictions():
    found = fit_sigmoid(np.array([-2.0, -1.0, -2.0]), np.array([0.0, 1.0, 0.0]), np.ones(3))
    assert abs(found.slope - 1) < 0.3


def test_a_separable_sample_does_not_explode():
    found = fit_sigmoid(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0]), np.ones(4))
    assert 1 < found.slope < 3


def test_no_rows_leave_predictions_alone():
    assert fit_sigmoid(np.array([]), np.array([]), np.array([])) == Sigmoid(0.0, 1.0)


def test_a_model_that_ranks_the_wrong_way_is_flattened_to_the_base_rate():
    score, y = sample(5000, -1.0, -2.0)
    found = fit_sigmoid(score, y, np.ones(5000), intercept_sd=np.inf)
    assert found.slope == 0
    assert expit(found.intercept) == pytest.approx(y.mean(), abs=1e-6)


def test_risks_of_zero_and_one_have_a_finite_logit():
    assert to_logit(np.array([0.0, 1.0])).round(3).tolist() == [-13.816, 13.816]


@given(st.floats(0.001, 0.999))
def test_the_identity_leaves_risks_alone(risk):
    assert Sigmoid(0.0, 1.0).apply(np.array([risk]))[0] == pytest.approx(risk)


@given(st.floats(0.01, 0.99), st.floats(-3, 3), st.floats(0.1, 3))
def test_a_repair_is_linear_on_the_logit(risk, intercept, slope):
    repaired = Sigmoid(intercept, slope).apply(np.array([risk]))[0]
    assert repaired == pytest.approx(expit(intercept + slope * logit(risk)))
