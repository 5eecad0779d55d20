"""Why this customer: the experiences that lift a prediction most above what a typical customer would get.

A reason is about one measure of one journey (all its features together) or one fact about the customer. For linear
models contributions are exact and add up; for boosting a group's features are set to the typical values, one group at a
time, and the fall of the prediction is its contribution (such falls do not add up where groups interact). Reasons
describe the model, not causes: what would change churn is the business of `models.effects`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.ensemble import StackingClassifier
from sklearn.pipeline import Pipeline

from models.evaluation import model_inputs, one_thread
from models.preparation import columns_of

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["Contributions", "contributions", "reasons"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LEAST = 0.01
"""On the logit: contributions below one per cent of the odds are not worth a sentence."""

_PROBE_ROWS = 500
_LATEST = {"last": "latest", "final": "at the end", "decayed": "lately", "recent": "lately"}
_UNSAID = {"since", "total", "value"}


@dataclass(frozen=True, slots=True)
class Contributions:
    """What each group of features adds to each prediction, against a typical customer.

    Attributes
    ----------
    amounts : ndarray of float, shape (rows, groups)
        On the logit for risks, in currency for amounts.
    member : ndarray of int64, shape (rows, groups)
        Position in ``features`` of the feature that speaks for the group in that row.
    features : tuple of Feature
        Features of the model.
    table : DataFrame
        Their values.
    typical : dict of str to object
        Median of the present values, or the commonest category.
    """

    amounts: FloatArray
    member: IntArray
    features: tuple[Feature, ...]
    table: pd.DataFrame
    typical: dict[str, object]


def reasons(
    model: Pipeline,
    frame: pd.DataFrame,
    features: Sequence[Feature],
    top: int = 3,
    *,
    reference: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Say for every customer what lifts the prediction most.

    Parameters
    ----------
    model : sklearn.pipeline.Pipeline
        From :func:`models.churn.fit_churn` or :func:`models.revenue.fit_revenue`, or loaded.
    frame : DataFrame
        Panel rows to explain.
    features : sequence of Feature
        Catalogue of the panel.
    top : int
        Reasons a row.
    reference : DataFrame, optional
        Rows that say what is typical; the explained rows themselves by default.

    Returns
    -------
    DataFrame
        ``reason_1`` to ``reason_{top}``, index of the frame; empty text where nothing more lifts the prediction.
        A reason reads ``support: wait mean 14 min (typical 6)``.

    Raises
    ------
    ModelError
        The panel lacks a feature of the model.
    """
    found = contributions(model, frame, features, reference=reference)
    rank = np.argsort(-found.amounts, axis=1, kind="stable")[:, :top]
    least = _LEAST if is_classifier(model) else 0.0
    texts = np.full((len(frame), top), "", dtype=object)
    for place in range(rank.shape[1]):
        group = rank[:, place]
        rows = np.flatnonzero(found.amounts[np.arange(len(frame)), group] > least)
        texts[rows, place] = _texts(found, rows, found.member[rows, group[rows]])
    return pd.DataFrame(texts, columns=[f"reason_{i + 1}" for i in range(top)], index=frame.index, dtype="str")


def contributions(
    model: Pipeline, frame: pd.DataFrame, features: Sequence[Feature], *, reference: pd.DataFrame | None = None
) -> Contributions:
    """Compute what each group of features adds; parameters as in :func:`reasons`.

    Returns
    -------
    Contributions
        For a linear model the rows of ``amounts`` add up to the prediction's distance from the mean prediction of the
        reference (on the logit for risks).
    """
    columns = list(model.feature_names_in_)
    by_name = {feature.name: feature for feature in features}
    table = model_inputs(columns, frame, features)
    typical_table = table if reference is None else model_inputs(columns, reference, features)
    used = tuple(by_name[name] for name in columns)
    groups = _groups(used)
    with one_thread():
        if hasattr(model["model"], "coef_"):
            values, member = _linear(model, table, typical_table, groups)
        else:
            values, member = _replaced(model, table, typical_table, groups, used)
    return Contributions(values, member, used, table, {name: _typical(typical_table[name]) for name in columns})


def _groups(features: Sequence[Feature]) -> tuple[IntArray, ...]:
    """Group features of one journey and measure; a fact about the customer is its own group."""
    keys = [(one.journey, one.measure) if one.journey else (None, one.name) for one in features]
    numbers = pd.factorize(pd.Series(keys, dtype=object))[0]
    return tuple(np.flatnonzero(numbers == number) for number in range(numbers.max() + 1))


def _linear(
    model: Pipeline, table: pd.DataFrame, typical: pd.DataFrame, groups: Sequence[IntArray]
) -> tuple[FloatArray, IntArray]:
    """Coefficient times distance from the mean, summed over the columns of each feature, then of each group."""
    prepare, coefficients = model["prepare"], np.ravel(model["model"].coef_)
    position = {name: i for i, name in enumerate(table.columns)}
    owner = np.array([position[name] for name in columns_of(prepare)])
    collect = np.zeros((len(owner), len(position)))
    collect[np.arange(len(owner)), owner] = coefficients
    matrix = prepare.transform(table)
    centre = matrix.mean(axis=0) if typical is table else prepare.transform(typical).mean(axis=0)
    by_feature = (matrix - centre) @ collect
    values = np.column_stack([by_feature[:, group].sum(axis=1) for group in groups])
    member = np.column_stack([group[by_feature[:, group].argmax(axis=1)] for group in groups])
    return values, member


