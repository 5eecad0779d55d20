"""Why this customer: the experiences that lift a prediction most above what a typical customer would get.

A reason is about one measure of one journey (all its features together) or one fact about the customer. For linear
models contributions are exact and add up; for boosting a group's features are set to the typical values, one group at a
time, and the fall of the prediction is its contribution (such falls do not add up where groups interact; groups that
are among the three largest for none of about 500 customers, evenly drawn, are not looked at for the others). Reasons
describe the model, not causes: what would change churn is the business of `models.effects`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.ensemble import StackingClassifier
from sklearn.pipeline import Pipeline

from features.definitions import unit_suffix
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
_PROBE_PLACES = 3
_WORKERS = 2
_BLOCK = 500
_LATEST = {"last": "latest", "final": "at the end", "decayed": "lately", "recent": "lately", "burden": "remembered sum"}
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
    names = [f"reason_{i + 1}" for i in range(top)]
    if frame.empty:
        return pd.DataFrame(columns=names, index=frame.index, dtype="str")
    found = contributions(model, frame, features, reference=reference)
    rank = np.argsort(-found.amounts, axis=1, kind="stable")[:, :top]
    least = _LEAST if is_classifier(model) else 0.0
    texts = np.full((len(frame), top), "", dtype=object)
    for place in range(rank.shape[1]):
        group = rank[:, place]
        rows = np.flatnonzero(found.amounts[np.arange(len(frame)), group] > least)
        texts[rows, place] = _texts(found, rows, found.member[rows, group[rows]])
    return pd.DataFrame(texts, columns=names, index=frame.index, dtype="str")


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
    others = table if reference is None else model_inputs(columns, reference, features)
    used = tuple(by_name[name] for name in columns)
    groups = _groups(used)
    typical = {name: _typical(others[name]) for name in columns}
    lean = _lean(table, others, used, typical)
    if hasattr(model["model"], "coef_"):
        by_feature = _linear(model, table, others)
        amounts = np.column_stack([by_feature[:, group].sum(axis=1) for group in groups])
        lean = np.where(lean > 0, by_feature, np.minimum(lean, 0.0))
    else:
        amounts = _replaced(model, table, others, groups, used)
    member = np.column_stack([_speaker(lean[:, group], group, used) for group in groups])
    return Contributions(amounts, member, used, table, typical)


def _groups(features: Sequence[Feature]) -> tuple[IntArray, ...]:
    """Group features of one journey and measure; a fact about the customer is its own group."""
    keys = [(one.journey, one.measure) if one.journey else (None, one.name) for one in features]
    numbers = pd.factorize(pd.Series(keys, dtype=object))[0]
    return tuple(np.flatnonzero(numbers == number) for number in range(numbers.max() + 1))


def _lean(
    table: pd.DataFrame, others: pd.DataFrame, features: Sequence[Feature], typical: dict[str, object]
) -> FloatArray:
    """How far each value lies on the worse side of what is typical, in spreads; either side without a direction."""
    lean = np.full(table.shape, -np.inf)
    for i, feature in enumerate(features):
        middle, column = typical[feature.name], table[feature.name]
        if feature.kind == "category":
            lean[:, i] = (column != middle).to_numpy(dtype=np.float64)
        elif middle is not None:
            low, high = np.nanquantile(others[feature.name].to_numpy(), [0.1, 0.9])
            distance = (column.to_numpy() - float(str(middle))) / ((high - low) or 1.0)
            away = {"lower": distance, "higher": -distance}.get(feature.direction, np.abs(distance))
            lean[:, i] = np.where(np.isnan(away), -np.inf, away)
    return lean


def _speaker(lean: FloatArray, group: IntArray, features: Sequence[Feature]) -> IntArray:
    """Choose the feature that speaks for its group in each row: a remembered sum only where nothing plainer is bad."""
    is_plain = np.array([not features[i].name.endswith("__burden") for i in group])
    plain = np.where(is_plain, lean, -np.inf)
    best = np.where(plain.max(axis=1) > 0, plain.argmax(axis=1), lean.argmax(axis=1))
    return np.asarray(group[best], dtype=np.int64)


def _linear(model: Pipeline, table: pd.DataFrame, others: pd.DataFrame) -> FloatArray:
    """Coefficient times distance from the mean, summed over the columns of each feature."""
    prepare, coefficients = model["prepare"], np.ravel(model["model"].coef_)
    position = {name: i for i, name in enumerate(table.columns)}
    owner = np.array([position[name] for name in columns_of(prepare)])
    collect = np.zeros((len(owner), len(position)))
    collect[np.arange(len(owner)), owner] = coefficients
    with one_thread():
        matrix = prepare.transform(table)
        centre = matrix.mean(axis=0) if others is table else prepare.transform(others).mean(axis=0)
        return np.asarray((matrix - centre) @ collect, dtype=np.float64)


def _replaced(
    model: Pipeline, table: pd.DataFrame, others: pd.DataFrame, groups: Sequence[IntArray], features: Sequence[Feature]
) -> FloatArray:
    """Fall of the prediction when one group's features take their typical values."""
    prepare = model["prepare"]
    order = columns_of(prepare)
    place = {name: i for i, name in enumerate(order)}
    at = [np.array([place[features[i].name] for i in group]) for group in groups]
    categories = {feature.name for feature in features if feature.kind == "category"}
    matrix = np.asarray(prepare.transform(table), dtype=np.float64)
    against = matrix if others is table else np.asarray(prepare.transform(others), dtype=np.float64)
    falls = _Falls.of(matrix, _centre(against, [name in categories for name in order]), _score(model["model"]))
    every = np.arange(len(matrix))
    probe = every[:: max(1, len(matrix) // _PROBE_ROWS)]
    tried = np.column_stack([falls.fall(columns, probe) for columns in at])
    largest = np.unique(np.argsort(-tried, axis=1, kind="stable")[:, :_PROBE_PLACES])
    looked_at = [number for number in largest if (tried[:, number] > 0).any()]
    amounts = np.zeros((len(matrix), len(groups)))
    with one_thread(), ThreadPoolExecutor(_WORKERS) as pool:  # the outer limit is what the workers restore
        found = pool.map(lambda number: falls.fall(at[number], every), looked_at)
        for number, fall in zip(looked_at, found, strict=True):
            amounts[:, number] = fall
    return amounts


@dataclass(frozen=True, slots=True)
class _Falls:
    """Predictions for a matrix, and how they fall when columns become typical."""

    matrix: FloatArray
    centre: FloatArray
    score: Callable[[FloatArray], FloatArray]
    base: FloatArray

    @classmethod
    def of(cls, matrix: FloatArray, centre: FloatArray, score: Callable[[FloatArray], FloatArray]) -> _Falls:
        """Predict the matrix as it is."""
        with one_thread():
            base = [score(matrix[block]) for block in _blocks(np.arange(len(matrix)))]
        return cls(matrix, centre, score, np.concatenate(base))

    def fall(self, columns: IntArray, rows: NDArray[np.intp]) -> FloatArray:
        """Prediction as it is minus prediction with some columns at their typical values."""
        fall = np.zeros(len(rows))
        here, there = self.matrix[np.ix_(rows, columns)], self.centre[columns]
        differs = np.flatnonzero(((here != there) & ~(np.isnan(here) & np.isnan(there))).any(axis=1))
        with one_thread():
            for block in _blocks(differs):
                moved = self.matrix[rows[block]]
                moved[:, columns] = there
                fall[block] = self.base[rows[block]] - self.score(moved)
        return fall


def _blocks(index: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Cut rows into blocks that fit into the processor's cache, since every tree reads every row (2.5 times faster)."""
    return (index[start : start + _BLOCK] for start in range(0, len(index), _BLOCK))


def _score(fitted: Any) -> Callable[[FloatArray], FloatArray]:
    """Give the function whose falls are measured: the repaired logit of a classifier, or the predicted amount."""
    if isinstance(fitted, StackingClassifier):
        inner, slope = fitted.estimators_[0], float(fitted.final_estimator_.coef_[0, 0])
        return lambda matrix: slope * inner.decision_function(matrix)
    predict = fitted.decision_function if is_classifier(fitted) else fitted.predict
    return lambda matrix: np.asarray(predict(matrix), dtype=np.float64)


def _centre(matrix: FloatArray, is_category: Sequence[bool]) -> FloatArray:
    """Typical value of each column: median, mode of categories, missing where most are missing."""
    centre = np.full(matrix.shape[1], np.nan)
    for i, column in enumerate(matrix.T):
        present = column[~np.isnan(column)]
        if len(present) < len(column) / 2 or len(present) == 0:
            continue
        values, counts = np.unique(present, return_counts=True)
        place = counts.argmax() if is_category[i] else np.searchsorted(np.cumsum(counts), len(present) / 2)
        centre[i] = values[place]
    return centre


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
        spoken = ("unknown" if pd.isna(value) else str(value) for value in values)
        return [f"{label} {word}" + (f" (most: {typical})" if word != typical else "") for word in spoken]
    is_share = feature.unit == "share" and not feature.name.endswith("__burden")
    unit = "" if feature.unit in {"", "share"} or feature.unit in label else f" {feature.unit}"
    usual = _number(float(str(typical)), is_share=is_share)
    return [
        f"{label} not recorded (typical {usual}{unit})"
        if np.isnan(value)
        else f"{label} {_number(value, is_share=is_share)}{unit} (typical {usual})"
        for value in values
    ]


def _label(feature: Feature) -> str:
    """Name a feature for people: ``support: wait mean``; without the unit, which stands behind the value."""
    where = [part for part in (feature.journey, feature.touchpoint) if part]
    words = [part for part in feature.name.split("__") if part not in {*where, "customer"}] or [feature.name]
    what = words[0].removesuffix("_count").removesuffix(f"_{unit_suffix(feature.unit)}").removesuffix("_days")
    statistic = words[-1] if len(words) > 1 else ""
    spoken = "" if statistic in _UNSAID else _LATEST.get(statistic, statistic)
    text = " ".join(f"{what} {spoken}".replace("_", " ").split())
    return f"{', '.join(where)}: {text}" if where else text


def _number(value: float, *, is_share: bool) -> str:
    """Write a number shortly; shares in per cent."""
    if is_share:
        return f"{100 * value:.0f} %"
    size = abs(value)
    return f"{value:,.0f}" if size >= 10 or value == round(value) else f"{value:.1f}" if size >= 1 else f"{value:.2g}"
