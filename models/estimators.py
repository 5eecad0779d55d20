"""The estimators behind the candidates, with their settings in one place.

A fit takes training rows and gives a scikit-learn Pipeline of two steps, ``prepare`` and ``model``, without any class
of ours, so that it can be stored with skops and loaded where this code is not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, StackingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from features.errors import EmptyResultError
from models.calibration import Sigmoid
from models.evaluation import Rows
from models.preparation import columns_of, linear_preparation, tree_preparation, usable

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = [
    "AMOUNT_MEANING",
    "BOOSTING_MEANING",
    "LOGISTIC_MEANING",
    "RIDGE_MEANING",
    "Fit",
    "calibrated",
    "fit_amount_boosting",
    "fit_boosting",
    "fit_logistic",
    "fit_ridge",
]

FloatArray = NDArray[np.float64]
Fit = Callable[[Rows, "Sequence[Feature]", int], Pipeline]
"""Training rows, features and a seed in, a fitted pipeline out."""

_C = 0.03
_ALPHA = 100.0
_SPLINE_CHURNERS = 500
_SPLINE_ROWS = 5_000
_LARGE = 10_000
_CHURN_TREES = {"learning_rate": 0.06, "max_iter": 100, "max_leaf_nodes": 6}
"""The signal of churn is weak: larger trees lost log loss and calibration out of time on both companies tried."""

LOGISTIC_MEANING = (
    f"Logistic regression on standardised, arcsinh-bent features with flags for missing values; l2 penalty C = {_C}; "
    f"splines for tenure, recency, context and covariates from {_SPLINE_CHURNERS} churners on."
)
AMOUNT_MEANING = (
    f"Histogram gradient boosting, 100 trees of 15 leaves at learning rate 0.08 from {_LARGE:,} rows on, 60 of 6 "
    "below; no early stopping."
)
BOOSTING_MEANING = (
    "Histogram gradient boosting, 100 trees of 6 leaves at learning rate 0.06; no early stopping; experience can act "
    "on churn only in its stated direction."
)
RIDGE_MEANING = f"Ridge regression, alpha = {_ALPHA:g}, on the same columns and the unbent numbers."


def fit_logistic(rows: Rows, features: Sequence[Feature], seed: int) -> Pipeline:  # noqa: ARG001
    """Fit a penalised logistic regression; needs both classes.

    Parameters
    ----------
    rows : Rows
        Training rows whose ``observed`` is 0 or 1.
    features : sequence of Feature
        Columns to use; those that do not vary are left out of the model.
    seed : int
        Not used: the fit is deterministic.

    Returns
    -------
    Pipeline
        Fitted; ``feature_names_in_`` are the columns used.
    """
    kept = _varying(rows, features)
    table = rows.table[[feature.name for feature in kept]]
    prepare = linear_preparation(table, kept, with_splines=bool(rows.observed.sum() >= _SPLINE_CHURNERS))
    matrix = prepare.fit_transform(table)
    model = LogisticRegression(C=_C, solver="lbfgs", max_iter=2000, tol=1e-4)
    model.fit(matrix, rows.observed.astype(np.int64), sample_weight=rows.weight)
    return Pipeline([("prepare", prepare), ("model", model)])


def fit_boosting(rows: Rows, features: Sequence[Feature], seed: int) -> Pipeline:
    """Fit boosted trees in which worse experience never lowers the risk; parameters as in :func:`fit_logistic`."""
    kept = _varying(rows, features)
    prepare, matrix, ordered = _tree_matrix(rows, kept)
    worse = {"lower": 1, "higher": -1}
    signs = [worse.get(one.direction, 0) if one.role == "experience" and one.kind == "number" else 0 for one in ordered]
    settings = _settings(len(rows), seed) | _CHURN_TREES | {"min_samples_leaf": max(20, len(rows) // 200)}
    model = HistGradientBoostingClassifier(**settings, monotonic_cst=signs)
    model.fit(matrix, rows.observed.astype(np.int64), sample_weight=_tree_weight(rows))
    return Pipeline([("prepare", prepare), ("model", model)])


def fit_ridge(rows: Rows, features: Sequence[Feature], seed: int) -> Pipeline:  # noqa: ARG001
    """Fit a ridge regression of an amount of any sign; parameters as in :func:`fit_logistic`."""
    kept = _varying(rows, features)
    table = rows.table[[feature.name for feature in kept]]
    prepare = linear_preparation(table, kept, with_splines=len(rows) >= _SPLINE_ROWS, with_amounts=True)
    model = Ridge(alpha=_ALPHA).fit(prepare.fit_transform(table), rows.observed, sample_weight=rows.weight)
    return Pipeline([("prepare", prepare), ("model", model)])


def fit_amount_boosting(rows: Rows, features: Sequence[Feature], seed: int) -> Pipeline:
    """Fit boosted trees to an amount by squared error, whose optimum is the mean; as :func:`fit_logistic`."""
    prepare, matrix, _ = _tree_matrix(rows, _varying(rows, features))
    model = HistGradientBoostingRegressor(**_settings(len(rows), seed))
    model.fit(matrix, rows.observed, sample_weight=_tree_weight(rows))
    return Pipeline([("prepare", prepare), ("model", model)])


def calibrated(model: Pipeline, sigmoid: Sigmoid) -> Pipeline:
    """Build the repair of risks into a fitted pipeline.

    Parameters
    ----------
    model : Pipeline
        From :func:`fit_logistic` or :func:`fit_boosting`; not changed for boosting, changed in place for logistic.
    sigmoid : Sigmoid
        The repair on the logit.

    Returns
    -------
    Pipeline
        Logistic: coefficients times the slope. Boosting: a StackingClassifier over the fitted trees whose final
        estimator is the repair.
    """
    fitted = model["model"]
    if isinstance(fitted, LogisticRegression):
        fitted.coef_ = fitted.coef_ * sigmoid.slope
        fitted.intercept_ = fitted.intercept_ * sigmoid.slope + sigmoid.intercept
        return model
    stack = StackingClassifier(
        [("boosting", fitted)], LogisticRegression(), cv="prefit", stack_method="decision_function"
    )
    stack.fit(np.zeros((2, fitted.n_features_in_)), [0, 1])
    stack.final_estimator_.coef_ = np.array([[sigmoid.slope]])
    stack.final_estimator_.intercept_ = np.array([sigmoid.intercept])
    return Pipeline([("prepare", model["prepare"]), ("model", stack)])


def _tree_matrix(rows: Rows, kept: Sequence[Feature]) -> tuple[Any, FloatArray, tuple[Feature, ...]]:
    """Fit the preparation, apply it, and give the features in the order of its columns."""
    prepare = tree_preparation(kept)
    matrix = prepare.fit_transform(rows.table[[feature.name for feature in kept]])
    by_name = {feature.name: feature for feature in kept}
    return prepare, matrix, tuple(by_name[name] for name in columns_of(prepare))


def _tree_weight(rows: Rows) -> FloatArray | None:
    """Leave equal weights out: with weights, scikit-learn 1.9 takes three times as long to find the bins."""
    return None if np.ptp(rows.weight) == 0 else rows.weight


def _settings(n_rows: int, seed: int) -> dict[str, Any]:
    """Give the settings of boosting for this many rows.

    Categories stay numbered: declared as categories they would put functools.partial into the stored model, for a gain
    of 0.001 in log loss on IBM telco.
    """
    return {
        "learning_rate": 0.08,
        "max_iter": 100 if n_rows >= _LARGE else 60,
        "max_leaf_nodes": 15 if n_rows >= _LARGE else 6,
        "min_samples_leaf": max(20, n_rows // 1000),
        "l2_regularization": 1.0,
        "max_bins": 127,
        "early_stopping": False,
        "random_state": seed,
    }


def _varying(rows: Rows, features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Keep the features that vary among the training rows."""
    kept = usable(rows.table, features)
    if not kept:
        raise EmptyResultError(
            f"None of the {len(features)} features differs between the {len(rows)} training rows. At least one must. "
            "Check that measures are mapped to the right columns."
        )
    return kept
