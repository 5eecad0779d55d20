"""The estimators behind the candidates, with their settings in one place.

A fit takes training rows and gives a scikit-learn Pipeline of two steps, ``prepare`` and ``model``, without any class
of ours, so that it can be stored with skops and loaded where this code is not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, StackingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from features.errors import EmptyResultError
from models.additive import first_trees, interaction_groups
from models.calibration import Sigmoid
from models.evaluation import Rows
from models.grids import Setting
from models.preparation import columns_of, linear_preparation, tree_preparation, usable

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = [
    "ADDITIVE_MEANING",
    "AMOUNT_MEANING",
    "BOOSTING_MEANING",
    "LOGISTIC_MEANING",
    "RIDGE_MEANING",
    "Fit",
    "calibrated",
    "fit_additive",
    "fit_amount_boosting",
    "fit_boosting",
    "fit_logistic",
    "fit_ridge",
    "varying",
]

FloatArray = NDArray[np.float64]
Fit = Callable[[Rows, "Sequence[Feature]", int, Sequence[Setting]], Iterator[Pipeline]]
"""Training rows, features, a seed and settings in, one fitted pipeline a setting out."""

_SPLINE_CHURNERS = 500
_SPLINE_ROWS = 5_000
_WORSE = {"lower": 1, "higher": -1}

LOGISTIC_MEANING = (
    "Logistic regression with l2 penalty on standardised, arcsinh-bent features with flags for missing values; splines "
    f"for tenure, recency, context and covariates from {_SPLINE_CHURNERS} churners on."
)
BOOSTING_MEANING = (
    "Histogram gradient boosting, no early stopping; experience can act on churn only in its stated direction."
)
ADDITIVE_MEANING = (
    "The same boosting, each tree on the features of one journey, or on facts about the customer: its risks are a sum "
    "over journeys."
)
RIDGE_MEANING = "Ridge regression on the same columns and the unbent numbers."
AMOUNT_MEANING = "Histogram gradient boosting on squared error; no early stopping."


def fit_logistic(rows: Rows, features: Sequence[Feature], seed: int, settings: Sequence[Setting]) -> Iterator[Pipeline]:  # noqa: ARG001
    """Fit a penalised logistic regression in each of some settings; needs both classes.

    Parameters
    ----------
    rows : Rows
        Training rows whose ``observed`` is 0 or 1.
    features : sequence of Feature
        Columns to use; those that do not vary are left out of the model.
    seed : int
        Not used: the fit is deterministic.
    settings : sequence of Setting
        From :mod:`models.grids`.

    Yields
    ------
    Pipeline
        Fitted when it is asked for, one a setting; ``feature_names_in_`` are the columns used.
    """
    kept = varying(rows, features)
    table = rows.table[[feature.name for feature in kept]]
    prepare = linear_preparation(table, kept, with_splines=bool(rows.observed.sum() >= _SPLINE_CHURNERS))
    matrix = prepare.fit_transform(table)
    for setting in settings:
        # With L-BFGS at its usual tolerance single coefficients were 3.5 standard errors from the solution.
        model = LogisticRegression(**setting.params, solver="newton-cholesky")
        model.fit(matrix, rows.observed.astype(np.int64), sample_weight=rows.weight)
        yield Pipeline([("prepare", prepare), ("model", model)])


def fit_boosting(rows: Rows, features: Sequence[Feature], seed: int, settings: Sequence[Setting]) -> Iterator[Pipeline]:
    """Fit boosted trees in which worse experience never lowers the risk; parameters as in :func:`fit_logistic`."""
    yield from _boosted(rows, features, seed, settings, is_additive=False)


def fit_additive(rows: Rows, features: Sequence[Feature], seed: int, settings: Sequence[Setting]) -> Iterator[Pipeline]:
    """Fit boosted trees each of which keeps to one journey, see :mod:`models.additive`; as :func:`fit_boosting`."""
    yield from _boosted(rows, features, seed, settings, is_additive=True)


def fit_ridge(rows: Rows, features: Sequence[Feature], seed: int, settings: Sequence[Setting]) -> Iterator[Pipeline]:  # noqa: ARG001
    """Fit a ridge regression of an amount of any sign; parameters as in :func:`fit_logistic`."""
    kept = varying(rows, features)
    table = rows.table[[feature.name for feature in kept]]
    prepare = linear_preparation(table, kept, with_splines=len(rows) >= _SPLINE_ROWS, with_amounts=True)
    matrix = prepare.fit_transform(table)
    for setting in settings:
        model = Ridge(**setting.params).fit(matrix, rows.observed, sample_weight=rows.weight)
        yield Pipeline([("prepare", prepare), ("model", model)])


def fit_amount_boosting(
    rows: Rows, features: Sequence[Feature], seed: int, settings: Sequence[Setting]
) -> Iterator[Pipeline]:
    """Fit boosted trees to an amount by squared error, whose optimum is the mean; as :func:`fit_logistic`."""
    prepare, matrix, _ = _tree_matrix(rows, varying(rows, features))
    for model in _each_number(
        lambda params: HistGradientBoostingRegressor(
            **_tree_settings(seed), **params, min_samples_leaf=max(20, len(rows) // 1000)
        ).fit(matrix, rows.observed, sample_weight=_tree_weight(rows)),
        settings,
    ):
        yield Pipeline([("prepare", prepare), ("model", model)])


def calibrated(model: Pipeline, sigmoid: Sigmoid) -> Pipeline:
    """Build the repair of risks into a fitted pipeline.

    Parameters
    ----------
    model : Pipeline
        Of churn; not changed for boosting, changed in place for logistic.
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


