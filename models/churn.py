"""Who will leave within the horizon: three candidates and two baselines, judged on later cutoffs, calibrated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from features.errors import EmptyResultError
from models.calibration import Sigmoid, fit_sigmoid, to_logit
from models.coefficients import coefficients
from models.comparison import compare
from models.estimators import (
    ADDITIVE_MEANING,
    BOOSTING_MEANING,
    LOGISTIC_MEANING,
    Fit,
    calibrated,
    fit_additive,
    fit_boosting,
    fit_logistic,
)
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
from models.grids import Grid, Setting, churn_grids
from models.leaks import Leak, kept_features, leak_warnings
from models.metrics import churn_metrics, row_log_loss
from models.preparation import usable
from models.search import Memory, as_candidate, choose_settings, chosen_setting, out_of_fold, settled
from models.splits import AnyFold, Fold, cluster_column

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["candidates", "churn_coefficients", "evaluate_churn", "fit_churn", "predict_churn"]

FloatArray = NDArray[np.float64]

OUTCOME = "is_churned"

ADDITIVE = "additive boosting"

_FITS: dict[str, Fit] = {"logistic": fit_logistic, "boosting": fit_boosting, ADDITIVE: fit_additive}
_MEANINGS = {"logistic": LOGISTIC_MEANING, "boosting": BOOSTING_MEANING, ADDITIVE: ADDITIVE_MEANING}


def candidates(features: Sequence[Feature], grids: Mapping[str, Grid]) -> tuple[Candidate, ...]:
    """List what is tried for churn.

    Parameters
    ----------
    features : sequence of Feature
        What models may see.
    grids : mapping of str to Grid
        Settings of ``logistic``, ``boosting`` and ``additive boosting``.

    Returns
    -------
    tuple of Candidate
        Those (additive boosting only where there are journeys to add up), and the baselines ``prevalence`` and, where
        recency or volume is known, ``recency-frequency``.
    """
    has_parts = len({feature.journey for feature in features}) > 1
    tried = [
        as_candidate(name, _MEANINGS[name], features, _with_both_classes(fit), grids[name], _risk)
        for name, fit in _FITS.items()
        if has_parts or name != ADDITIVE
    ]
    tried.append(Candidate("prevalence", "The share of churners in training.", _prevalence, is_baseline=True))
    if simple := _recency_frequency(features):
        meaning = f"Logistic regression on {len(simple)} features: how recently and how often."
        default = grids["logistic"].default
        one = as_candidate("recency-frequency", meaning, simple, _FITS["logistic"], Grid((default,), default), _risk)
        tried.append(Candidate(one.name, meaning, _or_prevalence(one.learn, simple), is_baseline=True))
    return tuple(tried)


def evaluate_churn(
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
        Panel rows; immature ones are ignored.
    features : sequence of Feature
        Catalogue of the panel.
    folds : iterable of Fold or CustomerFold
        From :func:`models.splits.plan_folds`.
    rng : numpy.random.Generator
        Decides which customers are drawn under the cap, and the seeds of fits.
    tick : callable, optional
        Told of every fit.
    max_rows : int
        Training rows of one fit at most; test rows are never cut.
    allow : frozenset of str
        Suspect features that the user vouches for.
    leaks : tuple of Leak, optional
        Suspect features, if they have been looked for already.
    budget_seconds : float
        When it is spent, no further setting of a candidate is begun; ``settings`` says which were not tried. A budget
        that is not spent has no influence.
    memory : Memory, optional
        Keeps what was predicted, so that an interrupted search goes on where it was.

    Returns
    -------
    Evaluation
        With the winner by log loss; ``comparisons`` holds what additive boosting costs against free boosting.

    Raises
    ------
    EmptyResultError
        One class only, in all rows, in the training rows of a fold or in the test rows of all folds; no mature rows.

    Notes
    -----
    Each candidate goes on in one of its settings, see :func:`models.search.choose_settings`; where few churned fewer
    are tried, see :mod:`models.grids`. Its risks in a fold are repaired by intercept and slope learned from the folds
    whose outcomes were known by then (the first stays as it is), if that lowers its log loss; where churn drifts with
    the seasons it does not, and the risks stay raw. The stored model is repaired by all folds under the same condition.
    """
    leaks, folds = leak_warnings(frame, features) if leaks is None else leaks, tuple(folds)
    kept = kept_features(features, leaks, allow)
    known = known_rows(frame, kept, OUTCOME)
    _require_both_classes(known.observed, "all mature rows")
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
    _require_both_classes(raw["observed"].to_numpy(np.float64), "the rows that the candidates are tested on")
    loss = ("log loss", row_log_loss)
    with one_thread():  # sums of many numbers depend on how they are divided among threads
        settings = choose_settings(raw, tried, row_log_loss)
        predictions = _repaired(settled(raw, settings), tried, folds)
        found = conclude("churn", predictions, tried, loss=loss, metrics=churn_metrics, known=known, leaks=leaks)
    if ADDITIVE not in {one.name for one in tried}:
        return replace(found, settings=settings)
    return replace(found, settings=settings, comparisons=compare(predictions, ADDITIVE, "boosting"))


