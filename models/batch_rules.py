"""What is said of a batch: from distances and limits to reasons, each with value, expectation and what to do.

Only what needs somebody to act is told as *act*. Whatever merely differs is told as *watch*: customers change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from models.alarms import Level, Reason
from models.arrivals import Arrivals
from models.drift import Drift, share_of

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["LEAST_FACTOR", "LEAST_SHARE", "arrival_reasons", "drift_reasons", "moved", "natural"]

LEAST_FACTOR: Final = 1.25
"""Sizes and volumes that differ by less, up or down, are too alike to tell."""

LEAST_SHARE: Final = 0.05
"""Shares that differ by less are too alike to tell."""

UNIT_FACTOR: Final = 3.0
"""From here on (or the inverse) a measure has probably changed its unit."""

COLLAPSE: Final = 0.5
"""Part of what was expected below which a volume has collapsed."""

_GONE: Final = 0.99
_WAS_THERE: Final = 0.9
_TESTS: Final = 3

_ASK: Final = "Ask what changed; watch whether outcomes still come true as promised."
_ARRIVED: Final = "Make sure that all rows have arrived, once each, then score again."
_RECORDED: Final = "Ask what changed in recording: journeylift check."
_SERVICE: Final = "The service changed, or how it is recorded: ask which."
_UNIT: Final = "A change of unit? Look: journeylift check; mend it, then score again."


def moved(found: Drift, psi_least: float) -> pd.DataFrame:
    """Keep the columns that moved by more than they do anyway, and by enough to tell.

    Parameters
    ----------
    found : Drift
        Of all columns.
    psi_least : float
        Smallest PSI to tell.

    Returns
    -------
    DataFrame
        The rows of `Drift.table` with a column ``aspect``: ``size`` where sizes did, else ``missing`` where the share
        missing did, else ``spread``. The largest PSI first.
    """
    table = found.table
    each = found.alpha / (_TESTS * max(len(table), 1))
    factor = table["factor"].astype(float)
    factor = factor.where(factor >= 1, 1 / factor)
    size = table["p_level"].lt(each) & factor.ge(LEAST_FACTOR)
    gap = (table["missing_share"] - table["reference_missing_share"]).abs()
    missing = table["p_missing"].lt(each) & gap.ge(LEAST_SHARE)
    spread = table["p_psi"].lt(each) & table["psi"].ge(psi_least)
    aspect = np.select([size, missing, spread], ["size", "missing", "spread"], "")
    return table.assign(aspect=aspect).loc[lambda frame: frame["aspect"].ne("")].reset_index(drop=True)


def drift_reasons(rows: pd.DataFrame, features: Sequence[Feature]) -> tuple[Reason, ...]:
    """Tell features that moved: one sentence for each measure of a journey, about the one that moved most.

    Parameters
    ----------
    rows : DataFrame
        From :func:`moved`.
    features : sequence of Feature
        What they are.

    Returns
    -------
    tuple of Reason
        *act* where a measure is three times as large, or a third, or no longer delivered; *watch* elsewhere.
    """
    known = {feature.name: feature for feature in features}
    groups: dict[tuple[str, str, str], list[pd.Series]] = {}
    for _, row in rows.iterrows():
        feature = known[str(row["feature"])]
        # Features without a measure or a journey stand for themselves.
        own = feature.measure or ("" if feature.journey else feature.name)
        groups.setdefault((feature.journey or "", own, str(row["aspect"])), []).append(row)
    return tuple(_drift_reason(known[str(group[0]["feature"])], group[0], len(group) - 1) for group in groups.values())


def arrival_reasons(
    found: Arrivals, month: str, units: Mapping[str, str] | None = None
) -> tuple[tuple[Reason, ...], pd.DataFrame]:
    """Tell what arrived otherwise than expected.

    Parameters
    ----------
    found : Arrivals
        Of one month.
    month : str
        Which, ``YYYY-MM``.
    units : mapping of str to str, optional
        For a `what` whose size changed: the change of unit that would do this.

    Returns
    -------
    tuple of reasons, and DataFrame
        The reasons; and the rows they rest on with value, centre, lo and hi in natural numbers.
    """
    table = natural(found.table)
    is_share = table["aspect"].isin(("missing", "nonzero"))
    gap = (found.table["value"] - found.table["centre"]).astype(float).abs()  # of logarithms, where it is no share
    apart = np.where(is_share, (table["value"] - table["centre"]).abs() >= LEAST_SHARE, gap >= math.log(LEAST_FACTOR))
    told = table.loc[table["p"].lt(found.alpha) & apart].reset_index(drop=True)
    return tuple(_arrival_reasons(told, month, units or {})), told


def natural(table: pd.DataFrame) -> pd.DataFrame:
    """Bring value, centre, lo and hi from the scale of the series to sizes, volumes and shares."""
    columns = ["value", "centre", "lo", "hi"]
    if table.empty:
        return table
    numbers = table[columns].astype(float)
    is_share = table["aspect"].isin(("missing", "nonzero")).to_numpy()[:, None]
    shares = share_of(numbers.to_numpy())
    return table.assign(
        **dict(zip(columns, np.where(is_share, shares, np.exp(np.minimum(numbers, 700))).T, strict=True))
    )


def _drift_reason(feature: Feature, row: pd.Series, more: int) -> Reason:
    others = f" So do {more} more features of it." if more > 1 else " So does one more feature of it." if more else ""
    name = f"{feature.meaning.rstrip('.')} ({feature.name})"
    psi = f"PSI {row['psi']:.2f}"
    if row["aspect"] == "missing":
        gone = row["missing_share"] >= _GONE and row["reference_missing_share"] < _WAS_THERE
        text = (
            f"{name}: missing for {row['missing_share']:.1%} of customers, expected {row['missing_lo']:.1%} to "
            f"{row['missing_hi']:.1%}.{others} "
        )
        if gone and feature.measure:
            return Reason("missing", "act", f"{text}It is no longer delivered: mend its source, then score again.")
        return Reason("missing", "watch", f"{text}{_RECORDED}")
    if row["aspect"] == "size":
        text = f"{name}: {row['factor']:.2g} times as large as in training ({psi}).{others} "
        factor = float(row["factor"])
        # Signs cancel in trends, and zeros make up most of shares and of rare things: those may well multiply.
        is_unit = feature.measure is not None and feature.unit not in {"share", ""}
        if is_unit and not 1 / UNIT_FACTOR < factor < UNIT_FACTOR:
            return Reason("unit", "act", f"{text}{_UNIT}")
        return Reason("drift", "watch", f"{text}{_ASK}")
    limit = (
        "no larger than in earlier batches"
        if math.isnan(row["psi_limit"])
        else f"expected below {row['psi_limit']:.2f}"
    )
    return Reason("drift", "watch", f"{name}: spread otherwise than in training, {psi}, {limit}.{others} {_ASK}")


def _arrival_reasons(told: pd.DataFrame, month: str, units: Mapping[str, str]) -> Iterator[Reason]:
    rows: Iterator[Any] = told.itertuples()
    for row in rows:
        expected = f"expected {_written(row.lo, row.aspect)} to {_written(row.hi, row.aspect)}"
        value = _written(row.value, row.aspect)
        if row.aspect == "volume":
            verdict: Level = "act" if row.value < COLLAPSE * row.centre else "watch"
            # None at all has no logarithm, and is one on the scale of the series.
            yield Reason("volume", verdict, f"{row.what}: {row.n:,} touchpoints in {month}, {expected}. {_ARRIVED}")
        elif row.aspect == "missing":
            text = f"{row.what}: missing in {value} of the rows of {month}, {expected}."
            gone = row.value >= _GONE and row.centre < _WAS_THERE
            remedy = "It is no longer delivered: mend its source, then score again." if gone else _RECORDED
            yield Reason("missing", "act" if gone else "watch", f"{text} {remedy}")
        elif row.aspect == "nonzero":
            text = f"{row.what}: other than zero in {value} of the values of {month}, {expected}."
            yield Reason("source", "watch", f"{text} {_SERVICE}")
        else:
            yield _size_reason(row, month, units, expected)


def _size_reason(row: object, month: str, units: Mapping[str, str], expected: str) -> Reason:
    what, value, centre = (getattr(row, name) for name in ("what", "value", "centre"))
    factor = value / centre
    text = f"{what}: typical size {_written(value, 'size')} in {month}, {expected}; {factor:.2g} times the usual."
    if what in units:
        return Reason("unit", "act", f"{text} Like a change from {units[what]}: convert the values, then score again.")
    if not 1 / UNIT_FACTOR < factor < UNIT_FACTOR:
        return Reason("unit", "act", f"{text} {_UNIT}")
    return Reason("source", "watch", f"{text} {_SERVICE}")


def _written(value: float, aspect: str) -> str:
    if aspect in {"missing", "nonzero"}:
        return f"{value:.1%}"
    return f"{value:,.0f}" if aspect == "volume" else f"{value:.3g}"
