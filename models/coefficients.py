"""The coefficients of the logistic candidate, with standard errors that know that rows of one customer are alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from models.estimates import LEVEL
from models.evaluation import Rows, one_thread
from models.preparation import columns_of

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

__all__ = ["coefficients", "column_labels", "penalised_covariance"]

FloatArray = NDArray[np.float64]

_WORDS = {"bent": "", "spline": ": curve", "plain": ": unbent", "log": ": logarithm", "missing": ": missing"}
_FAR = 0.1
"""Standard errors that a solver may leave to the solution: Newton's leaves about 0.01, other rows are several away."""

COLUMNS = ["feature", "column", "coefficient", "standard_error", "lo", "hi", "odds_ratio"]


def coefficients(model: Pipeline, rows: Rows, customer: ArrayLike) -> pd.DataFrame:
    """List what a logistic regression has learned, with its uncertainty.

    For reading how the model predicts. Not for effects: coefficients of features that go together share out what they
    say in common, and nothing here is held fixed in the order of the journey (see :mod:`models.effects`).

    Parameters
    ----------
    model : sklearn.pipeline.Pipeline
        From :func:`models.estimators.fit_logistic`, before its risks are repaired.
    rows : Rows
        The rows it was fitted on.
    customer : array_like, shape (n,)
        Customer (or group of near copies) of each row.

    Returns
    -------
    DataFrame
        feature, column (what was made of the feature: ``wait``, ``wait: missing``, ``tenure: curve 2``, ``plan =
        basic``), coefficient (change of the log odds a unit of the column; numbers are standardised, then arcsinh),
        standard_error, lo, hi (90 %), odds_ratio (``exp(coefficient)``). The intercept is the first row, with an empty
        feature.

    Raises
    ------
    ValueError
        The model is not a logistic regression, or ``rows`` are not those it was fitted on: its penalised score is not
        zero there.

    Notes
    -----
    See :func:`penalised_covariance`. A penalised coefficient is biased towards zero on purpose: the interval is one for
    what this penalty would give with all customers of the kind, not for the coefficient without a penalty.
    """
    fitted = model["model"]
    if not hasattr(fitted, "C") or not hasattr(fitted, "coef_"):
        msg = f"the model is a {type(fitted).__name__}; coefficients are listed for a LogisticRegression"
        raise ValueError(msg)
    prepare = model["prepare"]
    with one_thread():
        matrix = np.asarray(prepare.transform(rows.table[list(model.feature_names_in_)]), dtype=np.float64)
        covariance = penalised_covariance(fitted, matrix, rows.observed, rows.weight, customer)
    value = np.concatenate([fitted.intercept_, fitted.coef_[0]])
    error = np.sqrt(np.diag(covariance))
    half = float(norm.ppf(0.5 + LEVEL / 2)) * error
    columns: Sequence[ArrayLike] = (
        ["", *columns_of(prepare)],
        ["(intercept)", *column_labels(prepare)],
        value,
        error,
        value - half,
        value + half,
        np.exp(value),
    )
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def penalised_covariance(
    fitted: LogisticRegression, matrix: FloatArray, observed: FloatArray, weight: FloatArray, customer: ArrayLike
) -> FloatArray:
    r"""Compute the clustered covariance of an l2-penalised logistic regression.

    Parameters
    ----------
    fitted : LogisticRegression
        With intercept, which is not penalised.
    matrix : ndarray of float, shape (n, p)
        What it was fitted on.
    observed, weight : ndarray of float, shape (n,)
        Outcome 0 or 1; row weights as in the fit.
    customer : array_like, shape (n,)
        Cluster of each row.

    Returns
    -------
    ndarray of float, shape (p + 1, p + 1)
        The intercept first; NaN with one cluster.

    Raises
    ------
    ValueError
        The penalised score is far from zero: other rows, or coefficients changed after the fit.

    Notes
    -----
    The estimate solves :math:`\sum_i w_i x_i (y_i - p_i) - \Lambda b = 0` with :math:`\Lambda = diag(0, 1/C, ...)`. As
    for every such estimator the covariance is :math:`A^{-1} B A^{-1}`, :math:`A = \sum_i w_i p_i (1 - p_i) x_i x_i' +
    \Lambda`, and :math:`B` the sum over customers of the outer product of their summed scores, times :math:`G / (G - 1)
    \cdot (n - 1) / (n - k)` as statsmodels does it, with k the effective number of parameters, :math:`tr A^{-1} (A -
    \Lambda)`. Without penalty it is statsmodels' ``cov_type="cluster"``. Few
    customers (below about 50) make it too small.

    References
    ----------
    Liang, Zeger (1986), doi:10.1093/biomet/73.1.13. Fu (2003), doi:10.1111/1541-0420.00015 (penalised estimating
    equations; there with a bridge penalty).
    """
    # Half a second that whoever only scores does without.
    import statsmodels.api as sm  # noqa: PLC0415
    from statsmodels.stats.sandwich_covariance import S_crosssection  # noqa: PLC0415

    design = np.column_stack([np.ones(len(matrix)), matrix])
    value = np.concatenate([fitted.intercept_, fitted.coef_[0]])
    penalty = np.full(len(value), 1 / fitted.C)
    penalty[0] = 0.0
    glm = sm.GLM(observed, design, family=sm.families.Binomial(), var_weights=weight)
    score = np.asarray(glm.score_obs(value, scale=1.0), dtype=np.float64)
    bread = -np.asarray(glm.hessian(value, scale=1.0, observed=False), dtype=np.float64) + np.diag(penalty)
    _require_solution(score.sum(axis=0) - penalty * value, bread)
    group = pd.factorize(np.asarray(customer))[0]
    groups, n = int(group.max()) + 1, len(design)
    if groups < 2:
        return np.full((len(value), len(value)), np.nan)
    used = len(value) - float(np.trace(np.linalg.solve(bread, np.diag(penalty))))
    meat = np.asarray(S_crosssection(score, group), dtype=np.float64)
    meat *= groups / (groups - 1) * (n - 1) / max(n - used, 1.0)
    half = np.linalg.solve(bread, meat)
    return np.asarray(np.linalg.solve(bread, half.T), dtype=np.float64)


def column_labels(preparation: ColumnTransformer) -> tuple[str, ...]:
    """Say in words what each column of a fitted linear preparation is."""
    labels: list[str] = []
    for block, step, columns in preparation.transformers_:
        if block == "remainder":
            continue
        if block == "text":
            labels += step[-1].get_feature_names_out([f"{name} = " for name in columns]).tolist()
            continue
        slots = preparation.output_indices_[block]
        width = (slots.stop - slots.start) // len(columns)
        labels += [
            f"{name}{_WORDS[block]}{f' {number}' if width > 1 else ''}"
            for name in columns
            for number in range(1, width + 1)
        ]
    return tuple(label.replace(" = _", " = ") for label in labels)


def _require_solution(score: FloatArray, bread: FloatArray) -> None:
    """Refuse coefficients from which a Newton step moves some combination of them by much of its standard error."""
    away = float(np.sqrt(score @ np.linalg.solve(bread, score)))
    if away > _FAR:
        msg = f"the coefficients do not fit these rows: {away:.2g} standard errors away. Give the rows of the fit"
        raise ValueError(msg)
