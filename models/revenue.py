"""How much will be paid within the horizon: four candidates beside last period's revenue and the mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from models.amounts import TWEEDIE_MEANING, TWO_PART_MEANING, fit_tweedie, fit_two_part
from models.estimators import AMOUNT_MEANING, RIDGE_MEANING, Fit, fit_amount_boosting, fit_ridge
from models.evaluation import (
    MAX_ROWS,
    Candidate,
    Evaluation,
    Known,
    Predict,
    Rows,
    Tick,
    conclude,
    known_rows,
    model_inputs,
    one_thread,
    silent,
    thin_rows,
)
from models.feature_parts import FeatureParts
from models.grids import Grid, revenue_grids
from models.leaks import Leak, kept_features, leak_warnings
from models.metrics import revenue_metrics
from models.preparation import tree_matrix
from models.search import Memory, as_candidate, choose_settings, chosen_setting, out_of_fold, settled
from models.splits import AnyFold
from models.tree_walk import Forest

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["amount_predictor", "candidates", "evaluate_revenue", "fit_revenue", "predict_revenue"]

FloatArray = NDArray[np.float64]

OUTCOME = "revenue"

_FITS: dict[str, Fit] = {
    "ridge": fit_ridge,
    "Tweedie": fit_tweedie,
    "two-part": fit_two_part,
    "boosting": fit_amount_boosting,
}
_MEANINGS = {
    "ridge": RIDGE_MEANING,
    "Tweedie": TWEEDIE_MEANING,
    "two-part": TWO_PART_MEANING,
    "boosting": AMOUNT_MEANING,
}


def candidates(features: Sequence[Feature], grids: Mapping[str, Grid]) -> tuple[Candidate, ...]:
    """List what is tried for revenue.

    Parameters
    ----------
    features : sequence of Feature
        What models may see.
    grids : mapping of str to Grid
        Settings of the candidates that suit the amounts.

    Returns
    -------
    tuple of Candidate
        Of ``ridge``, ``Tweedie`` (where no amount is negative), ``two-part`` and ``boosting`` those that have a grid,
        and the baselines ``mean`` and ``last period``.
    """
    return (
        *(
            as_candidate(name, _MEANINGS[name], features, fit, grids[name], _amount)
            for name, fit in _FITS.items()
            if name in grids
        ),
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
    budget_seconds: float = math.inf,
    memory: Memory | None = None,
) -> Evaluation:
    """Judge the candidates on cutoffs later than those they learned from.

    Parameters
    ----------
    frame : DataFrame
        Panel rows with ``revenue`` and, for a baseline, ``revenue_past``; amounts may be negative.
    features, folds, rng, tick, max_rows, allow, leaks, budget_seconds, memory
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
    tried = candidates(kept, _grids(known, max_rows))
    raw = out_of_fold(
        known,
        folds,
        tried,
        rng=rng,
        max_rows=max_rows,
        tick=tick,
        budget_seconds=budget_seconds,
        memory=memory,
    )
    loss = ("mean squared error", _squared_error)
    with one_thread():  # sums of many numbers depend on how they are divided among threads
        settings = choose_settings(raw, tried, _squared_error)
        predictions = settled(raw, settings)
        found = conclude(OUTCOME, predictions, tried, loss=loss, metrics=revenue_metrics, known=known, leaks=leaks)
    return replace(found, settings=settings)


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
        ``ridge``, ``Tweedie``, ``two-part`` or ``boosting``.
    evaluation : Evaluation, optional
        Its features and the setting chosen in it are used; without it suspect features are looked for again, and the
        setting is the default.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Steps ``prepare`` and ``model``, scikit-learn classes only; ``predict`` gives the expected amount.

    Raises
    ------
    EmptyResultError
        No row with a known revenue.
    ValueError
        An unknown candidate, or ``Tweedie`` where amounts are negative.
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
    grids = _grids(known, max_rows)
    if candidate not in grids:
        msg = f"candidate {candidate!r} does not take amounts below zero: choose one of {sorted(grids)}"
        raise ValueError(msg)
    grid = grids[candidate]
    setting = grid.default if evaluation is None else grid.named(chosen_setting(evaluation.settings, candidate))
    train = known.rows(thin_rows(known, np.arange(len(known)), max_rows, rng))
    with one_thread():
        return next(_FITS[candidate](train, kept, int(rng.integers(2**31)), [setting]))


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
        return _amount(model, table)


def amount_predictor(model: Pipeline) -> Callable[[pd.DataFrame], FloatArray]:
    """Make the quick form of :func:`predict_revenue`, for many calls with some rows each.

    Parameters
    ----------
    model : sklearn.pipeline.Pipeline
        From :func:`fit_revenue`, or loaded.

    Returns
    -------
    callable
        Takes what :func:`models.evaluation.model_inputs` gives and predicts as ``model.predict`` does: to the last bit
        for boosting, within 1e-12 of an amount for ridge. Of the other forms it is ``model.predict`` itself.
    """
    prepare, fitted = model["prepare"], model["model"]
    if isinstance(fitted, HistGradientBoostingRegressor) and fitted.loss == "squared_error":
        forest = Forest.of(fitted)
        return lambda table: forest.predict(tree_matrix(prepare, table))
    parts = FeatureParts.of(model) if isinstance(fitted, Ridge) else None
    if parts is not None:
        return lambda table: parts.start + parts.amounts(table).sum(axis=1)
    return lambda table: _amount(model, table)


def _amount(model: Pipeline, table: pd.DataFrame) -> FloatArray:
    """Predict the expected amount."""
    return np.asarray(model.predict(table), dtype=np.float64)


def _grids(known: Known, max_rows: int) -> dict[str, Grid]:
    """Give settings of the candidates that suit the amounts, for as many rows and features as there are."""
    rows = min(len(known), max_rows)
    grids = revenue_grids(int((known.observed != 0).sum()), rows, rows * len(known.features))
    if (known.observed < 0).any():
        del grids["Tweedie"]
    return grids


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