def _boosted(
    rows: Rows, features: Sequence[Feature], seed: int, settings: Sequence[Setting], *, is_additive: bool
) -> Iterator[Pipeline]:
    """Fit boosted trees for churn."""
    prepare, matrix, ordered = _tree_matrix(rows, varying(rows, features))
    outcome, weight = rows.observed.astype(np.int64), _tree_weight(rows)
    signs = [
        _WORSE.get(one.direction, 0) if one.role == "experience" and one.kind == "number" else 0 for one in ordered
    ]
    for model in _each_number(
        lambda params: HistGradientBoostingClassifier(
            **_tree_settings(seed),
            **params,
            min_samples_leaf=max(20, len(rows) // 200),
            monotonic_cst=signs,
            interaction_cst=interaction_groups(ordered) if is_additive else None,
        ).fit(matrix, outcome, sample_weight=weight),
        settings,
    ):
        yield Pipeline([("prepare", prepare), ("model", model)])


def _each_number(fit: Callable[[Mapping[str, Any]], Any], settings: Sequence[Setting]) -> Iterator[Any]:
    """Fit each setting; one with fewer trees than the fit before, all else equal, is the beginning of that fit."""
    before: Any = None
    for setting in settings:
        others = {name: value for name, value in setting.params.items() if name != "max_iter"}
        number = setting.params["max_iter"]
        if before is not None and before.max_iter >= number and others.items() <= before.get_params().items():
            yield first_trees(before, number)
        else:
            before = fit(setting.params)
            yield before


def _tree_settings(seed: int) -> dict[str, Any]:
    """Give what all boosting has in common.

    Categories stay numbered: declared as categories they would put functools.partial into the stored model, for a gain
    of 0.001 in log loss on IBM telco.
    """
    return {"l2_regularization": 1.0, "max_bins": 127, "early_stopping": False, "random_state": seed}


def varying(rows: Rows, features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Keep the features that vary among the training rows; refuse when none does."""
    kept = usable(rows.table, features)
    if not kept:
        raise EmptyResultError(
            f"None of the {len(features)} features differs between the {len(rows)} training rows. At least one must. "
            "Check that measures are mapped to the right columns."
        )
    return kept
