"""What each feature adds to a linear model's prediction, without building the matrix of prepared columns.

The preparation of a linear model treats each number by itself, so a feature's contribution is a function of its own
value. Computed block by block in the processor's cache it is several times faster than transforming and multiplying.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer

from models.preparation import columns_of

__all__ = ["linear_parts"]

FloatArray = NDArray[np.float64]

_BLOCK = 128
"""Rows looked at together: with a hundred columns they and what is computed from them stay in the cache."""

_DIRECT = ("bent", "plain", "missing")


def linear_parts(preparation: ColumnTransformer, coefficients: FloatArray, table: pd.DataFrame) -> FloatArray:
    """Compute coefficient times prepared value, summed over the columns of each feature.

    Parameters
    ----------
    preparation : ColumnTransformer
        Fitted result of :func:`models.preparation.linear_preparation`.
    coefficients : ndarray of float, shape (columns,)
        One for each column that the preparation makes.
    table : DataFrame
        Rows, with the features of the model as columns.

    Returns
    -------
    ndarray of float, shape (rows, features)
        In the order of the table's columns. With the intercept a row adds up to the prediction, but for rounding.
    """
    place = {name: position for position, name in enumerate(table.columns)}
    amounts = np.zeros((len(table), len(place)))
    owners = np.array([place[name] for name in columns_of(preparation)])
    own: dict[str, FloatArray] = {}
    for block, step, columns in preparation.transformers_:
        if block == "remainder":
            continue
        slots = preparation.output_indices_[block]
        if block in _DIRECT:
            own[block] = np.zeros(len(place))
            own[block][owners[slots]] = coefficients[slots]
            continue
        mine, of = np.unique(owners[slots], return_inverse=True)
        collect = np.zeros((slots.stop - slots.start, len(mine)))
        collect[np.arange(len(collect)), of] = coefficients[slots]
        amounts[:, mine] += step.transform(table[columns]) @ collect
    _add_numbers(preparation, own, table, amounts)
    return amounts


def _add_numbers(
    preparation: ColumnTransformer, own: dict[str, FloatArray], table: pd.DataFrame, amounts: FloatArray
) -> None:
    """Add what bent and plain numbers and flags for missing ones contribute, in place."""
    names = [name for name in table.columns if table[name].dtype != object]
    numbers = np.array([table.columns.get_loc(name) for name in names], dtype=np.intp)
    if len(numbers) == 0:
        return
    centre, scale = _scales(preparation, names)
    bent, plain, flag = (own.get(block, np.zeros(amounts.shape[1]))[numbers] for block in _DIRECT)
    values = table[names].to_numpy(dtype=np.float64)
    is_whole = len(numbers) == amounts.shape[1]
    for start in range(0, len(values), _BLOCK):
        found = _functions(values[start : start + _BLOCK], centre, scale, bent, plain, flag)
        if is_whole:
            amounts[start : start + _BLOCK] += found
        else:
            amounts[start : start + _BLOCK, numbers] += found


def _functions(
    values: FloatArray, centre: FloatArray, scale: FloatArray, bent: FloatArray, plain: FloatArray, flag: FloatArray
) -> FloatArray:
    """Evaluate each number's function."""
    z = values - centre
    z *= scale
    found = np.arcsinh(z)
    found *= bent
    if plain.any():
        z *= plain
        found += z
    np.copyto(found, flag, where=np.isnan(values))
    return found


def _scales(preparation: ColumnTransformer, names: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Mean and one over deviation of each number; 0 and 1 where a number is used in other ways only."""
    centre, scale = dict.fromkeys(names, 0.0), dict.fromkeys(names, 1.0)
    for block, step, columns in preparation.transformers_:
        if block in {"bent", "plain"}:
            scaler: Any = step[0]
            centre |= dict(zip(columns, scaler.mean_, strict=True))
            scale |= dict(zip(columns, 1 / scaler.scale_, strict=True))
    return np.array([centre[name] for name in names]), np.array([scale[name] for name in names])
