"""Candidates and their settings on rows they have not seen, and which setting each candidate goes on with."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from features.errors import EmptyResultError
from models.estimators import Fit
from models.evaluation import Candidate, Known, Predict, Rows, Tick, one_thread, thin_rows
from models.grids import Grid
from models.metrics import mean_difference
from models.segments import sample_of
from models.splits import AnyFold, cluster_column

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["SETTINGS_COLUMNS", "Memory", "as_candidate", "choose_settings", "chosen_setting", "out_of_fold", "settled"]

FloatArray = NDArray[np.float64]

SETTINGS_COLUMNS = ["candidate", "setting", "is_chosen", "is_tried", "loss", "difference", "lo", "hi", "n"]
_PREDICTION_COLUMNS = ["customer_id", "cutoff", "candidate", "setting", "predicted", "observed", "weight", "fold"]


def as_candidate(
    name: str,
    meaning: str,
    features: Sequence[Feature],
    fit: Fit,
    grid: Grid,
    predict: Callable[[Pipeline, pd.DataFrame], FloatArray],
) -> Candidate:
    """Make a candidate of a function that fits pipelines.

    Parameters
    ----------
    name, meaning : str
        As in :class:`models.evaluation.Candidate`.
    features : sequence of Feature
        What it may see.
    fit : callable
        From :mod:`models.estimators` or :mod:`models.amounts`.
    grid : Grid
        Its settings.
    predict : callable
        Pipeline and rows in, predictions out.

    Returns
    -------
    Candidate
    """

    def learn_each(train: Rows, seed: int, labels: Sequence[str]) -> Iterator[Predict]:
        for model in fit(train, features, seed, [grid.named(label) for label in labels]):
            yield partial(_predicted, model, predict)

    def learn(train: Rows, seed: int) -> Predict:
        return next(learn_each(train, seed, [grid.default.label]))

    labels = tuple(setting.label for setting in grid.settings)
    return Candidate(name, meaning, learn, grid=labels, default=grid.default.label, learn_each=learn_each)


class Memory(Protocol):
    """Keeps what was predicted, so that an interrupted search goes on where it was."""

    def get(self, key: str) -> FloatArray | None:
        """Give what was kept under a key, if anything was."""

    def put(self, key: str, predicted: FloatArray) -> None:
        """Keep predictions."""


def out_of_fold(
    known: Known,
    folds: Iterable[AnyFold],
    candidates: Sequence[Candidate],
    *,
    rng: np.random.Generator,
    max_rows: int,
    tick: Tick,
    budget_seconds: float = math.inf,
    memory: Memory | None = None,
) -> pd.DataFrame:
    """Predict each fold's test rows by each candidate, in each of its settings, learned on its training rows.

    Parameters
    ----------
    known : Known
        All rows.
    folds : iterable of Fold or CustomerFold
        Who tests whom.
    candidates : sequence of Candidate
        What is tried.
    rng : numpy.random.Generator
        Which rows are drawn under the cap, and one seed for each fold and candidate.
    max_rows : int
        Training rows of one fit at most.
    tick : callable
        Told of every fit.
    budget_seconds : float
        When it is spent no setting but each candidate's default is begun; a fold may use its share of it. A budget
        that is not spent has no influence on the result.
    memory : Memory, optional
        Asked before and told after each fit.

    Returns
    -------
    DataFrame
        customer_id, cutoff, candidate, setting, predicted, observed, weight, fold, raw, and replica_group where it is
        known; ``predicted`` equals ``raw``. Settings that were not tried in every fold are absent.

    Raises
    ------
    EmptyResultError
        A fold without training or test rows.
    """
    keys, folds = known.keys(), tuple(folds)
    steps, done = len(folds) * sum(len(one.settings) for one in candidates), 0
    open_settings = {one.name: one.settings for one in candidates}
    started = time.monotonic()
    parts: list[pd.DataFrame] = []
    for number, fold in enumerate(folds, start=1):
        train, test, truth = _divided(known, keys, fold, max_rows, rng)
        until = started + budget_seconds * number / len(folds)
        for candidate in candidates:
            settings = open_settings[candidate.name]
            keys_of = {one: f"{fold.label} | {candidate.name} | {one}" for one in settings}
            kept = {one: memory.get(key) for one, key in keys_of.items()} if memory is not None else {}
            missing = [one for one in settings if kept.get(one) is None]
            each = candidate.tries(train, int(rng.integers(2**31)), missing)
            for place, setting in enumerate(settings):
                if place > 0 and time.monotonic() >= until:
                    open_settings[candidate.name] = settings[:place]
                    break
                tick(f"{_called(candidate.name, setting)}, tested on {fold.label}", done, steps)
                raw = kept.get(setting)
                if raw is None:
                    with one_thread():
                        raw = next(each)(test)
                    if memory is not None:
                        memory.put(keys_of[setting], raw)
                parts.append(truth.assign(candidate=candidate.name, setting=setting, predicted=raw, raw=raw))
                done += 1
    found = pd.concat(parts, ignore_index=True)
    complete = pd.MultiIndex.from_tuples([(name, one) for name, some in open_settings.items() for one in some])
    found = found.loc[pd.MultiIndex.from_frame(found[["candidate", "setting"]]).isin(complete)]
    return found[list(dict.fromkeys((*_PREDICTION_COLUMNS, "raw", cluster_column(keys))))].reset_index(drop=True)


def choose_settings(
    predictions: pd.DataFrame,
    candidates: Sequence[Candidate],
    row_loss: Callable[[FloatArray, FloatArray], FloatArray],
) -> pd.DataFrame:
    """Choose the setting of each candidate by its loss out of time.

    Parameters
    ----------
    predictions : DataFrame
        From :func:`out_of_fold`.
    candidates : sequence of Candidate
        Baselines, which have one setting, are left out.
    row_loss : callable
        Observed and predicted in, loss of each row out.

    Returns
    -------
    DataFrame
        candidate, setting, is_chosen, is_tried, loss, difference (of the mean loss from the best setting's), lo, hi (90
        %, by customer), n: one row a setting, the simplest first; numbers are missing where it was not tried.

    Notes
    -----
    The simplest setting whose loss is not shown to be worse than the best one's: the lower end of the paired interval
    of the difference is not above zero. It is the rule of one standard error (Breiman et al. 1984, section 3.4.3) with
    the error of the difference on the same rows in place of that of the loss, which hardly varies with the setting.
    Where data are few, intervals are wide and the simplest wins; with more data the best does.

    References
    ----------
    Breiman, Friedman, Olshen, Stone (1984), Classification and Regression Trees.
    """
    rows = [row for one in candidates if not one.is_baseline for row in _compared(predictions, one, row_loss)]
    return pd.DataFrame(rows, columns=SETTINGS_COLUMNS)


def settled(predictions: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """Keep each candidate's predictions in its chosen setting, and those of baselines; without the column setting."""
    chosen = settings.loc[settings["is_chosen"]].set_index("candidate")["setting"]
    wanted = predictions["candidate"].map(chosen)
    kept = predictions.loc[wanted.isna() | predictions["setting"].eq(wanted)]
    return kept.drop(columns="setting").reset_index(drop=True)


