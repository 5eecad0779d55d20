"""How good predictions are over all rows, at each test cutoff, and within groups of customers.

A model that is right on average may be wrong for a region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.metrics import Estimate, Sample, metrics_frame
from models.preparation import MISSING
from models.splits import cluster_column

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["MAX_LEVELS", "MIN_SHARE", "OTHER", "by_segment", "measure", "sample_of", "segment_labels", "segmenting"]

FloatArray = NDArray[np.float64]
Metrics = Callable[[Sample], tuple[Estimate, ...]]

MAX_LEVELS = 12
"""Levels of a covariate that are told apart at most."""

MIN_SHARE = 0.01
"""Share of the weight that a level needs to be told apart."""

OTHER = "other"
"""The segment of all further levels."""

_TENURE = "tenure_days"
_YEAR = 365
_BANDS = {"below 90 days": 90, "90 days to 1 year": _YEAR, "1 to 2 years": 2 * _YEAR, "2 to 5 years": 5 * _YEAR}
_LONGEST = "5 years and more"


def sample_of(predictions: pd.DataFrame) -> Sample:
    """Make a sample of the predictions of one candidate; near copies count as one customer."""
    return Sample.of(*(predictions[name] for name in ("observed", "predicted", cluster_column(predictions), "weight")))


def measure(predictions: pd.DataFrame, outcome: str, metrics: Metrics) -> pd.DataFrame:
    """Measure every candidate over all folds, and in each fold when there are several test cutoffs."""
    by_candidate = predictions.groupby("candidate", sort=False)
    tables = [
        metrics_frame(metrics(sample_of(part)), outcome=outcome, candidate=str(name)) for name, part in by_candidate
    ]
    if len(predictions["cutoff"].unique()) > 1:
        by_fold = predictions.groupby(["candidate", "fold"], sort=False)
        for (name, fold), part in by_fold:
            found = metrics(sample_of(part))
            tables.append(metrics_frame(found, outcome=outcome, candidate=str(name), fold=str(fold)))
    return pd.concat(tables, ignore_index=True)


def segmenting(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Keep the features that make segments: categories that are covariates, and tenure.

    Journeys and ratings do not: they are what models look at, not whom they are about.
    """
    return tuple(
        feature
        for feature in features
        if feature.name == _TENURE or (feature.role == "covariate" and feature.kind == "category")
    )


def segment_labels(frame: pd.DataFrame, features: Sequence[Feature], weight: FloatArray) -> pd.DataFrame:
    """Say to which segments each row belongs.

    Parameters
    ----------
    frame : DataFrame
        Panel rows.
    features : sequence of Feature
        Columns that make segments, see :func:`segmenting`.
    weight : ndarray of float, shape (n,)
        Row weights.

    Returns
    -------
    DataFrame
        One column of text for each feature with at least two segments, index as given.

    Notes
    -----
    At most 12 levels of a category with at least 1 % of the weight each are told apart, the largest first, of equal
    ones the first by name; the rest is ``other``, with a level that bears that name. Being missing is a level. Tenure
    is cut into bands.
    """
    labels = {
        feature.name: _banded(frame[feature.name])
        if feature.kind == "number"
        else _lumped(frame[feature.name].astype(object).map(str, na_action="ignore").fillna(MISSING), weight)
        for feature in features
    }
    several = {name: column for name, column in labels.items() if len(column.unique()) > 1}
    return pd.DataFrame(several, index=frame.index)


def by_segment(predictions: pd.DataFrame, labels: pd.DataFrame, outcome: str, metrics: Metrics) -> pd.DataFrame:
    """Measure every candidate within every segment, over all test cutoffs.

    Parameters
    ----------
    predictions : DataFrame
        customer_id, cutoff, candidate, predicted, observed, weight and, where known, replica_group.
    labels : DataFrame
        customer_id, cutoff and one column of text for each covariate, see :func:`segment_labels`; one row for a
        customer and cutoff. A prediction without labels is in no segment but ``all``.
    outcome : str
        Name for the first column.
    metrics : callable
        From a sample to estimates.

    Returns
    -------
    DataFrame
        outcome, candidate, metric, value, lo, hi, n, fold ("all"), segment: "all", then "covariate = level" by level.
        Metrics that a segment does not define are NaN: ranking in a segment without churners.

    Notes
    -----
    Many segments are many comparisons: of ten 90 % intervals one is expected to miss. Segments of one covariate are
    disjoint, those of two are not.
    """
    keys = ["customer_id", "cutoff"]
    index = pd.MultiIndex.from_frame(labels[keys])
    tables = []
    for candidate, part in predictions.groupby("candidate", sort=False):
        place = index.get_indexer(pd.MultiIndex.from_frame(part[keys]))
        for segment, inside in _segments(labels.drop(columns=keys).take(place[place >= 0]), place >= 0):
            found = metrics_frame(metrics(sample_of(part.loc[inside])), outcome=outcome, candidate=str(candidate))
            tables.append(found.assign(segment=segment))
    return pd.concat(tables, ignore_index=True)


def _segments(labels: pd.DataFrame, has_labels: NDArray[np.bool_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Name each segment and mark its rows."""
    yield "all", np.ones(len(has_labels), dtype=np.bool_)
    for name in labels:
        column = labels[name].to_numpy()
        for level in _ordered(set(column)):
            inside = has_labels.copy()
            inside[has_labels] = column == level
            yield f"{name} = {level}", inside


def _lumped(text: pd.Series, weight: FloatArray) -> pd.Series:
    """Keep the largest levels and call all others so."""
    share = pd.Series(weight / weight.sum()).groupby(text.to_numpy()).sum()
    ranked = share.sort_index().round(12).sort_values(ascending=False, kind="stable")
    kept = ranked.index[ranked >= MIN_SHARE][:MAX_LEVELS]
    return text.where(text.isin(kept), OTHER)


def _banded(days: pd.Series) -> pd.Series:
    """Cut tenure into bands."""
    values = days.to_numpy(dtype=np.float64, na_value=np.nan)
    names = np.array([*_BANDS, _LONGEST, MISSING], dtype=object)
    band = np.searchsorted(list(_BANDS.values()), values, side="right")
    return pd.Series(names[np.where(np.isnan(values), len(names) - 1, band)], index=days.index)


def _ordered(levels: set[str]) -> list[str]:
    """List levels: bands of tenure by length, others by name, the rest and the missing last."""
    order = {name: number for number, name in enumerate((*_BANDS, _LONGEST))}
    last = {OTHER: 1, MISSING: 2}
    return sorted(levels, key=lambda name: (last.get(name, 0), order.get(name, -1), name))