def fit_churn(
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
        As in :func:`evaluate_churn`.
    candidate : str
        ``logistic``, ``boosting`` or ``additive boosting``.
    evaluation : Evaluation, optional
        Its features and the setting chosen in it are used, and its out-of-fold predictions calibrate the model. Without
        it suspect features are looked for again, the setting is the default and risks are not repaired.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Steps ``prepare`` and ``model``, scikit-learn classes only; ``feature_names_in_`` are the columns it needs.
        ``predict_proba`` gives calibrated risks.

    Raises
    ------
    EmptyResultError
        One class only.

    Notes
    -----
    The repair ``intercept + slope * logit`` is written into the coefficients of the logistic regression; for boosting
    it is the final estimator of a StackingClassifier with one prefitted member.
    """
    model, _, _ = _fitted(frame, features, candidate, rng, evaluation, max_rows, allow)
    if evaluation is None:
        return model
    with one_thread():
        return calibrated(model, _sigmoid(evaluation.predictions.query("candidate == @candidate")))


def churn_coefficients(
    frame: pd.DataFrame,
    features: Sequence[Feature],
    rng: np.random.Generator,
    *,
    evaluation: Evaluation | None = None,
    max_rows: int = MAX_ROWS,
    allow: frozenset[str] = frozenset(),
) -> pd.DataFrame:
    """List the coefficients of the logistic candidate, fitted on all mature rows, before its risks are repaired.

    Parameters
    ----------
    frame, features, rng, evaluation, max_rows, allow
        As in :func:`fit_churn`.

    Returns
    -------
    DataFrame
        See :func:`models.coefficients.coefficients`; clustered by customer, or by group of near copies.

    Raises
    ------
    EmptyResultError
        One class only.
    """
    return coefficients(*_fitted(frame, features, "logistic", rng, evaluation, max_rows, allow))


def predict_churn(model: Pipeline, frame: pd.DataFrame, features: Sequence[Feature]) -> FloatArray:
    """Predict the risk to leave within the horizon, shape (n,).

    Parameters
    ----------
    model : sklearn.pipeline.Pipeline
        From :func:`fit_churn`, or loaded.
    frame : DataFrame
        Panel rows, mature or not. Categories that were not there in training count as missing in trees, and as rare
        ones in the logistic regression.
    features : sequence of Feature
        Catalogue of the panel.

    Returns
    -------
    ndarray of float
        Between 0 and 1.

    Raises
    ------
    ModelError
        The panel lacks a feature of the model.
    """
    table = model_inputs(list(model.feature_names_in_), frame, features)
    if table.empty:
        return np.zeros(0)
    with one_thread():
        return _risk(model, table)


def _fitted(
    frame: pd.DataFrame,
    features: Sequence[Feature],
    candidate: str,
    rng: np.random.Generator,
    evaluation: Evaluation | None,
    max_rows: int,
    allow: frozenset[str],
) -> tuple[Pipeline, Rows, pd.Series]:
    """Fit a candidate on all mature rows; with the rows that were drawn and whom each is about."""
    if candidate not in _FITS:
        msg = f"candidate must be one of {sorted(_FITS)}, not {candidate!r}"
        raise ValueError(msg)
    kept = kept_features(features, leak_warnings(frame, features), allow) if evaluation is None else evaluation.features
    known = known_rows(frame, kept, OUTCOME)
    _require_both_classes(known.observed, "all mature rows")
    drawn = thin_rows(known, np.arange(len(known)), max_rows, rng)
    train = known.rows(drawn)
    grid = _grids(known, max_rows)[candidate]
    setting = grid.default if evaluation is None else grid.named(chosen_setting(evaluation.settings, candidate))
    with one_thread():
        model = next(_FITS[candidate](train, kept, int(rng.integers(2**31)), [setting]))
    return model, train, known.keys().take(drawn)[cluster_column(frame)]


def _risk(model: Pipeline, table: pd.DataFrame) -> FloatArray:
    """Probability to churn."""
    return np.asarray(model.predict_proba(table)[:, 1], dtype=np.float64)


def _grids(known: Known, max_rows: int) -> dict[str, Grid]:
    """Give settings for as many churners, rows and features as there are."""
    return churn_grids(int(known.observed.sum()), min(len(known), max_rows) * len(known.features))


def _with_both_classes(fit: Fit) -> Fit:
    """Refuse training rows that hold one class before they are fitted."""

    def checked(train: Rows, features: Sequence[Feature], seed: int, settings: Sequence[Setting]) -> Iterator[Pipeline]:
        _require_both_classes(train.observed, "the training rows of a fold")
        yield from fit(train, features, seed, settings)

    return checked


def _prevalence(train: Rows, seed: int) -> Predict:  # noqa: ARG001
    """Predict the share of churners in training for everybody."""
    share = float(train.weight @ train.observed / train.weight.sum())
    return lambda test: np.full(len(test), share)


def _or_prevalence(
    learn: Callable[[Rows, int], Predict], features: Sequence[Feature]
) -> Callable[[Rows, int], Predict]:
    """Fall back on the share of churners in a fold in which nothing was counted yet: a baseline ends no training."""

    def learned(train: Rows, seed: int) -> Predict:
        return learn(train, seed) if usable(train.table, features) else _prevalence(train, seed)

    return learned


def _recency_frequency(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Find what a simple rule would look at: how recently and how often the customer was seen."""
    return tuple(
        feature
        for feature in features
        if feature.role == "recency" or (feature.role == "volume" and feature.level == "customer")
    )


def _repaired(predictions: pd.DataFrame, tried: Sequence[Candidate], folds: Sequence[AnyFold]) -> pd.DataFrame:
    """Repair each candidate's risks in a fold by what the folds known by then showed, where that lowers the loss."""
    teachers = _teachers(folds)
    label, name = predictions["fold"].to_numpy(), predictions["candidate"].to_numpy()
    raw, observed, weight = _columns(predictions)
    predicted = raw.copy()
    for candidate in tried:
        mine = (name == candidate.name) & (not candidate.is_baseline)
        own = mine & np.isin(label, [fold for fold, known in teachers.items() if known])
        repaired = raw.copy()
        for fold in dict.fromkeys(label[own]):
            now, before = own & (label == fold), mine & np.isin(label, teachers[fold])
            repaired[now] = fit_sigmoid(to_logit(raw[before]), observed[before], weight[before]).apply(raw[now])
        gain = row_log_loss(observed[own], raw[own]) - row_log_loss(observed[own], repaired[own])
        if weight[own] @ gain > 0:
            predicted[own] = repaired[own]
    return predictions.assign(predicted=predicted)


def _teachers(folds: Sequence[AnyFold]) -> dict[str, list[str]]:
    """Name for each fold the earlier ones whose outcomes were known at its cutoff; by customer: those before it."""
    found: dict[str, list[str]] = {}
    for number, fold in enumerate(folds):
        earlier = folds[:number]
        if isinstance(fold, Fold):
            earlier = [one for one in earlier if isinstance(one, Fold) and one.test in fold.train]
        found[fold.label] = [one.label for one in earlier]
    return found


def _sigmoid(predictions: pd.DataFrame) -> Sigmoid:
    """Learn the repair of the stored model from all folds, if repairing has helped in them."""
    raw, observed, weight = _columns(predictions)
    if np.array_equal(raw, predictions["predicted"].to_numpy()):
        return Sigmoid(0.0, 1.0)
    return fit_sigmoid(to_logit(raw), observed, weight)


def _columns(predictions: pd.DataFrame) -> tuple[FloatArray, ...]:
    """Return raw risk, outcome and weight."""
    return tuple(predictions[name].to_numpy(dtype=np.float64) for name in ("raw", "observed", "weight"))


def _require_both_classes(observed: FloatArray, where: str) -> None:
    """Refuse rows that hold only churners or only stayers."""
    churners = int(observed.sum())
    if 0 < churners < len(observed):
        return
    who = "no churners" if churners == 0 else "only churners"
    raise EmptyResultError(
        f"There are {who} among {where} ({len(observed):,} rows). Both customers who left and customers who stayed are "
        "needed to learn from. Check the churn table and its dates, or bring a longer history."
    )
