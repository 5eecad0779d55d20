"""How a model's prediction moves with one feature, all others staying as they are: its shape, never a cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

from models.evaluation import model_inputs, one_thread

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["partial_effects"]

FloatArray = NDArray[np.float64]

_ROWS = 1_000
_POINTS = 15
_RANGE = (0.02, 0.98)
_LOOKED_AT = 24
_GLANCE_ROWS, _GLANCE_POINTS = 250, 5
"""What decides which features are shown: a twelfth of the predictions of a curve."""


def partial_effects(
    model: Pipeline, frame: pd.DataFrame, features: Sequence[Feature], rng: np.random.Generator, *, most: int = 6
) -> pd.DataFrame:
    """Compute the average prediction when one feature takes each of some values for everybody.

    Parameters
    ----------
    model : sklearn.pipeline.Pipeline
        From :func:`models.churn.fit_churn` or :func:`models.revenue.fit_revenue`, or loaded.
    frame : DataFrame
        Panel rows; at most 1,000 of them are drawn.
    features : sequence of Feature
        Catalogue of the panel.
    rng : numpy.random.Generator
        Draws the rows.
    most : int
        Features shown: those whose average prediction moves most (over 250 of the rows and five values), of the 24
        numbers most correlated (in ranks) with the prediction.

    Returns
    -------
    DataFrame
        feature, value, predicted, spread (largest minus smallest average of the feature); most moving first, values
        ascending from the 2nd to the 98th percentile of the values that are there. Empty without numbers.

    Notes
    -----
    Partial dependence (Friedman 2001, Annals of Statistics 29(5), section 8.2). Where features move together it
    averages over combinations that hardly occur.
    """
    columns = list(model.feature_names_in_)
    table = model_inputs(columns, frame, features)
    table = table.iloc[np.sort(rng.choice(len(table), min(_ROWS, len(table)), replace=False))]
    numbers = [name for name in columns if table[name].dtype != object and table[name].min() < table[name].max()]
    with one_thread():
        base = _predicted(model, table)
        ranks = table[numbers].rank().corrwith(pd.Series(base, index=table.index).rank()).abs().fillna(0.0)
        chosen = ranks.sort_values(ascending=False, kind="stable").index[:_LOOKED_AT]
        glance = table.sample(min(_GLANCE_ROWS, len(table)), random_state=rng)
        told = [str(name) for name in chosen if glance[name].min() < glance[name].max()]
        spread = {name: _spread(_curve(model, glance, name, _GLANCE_POINTS)) for name in told}
        moving = sorted(spread, key=lambda name: -spread[name])[:most]
        curves = [_curve(model, table, name, _POINTS) for name in moving]
    curves.sort(key=_spread, reverse=True)
    return pd.concat([_empty(), *curves], ignore_index=True) if curves else _empty()


def _spread(curve: pd.DataFrame) -> float:
    return float(curve["spread"].iloc[0])


def _curve(model: Pipeline, table: pd.DataFrame, name: str, points: int) -> pd.DataFrame:
    values = table[name].dropna().to_numpy(np.float64)
    grid = np.unique(np.quantile(values, np.linspace(*_RANGE, points), method="nearest"))
    many = pd.concat([table] * len(grid), ignore_index=True)
    many[name] = np.repeat(grid, len(table))
    predicted = _predicted(model, many).reshape(len(grid), len(table)).mean(axis=1)
    return pd.DataFrame({"feature": name, "value": grid, "predicted": predicted, "spread": np.ptp(predicted)})


def _predicted(model: Pipeline, table: pd.DataFrame) -> FloatArray:
    found = model.predict_proba(table)[:, 1] if is_classifier(model) else model.predict(table)
    return np.asarray(found, np.float64)


def _empty() -> pd.DataFrame:
    kinds = {"feature": "str", "value": "float64", "predicted": "float64", "spread": "float64"}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
