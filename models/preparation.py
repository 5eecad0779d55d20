"""From panel columns to a matrix: missing values, scales, bends and categories, learned inside the stored model.

Everything here is made of scikit-learn's own classes, so that a stored model loads where this code is not installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, SplineTransformer, StandardScaler

if TYPE_CHECKING:
    from features.measures import Feature

FloatArray = NDArray[np.float64]

__all__ = [
    "STORED_TYPES",
    "by_level",
    "columns_of",
    "inputs",
    "linear_preparation",
    "tree_matrix",
    "tree_preparation",
    "usable",
]

STORED_TYPES = (
    "numpy.dtype",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils._bunch.Bunch",
)
"""Types inside our stored models that skops wants named before it loads them."""

MISSING = "(missing)"
"""The category of rows without one."""

_BENT_ROLES = ("recency", "covariate", "context")
_MIN_VALUES = 12
_KNOTS = 5


def inputs(frame: pd.DataFrame, features: Sequence[Feature]) -> pd.DataFrame:
    """Take the columns of some features in the types that models expect.

    Parameters
    ----------
    frame : DataFrame
        Panel rows.
    features : sequence of Feature
        Columns wanted, in this order.

    Returns
    -------
    DataFrame
        float64 for numbers (infinite values become missing) and object for categories (NaN where missing).
    """
    numbers = [feature.name for feature in features if feature.kind == "number"]
    matrix = frame[numbers].to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    matrix[np.isinf(matrix)] = np.nan
    table = pd.DataFrame(matrix, columns=numbers, index=frame.index)
    texts = {feature.name: _as_text(frame[feature.name]) for feature in features if feature.kind == "category"}
    return table.assign(**texts)[[feature.name for feature in features]] if texts else table


def usable(table: pd.DataFrame, features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Keep the features that differ between rows: neither missing everywhere nor one value everywhere.

    Parameters
    ----------
    table : DataFrame
        Result of :func:`inputs` for the training rows.
    features : sequence of Feature
        Its columns.

    Returns
    -------
    tuple of Feature
        In the given order. A feature that is missing for some and constant for the others is kept: being missing may
        tell something.
    """
    return tuple(feature for feature in features if _varies(table[feature.name]))


def linear_preparation(
    table: pd.DataFrame,
    features: Sequence[Feature],
    *,
    with_splines: bool,
    with_amounts: bool = False,
    with_logarithms: bool = False,
) -> ColumnTransformer:
    """Prepare for a linear model: every number standardised and bent, flags for missing, categories as 0/1 columns.

    Parameters
    ----------
    table : DataFrame
        Training rows from :func:`inputs`; they decide which columns get a missing flag or a spline.
    features : sequence of Feature
        Features that vary in the table.
    with_splines : bool
        Give tenure, recency, context and numeric covariates with at least 12 different values a cubic spline with 5
        knots; their relation to outcomes often turns. Meant for data large enough to show the turn.
    with_amounts : bool
        Add the unbent numbers: an amount paid next is proportional to amounts paid before, not to their arcsinh.
    with_logarithms : bool
        Add the arcsinh of volumes as they are, which is nearly their logarithm: the logarithm of an amount paid next is
        proportional to that of amounts paid before. Unlike the other blocks it depends a little on the unit.

    Returns
    -------
    ColumnTransformer
        Not yet fitted. Blocks ``bent``, ``spline``, ``plain``, ``log``, ``missing``, ``text``; :func:`columns_of` maps
        its output back to features.

    Notes
    -----
    Numbers are standardised, missing values set to the mean (the flag carries what missing means), then passed through
    arcsinh: linear within a deviation of the mean, logarithmic far from it, so that one extreme wait does not decide.
    """
    numbers = [feature for feature in features if feature.kind == "number"]
    spline = [
        feature.name for feature in numbers if with_splines and feature.role in _BENT_ROLES and _is_rich(table, feature)
    ]
    bent = [feature.name for feature in numbers if feature.name not in spline]
    plain = [feature.name for feature in numbers] if with_amounts else []
    volumes = [feature.name for feature in numbers if with_logarithms and feature.role == "volume"]
    missing = [feature.name for feature in numbers if table[feature.name].isna().any()]
    text = [feature.name for feature in features if feature.kind == "category"]
    curve = SplineTransformer(n_knots=_KNOTS, degree=3, include_bias=False, extrapolation="linear")
    dummies = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=20, max_categories=30, sparse_output=False
    )
    blocks = [
        ("bent", make_pipeline(*_standardised(), FunctionTransformer(np.arcsinh)), bent),
        ("spline", make_pipeline(*_standardised(), FunctionTransformer(np.arcsinh), curve), spline),
        ("plain", make_pipeline(*_standardised()), plain),
        ("log", make_pipeline(FunctionTransformer(np.arcsinh), *_standardised()), volumes),
        ("missing", MissingIndicator(features="all", error_on_new=False), missing),
        ("text", make_pipeline(SimpleImputer(strategy="constant", fill_value=MISSING), dummies), text),
    ]
    return ColumnTransformer([block for block in blocks if block[2]], sparse_threshold=0.0)


