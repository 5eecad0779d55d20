"""Risk and its reasons from one pass over the rows, against what was typical in a reference.

What is typical is found once; then rows may come in any pieces and in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

from models.evaluation import one_thread
from models.falls import Falls
from models.feature_parts import FeatureParts
from models.reason_picks import Groups, Sides
from models.reason_words import sentences

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["Explained", "Explainer", "grouped"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LEAST = 0.01
"""On the logit: contributions below one per cent of the odds are not worth a sentence."""

_SIGNS = {"lower": 1.0, "higher": -1.0}


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """Predictions and their reasons.

    Attributes
    ----------
    texts : ndarray of str, shape (rows, reasons)
        Most important first; empty where there is no further reason.
    prediction : ndarray of float, shape (rows,), or None
        On the logit for risks; None where the model cannot be taken apart.
    """

    texts: NDArray[np.object_]
    prediction: FloatArray | None


@dataclass(frozen=True, slots=True, eq=False)
class Explainer:
    """A fitted model and what is typical.

    Attributes
    ----------
    features : tuple of Feature
        Of the model, in the order of its columns.
    groups : tuple of ndarray of int64
        Positions in ``features`` of the features of each group.
    typical : dict of str to object
        Median of the present values, or the commonest category; None where nothing is present.
    parts : FeatureParts or None
        The model as a sum, where it is one.
    centre : ndarray of float, shape (features,)
        Mean of each part over the reference.
    falls : Falls or None
        What is looked at instead.
    least : float
        Smaller amounts are no reason.
    """

    features: tuple[Feature, ...]
    groups: tuple[IntArray, ...]
    typical: dict[str, object]
    parts: FeatureParts | None
    centre: FloatArray
    falls: Falls | None
    least: float
    _laid: Groups
    _sides: Sides

    @classmethod
    def of(cls, model: Pipeline, reference: pd.DataFrame, features: Sequence[Feature]) -> Explainer:
        """Find out what is typical.

        Parameters
        ----------
        model : sklearn.pipeline.Pipeline
            Of churn or revenue.
        reference : DataFrame
            At least one row, as :func:`models.evaluation.model_inputs` gives them.
        features : sequence of Feature
            Its columns.
        """
        groups = grouped(features)
        typical = {feature.name: _typical(reference[feature.name]) for feature in features}
        parts = FeatureParts.of(model)
        centre, falls = np.zeros(len(features)), None
        if parts is None:
            falls = Falls.of(model, reference, groups, features)
        else:
            with one_thread():
                centre = parts.amounts(reference).mean(axis=0)
        least = _LEAST if is_classifier(model) else 0.0
        sides = _sides(reference, features, typical)
        return cls(tuple(features), groups, typical, parts, centre, falls, least, Groups.of(groups), sides)

    @property
    def base(self) -> float:
        """Mean prediction of the reference on the scale of amounts; NaN where amounts do not add up."""
        return float("nan") if self.parts is None else self.parts.start + float(self.centre.sum())

    def by_feature(self, table: pd.DataFrame) -> FloatArray | None:
        """Compute what each feature adds, against the mean of the reference; None where that cannot be said."""
        return None if self.parts is None else self.parts.amounts(table) - self.centre

    def by_group(self, table: pd.DataFrame) -> FloatArray:
        """Compute what each group adds, shape (rows, groups)."""
        exact = self.by_feature(table)
        return self._grouped(table, exact)

    def explain(self, table: pd.DataFrame, top: int) -> Explained:
        """Predict rows and say why.

        Parameters
        ----------
        table : DataFrame
            As :func:`models.evaluation.model_inputs` gives them.
        top : int
            Reasons a row.

        Returns
        -------
        Explained
            Each row is explained by itself: pieces, and the order of rows, change nothing.
        """
        exact = self.by_feature(table)
        amounts = self._grouped(table, exact)
        places = min(top, len(self.groups))
        picks = self._laid.pick(amounts, self._values(table), self._sides, self.least, places, exact)
        texts = np.full((len(table), top), "", dtype=object)
        for position in np.unique(picks.speaker):
            if position < 0:
                continue
            feature = self.features[position]
            rows, place = np.nonzero(picks.speaker == position)
            texts[rows, place] = sentences(feature, table[feature.name].to_numpy()[rows], self.typical[feature.name])
        return Explained(texts, None if self.parts is None else self.base + picks.total)

    def _grouped(self, table: pd.DataFrame, exact: FloatArray | None) -> FloatArray:
        if exact is not None:
            return self._laid.sums(exact)
        if self.falls is None:
            raise AssertionError("a model that is no sum is looked at by falls")
        return self.falls.amounts(table)

    def _values(self, table: pd.DataFrame) -> FloatArray:
        """Numbers as they are; categories as whether they are unusual."""
        if all(feature.kind == "number" for feature in self.features):
            return np.asarray(table.to_numpy(np.float64))
        values = np.empty(table.shape)
        numbers = np.array([feature.kind == "number" for feature in self.features])
        values[:, numbers] = table.loc[:, numbers].to_numpy(np.float64)
        for place in np.flatnonzero(~numbers):
            name = self.features[place].name
            values[:, place] = table[name].to_numpy() != self.typical[name]
        return values


def grouped(features: Sequence[Feature]) -> tuple[IntArray, ...]:
    """Group features of one journey and measure; a fact about the customer is its own group."""
    keys = [(one.journey, one.measure) if one.journey else (None, one.name) for one in features]
    numbers = pd.factorize(pd.Series(keys, dtype=object))[0]
    return tuple(np.flatnonzero(numbers == number) for number in range(numbers.max() + 1))


def _sides(reference: pd.DataFrame, features: Sequence[Feature], typical: dict[str, object]) -> Sides:
    """On which side of what is typical each value is bad; distances in the width between the outer tenths."""
    middle, spread = np.zeros(len(features)), np.ones(len(features))
    for place, feature in enumerate(features):
        if feature.kind == "category":
            continue
        usual = typical[feature.name]
        middle[place] = np.nan if usual is None else float(str(usual))
        if usual is not None:
            low, high = np.nanquantile(reference[feature.name].to_numpy(), [0.1, 0.9])
            spread[place] = (high - low) or 1.0
    sign = [1.0 if one.kind == "category" else _SIGNS.get(one.direction, 0.0) for one in features]
    return Sides(middle, spread, np.array(sign), np.array([not one.name.endswith("__burden") for one in features]))


def _typical(column: pd.Series) -> object:
    """Median of the numbers or commonest category; None when all are missing."""
    present = column.dropna()
    if present.empty:
        return None
    return str(present.mode().iloc[0]) if column.dtype == object else float(present.median())
