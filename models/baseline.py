"""Covariates of customers as complete columns: what was known of them before anything happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pandas as pd
import pyarrow as pa

__all__ = ["LEAST_OF_LEVEL", "NOT_COVARIATES", "NO_VALUE", "OTHER", "baseline_frame", "known_levels", "rare_together"]

LEAST_OF_LEVEL: Final = 20
"""Below so many of them levels of a covariate are put together: a column of its own for a handful says nothing.

A covariate that names customers is nothing but such levels: it becomes one, and drops out.
"""

NO_VALUE, OTHER = "(none)", "(other)"
NOT_COVARIATES = frozenset({"customer_key", "customer_id", "joined_at", "ended_at"})


def known_levels(customers: pa.Table) -> dict[str, frozenset[str]]:
    """Find the levels of text covariates that enough customers have.

    Parameters
    ----------
    customers : pyarrow.Table
        `customer_key`, and covariates.

    Returns
    -------
    dict of str to frozenset of str
        By text covariate the levels of at least `LEAST_OF_LEVEL` customers.

    Examples
    --------
    >>> plan = ["mobile"] * 20 + ["landline"] * 30 + ["telex"]
    >>> sorted(known_levels(pa.table({"customer_key": range(51), "plan": plan}))["plan"])
    ['landline', 'mobile']
    """
    found = {}
    for name, column in _covariates(customers).items():
        if not pd.api.types.is_numeric_dtype(column):
            found[name] = _frequent(column.dropna().astype(str))
    return found


def baseline_frame(customers: pa.Table, levels: Mapping[str, frozenset[str]]) -> pd.DataFrame:
    """Return the covariates of customers, complete: numbers with the median and a flag, text with a level of its own.

    Parameters
    ----------
    customers : pyarrow.Table
        `customer_key`, and covariates.
    levels : mapping of str to frozenset of str
        From `known_levels`, the same for every part of the customers; other levels become `OTHER`.

    Returns
    -------
    pandas.DataFrame
        One row per customer in the order of the table; text columns are categories.
    """
    out: dict[str, object] = {}
    for name, column in _covariates(customers).items():
        if pd.api.types.is_numeric_dtype(column):
            missing = column.isna()
            out[name] = column.astype(float).fillna(0.0 if missing.all() else float(column.median()))
            if missing.any() and not missing.all():
                out[f"{name} missing"] = missing.astype(float)
        else:
            text = column.astype(str)
            known = text.where(text.isin(levels[name]), OTHER)
            out[name] = known.where(column.notna(), NO_VALUE).astype("category")
    return pd.DataFrame(out, index=pd.RangeIndex(customers.num_rows))


def rare_together(column: pd.Series) -> pd.Series:
    """Write a text covariate of rows so that every level has enough of them.

    Parameters
    ----------
    column : Series, shape (n,)
        Levels, perhaps missing.

    Returns
    -------
    Series of str, shape (n,)
        `NO_VALUE` where missing; levels of fewer than `LEAST_OF_LEVEL` rows become `OTHER`.
    """
    text = column.astype(object).where(column.notna(), NO_VALUE).astype(str)
    return text.where(text.isin(_frequent(text)), OTHER)


def _frequent(text: pd.Series) -> frozenset[str]:
    counts = text.value_counts()
    return frozenset(counts.index[counts >= LEAST_OF_LEVEL])


def _covariates(customers: pa.Table) -> dict[str, pd.Series]:
    return {name: customers[name].to_pandas() for name in customers.column_names if name not in NOT_COVARIATES}
