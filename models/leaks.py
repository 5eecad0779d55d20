"""Features that know too much: by how well they alone tell churners from stayers, by their name, and by time.

A model with such a feature looks perfect on paper and fails on the first night, when the feature is not yet known. They
are left out of models unless the user says that they are known at the cutoff.
"""

from __future__ import annotations

import re
import shlex
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
from models.vanished import Vanished, falls_silent, telltales_vanish

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
        Panel rows with ``is_churned``. Rows without an outcome count only where they lie at the youngest cutoff, later
        than all others: features are compared with what they are there. Without such rows that comparison is left out.
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
    (so that a marital status is not); a journey's name does not count, because its contacts are dated. By time, a
    feature is suspect when its tell-tale values are gone at the youngest cutoff, or when it is missing or constant
    there and had an AUC above 0.65 before: see :mod:`models.vanished`.

    Features that change when later rows are removed are found by :mod:`features.leak_check`.
    """
    rows = _thinned(frame.loc[frame["is_churned"].notna()], max_rows)
    codes = pd.factorize(rows[cluster_column(rows)].astype(str), sort=True)[0].astype(np.int64)
    churned = rows["is_churned"].to_numpy(dtype=np.float64)
    if min(churned.sum(), len(churned) - churned.sum()) < _MIN_CHURNERS:
        return ()
    is_timed = len(rows["cutoff"].unique()) > 1
    checked = [feature for feature in features if not (is_timed and feature.role in {"recency", "volume"})]
    open_rows = _thinned(_youngest(frame, rows["cutoff"].max()), max_rows)
    table, later = inputs(rows, checked), inputs(open_rows, checked)
    cutoff = pd.factorize(rows["cutoff"])[0].astype(np.int64)
    found = []
    for feature in checked:
        bins, open_bins = _bins(table[feature.name], later[feature.name])
        strength, r2 = _alone(bins, churned, codes)
        gone = None
        if len(open_rows) and strength > _SUSPECT_AUC:
            gone = falls_silent(*_numbered(table[feature.name], later[feature.name], cutoff))
        if len(open_rows) and gone is None:
            # By value, and by having one: the values of a field that is rarely filled in are too few for bins.
            sides = ((bins, open_bins), ((bins > 0).astype(np.int64), (open_bins > 0).astype(np.int64)))
            tried = (telltales_vanish(one, churned, codes % 2, cutoff, other) for one, other in sides)
            gone = next((one for one in tried if one is not None), None)
        found.append(_judge(feature, strength, r2, gone))
    return tuple(leak for leak in found if leak is not None)


def _thinned(rows: pd.DataFrame, max_rows: int) -> pd.DataFrame:
    """Keep every k-th customer when there are too many rows."""
    if len(rows) <= max_rows:
        return rows
    codes = pd.factorize(rows[cluster_column(rows)].astype(str), sort=True)[0]
    kept: pd.DataFrame = rows.loc[codes % (len(rows) // max_rows + 1) == 0]
    return kept


def _youngest(frame: pd.DataFrame, matured: object) -> pd.DataFrame:
    """Take the rows of the youngest cutoff, if its outcome is open and all known outcomes lie before it."""
    unknown = frame.loc[frame["is_churned"].isna() & (frame["cutoff"] > matured)]
    found: pd.DataFrame = unknown.loc[unknown["cutoff"] == unknown["cutoff"].max()]
    return found


def _numbered(column: pd.Series, later: pd.Series, cutoff: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Give each value of a feature a number, missing ones included; the cutoffs stand between."""
    codes = pd.factorize(pd.concat([column, later]), use_na_sentinel=False)[0].astype(np.int64)
    return codes[: len(column)], cutoff, codes[len(column) :]


def kept_features(
    features: Sequence[Feature], leaks: Sequence[Leak], allow: frozenset[str] = frozenset()
) -> tuple[Feature, ...]:
    """Leave out suspect features, except those that the user allows by name."""
    dropped = {leak.feature for leak in leaks} - allow
    return tuple(feature for feature in features if feature.name not in dropped)


def _judge(feature: Feature, strength: float, r2: float, gone: Vanished | None) -> Leak | None:
    """Say what is suspect about a feature, or nothing."""
    name = feature.name.removeprefix(f"{feature.journey}__").lower()
    why = []
    if strength > TOO_GOOD_AUC or r2 > TOO_GOOD_R2:
        why.append(
            f"alone tells churners from stayers (AUC {strength:.2f}, R2 {r2:.2f} out of fold; above {TOO_GOOD_AUC} or "
            f"{TOO_GOOD_R2} is too good to be true)"
        )
    elif _OUTCOME_NAME.search(name):
        why.append(f"bears the outcome's name (AUC {strength:.2f})")
    elif _SUSPECT_NAME.search(name) and strength > _SUSPECT_AUC:
        why.append(f"sounds like the outcome and goes along with it (AUC {strength:.2f})")
    if gone is not None:
        why.append(_by_time(gone, strength))
    if not why:
        return None
    advice = (
        f"It is left out of the models. To use it nevertheless: journeylift train --allow {shlex.quote(feature.name)}. "
        "Declare it `known: after` in the study to keep it out everywhere."
    )
    return Leak(feature.name, f"'{feature.name}' {', and '.join(why)}. {advice}", strength, r2)


def _by_time(gone: Vanished, strength: float) -> str:
    """Say how a feature follows the outcome in time."""
    share = f"{gone.now:.1%} of rows, at least {gone.before:.1%} at each cutoff whose outcome is known"
    if gone.what == "telltales":
        told = f"has lost the values of churners at the youngest cutoff ({share}; AUC {strength:.2f} before)"
    else:
        told = f"says nothing at the youngest cutoff ({share} had another value; AUC {strength:.2f} before)"
    return f"{told}: it was filled in after customers left, or its source has ended"


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


def _bins(column: pd.Series, later: pd.Series) -> tuple[IntArray, IntArray]:
    """Give rows, and later ones, the number of their bin: quantiles of numbers, categories of text; missing is bin 0.

    Bins are made from the first; a category that only the later rows have is one bin more.
    """
    if column.dtype == object:
        codes, known = pd.factorize(column)
        found = pd.Index(known).get_indexer(later)
        place = np.where(later.isna(), -1, np.where(found < 0, len(known), found))
        return (codes + 1).astype(np.int64), (place + 1).astype(np.int64)
    values = column.to_numpy(dtype=np.float64)
    present = values[~np.isnan(values)]
    edges = np.unique(np.quantile(present, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(present) else np.empty(0)

    def place_of(values: FloatArray) -> IntArray:
        return np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="left") + 1).astype(np.int64)

    return place_of(values), place_of(later.to_numpy(dtype=np.float64))