def chosen_setting(settings: pd.DataFrame, candidate: str) -> str:
    """Name the setting that was chosen for a candidate."""
    return str(settings.loc[settings["candidate"].eq(candidate) & settings["is_chosen"], "setting"].iloc[0])


def _predicted(model: Pipeline, predict: Callable[[Pipeline, pd.DataFrame], FloatArray], test: Rows) -> FloatArray:
    """Predict rows from the columns that a model wants."""
    return predict(model, test.table[list(model.feature_names_in_)])


def _divided(
    known: Known, keys: pd.DataFrame, fold: AnyFold, max_rows: int, rng: np.random.Generator
) -> tuple[Rows, Rows, pd.DataFrame]:
    """Rows that train, rows that test, and what is known of the latter."""
    split = fold.split(keys)
    if len(split.train) == 0 or len(split.test) == 0:
        raise EmptyResultError(
            f"Fold '{fold.label}' has {len(split.train)} rows to train on and {len(split.test)} to test on. Both "
            "were expected above zero. Bring more customers or a longer history."
        )
    train, test = known.rows(thin_rows(known, split.train, max_rows, rng)), known.rows(split.test)
    truth = keys.take(split.test).assign(observed=test.observed, weight=known.weight[split.test], fold=fold.label)
    return train, test, truth


def _compared(
    predictions: pd.DataFrame, candidate: Candidate, row_loss: Callable[[FloatArray, FloatArray], FloatArray]
) -> Iterator[tuple[object, ...]]:
    """Compare a candidate's settings, the simplest first."""
    own = dict(tuple(predictions.loc[predictions["candidate"].eq(candidate.name)].groupby("setting", sort=False)))
    samples = {setting: sample_of(part) for setting, part in own.items()}
    losses = {setting: row_loss(one.observed, one.predicted) for setting, one in samples.items()}
    means = {setting: samples[setting].mean(losses[setting]) for setting in samples}
    tried = [setting for setting in (candidate.grid or candidate.settings) if setting in samples]
    best = min(tried, key=lambda setting: means[setting])
    gaps = {one: mean_difference(samples[one], losses[one], losses[best], "loss") for one in tried}
    # A sample of one customer has no interval: then the best one is chosen.
    chosen = next(one for one in tried if one == best or gaps[one].lo <= 0)
    for setting in candidate.grid or candidate.settings:
        if setting in gaps:
            gap = gaps[setting]
            numbers = (means[setting], gap.value, gap.lo, gap.hi, gap.n)
            yield (candidate.name, setting, setting == chosen, True, *numbers)
        else:
            yield (candidate.name, setting, False, False, *(math.nan,) * 4, 0)


def _called(name: str, setting: str) -> str:
    """Name a candidate in a setting."""
    return f"{name} ({setting})" if setting else name
