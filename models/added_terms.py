"""The same later rows predicted with and without some features, and with every model that does without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import EmptyResultError
from models.churn import candidates
from models.estimates import Sample
from models.evaluation import Candidate, Known, Tick, one_thread, silent, thin_rows
from models.grids import churn_grids
from models.metrics import row_log_loss
from models.search import out_of_fold
from models.splits import AnyFold, cluster_column, cutoff_microseconds, grouped

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["FEWEST", "Rivals", "in_order", "rivals", "too_few"]

FloatArray = NDArray[np.float64]

FEWEST = 10
"""Churners, and stayers, needed among the rows that train a fold and among all tested rows."""

_PARTS = 3
"""Parts of the training customers; one is held back."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """Tested rows, predicted by one model with the added features and by every model without them.

    Attributes
    ----------
    joined : Sample
        Outcomes and the risks with the added features.
    without : mapping of str to ndarray of float, shape (n,)
        Risks of the same rows by each candidate and setting without them, such as ``logistic (C = 0.03)``.
    chosen : tuple of str
        For each fold the candidate and setting with the added features.
    """

    joined: Sample
    without: dict[str, FloatArray]
    chosen: tuple[str, ...]

    @property
    def best(self) -> str:
        """The model without the added features that has the lowest log loss; of equals the first."""
        losses = {name: self.joined.mean(self.loss(name)) for name in self.without}
        return min(losses, key=lambda name: losses[name])

    @property
    def best_sample(self) -> Sample:
        """The rows as that model predicts them."""
        return replace(self.joined, predicted=self.without[self.best])

    def loss(self, name: str | None = None) -> FloatArray:
        """Log loss of each row by a model without the added features, or with them if none is named."""
        return row_log_loss(self.joined.observed, self.joined.predicted if name is None else self.without[name])


def rivals(
    known: Known,
    without: Sequence[Feature],
    every: Sequence[Feature],
    plan: Sequence[AnyFold],
    rng: np.random.Generator,
    tick: Tick = silent,
    *,
    families: Sequence[str] | None,
    added_families: Sequence[str] | None,
    max_rows: int,
) -> Rivals:
    """Predict every fold's test rows with and without some features, learned from the same rows.

    Parameters
    ----------
    known : Known
        Rows with all features, in an order of their own, see :func:`in_order`.
    without, every : sequence of Feature
        Fewer and all features.
    plan : sequence of Fold or CustomerFold
        Who tests whom.
    rng : numpy.random.Generator
        Decides who is held back, which rows are drawn under the cap, and the seeds of fits.
    tick : callable, optional
        Told of every fold.
    families, added_families : sequence of str or None
        Candidates for churn to try without, and with, the added features; None tries all.
    max_rows : int
        Training rows of one fit at most.

    Returns
    -------
    Rivals

    Raises
    ------
    ValueError
        No such candidate.

    Notes
    -----
    Without the added features every candidate is fitted in every setting. With them it is the one that has the lowest
    log loss on a third of the fold's training customers held back; tested rows take no part in that choice.
    """
    grids = churn_grids(int(known.observed.sum()), min(len(known), max_rows) * len(every))
    fewer, more = _named(candidates(without, grids), families), _named(candidates(every, grids), added_families)
    keys = known.keys()
    index, joined, chosen = [], [], []
    found: dict[str, list[FloatArray]] = {}
    for number, fold in enumerate(plan):
        tick(f"with and without added features, tested on {fold.label}", number, len(plan))
        split, seed = fold.split(keys), int(rng.integers(2**31))
        draw = np.random.default_rng(seed)
        raw = out_of_fold(known, [fold], tuple(fewer.values()), rng=draw, max_rows=max_rows, tick=silent)
        for label, part in raw.groupby(raw["candidate"] + " (" + raw["setting"] + ")", sort=False):
            found.setdefault(str(label), []).append(part["predicted"].to_numpy(np.float64))
        name, setting = _best(_part(known, split.train), tuple(more.values()), rng, max_rows)
        train = known.rows(thin_rows(known, split.train, max_rows, np.random.default_rng(seed)))  # the rows of `raw`
        with one_thread():
            joined.append(next(more[name].tries(train, seed, [setting]))(known.rows(split.test)))
        index.append(split.test)
        chosen.append(f"{fold.label}: {name} ({setting})")
    rows = np.concatenate(index)
    customers = keys[cluster_column(keys)].take(rows)
    sample = Sample.of(known.observed[rows], np.concatenate(joined), customers, known.weight[rows])
    return Rivals(sample, {name: np.concatenate(some) for name, some in found.items()}, tuple(chosen))


def in_order(known: Known) -> Known:
    """Sort rows by customer and cutoff, so that their order in the frame has no influence; the frame is not copied."""
    keys = known.keys()
    order = np.lexsort((cutoff_microseconds(keys), pd.factorize(keys["customer_id"].astype(str), sort=True)[0]))
    return _part(known, order)


def too_few(known: Known, plan: Sequence[AnyFold]) -> str:
    """Say which rows hold too few churners or stayers to compare anything; empty where there are enough.

    Raises
    ------
    EmptyResultError
        A fold without training rows, or no tested rows.
    """
    keys = known.keys()
    splits = [fold.split(keys) for fold in plan]
    tested = np.concatenate([split.test for split in splits])
    parts = [("tested rows", tested), *(("training rows of a fold", split.train) for split in splits)]
    for where, index in parts:
        if len(index) == 0:
            raise EmptyResultError(
                f"There are no {where}. Rows to train on and later rows to test on were expected. Bring more customers "
                "or a longer history."
            )
        churners = int(known.observed[index].sum())
        if min(churners, len(index) - churners) < FEWEST:
            found = f"{churners:,} churners and {len(index) - churners:,} stayers"
            return f"{found} among the {where}; at least {FEWEST} of each are needed"
    return ""


def _named(tried: Sequence[Candidate], families: Sequence[str] | None) -> dict[str, Candidate]:
    """Keep the candidates that are wanted, by name; baselines are left out."""
    found = {one.name: one for one in tried if not one.is_baseline and (families is None or one.name in families)}
    if not found:
        raise ValueError(
            f"families is {families!r}. At least one candidate for churn was expected, such as 'logistic'."
        )
    return found


def _best(known: Known, tried: Sequence[Candidate], rng: np.random.Generator, max_rows: int) -> tuple[str, str]:
    """Choose a candidate and its setting by log loss on customers held back from the training rows."""
    held_back = grouped(known.keys(), _PARTS, rng)[:1]
    raw = out_of_fold(known, held_back, tried, rng=rng, max_rows=max_rows, tick=silent)
    observed, predicted, weight = (raw[name].to_numpy(np.float64) for name in ("observed", "predicted", "weight"))
    losses = raw.assign(loss=weight * row_log_loss(observed, predicted))
    totals = losses.groupby(["candidate", "setting"], sort=False, as_index=False)["loss"].sum()
    name, setting = totals.loc[totals["loss"].idxmin(), ["candidate", "setting"]]
    return str(name), str(setting)


def _part(known: Known, index: NDArray[np.intp]) -> Known:
    """Keep some of the rows."""
    weight = known.weight[index]
    return replace(known, position=known.position[index], observed=known.observed[index], weight=weight / weight.mean())
