import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import TweedieRegressor

from features.measures import Feature
from models.amounts import fit_tweedie, fit_two_part
from models.evaluation import Rows
from models.grids import Setting
from models.preparation import STORED_TYPES
from tests.elsewhere import predicted_elsewhere

FEATURES = tuple(Feature(name, name, "EUR", "none", "customer", None, None, "volume") for name in ("x", "z"))
WEAK = Setting("alpha = 1", {"alpha": 1.0})
FITS = (fit_tweedie, fit_two_part)


def _rows(n: int = 4_000, refunds: float = 0.0, seed: int = 1) -> tuple[Rows, np.ndarray]:
    """A third pays, more the larger x; gamma amounts whose logarithm rises with x; and the true mean."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    chance, size = expit(-0.7 + 0.8 * x), np.exp(3 + 0.5 * x)
    amount = (rng.random(n) < chance) * rng.gamma(2, size / 2)
    refunded = (rng.random(n) < refunds) * 7.0
    amount = np.where(refunded > 0, -refunded, amount)
    truth = (1 - refunds) * chance * size - refunds * 7.0
    return Rows(pd.DataFrame({"x": x, "z": z}), amount, np.ones(n), np.zeros(n)), truth


def _fit(fit, rows: Rows, setting: Setting = WEAK):
    (model,) = fit(rows, FEATURES, 0, [setting])
    return model


@pytest.mark.parametrize("fit", FITS)
def test_the_true_mean_is_found_where_amounts_are_zero_or_skewed(fit) -> None:
    rows, _ = _rows(20_000)
    fresh, truth = _rows(5_000, seed=2)
    predicted = _fit(fit, rows).predict(fresh.table)
    assert (predicted > 0).all()
    inner = np.abs(fresh.table["x"]) < 1.5
    assert np.mean(np.abs(predicted - truth)[inner] / truth[inner]) < 0.1


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("scale", [1.0, 250.0])
def test_predictions_add_up_to_what_was_paid_in_any_currency(fit, scale: float) -> None:
    rows, _ = _rows()
    scaled = Rows(rows.table, rows.observed * scale, rows.weight, rows.past)
    predicted = _fit(fit, scaled).predict(rows.table)
    assert predicted.sum() == pytest.approx(scaled.observed.sum(), rel=1e-6)
    np.testing.assert_allclose(predicted, scale * _fit(fit, rows).predict(rows.table), rtol=1e-4)


def test_the_compound_model_is_scikit_learns_but_for_the_balance() -> None:
    rows, _ = _rows()
    model = _fit(fit_tweedie, rows)
    matrix = model["prepare"].transform(rows.table)
    mean = rows.observed.mean()
    other = TweedieRegressor(power=1.5, link="log", alpha=1 / len(rows), solver="newton-cholesky", tol=1e-6)
    other.fit(matrix, rows.observed / mean)
    ratio = model.predict(rows.table) / (mean * other.predict(matrix))
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
    assert ratio[0] == pytest.approx(1, abs=0.1)


def test_refunds_are_paid_back_on_average_to_everybody() -> None:
    rows, truth = _rows(20_000, refunds=0.05)
    predicted = _fit(fit_two_part, rows).predict(rows.table)
    assert predicted.sum() == pytest.approx(rows.observed.sum(), rel=1e-6)
    positive = Rows(rows.table, np.maximum(rows.observed, 0), rows.weight, rows.past)
    refund = np.minimum(rows.observed, 0).mean()
    np.testing.assert_allclose(predicted, _fit(fit_two_part, positive).predict(rows.table) + refund, atol=1e-6)
    assert truth.min() < predicted.min() + 1


@pytest.mark.parametrize("amount", [0.0, 5.0])
def test_nobody_or_everybody_paying_the_same_is_a_constant(amount: float) -> None:
    rows, _ = _rows(300)
    same = Rows(rows.table, np.full(300, amount), rows.weight, rows.past)
    for fit in FITS:
        np.testing.assert_allclose(_fit(fit, same).predict(rows.table), amount, atol=1e-9)


@pytest.mark.parametrize("fit", FITS)
def test_weights_count_as_so_many_rows(fit) -> None:
    rows, _ = _rows(600)
    weight = np.where(np.arange(600) < 200, 2.0, 1.0)
    twice = np.concatenate([np.arange(600), np.arange(200)])
    one = _fit(fit, Rows(rows.table, rows.observed, weight, rows.past), Setting("none", {"alpha": 1e-9}))
    doubled = Rows(rows.table.iloc[twice].reset_index(drop=True), rows.observed[twice], np.ones(800), rows.past[twice])
    other = _fit(fit, doubled, Setting("none", {"alpha": 1e-9}))
    np.testing.assert_allclose(one.predict(rows.table), other.predict(rows.table), rtol=0.15)


@pytest.mark.parametrize("fit", FITS)
def test_what_is_stored_predicts_where_our_code_is_not(fit, tmp_path) -> None:
    rows, _ = _rows(500, refunds=0.1 if fit is fit_two_part else 0.0)
    model = _fit(fit, rows)
    assert STORED_TYPES
    np.testing.assert_array_equal(
        predicted_elsewhere(model, rows.table, tmp_path, "predict"), model.predict(rows.table)
    )