def tree_preparation(features: Sequence[Feature]) -> ColumnTransformer:
    """Prepare for boosting: numbers as they are (missing included), categories numbered, unseen ones as missing.

    Parameters
    ----------
    features : sequence of Feature
        Features that vary.

    Returns
    -------
    ColumnTransformer
        Not yet fitted. Numbers come first, then categories.
    """
    numbers = [feature.name for feature in features if feature.kind == "number"]
    text = [feature.name for feature in features if feature.kind == "category"]
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        min_frequency=20,
        max_categories=60,
    )
    blocks = [("numbers", "passthrough", numbers), ("text", codes, text)]
    return ColumnTransformer([block for block in blocks if block[2]], sparse_threshold=0.0)


def tree_matrix(preparation: ColumnTransformer, table: pd.DataFrame) -> FloatArray:
    """Apply a fitted :func:`tree_preparation`: its very numbers, with each category encoded once and not once a row.

    Parameters
    ----------
    preparation : ColumnTransformer
        Fitted.
    table : DataFrame
        From :func:`inputs`.

    Returns
    -------
    ndarray of float64, shape (rows, columns)
    """
    found = np.empty((len(table), len(columns_of(preparation))))
    for block, step, columns in preparation.transformers_:
        if block == "numbers":
            found[:, preparation.output_indices_[block]] = table[columns].to_numpy(np.float64)
        elif block == "text":
            for slot, column in zip(
                range(found.shape[1])[preparation.output_indices_[block]], by_level(step, table[columns]), strict=True
            ):
                found[:, slot] = column
    return found


def by_level(step: Any, table: pd.DataFrame, weights: Sequence[FloatArray] | None = None) -> Iterator[FloatArray]:
    """Encode the levels of some categories, not their rows: an encoder takes long for objects.

    Parameters
    ----------
    step : OrdinalEncoder, OneHotEncoder or Pipeline that ends in one
        Fitted on these columns, each by itself.
    table : DataFrame
        The columns, as objects.
    weights : sequence of ndarray, optional
        For each column what its output columns are multiplied by and added up with.

    Yields
    ------
    ndarray of float64, shape (rows,)
        One a column: its code, or the weighted sum.
    """
    coded = [pd.factorize(table[name], use_na_sentinel=False) for name in table.columns]
    longest = max(len(levels) for _, levels in coded)
    every = {
        name: np.resize(np.asarray(levels, object), longest) for name, (_, levels) in zip(table, coded, strict=True)
    }
    encoded = np.asarray(step.transform(pd.DataFrame(every)), np.float64)
    start = 0
    for place, (code, levels) in enumerate(coded):
        weight = np.ones(1) if weights is None else weights[place]
        stop = start + len(weight)
        yield (encoded[: len(levels), start:stop] * weight).sum(axis=1)[code]
        start = stop


def columns_of(preparation: ColumnTransformer) -> tuple[str, ...]:
    """Name the feature behind each output column of a fitted preparation.

    Parameters
    ----------
    preparation : ColumnTransformer
        Fitted result of :func:`linear_preparation` or :func:`tree_preparation`.

    Returns
    -------
    tuple of str
        One feature name an output column.
    """
    names: list[str] = []
    for block, step, columns in preparation.transformers_:
        if block == "remainder":
            continue
        if block == "text" and hasattr(step, "steps"):
            widths = _dummies(step[-1])
        else:
            slots = preparation.output_indices_[block]
            widths = [(slots.stop - slots.start) // len(columns)] * len(columns)
        names += [name for name, width in zip(columns, widths, strict=True) for _ in range(width)]
    return tuple(names)


def _dummies(encoder: OneHotEncoder) -> list[int]:
    """Count the 0/1 columns of each category feature: rare categories share one."""
    found = []
    for known, rare in zip(encoder.categories_, encoder.infrequent_categories_, strict=True):
        n_rare = 0 if rare is None else len(rare)
        found.append(len(known) - n_rare + (n_rare > 0))
    return found


def _standardised() -> tuple[StandardScaler, SimpleImputer]:
    """Mean 0, deviation 1, missing values at the mean."""
    return StandardScaler(), SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)


def _varies(column: pd.Series) -> bool:
    """Whether a column has two different values, missing counting as one."""
    if column.dtype == object:
        return len(column.unique()) > 1
    values: NDArray[np.float64] = column.to_numpy()
    present = values[~np.isnan(values)]
    if 0 < len(present) < len(values):
        return True
    return len(present) > 0 and bool(present.min() < present.max())


def _is_rich(table: pd.DataFrame, feature: Feature) -> bool:
    """Whether a number has enough different values for a curve."""
    return bool(table[feature.name].nunique() >= _MIN_VALUES)


def _as_text(column: pd.Series) -> pd.Series:
    """Return a category column as objects: text, or NaN where missing."""
    text = column.astype(object)
    return text.where(column.notna(), np.nan).map(str, na_action="ignore").astype(object)
