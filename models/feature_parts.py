"""What each feature adds to a prediction, exactly: for linear models and for boosting with small trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, StackingClassifier
from sklearn.pipeline import Pipeline

from models.additive import Shapley, is_small
from models.linear_parts import linear_parts
from models.preparation import columns_of, tree_matrix

__all__ = ["FeatureParts"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureParts:
    """A fitted model as a sum over its features.

    Attributes
    ----------
    prepare : ColumnTransformer
        Of the model.
    slope, start : float
        The repair of a repaired model, and the prediction without any feature.
    coefficients : ndarray of float, or None
        Of a linear model.
    trees : Shapley or None
        Of a boosted one.
    """

    prepare: ColumnTransformer
    slope: float
    start: float
    coefficients: FloatArray | None
    trees: Shapley | None

    @classmethod
    def of(cls, model: Pipeline) -> FeatureParts | None:
        """Take a model apart; None where it is neither linear nor made of small trees."""
        prepare, fitted = model["prepare"], model["model"]
        slope, shift = 1.0, 0.0
        if isinstance(fitted, StackingClassifier):
            slope, shift = float(fitted.final_estimator_.coef_[0, 0]), float(fitted.final_estimator_.intercept_[0])
            fitted = fitted.estimators_[0]
        if hasattr(fitted, "coef_"):
            start = float(np.ravel(fitted.intercept_)[0])
            return cls(prepare, slope, shift + slope * start, np.ravel(fitted.coef_), None)
        if isinstance(fitted, HistGradientBoostingClassifier | HistGradientBoostingRegressor) and is_small(fitted):
            trees = Shapley.of(fitted)
            return cls(prepare, slope, shift + slope * trees.baseline, None, trees)
        return None

    def amounts(self, table: pd.DataFrame) -> FloatArray:
        """Compute what each feature adds to each prediction.

        Parameters
        ----------
        table : DataFrame
            Columns of the model as :func:`models.evaluation.model_inputs` gives them.

        Returns
        -------
        ndarray of float, shape (rows, features)
            In the order of the table; with ``start`` a row adds up to the prediction, on the logit for risks. The
            numbers of a row do not depend on the other rows.
        """
        found: Any
        if self.coefficients is not None:
            found = linear_parts(self.prepare, self.coefficients, table)
        elif self.trees is not None:
            order = columns_of(self.prepare)  # one column a feature
            found = self.trees.amounts(tree_matrix(self.prepare, table))[
                :, [order.index(name) for name in table.columns]
            ]
        found *= self.slope
        return np.asarray(found, dtype=np.float64)
