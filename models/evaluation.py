"""What prediction of churn and of revenue have in common: rows, candidates, out-of-fold predictions, the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from features.errors import EmptyResultError, ModelError, closest
from models.leaks import Leak
from models.metrics import Estimate, Sample, mean_difference, reliability
from models.preparation import inputs
from models.segments import by_segment, measure, sample_of, segment_labels, segmenting
from models.splits import cluster_column, cutoff_microseconds

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = [
    "MAX_ROWS",
    "Candidate",
    "Evaluation",
    "Known",
    "Predict",
    "Rows",
    "Tick",
    "conclude",
    "known_rows",
    "model_inputs",
    "one_thread",
    "thin_rows",
    "verdict",
]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
Predict = Callable[["Rows"], FloatArray]

MAX_ROWS = 60_000
"""Training rows of one fit at most. Rows are thinned within customers, none of whom is lost."""


class Tick(Protocol):
    """Told what is going on: a message, how many steps are done, how many there are."""

    def __call__(self, message: str, done: int = 0, total: int = 0, /) -> None:
        """Show or log it."""


def silent(message: str, done: int = 0, total: int = 0, /) -> None:
    """Ignore progress."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows with a known outcome, ready for a model.

    Attributes
    ----------
    table : DataFrame
        Columns of the features, see :func:`models.preparation.inputs`.
    observed, weight : ndarray of float, shape (n,)
        Outcome; weight with mean 1.
    past : ndarray of float, shape (n,)
        Revenue in the observation window; 0 where unknown.
    """

    table: pd.DataFrame
    observed: FloatArray
    weight: FloatArray
    past: FloatArray

    def __len__(self) -> int:
        return len(self.observed)


@dataclass(frozen=True, slots=True)
class Known:
    """The rows of a panel whose outcome is known, by position: the panel itself is not copied.

    Attributes
    ----------
    frame : DataFrame
        The panel.
    position : ndarray of intp, shape (n,)
        Rows of the panel that count.
    observed, weight : ndarray of float, shape (n,)
        Outcome; weight with mean 1.
    features : tuple of Feature
        Columns for models.
    """

    frame: pd.DataFrame
    position: IndexArray
    observed: FloatArray
    weight: FloatArray
    features: tuple[Feature, ...]

    def __len__(self) -> int:
        return len(self.position)

    def keys(self) -> pd.DataFrame:
        """Return customer_id, cutoff and, where it is known, the group of near copies of the rows."""
        names = dict.fromkeys(("customer_id", "cutoff", cluster_column(self.frame)))
        return self.frame[list(names)].take(self.position)

    def rows(self, index: IndexArray) -> Rows:
        """Take some of the rows, by position among them, with the features in the types that models expect."""
        part = self.frame.take(self.position[index])
        weight = self.weight[index]
        past = part["revenue_past"].to_numpy(dtype=np.float64) if "revenue_past" in part else np.zeros(len(part))
        return Rows(inputs(part, self.features), self.observed[index], weight / weight.mean(), np.nan_to_num(past))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to learn a prediction.

    Attributes
    ----------
    name : str
        Short name, as in tables.
    meaning : str
        What it is and with which settings, one sentence.
    learn : callable
        Training rows and a seed in, a function from rows to predictions out.
    is_baseline : bool
        Shown for comparison and never chosen.
    grid : tuple of str
        Its settings, from the simplest to the most flexible; empty for one without a choice.
    default : str
        The setting that is always tried.
    learn_each : callable, optional
        Training rows, a seed and settings in, one function from rows to predictions a setting out, each learned when it
        is asked for.
    """

    name: str
    meaning: str
    learn: Callable[[Rows, int], Predict]
    is_baseline: bool = False
    grid: tuple[str, ...] = ()
    default: str = ""
    learn_each: Callable[[Rows, int, Sequence[str]], Iterator[Predict]] | None = None

    @property
    def settings(self) -> tuple[str, ...]:
        """In the order in which they are tried: the default first."""
        return (self.default, *(one for one in self.grid if one != self.default))

    def tries(self, train: Rows, seed: int, settings: Sequence[str]) -> Iterator[Predict]:
        """Learn in each of some settings."""
        if self.learn_each is None:
            yield self.learn(train, seed)
        else:
            yield from self.learn_each(train, seed, settings)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well candidates predict rows they had not seen.

    Attributes
    ----------
    outcome : str
        ``churn`` or ``revenue``.
    metrics : DataFrame
        outcome, candidate, metric, value, lo, hi, n, fold ('all' or the date of the test cutoff); baselines included.
    predictions : DataFrame
        customer_id, cutoff, candidate, predicted, observed, weight, fold, raw, and replica_group where it is known.
        ``raw`` is what the candidate said; ``predicted`` may be repaired by the folds before, as the stored model then
        is by all folds.
    reliability : DataFrame
        candidate, bin, predicted, observed, lo, hi, n.
    segments : DataFrame
        As metrics, over all test cutoffs, with a column segment: "all" and "covariate = level".
    winner : str
        The candidate with the lowest loss out of fold.
    beats_baseline : bool
        The 90 % interval of its gain over the best baseline lies above zero.
    sentence : str
        The verdict for people.
    features : tuple of Feature
        What the candidates saw: without suspect features.
    leaks : tuple of Leak
        Suspect features found, allowed ones included.
    settings : DataFrame
        Every setting of every candidate: see :func:`models.search.choose_settings`.
    comparisons : DataFrame
        What restrictions cost: see :func:`models.comparison.compare`.
    """

    outcome: str
    metrics: pd.DataFrame
    predictions: pd.DataFrame
    reliability: pd.DataFrame
    segments: pd.DataFrame
    winner: str
    beats_baseline: bool
    sentence: str
    features: tuple[Feature, ...]
    leaks: tuple[Leak, ...]
    settings: pd.DataFrame = field(default_factory=pd.DataFrame)
    comparisons: pd.DataFrame = field(default_factory=pd.DataFrame)


def known_rows(frame: pd.DataFrame, features: Sequence[Feature], outcome: str) -> Known:
    """Find the rows whose outcome is known and whose weight is above zero.

    Parameters
    ----------
    frame : DataFrame
        Panel rows: customer_id, cutoff, the outcome, optionally weight (default 1), is_mature and revenue_past.
    features : sequence of Feature
        Columns for the models.
    outcome : str
        Name of the outcome column.

    Returns
    -------
    Known
        In the order of the frame.

    Raises
    ------
    EmptyResultError
        No such row, or no feature.
    """
    observed = frame[outcome].to_numpy(dtype=np.float64, na_value=np.nan)
    weight = frame["weight"].to_numpy(dtype=np.float64) if "weight" in frame else np.ones(len(frame))
    counts = ~np.isnan(observed) & (weight > 0)
    if "is_mature" in frame:
        counts &= frame["is_mature"].to_numpy(dtype=bool)
    position = np.flatnonzero(counts)
    if len(position) == 0 or not features:
        raise EmptyResultError(
            f"{len(position)} rows have a known '{outcome}' and {len(features)} features are usable. Both were "
            "expected above zero. Bring a history longer than the horizon, and measures known before the outcome."
        )
    weight = weight[position]
    return Known(frame, position, observed[position], weight / weight.mean(), tuple(features))


def thin_rows(known: Known, index: IndexArray, max_rows: int, rng: np.random.Generator) -> IndexArray:
    """Draw rows at random, without replacement, down to a cap.

    Parameters
    ----------
    known : Known
        All rows.
    index : ndarray of intp
        Rows to draw from.
    max_rows : int
        Cap; with no more rows than that all are taken.
    rng : numpy.random.Generator
        Which rows: decided in the order of (customer, cutoff), so that the order of the panel has no influence.

    Returns
    -------
    ndarray of intp
        Part of ``index``, in its order.

    Notes
    -----
    Neighbouring cutoffs of one customer are nearly the same row and share their outcome. Leaving out rows keeps most
    customers and churners; leaving out customers would lose them in proportion.
    """
    if len(index) <= max_rows:
        return index
    keys = known.keys().take(index)
    customer = pd.factorize(keys["customer_id"], sort=True)[0]
    order = np.lexsort((cutoff_microseconds(keys), customer))
    return np.sort(index[order[rng.choice(len(index), max_rows, replace=False)]])


def segments_of(known: Known) -> pd.DataFrame:
    """Say to which segments the known rows belong: customer_id, cutoff, and a column for each covariate."""
    covariates = segmenting(known.features)
    names = ["customer_id", "cutoff", *(feature.name for feature in covariates)]
    rows = known.frame[names].take(known.position).reset_index(drop=True)
    return pd.concat([rows[names[:2]], segment_labels(rows, covariates, known.weight)], axis=1)


def conclude(
    outcome: str,
    predictions: pd.DataFrame,
    candidates: Sequence[Candidate],
    *,
    loss: tuple[str, Callable[[FloatArray, FloatArray], FloatArray]],
    metrics: Callable[[Sample], tuple[Estimate, ...]],
    known: Known,
    leaks: tuple[Leak, ...],
) -> Evaluation:
    """Measure, draw reliability and choose: from out-of-fold predictions to an evaluation; `loss` decides."""
    winner, gain, sentence = verdict(predictions, candidates, loss[1], loss[0])
    by_candidate = predictions.groupby("candidate", sort=False)
    curves = [reliability(sample_of(part), candidate=str(name)) for name, part in by_candidate]
    return Evaluation(
        outcome=outcome,
        metrics=measure(predictions, outcome, metrics),
        predictions=predictions,
        reliability=pd.concat(curves, ignore_index=True),
        segments=by_segment(predictions, segments_of(known), outcome, metrics),
        winner=winner,
        beats_baseline=gain.hi < 0,
        sentence=sentence,
        features=known.features,
        leaks=leaks,
    )


def verdict(
    predictions: pd.DataFrame,
    candidates: Sequence[Candidate],
    row_loss: Callable[[FloatArray, FloatArray], FloatArray],
    loss_name: str,
) -> tuple[str, Estimate, str]:
    """Choose the candidate with the lowest mean loss and compare it with the best baseline on the same rows.

    Returns
    -------
    tuple of str, Estimate, str
        The winner; the mean of (its loss - the baseline's loss), clustered by customer; a sentence for people.
    """
    samples = {str(name): sample_of(part) for name, part in predictions.groupby("candidate", sort=False)}
    losses = {name: row_loss(sample.observed, sample.predicted) for name, sample in samples.items()}
    means = {name: samples[name].mean(losses[name]) for name in samples}
    winner = min((one.name for one in candidates if not one.is_baseline), key=lambda name: means[name])
    baseline = min((one.name for one in candidates if one.is_baseline), key=lambda name: means[name])
    gain = mean_difference(samples[winner], losses[winner], losses[baseline], loss_name)
    against = f"the best baseline ({baseline})"
    verb = (
        f"beats {against}"
        if gain.hi < 0
        else f"is worse than {against}"
        if gain.lo > 0
        else f"cannot be told from {against}"
    )
    sentence = (
        f"{winner} {verb}: {loss_name} {means[winner]:.4g} against {means[baseline]:.4g} on rows not learned from "
        f"(difference {gain.value:+.3g}, 90 % interval {gain.lo:+.3g} to {gain.hi:+.3g}, n = {gain.n:,})."
    )
    return winner, replace(gain, metric=f"{loss_name}: {winner} - {baseline}"), sentence


def model_inputs(model_columns: Sequence[str], frame: pd.DataFrame, features: Sequence[Feature]) -> pd.DataFrame:
    """Take the columns a stored model was learned on, typed.

    Raises
    ------
    ModelError
        The frame or the catalogue lacks one of them.
    """
    known = {feature.name: feature for feature in features if feature.name in frame}
    absent = [name for name in model_columns if name not in known]
    if absent:
        raise ModelError(
            f"The model was learned on {len(absent)} features that the panel does not have, such as '{absent[0]}'."
            f"{closest(absent[0], known)} Model and panel must come from the same study. Train again."
        )
    return inputs(frame, [known[name] for name in model_columns])


def one_thread() -> AbstractContextManager[object]:
    """Fit and predict on one thread.

    OpenMP threads that wait for each other spin: on two busy cores boosting on 120,000 rows took 47 s with two threads
    and 7 s with one.
    """
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits
