"""Amounts with many zeros and a long tail: a compound Poisson-gamma model, and whether and how much as two models.

What is stored is made of scikit-learn's classes alone, like everything that is stored: the fitted coefficients are put
into linear regressions whose predictions pass through ``exp``, and stacks of them multiply and add.

Refunds below zero: the compound model does not take them (it is tried only where no amount is negative); the two
models describe the positive part ``max(amount, 0)``, and the mean of the negative part is added to each prediction,
since who will be refunded is rarely known beforehand. Predictions may then lie below zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import GammaRegressor, LinearRegression, LogisticRegression, TweedieRegressor
from sklearn.pipeline import Pipeline

from models.estimators import varying
from models.evaluation import Rows
from models.grids import Setting
from models.preparation import linear_preparation

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["TWEEDIE_MEANING", "TWO_PART_MEANING", "fit_tweedie", "fit_two_part"]

FloatArray = NDArray[np.float64]

POWER = 1.5
"""Variance grows with the mean to this power: half way from counts of payments to amounts of one payment."""

_SPLINE_ROWS = 5_000
_NEVER = -700.0
"""On the logarithm: as good as zero, and far from where numbers end."""

TWEEDIE_MEANING = f"Tweedie regression (power {POWER:g}, log link, l2 penalty) of the amount, zeros included."
TWO_PART_MEANING = (
    "Two models: whether anything is paid (logistic), and how much if so (gamma, log link); refunds by their mean."
)


def fit_tweedie(rows: Rows, features: Sequence[Feature], seed: int, settings: Sequence[Setting]) -> Iterator[Pipeline]:  # noqa: ARG001
    r"""Fit a compound Poisson-gamma regression of an amount that is never negative, in each of some settings.

    Parameters
    ----------
    rows : Rows
        Training rows; ``observed`` is an amount of at least zero.
    features : sequence of Feature
        Columns to use; those that do not vary are left out.
    seed : int
        Not used: the fit is deterministic.
    settings : sequence of Setting
        ``alpha``: weight of half the squared coefficients against half the total deviance.

    Yields
    ------
    Pipeline
        One a setting; ``predict`` gives the expected amount, above zero.

    Notes
    -----
    :math:`E[y] = \exp(x'b)`, :math:`Var[y] \propto E[y]^{1.5}`. Amounts are divided by their mean before the fit, so
    that the currency has no influence on the penalty; the intercept is then moved until predictions add up to what was
    paid, which the log link alone does not ensure.

    References
    ----------
    Jørgensen (1987), Exponential dispersion models, J. R. Stat. Soc. B 49. Wüthrich (2020), Bias
    regularization in neural network models for general insurance pricing, European Actuarial Journal 10 (balance).
    """
    prepare, matrix = _prepared(rows, varying(rows, features))
    for setting in settings:
        line = _log_mean(
            TweedieRegressor(power=POWER, link="log", alpha=setting.params["alpha"] / len(rows), **_SOLVER),
            matrix,
            rows.observed,
            rows.weight,
        )
        line = _balanced(line, line.predict(matrix), rows.observed, rows.weight)
        yield Pipeline([("prepare", prepare), ("model", _through(line, np.log, np.exp))])


def fit_two_part(rows: Rows, features: Sequence[Feature], seed: int, settings: Sequence[Setting]) -> Iterator[Pipeline]:  # noqa: ARG001
    """Fit whether an amount is positive and how large it then is; parameters as in :func:`fit_tweedie`.

    Yields
    ------
    Pipeline
        One a setting; ``predict`` gives ``P(y > 0) E[y | y > 0] + E[min(y, 0)]``.

    Notes
    -----
    The penalty of the logistic regression is ``C = 1 / alpha``, the same weight. The intercept of the second model is
    moved until predictions add up to what was paid.

    References
    ----------
    Duan, Manning, Morris, Newhouse (1983), doi:10.1080/07350015.1983.10509330. Manning, Mullahy (2001),
    doi:10.1016/S0167-6296(01)00086-8 (gamma with log link).
    """
    prepare, matrix = _prepared(rows, varying(rows, features))
    positive, refunded = np.maximum(rows.observed, 0.0), np.minimum(rows.observed, 0.0)
    pays = positive > 0
    for setting in settings:
        whether = _log_odds(setting.params["alpha"], matrix, pays, rows.weight)
        how_much = _log_mean(
            GammaRegressor(alpha=setting.params["alpha"] / max(1, pays.sum()), **_SOLVER),
            matrix[pays],
            positive[pays],
            rows.weight[pays],
        )
        score = log_expit(whether.predict(matrix)) + how_much.predict(matrix)
        how_much = _balanced(how_much, score, positive, rows.weight)
        members = [("whether", _softplus(whether)), ("how_much", how_much)]
        product = _stack(members, _through(_line(np.array([-1.0, 1.0]), 0.0), np.log, np.exp), matrix.shape[1])
        mean_refund = float(rows.weight @ refunded / rows.weight.sum())
        model = _stack([("positive", product)], _line(np.ones(1), mean_refund), matrix.shape[1])
        yield Pipeline([("prepare", prepare), ("model", model)])


_SOLVER = {"solver": "newton-cholesky", "max_iter": 100, "tol": 1e-4}


def _prepared(rows: Rows, kept: Sequence[Feature]) -> tuple[Any, FloatArray]:
    """Fit the preparation for a logarithmic mean and apply it."""
    table = rows.table[[feature.name for feature in kept]]
    prepare = linear_preparation(table, kept, with_splines=len(rows) >= _SPLINE_ROWS, with_logarithms=True)
    return prepare, prepare.fit_transform(table)


def _log_mean(model: Any, matrix: FloatArray, amount: FloatArray, weight: FloatArray) -> LinearRegression:
    """Fit a generalised linear model with log link and give its linear predictor; a constant where nobody pays."""
    mean = float(weight @ amount / weight.sum()) if len(amount) else 0.0
    if mean == 0 or np.ptp(amount) == 0:
        return _line(np.zeros(matrix.shape[1]), np.log(mean) if mean > 0 else _NEVER)
    model.fit(matrix, amount / mean, sample_weight=weight)
    return _line(model.coef_, float(model.intercept_) + np.log(mean))


def _log_odds(alpha: float, matrix: FloatArray, pays: NDArray[np.bool_], weight: FloatArray) -> LinearRegression:
    """Fit a logistic regression and give its linear predictor; a constant where all pay or nobody does."""
    if pays.all() or not pays.any():
        return _line(np.zeros(matrix.shape[1]), -_NEVER if pays.all() else _NEVER)
    model = LogisticRegression(C=1 / alpha, solver="lbfgs", max_iter=2000, tol=1e-4)
    model.fit(matrix, pays.astype(np.int64), sample_weight=weight)
    return _line(model.coef_[0], float(model.intercept_[0]))


def _balanced(line: LinearRegression, score: FloatArray, amount: FloatArray, weight: FloatArray) -> LinearRegression:
    """Move an intercept until exp(score) adds up to what was paid."""
    paid = float(weight @ amount)
    if paid > 0:
        line.intercept_ += np.log(paid) - np.log(weight @ np.exp(score))
    return line


def _line(slopes: FloatArray, intercept: float) -> LinearRegression:
    """Make a linear regression with given coefficients."""
    line = LinearRegression().fit(np.zeros((2, len(slopes))), np.zeros(2))
    line.coef_, line.intercept_ = np.asarray(slopes, dtype=np.float64), float(intercept)
    return line


def _softplus(line: LinearRegression) -> TransformedTargetRegressor:
    """Make a regressor that predicts minus the logarithm of a probability, ``log(1 + exp(-score))``.

    NumPy's functions only: skops stores a function under the first imported module that has it, which for those of
    SciPy may be one of ours.
    """
    return _through(_through(_line(-line.coef_, -float(line.intercept_)), np.log, np.exp), np.expm1, np.log1p)


def _through(inner: Any, there: np.ufunc, back: np.ufunc) -> TransformedTargetRegressor:
    """Make a regressor that predicts `back` of what a fitted one predicts."""
    model = TransformedTargetRegressor(LinearRegression(), func=there, inverse_func=back, check_inverse=False)
    model.fit(np.zeros((2, inner.n_features_in_)), np.full(2, 0.5))
    model.regressor_ = inner
    return model


def _stack(members: list[tuple[str, Any]], last: Any, width: int) -> StackingRegressor:
    """Make a regressor that gives the predictions of fitted members to a fitted last one."""
    stack = StackingRegressor(members, LinearRegression(), cv="prefit")
    stack.fit(np.zeros((2, width)), np.zeros(2))
    stack.final_estimator_ = last
    return stack
