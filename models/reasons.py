"""Why this customer: the experiences that lift a prediction most above what a typical customer would get.

A reason is about one measure of one journey (all its features together) or one fact about the customer. For linear
models and for boosting with small trees contributions are exact and add up (`models.additive`; where trees keep to one
journey, those of a journey add up to its part of the model). For other models a group's features are set to the typical
values, one group at a time, and the fall of the prediction is its contribution (such falls do not add up; groups that
are among the three largest for none of about 500 rows of the reference, evenly drawn, are not looked at). Reasons
describe the model, not causes: what would change churn is the business of `models.effects`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.pipeline import Pipeline

from models.evaluation import model_inputs
from models.explainer import Explainer

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["Contributions", "contributions", "reasons", "risk_points"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NEAR = 1e-6
"""On the logit: nearer to the reference than this, the slope of the risk there is exact to twelve digits."""


@dataclass(frozen=True, slots=True)
class Contributions:
    """What each group of features adds to each prediction, against a typical customer.

    Attributes
    ----------
    amounts : ndarray of float, shape (rows, groups)
        On the logit for risks, in currency for amounts.
    features : tuple of Feature
        Features of the model.
    typical : dict of str to object
        Median of the present values, or the commonest category.
    groups : tuple of ndarray of int64
        Positions in ``features`` of the features of each group.
    base : float
        Mean of the reference on the scale of ``amounts``: where amounts are exact, ``base + amounts.sum(axis=1)`` is
        the prediction. NaN where they do not add up.
    """

    amounts: FloatArray
    features: tuple[Feature, ...]
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
    explainer, table = _explainer(model, frame, features, reference)
    found = explainer.explain(table, top)
    return pd.DataFrame(found.texts, columns=names, index=frame.index, dtype="str")


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
    explainer, table = _explainer(model, frame, features, reference)
    amounts = explainer.by_group(table)
    return Contributions(amounts, explainer.features, explainer.typical, explainer.groups, explainer.base)


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


def _explainer(
    model: Pipeline, frame: pd.DataFrame, features: Sequence[Feature], reference: pd.DataFrame | None
) -> tuple[Explainer, pd.DataFrame]:
    """Find out what is typical, and take the columns of the model."""
    columns = list(model.feature_names_in_)
    by_name = {feature.name: feature for feature in features}
    table = model_inputs(columns, frame, features)
    others = table if reference is None else model_inputs(columns, reference, features)
    return Explainer.of(model, others, [by_name[name] for name in columns]), table
