"""Why this customer: the experiences that lift a prediction most above what a typical customer would get.

A reason is about one measure of one journey (all its features together) or one fact about the customer. For linear
models and for boosting with small trees contributions are exact and add up (`models.additive`; where trees keep to one
journey, those of a journey add up to its part of the model). For other models a group's features are set to the typical
values, one group at a time, and the fall of the prediction is its contribution (such falls do not add up; groups that
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
from scipy.special import expit
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, StackingClassifier
from sklearn.pipeline import Pipeline

from models.additive import is_small, shapley
from models.evaluation import model_inputs, one_thread
from models.linear_parts import linear_parts
from models.preparation import columns_of
from models.reason_words import sentences

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["Contributions", "contributions", "feature_contributions", "reasons", "risk_points"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LEAST = 0.01
"""On the logit: contributions below one per cent of the odds are not worth a sentence."""

_NEAR = 1e-6
"""On the logit: nearer to the reference than this, the slope of the risk there is exact to twelve digits."""

_PROBE_ROWS = 500
_PROBE_PLACES = 3
_WORKERS = 2
_BLOCK = 500


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
    groups : tuple of ndarray of int64
        Positions in ``features`` of the features of each group.
    base : float
        Mean of the reference on the scale of ``amounts``: where amounts are exact, ``base + amounts.sum(axis=1)`` is
        the prediction. NaN where they do not add up.
    """

    amounts: FloatArray
    member: IntArray
    features: tuple[Feature, ...]
    table: pd.DataFrame
    typical: dict[str, object]
    groups: tuple[IntArray, ...]
    base: float

    @property
    def journeys(self) -> tuple[str | None, ...]:
        """Journey of each group; None for facts about the customer."""
        return tuple(self.features[group[0]].journey for group in self.groups)


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
        For linear models and small trees the rows of ``amounts`` add up to the prediction's distance from the mean
        prediction of the reference (on the logit for risks).
    """
    columns = list(model.feature_names_in_)
    by_name = {feature.name: feature for feature in features}
    table = model_inputs(columns, frame, features)
    others = table if reference is None else model_inputs(columns, reference, features)
    used = tuple(by_name[name] for name in columns)
    groups = _groups(used)
    typical = {name: _typical(others[name]) for name in columns}
    lean = _lean(table, others, used, typical)
    exact = feature_contributions(model, table, others)
    if exact is None:
        amounts, base = _replaced(model, table, others, groups, used), float("nan")
    else:
        by_feature, base = exact
        amounts = np.column_stack([by_feature[:, group].sum(axis=1) for group in groups])
        lean = np.where(lean > 0, by_feature, np.minimum(lean, 0.0))
    member = np.column_stack([_speaker(lean[:, group], group, used) for group in groups])
    return Contributions(amounts, member, used, table, typical, groups, base)


def risk_points(found: Contributions) -> FloatArray:
    """Say contributions in the units of risk.

    Parameters
    ----------
    found : Contributions
        Of a model for churn whose amounts are exact.

    Returns
    -------
    ndarray of float, shape (rows, groups)
        Points of risk, 0.01 being one per cent of customers; a row adds up exactly to its risk minus the risk of a
        customer at the mean logit of the reference. Sums over groups of one journey are the journey's points.

    Raises
    ------
    ValueError
        The amounts do not add up.

    Notes
    -----
    With :math:`s` the logit, :math:`s_0` its mean over the reference, and :math:`a_j` contributions of sum
    :math:`s - s_0`, group :math:`j` gets :math:`a_j (p(s) - p(s_0)) / (s - s_0)`, and :math:`a_j p'(s_0)` where
    :math:`s = s_0`: what each group adds along the straight way from the reference, all moving together, so that no
    order of groups plays a part (the integral of :math:`a_j p'(s_0 + t (s - s_0))` over t from 0 to 1).

    References
    ----------
    Aumann, Shapley (1974), Values of Non-Atomic Games. Sundararajan, Taly, Yan (2017), Axiomatic attribution for deep
    networks, eq. 1.
    """
    if np.isnan(found.base):
        msg = "contributions of this model do not add up: use a linear model or one with small trees"
        raise ValueError(msg)
    distance = found.amounts.sum(axis=1)
    risk, at_base = expit(found.base + distance), float(expit(found.base))
    is_near = np.abs(distance) < _NEAR
    chord = (risk - at_base) / np.where(is_near, 1.0, distance)
    slope = np.where(is_near, at_base * (1 - at_base), chord)
    return np.asarray(found.amounts * slope[:, None], dtype=np.float64)


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


def feature_contributions(
    model: Pipeline, table: pd.DataFrame, reference: pd.DataFrame
) -> tuple[FloatArray, float] | None:
    """Compute what each feature adds to each prediction, exactly and nothing else: the fast way for many rows.

    Parameters
    ----------
    model : sklearn.pipeline.Pipeline
        Of churn or revenue.
    table : DataFrame
        Columns of the model as :func:`models.evaluation.model_inputs` gives them.
    reference : DataFrame
        The same columns of the rows whose mean is compared with.

    Returns
    -------
    tuple of ndarray of float, shape (rows, features), and float; or None
        Contributions, on the logit for risks, and the mean prediction of the reference; both add up to the prediction.
        None where the model is neither linear nor made of small trees.
    """
    fitted = model["model"]
    slope, shift = 1.0, 0.0
    if isinstance(fitted, StackingClassifier):
        slope, shift = float(fitted.final_estimator_.coef_[0, 0]), float(fitted.final_estimator_.intercept_[0])
        fitted = fitted.estimators_[0]
    if hasattr(fitted, "coef_"):
        split = _linear
    elif isinstance(fitted, HistGradientBoostingClassifier | HistGradientBoostingRegressor) and is_small(fitted):
        split = _small_trees
    else:
        return None
    with one_thread():
        amounts, start = split(model["prepare"], fitted, table)
        centre = (amounts if reference is table else split(model["prepare"], fitted, reference)[0]).mean(axis=0)
    amounts -= centre
    amounts *= slope
    return amounts, shift + slope * (start + float(centre.sum()))


def _linear(prepare: Any, fitted: Any, table: pd.DataFrame) -> tuple[FloatArray, float]:
    """Coefficient times value, summed over the columns of each feature, and the intercept."""
    return linear_parts(prepare, np.ravel(fitted.coef_), table), float(np.ravel(fitted.intercept_)[0])


def _small_trees(prepare: Any, fitted: Any, table: pd.DataFrame) -> tuple[FloatArray, float]:
    """Shapley values of each feature, and the mean prediction of training."""
    parts = shapley(fitted, np.asarray(prepare.transform(table), dtype=np.float64))
    order = columns_of(prepare)  # one column a feature
    return parts.amounts[:, [order.index(name) for name in table.columns]], parts.baseline


def _replaced(
    model: Pipeline, table: pd.DataFrame, others: pd.DataFrame, groups: Sequence[IntArray], features: Sequence[Feature]
) -> FloatArray:
    """Fall of the prediction when one group's features take their typical values."""
    prepare = model["prepare"]
    order = columns_of(prepare)
    names = np.array(order)
    at = [np.flatnonzero(np.isin(names, [features[i].name for i in group])) for group in groups]
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
    """Give the function whose falls are measured: the logit of a classifier, or the predicted amount."""
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
        texts[here] = sentences(feature, values, found.typical[feature.name])
    return texts
