"""How much will be paid within the horizon: ridge and boosting beside last period's revenue and the mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from models.estimators import AMOUNT_MEANING, RIDGE_MEANING, Fit, fit_amount_boosting, fit_ridge
from models.evaluation import (
    MAX_ROWS,
    Candidate,
    Evaluation,
    Predict,
    Rows,
    Tick,
    conclude,
    known_rows,
    model_inputs,
    one_thread,
    out_of_fold,
    silent,
    thin_rows,
)
from models.leaks import Leak, kept_features, leak_warnings
from models.metrics import revenue_metrics
from models.splits import AnyFold

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["candidates", "evaluate_revenue", "fit_revenue", "predict_revenue"]

FloatArray = NDArray[np.float64]

OUTCOME = "revenue"

_FITS: dict[str, Fit] = {"ridge": fit_ridge, "boosting": fit_amount_boosting}


def candidates(features: Sequence[Feature]) -> tuple[Candidate, ...]:
    """List what is tried for revenue.

    Parameters
    ----------
    features : sequence of Feature
        What models may see.

    Returns
    -------
    tuple of Candidate
        ``ridge``, ``boosting`` and the baselines ``mean`` and ``last period``.
    """
    return (
        Candidate("ridge", RIDGE_MEANING, _learner(features, fit_ridge)),
        Candidate("boosting", AMOUNT_MEANING, _learner(features, fit_amount_boosting)),
        Candidate("mean", "The mean revenue in training.", _mean, is_baseline=True),
        Candidate("last period", "Revenue in the window times one factor.", _last_period, is_baseline=True),
    )


def evaluate_revenue(
    frame: pd.DataFrame,
    features: Sequence[Feature],
    folds: Iterable[AnyFold],
    rng: np.random.Generator,
    tick: Tick = silent,
    *,
    max_rows: int = MAX_ROWS,
    allow: frozenset[str] = frozenset(),
    leaks: tuple[Leak, ...] | None = None,
) -> Evaluation:
    """Judge the candidates on cutoffs later than those they learned from.

    Parameters
    ----------
    frame : DataFrame
        Panel rows with ``revenue`` and, for a baseline, ``revenue_past``; amounts may be negative.
    features, folds, rng, tick, max_rows, allow, leaks
        As in :func:`models.churn.evaluate_churn`. What leaks churn is left out here too.

    Returns
    -------
    Evaluation
        With the winner by squared error, the loss whose best answer is the mean, because amounts are added up.

    Raises
    ------
    EmptyResultError
        No row with a known revenue.
    """
    if leaks is None:
        leaks = leak_warnings(frame, features) if "is_churned" in frame else ()
    kept = kept_features(features, leaks, allow)
    known = known_rows(frame, kept, OUTCOME)
    tried = candidates(kept)
    predictions = out_of_fold(known, folds, tried, rng=rng, max_rows=max_rows, tick=tick)
    loss = ("mean squared error", _squared_error)
    return conclude(OUTCOME, predictions, tried, loss=loss, metrics=revenue_metrics, known=known, leaks=leaks)


def fit_revenue(
    frame: pd.DataFrame,
    features: Sequence[Feature],
    candidate: str,
    rng: np.random.Generator,
    *,
    evaluation: Evaluation | None = None,
    max_rows: int = MAX_ROWS,
    allow: frozenset[str] = frozenset(),
) -> Pipeline:
    """Learn the model that is stored, on all mature rows.

    Parameters
    ----------
    frame, features, rng, max_rows, allow
        As in :func:`evaluate_revenue`.
    candidate : str
        ``ridge`` or ``boosting``.
    evaluation : Evaluation, optional
        Its features are used; without it suspect features are looked for again.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Steps ``prepare`` and ``model``, scikit-learn classes only; ``predict`` gives the expected amount.

    Raises
    ------
    EmptyResultError
        No row with a known revenue.
    """
    if candidate not in _FITS:
        msg = f"candidate must be one of {sorted(_FITS)}, not {candidate!r}"
        raise ValueError(msg)
    kept = features
    if evaluation is not None:
        kept = evaluation.features
    elif "is_churned" in frame:
        kept = kept_features(features, leak_warnings(frame, features), allow)
    known = known_rows(frame, kept, OUTCOME)
    train = known.rows(thin_rows(known, np.arange(len(known)), max_rows, rng))
    with one_thread():
        return _FITS[candidate](train, kept, int(rng.integers(2**31)))


def predict_revenue(model: Pipeline, frame: pd.DataFrame, features: Sequence[Feature]) -> FloatArray:
    """Predict the amount paid within the horizon, shape (n,), in the study's currency.

    Parameters
    ----------
    model : sklearn.pipeline.Pipeline
        From :func:`fit_revenue`, or loaded.
    frame : DataFrame
        Panel rows, mature or not.
    features : sequence of Feature
        Catalogue of the panel.

    Returns
    -------
    ndarray of float
        Of any sign.

    Raises
    ------
    ModelError
        The panel lacks a feature of the model.
    """
    table = model_inputs(list(model.feature_names_in_), frame, features)
    if table.empty:
        return np.zeros(0)
    with one_thread():
        return np.asarray(model.predict(table), dtype=np.float64)


def _learner(features: Sequence[Feature], fit: Fit) -> Callable[[Rows, int], Predict]:
    """Make what a candidate does of a function that fits a pipeline."""

    def learn(train: Rows, seed: int) -> Predict:
        model = fit(train, features, seed)
        return lambda test: np.asarray(model.predict(test.table[list(model.feature_names_in_)]), dtype=np.float64)

    return learn


def _mean(train: Rows, seed: int) -> Predict:  # noqa: ARG001
    """Predict the mean of training for everybody."""
    mean = float(train.weight @ train.observed / train.weight.sum())
    return lambda test: np.full(len(test), mean)


def _last_period(train: Rows, seed: int) -> Predict:
    """Predict revenue in the window times the factor that fits the training total."""
    past = float(train.weight @ train.past)
    if past == 0:
        return _mean(train, seed)
    factor = float(train.weight @ train.observed) / past
    return lambda test: factor * test.past


def _squared_error(observed: FloatArray, predicted: FloatArray) -> FloatArray:
    """Squared error of each row."""
    return (observed - predicted) ** 2
