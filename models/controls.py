"""What is held fixed, as the columns of a matrix: numbers, texts by level, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["control_matrix"]

FloatArray = NDArray[np.float64]


def control_matrix(rows: pd.DataFrame, controls: Sequence[str], weight: FloatArray) -> FloatArray:
    """Write controls as columns.

    Parameters
    ----------
    rows : DataFrame
        With the controls.
    controls : sequence of str
        Numbers come with a flag for what is missing, text as one column a level and one for what is missing.
    weight : ndarray of float, shape (rows,)
        Positive.

    Returns
    -------
    ndarray of float, shape (rows, columns)
        Weighted mean 0 and deviation 1; missing values and constant columns are 0. Empty without controls.

    Examples
    --------
    >>> control_matrix(pd.DataFrame({"age": [20.0, None, 40.0]}), ["age"], np.ones(3)).round(2).tolist()
    [[-1.0, -0.71], [0.0, 1.41], [1.0, -0.71]]
    """
    columns = [_standardised(column, weight) for name in controls for column in _columns(rows[name])]
    return np.column_stack(columns) if columns else np.empty((len(rows), 0))


def _columns(values: pd.Series) -> list[FloatArray]:
    """Turn a control into numbers."""
    missing = values.isna().to_numpy(dtype=np.float64)
    if pd.api.types.is_numeric_dtype(values):
        return [values.to_numpy(dtype=np.float64, na_value=np.nan), missing]
    codes, unique = pd.factorize(values, sort=True)
    return [*((codes == level).astype(np.float64) for level in range(len(unique))), missing]


def _standardised(values: FloatArray, w: FloatArray) -> FloatArray:
    """Centre and scale by the weighted mean and deviation of what is there; missing and constant become 0."""
    there = np.isfinite(values)
    result = np.zeros(len(values))
    if not there.any():
        return result
    own, share = values[there], w[there] / w[there].sum()
    centred = own - own @ share
    scale = float(np.sqrt(centred**2 @ share))
    if scale > 1e-12 * float(np.abs(own).max()):
        result[there] = centred / scale
    return result
