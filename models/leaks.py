"""Features that know too much: those that alone tell churners from stayers, and those that bear the outcome's name.

A model with such a feature looks perfect on paper and fails on the first night, when the feature is not yet known. They
are left out of models unless the user says that they are known at the cutoff.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.estimates import Sample
from models.preparation import inputs
from models.ranking import Ranking, auc
from models.splits import cluster_column

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["Leak", "kept_features", "leak_warnings"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TOO_GOOD_AUC = 0.9
TOO_GOOD_R2 = 0.5
_SUSPECT_AUC = 0.65
_BINS = 30
_MIN_CHURNERS = 10
_OUTCOME_NAME = re.compile(r"churn|attrit|defect(?:ed|ion)")
_SUSPECT_NAME = re.compile(
    r"cancel|status|terminat|closed|clos(?:ing|ure)|(?<![a-z])leav(?:e|ing)|(?<![a-z])left|exit|reason|lapsed|inactive"
)


@dataclass(frozen=True, slots=True)
class Leak:
    """A feature that is probably known only after the outcome.

    Attributes
    ----------
    feature : str
        Name of the column.
    reason : str
        Why it is suspect and what to do, for people.
    auc : float
        How well it alone ranks churners above stayers, out of fold (0.5: not at all).
    r2 : float
        Share of the outcome's variance that it alone explains, out of fold.
    """

    feature: str
    reason: str
    auc: float
    r2: float


def leak_warnings(frame: pd.DataFrame, features: Sequence[Feature], *, max_rows: int = 40_000) -> tuple[Leak, ...]:
    """Find features that are too good to be known at the cutoff.

    Parameters
    ----------
    frame : DataFrame
        Panel rows with ``is_churned``; immature rows are ignored.
    features : sequence of Feature
        What to check. In a panel with several cutoffs, recency and volume are taken from dated events before the cutoff
        and are not suspected: under a rule of inactivity they may rightly be this good.
    max_rows : int
        Every k-th customer is used when there are more rows.

    Returns
    -------
    tuple of Leak
        In the order of ``features``; empty with fewer than 10 churners or 10 stayers.

    Notes
    -----
    Each feature is cut into up to 30 bins (missing is one; categories are their own bins), scored by the mean outcome
    of its bin among the other half of the customers, and suspect when that score has an AUC above 0.9 or an R2 above
    0.5. A name like "churn" is suspect by itself, one like "cancel", "status" or "reason" when its AUC is above 0.65
    (so that a marital status is not); a journey's name does not count, because its contacts are dated.
    """
    rows = frame.loc[frame["is_churned"].notna()]
    codes = pd.factorize(rows[cluster_column(rows)].astype(str), sort=True)[0]
    if len(rows) > max_rows:
        keep = codes % (len(rows) // max_rows + 1) == 0
        rows, codes = rows.loc[keep], pd.factorize(codes[keep], sort=True)[0]
    churned = rows["is_churned"].to_numpy(dtype=np.float64)
    if min(churned.sum(), len(churned) - churned.sum()) < _MIN_CHURNERS:
        return ()
    is_timed = len(rows["cutoff"].unique()) > 1
    checked = [feature for feature in features if not (is_timed and feature.role in {"recency", "volume"})]
    table = inputs(rows, checked)
    found = (_judge(feature, *_alone(_bins(table[feature.name]), churned, codes)) for feature in checked)
    return tuple(leak for leak in found if leak is not None)


def kept_features(
    features: Sequence[Feature], leaks: Sequence[Leak], allow: frozenset[str] = frozenset()
) -> tuple[Feature, ...]:
    """Leave out suspect features, except those that the user allows by name."""
    dropped = {leak.feature for leak in leaks} - allow
    return tuple(feature for feature in features if feature.name not in dropped)


def _judge(feature: Feature, strength: float, r2: float) -> Leak | None:
    """Say what is suspect about a feature, or nothing."""
    name = feature.name.removeprefix(f"{feature.journey}__").lower()
    if strength > TOO_GOOD_AUC or r2 > TOO_GOOD_R2:
        why = (
            f"alone tells churners from stayers (AUC {strength:.2f}, R2 {r2:.2f} out of fold; above {TOO_GOOD_AUC} or "
            f"{TOO_GOOD_R2} is too good to be true)"
        )
    elif _OUTCOME_NAME.search(name):
        why = f"bears the outcome's name (AUC {strength:.2f})"
    elif _SUSPECT_NAME.search(name) and strength > _SUSPECT_AUC:
        why = f"sounds like the outcome and goes along with it (AUC {strength:.2f})"
    else:
        return None
    advice = "It is left out of the models. Declare it `known: after` in the study to keep it out everywhere."
    return Leak(feature.name, f"'{feature.name}' {why}. {advice}", strength, r2)


def _alone(bins: IntArray, churned: FloatArray, codes: IntArray) -> tuple[float, float]:
    """AUC and R2 of the mean outcome of a row's bin among the other half of the customers."""
    half = codes % 2
    score = np.empty(len(churned))
    for side in (0, 1):
        other = half != side
        base = churned[other].mean()
        n = np.bincount(bins[other], minlength=bins.max() + 1)
        total = np.bincount(bins[other], churned[other], minlength=bins.max() + 1)
        score[~other] = ((total + base) / (n + 1))[bins[~other]]
    if len(np.unique(churned)) < 2 or np.ptp(score) == 0:
        return 0.5, 0.0
    sample = Sample.of(churned, score, codes, np.ones(len(churned)))
    variance = churned.var()
    return auc(Ranking.of(sample)).value, float(1 - np.mean((churned - score) ** 2) / variance)


def _bins(column: pd.Series) -> IntArray:
    """Give each row the number of its bin: quantiles of numbers, the categories of text; missing is bin 0."""
    if column.dtype == object:
        return np.asarray(pd.factorize(column)[0] + 1, dtype=np.int64)
    values = column.to_numpy(dtype=np.float64)
    present = values[~np.isnan(values)]
    if len(present) == 0:
        return np.zeros(len(values), dtype=np.int64)
    edges = np.unique(np.quantile(present, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="left") + 1).astype(np.int64)
