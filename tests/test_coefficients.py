import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from features.measures import Feature
from models.calibration import Sigmoid
from models.coefficients import coefficients, column_labels, penalised_covariance
from models.estimators import calibrated, fit_boosting, fit_logistic
from models.evaluation import Rows
from models.grids import churn_grids
from models.preparation import inputs, linear_preparation

TRUTH = np.array([-1.0, 0.8, -0.5])


def feature(name: str, kind: str = "number", role: str = "experience") -> Feature:
    return Feature(name, name, "min", "lower", "journey", "support", None, role, kind)


def panel(customers: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Five rows a customer that share their features; outcomes of a customer go together, their margins do not move."""
    customer = np.repeat(np.arange(customers), 5)
    matrix = (rng.normal(size=(customers, 2)))[customer]
    risk = expit(TRUTH[0] + matrix @ TRUTH[1:])
    shared, own = rng.random(customers)[customer], rng.random(len(customer))
    luck = np.where(rng.random(len(customer)) < 0.6, shared, own)
    return matrix, (luck < risk).astype(float), customer


def fitted(matrix: np.ndarray, observed: np.ndarray, weight: np.ndarray | None = None, c: float = 1e9):
    return LogisticRegression(C=c, tol=1e-10, max_iter=1000).fit(matrix, observed, sample_weight=weight)


def test_without_a_penalty_it_is_the_clustered_covariance_of_statsmodels():
    matrix, observed, customer = panel(200, np.random.default_rng(0))
    found = penalised_covariance(fitted(matrix, observed), matrix, observed, np.ones(len(observed)), customer)
    glm = sm.GLM(observed, sm.add_constant(matrix), family=sm.families.Binomial())
    expected = glm.fit(tol=1e-12, cov_type="cluster", cov_kwds={"groups": customer}).cov_params()
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_weight_of_two_is_the_row_twice():
    matrix, observed, customer = panel(100, np.random.default_rng(1))
    weight = np.where(np.arange(len(observed)) % 3 == 0, 2.0, 1.0)
    twice = np.repeat(np.arange(len(observed)), weight.astype(int))
    first = penalised_covariance(fitted(matrix, observed, weight, c=0.1), matrix, observed, weight, customer)
    second = penalised_covariance(
        fitted(matrix[twice], observed[twice], c=0.1),
        matrix[twice],
        observed[twice],
        np.ones(len(twice)),
        customer[twice],
    )
    correction = [(n - 1) / (n - 3) for n in (len(observed), len(twice))]
    # The penalty leaves somewhat fewer than three parameters, which moves the ratio of the corrections by 0.02 %.
    np.testing.assert_allclose(first / correction[0], second / correction[1], rtol=5e-4)


def test_more_columns_than_rows_and_a_single_customer_end_nothing():
    rng = np.random.default_rng(4)
    for rows in (60, 81, 100):
        matrix, observed = rng.normal(size=(rows, 80)), (rng.random(rows) < 0.4).astype(float)
        model = fitted(matrix, observed, c=0.01)
        found = penalised_covariance(model, matrix, observed, np.ones(rows), np.arange(rows))
        assert (np.diag(found) > 0).all()
        assert np.isnan(penalised_covariance(model, matrix, observed, np.ones(rows), np.zeros(rows))).all()


def test_a_penalty_makes_the_estimate_less_variable():
    matrix, observed, customer = panel(200, np.random.default_rng(0))
    free, held = (
        penalised_covariance(fitted(matrix, observed, c=c), matrix, observed, np.ones(len(observed)), customer)
        for c in (1e9, 0.01)
    )
    assert (np.diag(held)[1:] < 0.7 * np.diag(free)[1:]).all()


@pytest.mark.parametrize("c", [1e9, 0.02])
def test_intervals_hold_what_they_promise_although_rows_of_a_customer_go_together(c):
    rng, runs = np.random.default_rng(7), 150
    estimates, errors = np.zeros((runs, 3)), np.zeros((runs, 3))
    for run in range(runs):
        matrix, observed, customer = panel(150, rng)
        model = fitted(matrix, observed, c=c)
        covariance = penalised_covariance(model, matrix, observed, np.ones(len(observed)), customer)
        estimates[run] = [*model.intercept_, *model.coef_[0]]
        errors[run] = np.sqrt(np.diag(covariance))
    aimed = TRUTH if c > 1 else estimates.mean(axis=0)
    covered = (np.abs(estimates - aimed) < 1.6449 * errors).mean(axis=0)
    margin = 3.3 * np.sqrt(0.9 * 0.1 / runs) + 0.01
    np.testing.assert_allclose(covered, 0.9, atol=margin)
    np.testing.assert_allclose(errors.mean(axis=0), estimates.std(axis=0), rtol=0.2)


@pytest.fixture(scope="module")
def rows() -> Rows:
    rng, n = np.random.default_rng(0), 900
    frame = pd.DataFrame(
        {
            "wait": np.where(rng.random(n) < 0.2, np.nan, rng.exponential(5, n)),
            "tenure": rng.uniform(0, 900, n),
            "plan": rng.choice(["basic", "plus"], n),
        }
    )
    risk = expit(-1 + 0.2 * frame["wait"].fillna(0))
    return Rows(inputs(frame, FEATURES), (rng.random(n) < risk).astype(float), np.ones(n), np.zeros(n))


FEATURES = (feature("wait"), feature("tenure", role="covariate"), feature("plan", "category"))


def logistic(rows: Rows):
    return next(fit_logistic(rows, FEATURES, 0, [churn_grids(999, 1)["logistic"].default]))


def test_the_table_names_every_column_and_its_interval(rows):
    model = logistic(rows)
    found = coefficients(model, rows, np.arange(900) // 3)
    assert found["column"].tolist() == ["(intercept)", "wait", "tenure", "wait: missing", "plan = basic", "plan = plus"]
    assert found["feature"].tolist() == ["", "wait", "tenure", "wait", "plan", "plan"]
    np.testing.assert_allclose(found["coefficient"], [*model["model"].intercept_, *model["model"].coef_[0]])
    np.testing.assert_allclose(found["hi"] - found["lo"], 2 * 1.6448536 * found["standard_error"])
    np.testing.assert_allclose(found["odds_ratio"], np.exp(found["coefficient"]))
    wait = found.set_index("column").loc["wait"]
    assert wait["lo"] > 0


def test_columns_of_curves_and_amounts_have_names(rows):
    prepare = linear_preparation(rows.table, FEATURES, with_splines=True, with_amounts=True).fit(rows.table)
    labels = column_labels(prepare)
    assert len(labels) == prepare.transform(rows.table).shape[1] == len(set(labels))
    assert {"tenure: curve 1", "tenure: unbent", "wait: missing"} <= set(labels)


def test_a_repaired_model_is_refused(rows):
    model = calibrated(logistic(rows), Sigmoid(0.4, 0.5))
    with pytest.raises(ValueError, match="the coefficients do not fit these rows"):
        coefficients(model, rows, np.arange(900))


def test_boosting_has_no_coefficients(rows):
    model = next(fit_boosting(rows, FEATURES, 0, [churn_grids(999, 1)["boosting"].default]))
    with pytest.raises(ValueError, match="a HistGradientBoostingClassifier"):
        coefficients(model, rows, np.arange(900))
