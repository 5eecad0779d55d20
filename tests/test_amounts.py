import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy.special import expit

from features.measures import Feature
from models.amounts import fit_tweedie, fit_two_part
from models.evaluation import Rows
from models.grids import Setting
from models.preparation import STORED_TYPES
from tests.elsewhere import predicted_elsewhere

FEATURES = tuple(Feature(name, name, "", "none", "customer", None, None, "covariate") for name in ("a", "b"))
WEAK = [Setting("weak", {"alpha": 1e-3})]
BOTH = [fit_tweedie, fit_two_part]


def rows_of(n: int, seed: int, refunds: float = 0.0) -> tuple[Rows, np.ndarray]:
    """Amounts with many zeros and a long tail, and their expectation; a share of rows is refunded 20 on the mean."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.uniform(-1, 1, size=(n, 2)), columns=["a", "b"])
    pays, size = expit(-0.5 + 2 * table["a"]), np.exp(3 + 1.5 * table["b"])
    amount = np.where(rng.random(n) < pays, rng.gamma(2, size / 2), 0.0)
    refunded = (amount == 0) & (rng.random(n) < refunds)
    amount = np.where(refunded, -rng.gamma(2, 10, n), amount)
    mean = pays * size - 20 * refunds * (1 - pays)
    return Rows(table, amount, np.ones(n), np.zeros(n)), mean.to_numpy()


def predicted(fit, rows: Rows, others: Rows, settings=WEAK) -> np.ndarray:
    return next(fit(rows, FEATURES, 0, settings)).predict(others.table)


def test_two_parts_find_the_expectation_behind_zeros_and_long_tails():
    (rows, _), (fresh, mean) = rows_of(20_000, 0), rows_of(3000, 1)
    error = predicted(fit_two_part, rows, fresh) / mean - 1
    assert np.sqrt(np.mean(error**2)) < 0.12
    constant = rows.observed.mean() / mean - 1
    assert np.sqrt(np.mean(constant**2)) > 1


@pytest.mark.parametrize("fit", BOTH)
def test_means_are_right_in_every_tenth_of_the_predictions(fit):
    (rows, _), (fresh, mean) = rows_of(20_000, 0), rows_of(20_000, 1)
    found = predicted(fit, rows, fresh)
    tenth = np.searchsorted(np.quantile(found, np.arange(0.1, 1, 0.1)), found)
    ratio = np.bincount(tenth, found) / np.bincount(tenth, mean)
    assert np.abs(ratio - 1).max() < (0.12 if fit is fit_two_part else 0.35)


def test_the_compound_model_finds_its_own_truth():
    rng, n = np.random.default_rng(3), 20_000
    table = pd.DataFrame(rng.uniform(-1, 1, size=(n, 2)), columns=["a", "b"])
    mean = np.exp(2 + table["a"] - 0.5 * table["b"]).to_numpy()
    counts = rng.poisson(2 * np.sqrt(mean) / 2)  # variance of the sum grows with the mean to the power of 1.5
    amount = np.array([rng.gamma(k, 1) if k else 0.0 for k in counts]) * np.sqrt(mean)
    assert (amount == 0).mean() > 0.05
    found = predicted(fit_tweedie, Rows(table, amount, np.ones(n), np.zeros(n)), Rows(table, amount, mean, mean))
    np.testing.assert_allclose(found, mean, rtol=0.12)


@pytest.mark.parametrize("fit", BOTH)
@pytest.mark.parametrize("alpha", [1e-3, 300.0])
def test_predictions_add_up_to_what_was_paid(fit, alpha):
    rows, _ = rows_of(2000, 4)
    weight = np.where(rows.table["b"] > 0, 1.5, 0.5)
    weighted = Rows(rows.table, rows.observed, weight / weight.mean(), rows.past)
    found = predicted(fit, weighted, weighted, [Setting("", {"alpha": alpha})])
    assert weighted.weight @ found == pytest.approx(weighted.weight @ rows.observed, rel=1e-6)


def test_refunds_are_taken_off_by_their_mean():
    (rows, _), (paid, _) = rows_of(5000, 5, refunds=0.2), rows_of(5000, 5)
    only_paid = Rows(rows.table, np.maximum(rows.observed, 0), rows.weight, rows.past)
    found = predicted(fit_two_part, rows, paid)
    without = predicted(fit_two_part, only_paid, paid)
    np.testing.assert_allclose(without - found, -np.minimum(rows.observed, 0).mean(), atol=1e-9)
    assert found.min() < 0
    assert found.mean() == pytest.approx(rows.observed.mean(), rel=1e-6)


@pytest.mark.parametrize("fit", BOTH)
def test_another_currency_rescales_the_predictions(fit):
    rows, _ = rows_of(1000, 6)
    cents = Rows(rows.table, rows.observed * 100, rows.weight, rows.past)
    settings = [Setting("", {"alpha": 100.0})]
    np.testing.assert_allclose(
        predicted(fit, cents, rows, settings), 100 * predicted(fit, rows, rows, settings), rtol=1e-5
    )


@pytest.mark.parametrize("fit", BOTH)
@pytest.mark.parametrize("value", [0.0, 7.0])
def test_amounts_that_never_differ_are_predicted(fit, value):
    rows, _ = rows_of(300, 7)
    same = Rows(rows.table, np.full(300, value), rows.weight, rows.past)
    np.testing.assert_allclose(predicted(fit, same, same), value, atol=1e-9)


def test_everybody_paying_leaves_the_amounts_to_explain():
    (rows, _) = rows_of(2000, 8)
    amount = np.exp(1 + rows.table["a"]).to_numpy()
    found = predicted(fit_two_part, Rows(rows.table, amount, rows.weight, rows.past), rows)
    np.testing.assert_allclose(found, amount, rtol=0.12)


@pytest.mark.parametrize("fit", BOTH)
def test_the_stored_model_loads_and_predicts_where_our_code_is_not(fit, tmp_path):
    rows, _ = rows_of(500, 9)
    model = next(fit(rows, FEATURES, 0, WEAK))
    assert set(skops.io.get_untrusted_types(data=skops.io.dumps(model))) <= set(STORED_TYPES)
    found = predicted_elsewhere(model, rows.table.head(50), tmp_path, "predict")
    np.testing.assert_allclose(found, model.predict(rows.table.head(50)), rtol=1e-12)