def _replaced(
    model: Pipeline,
    table: pd.DataFrame,
    typical: pd.DataFrame,
    groups: Sequence[IntArray],
    features: Sequence[Feature],
) -> tuple[FloatArray, IntArray]:
    """Fall of the prediction when one group's features take their typical values."""
    prepare, score = model["prepare"], _score(model["model"])
    order = [list(table.columns).index(name) for name in columns_of(prepare)]
    to_matrix = np.argsort(order)
    matrix = np.asarray(prepare.transform(table), dtype=np.float64)
    against = matrix if typical is table else np.asarray(prepare.transform(typical), dtype=np.float64)
    centre, spread = _centre(against, [features[i].kind == "category" for i in order])
    base = score(matrix)
    values = np.zeros((len(matrix), len(groups)))
    member = np.zeros((len(matrix), len(groups)), dtype=np.int64)
    worse = np.array([{"lower": 1.0, "higher": -1.0}.get(feature.direction, 0.0) for feature in features])
    for number, group in enumerate(groups):
        at = to_matrix[group]
        distance = (matrix[:, at] - centre[at]) / spread[at]
        lean = np.where(worse[group] == 0, np.abs(distance), distance * worse[group])
        member[:, number] = group[np.where(np.isnan(lean), -np.inf, lean).argmax(axis=1)]
        both_missing = np.isnan(matrix[:, at]) & np.isnan(centre[at])
        rows = np.flatnonzero(((matrix[:, at] != centre[at]) & ~both_missing).any(axis=1))
        probe = rows[:: max(1, len(rows) // _PROBE_ROWS)]
        if len(rows) and _fall(score, matrix, probe, at, centre, base).any():
            values[rows, number] = _fall(score, matrix, rows, at, centre, base)
    return values, member


def _fall(
    score: Callable[[FloatArray], FloatArray],
    matrix: FloatArray,
    rows: NDArray[np.intp],
    at: IntArray,
    centre: FloatArray,
    base: FloatArray,
) -> FloatArray:
    """Prediction as it is minus prediction with some columns at their typical values."""
    moved = matrix[rows]
    moved[:, at] = centre[at]
    return base[rows] - score(moved)


def _score(fitted: Any) -> Callable[[FloatArray], FloatArray]:
    """Give the function whose falls are measured: the repaired logit of a classifier, or the predicted amount."""
    if isinstance(fitted, StackingClassifier):
        inner, slope = fitted.estimators_[0], float(fitted.final_estimator_.coef_[0, 0])
        return lambda matrix: slope * inner.decision_function(matrix)
    predict = fitted.decision_function if is_classifier(fitted) else fitted.predict
    return lambda matrix: np.asarray(predict(matrix), dtype=np.float64)


def _centre(matrix: FloatArray, is_category: Sequence[bool]) -> tuple[FloatArray, FloatArray]:
    """Typical value of each column (missing where most are missing, the mode of categories) and its spread."""
    centre, spread = np.full(matrix.shape[1], np.nan), np.ones(matrix.shape[1])
    for i, column in enumerate(matrix.T):
        present = column[~np.isnan(column)]
        if len(present) < len(column) / 2 or len(present) == 0:
            continue
        if is_category[i]:
            values, counts = np.unique(present, return_counts=True)
            centre[i] = values[counts.argmax()]
        else:
            low, centre[i], high = np.quantile(present, [0.1, 0.5, 0.9], method="nearest")
            spread[i] = (high - low) or present.std() or 1.0
    return centre, spread


def _typical(column: pd.Series) -> object:
    """Median of the numbers or commonest category; None when all are missing."""
    present = column.dropna()
    if present.empty:
        return None
    return str(present.mode().iloc[0]) if column.dtype == object else float(present.median())


def _texts(found: Contributions, rows: NDArray[np.intp], member: IntArray) -> NDArray[np.object_]:
    """Write the reasons of some rows, feature by feature."""
    texts = np.full(len(rows), "", dtype=object)
    for position in np.unique(member):
        feature = found.features[position]
        here = np.flatnonzero(member == position)
        values = found.table[feature.name].to_numpy()[rows[here]]
        texts[here] = _sentences(feature, values, found.typical[feature.name])
    return texts


def _sentences(feature: Feature, values: NDArray[Any], typical: object) -> list[str]:
    """Write one feature's values: ``support: wait mean 14 min (typical 6)``."""
    label = _label(feature)
    if typical is None:
        return [f"{label}: nothing recorded"] * len(values)
    if feature.kind == "category":
        return [f"{label} {'unknown' if pd.isna(value) else value} (most: {typical})" for value in values]
    usual = _number(float(str(typical)), feature.unit)
    unit = "" if feature.unit in {"", "share"} or feature.unit in label else f" {feature.unit}"
    return [
        f"{label} not recorded (typical {usual}{unit})"
        if np.isnan(value)
        else f"{label} {_number(value, feature.unit)}{unit} (typical {usual})"
        for value in values
    ]


def _label(feature: Feature) -> str:
    """Name a feature for people: ``support: wait mean``; without the unit, which stands behind the value."""
    parts = feature.name.split("__")
    where = [part for part in (feature.journey, feature.touchpoint) if part]
    words = [part for part in parts if part not in {*where, "customer"}] or parts[-1:]
    suffix = f"_{'_'.join(feature.unit.lower().split())}"
    what = feature.measure or words[0].removesuffix("_count").removesuffix(suffix).removesuffix("_days")
    statistic = words[-1] if len(words) > 1 else ""
    spoken = "" if statistic in _UNSAID else _LATEST.get(statistic, statistic)
    text = " ".join(f"{what} {spoken}".replace("_", " ").split())
    return f"{', '.join(where)}: {text}" if where else text


def _number(value: float, unit: str) -> str:
    """Write a number shortly; shares in per cent."""
    if unit == "share":
        return f"{100 * value:.0f} %"
    size = abs(value)
    return f"{value:,.0f}" if size >= 10 or value == round(value) else f"{value:.1f}" if size >= 1 else f"{value:.2g}"
