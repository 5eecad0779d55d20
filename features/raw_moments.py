"""Sums of products of columns by group of customers, from rows that come by in batches.

Means in place of missing values, flags, standardised columns, regressions, bootstraps of customers: all follow from
these sums by linear algebra (`models.drivers`). So only this pass touches rows, its memory does not grow with them, and
all outcomes share it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.customer_groups import GROUPS, CustomerGroups

__all__ = [
    "BATCH",
    "Batch",
    "Look",
    "OutcomeSums",
    "RawMoments",
    "finite_weights",
    "moments_of_frame",
    "refuse_too_large",
    "sum_products",
]

FloatArray = NDArray[np.float64]

BATCH = 131_072
"""Rows worked on at a time: about a hundred for each group, enough for products of matrices to be fast."""

_LARGEST = 1e250
"""Sums of squares that still leave room for products of means; beyond it numbers would overflow later on."""


@dataclass(frozen=True, slots=True)
class Look:
    """What has to be known of the rows before their products are summed.

    Attributes
    ----------
    origins : mapping of str to float
        Number columns, in order, with a rough mean; it is subtracted so that sums of squares keep their digits, and
        changes no result but for rounding.
    flagged : frozenset of str
        Number columns that some row misses.
    levels : mapping of str to tuple of str
        Text columns, in order, with their levels.
    outcomes : mapping of str to float
        Outcomes with a rough mean.
    n_rows, n_customers : mapping of str to int
        Rows with a known outcome and a positive weight, and the different customers among them, by outcome.
    groups : CustomerGroups
        Of all these customers.
    """

    origins: Mapping[str, float]
    flagged: frozenset[str]
    levels: Mapping[str, tuple[str, ...]]
    outcomes: Mapping[str, float]
    n_rows: Mapping[str, int]
    n_customers: Mapping[str, int]
    groups: CustomerGroups

    @property
    def places(self) -> dict[str | tuple[str, str], int]:
        """Where each column stands in the sums, after the ones at 0.

        A number stands under its name and its flag, if it has one, under ``(name, "")``; a level of a text under
        ``(name, level)``; an outcome under ``("", name)``.
        """
        names: list[str | tuple[str, str]] = []
        for name in self.origins:
            names += [name, (name, "")] if name in self.flagged else [name]
        names += [(name, level) for name, levels in self.levels.items() for level in levels]
        names += [("", name) for name in self.outcomes]
        return {name: place for place, name in enumerate(names, start=1)}


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows.

    Attributes
    ----------
    numbers : mapping of str to ndarray of float
        Number columns and outcomes; what is not finite is missing.
    texts : mapping of str to pyarrow.Array
        Text columns.
    customers : pyarrow.Array
        Identifiers, none missing.
    weight : ndarray of float or None
        None counts every row once.
    """

    numbers: Mapping[str, FloatArray]
    texts: Mapping[str, pa.Array]
    customers: pa.Array
    weight: FloatArray | None


@dataclass(frozen=True, slots=True)
class OutcomeSums:
    """Sums over the rows whose outcome is known.

    Attributes
    ----------
    sums : ndarray of float, shape (groups, 1 + columns, 1 + columns)
        ``sum(weight * z z')`` over the rows of a group of customers, ``z`` as in `Look.places`; groups without rows
        are left out.
    n_rows, n_customers : int
        Rows, and customers among them.
    """

    sums: FloatArray
    n_rows: int
    n_customers: int


@dataclass(frozen=True, slots=True)
class RawMoments:
    """Weighted raw second moments by group of customers; made by :func:`sum_products`.

    Attributes
    ----------
    look : Look
        What the columns are.
    parts : mapping of tuple of bool to ndarray of float
        For each set of known outcomes that occurs, (groups, 1 + columns, 1 + columns).
    """

    look: Look
    parts: Mapping[tuple[bool, ...], FloatArray]

    def of(self, outcome: str) -> OutcomeSums:
        """Take the sums over the rows whose outcome is known.

        Raises
        ------
        ValueError
            An outcome that was not summed.
        """
        if outcome not in self.look.outcomes:
            raise ValueError(f"{outcome!r} was not summed. Expected one of {', '.join(self.look.outcomes)}.")
        number = list(self.look.outcomes).index(outcome)
        size = 1 + len(self.look.places)
        total = sum((part for known, part in self.parts.items() if known[number]), np.zeros((1, size, size)))
        return OutcomeSums(total[total[:, 0, 0] > 0], self.look.n_rows[outcome], self.look.n_customers[outcome])


def sum_products(batches: Iterable[Batch], look: Look) -> RawMoments:
    """Sum weighted products of all columns within groups of customers.

    Parameters
    ----------
    batches : iterable of Batch
        All rows, in any order. Rows of which no outcome is known, or whose weight is not positive, are left out.
    look : Look
        What the columns are.

    Returns
    -------
    RawMoments
        The order of rows and the size of batches have no influence but for rounding.

    Raises
    ------
    ValueError
        A column, or the weights, with numbers so large that their squares cannot be summed.

    Notes
    -----
    Cost: rows x columns^2 / 2 multiplications by BLAS, sorted by group first; memory: a batch and groups x columns^2
    numbers for each set of known outcomes.
    """
    parts: dict[tuple[bool, ...], FloatArray] = {}
    size = 1 + len(look.places)
    for batch in batches:
        known = np.array([np.isfinite(batch.numbers[name]) for name in look.outcomes])
        weighed = np.ones(known.shape[1], dtype=bool) if batch.weight is None else batch.weight > 0
        sets = (1 << np.arange(len(known))) @ known * weighed
        for one in np.unique(sets[sets > 0]).tolist():
            rows = np.flatnonzero(sets == one)
            key = tuple(bool(one >> place & 1) for place in range(len(known)))
            if key not in parts:
                parts[key] = np.zeros((look.groups.count, size, size))
            # what overflows is refused below, by name
            with np.errstate(over="ignore", invalid="ignore"):
                _add(parts[key], batch, rows, look)
    squares = sum((np.diagonal(part, axis1=1, axis2=2).sum(axis=0) for part in parts.values()), np.zeros(size))
    refuse_too_large(
        ["weight", *(place if isinstance(place, str) else "".join(place) for place in look.places)], squares
    )
    return RawMoments(look, parts)


def refuse_too_large(names: Iterable[str], squares: FloatArray) -> None:
    """Refuse columns whose squares cannot be summed.

    Parameters
    ----------
    names : iterable of str
        Of the columns.
    squares : ndarray of float
        Weighted sums of their squares.

    Raises
    ------
    ValueError
        The first column whose sum is above 1e250 or not a number.
    """
    for name, square in zip(names, squares.tolist(), strict=True):
        if not square <= _LARGEST:
            raise ValueError(
                f"{name!r} holds numbers whose squares sum to more than {_LARGEST:.0e}. Numbers below about 1e120 were "
                "expected. Look for a code that stands for missing, and set it to missing."
            )


def finite_weights(values: FloatArray, name: str) -> FloatArray:
    """Pass on weights, none of them infinite; missing ones leave their rows out.

    Raises
    ------
    ValueError
        An infinite weight.
    """
    if np.isinf(values).any():
        raise ValueError(
            f"{name!r} holds an infinite weight. Finite ones were expected. Repair it or set it to missing."
        )
    return values


def _add(sums: FloatArray, batch: Batch, rows: NDArray[np.intp], look: Look) -> None:
    """Add the products of some rows of a batch, group by group."""
    group = look.groups.numbers(batch.customers.take(pa.array(rows)))
    # numbers of 16 bits are sorted by radix, in a tenth of the time
    order = np.argsort(group.astype(np.min_scalar_type(look.groups.count)), kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(group))])
    z = _columns(batch, rows[order], look)
    for number, (start, stop) in enumerate(itertools.pairwise(edges.tolist())):
        if stop > start:
            own = z[:, start:stop]
            sums[number] += own @ own.T


def _columns(batch: Batch, rows: NDArray[np.intp], look: Look) -> FloatArray:
    """Fill the columns of `Look.places`, times the root of the weight: (1 + columns, rows)."""
    z = np.empty((1 + len(look.places), len(rows)))
    root = np.ones(len(rows)) if batch.weight is None else np.sqrt(batch.weight[rows])
    z[0] = root
    place = 1
    for name, origin in look.origins.items():
        there = batch.numbers[name][rows]
        is_missing = ~np.isfinite(there)
        z[place] = np.where(is_missing, 0.0, there - origin) * root
        if name in look.flagged:
            z[place + 1] = is_missing * root
        place += 1 + (name in look.flagged)
    for name, levels in look.levels.items():
        code = _codes(batch.texts[name].take(pa.array(rows)), levels)
        for number in range(len(levels)):
            z[place] = (code == number) * root
            place += 1
    for name, origin in look.outcomes.items():
        there = batch.numbers[name][rows]
        z[place] = np.where(np.isfinite(there), there - origin, 0.0) * root
        place += 1
    return z


def _codes(texts: pa.Array, levels: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the number of the level of each row, -1 where there is none."""
    found = pc.index_in(texts, pa.array(levels, texts.type))
    return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def moments_of_frame(
    frame: pd.DataFrame,
    columns: Iterable[str],
    outcomes: Iterable[str],
    *,
    customer: str = "customer_id",
    weight: str | None = None,
    groups: int = GROUPS,
) -> RawMoments:
    """Sum products over the rows of a frame; see `features.panel_moments` for rows that are not in memory.

    Parameters
    ----------
    frame : DataFrame
        The rows.
    columns : iterable of str
        Numbers, and texts or categories; a name twice counts once.
    outcomes : iterable of str
        Numeric columns.
    customer : str
        Column of identifiers.
    weight : str, optional
        Column of weights; every row counts once when left out.
    groups : int
        The largest number of groups.

    Raises
    ------
    ValueError
        An infinite weight, or numbers too large to be squared.

    Examples
    --------
    >>> frame = pd.DataFrame({"customer_id": ["a", "b", "a"], "x": [1.0, 3.0, 5.0], "y": [0.0, 1.0, 2.0]})
    >>> moments_of_frame(frame, ["x"], ["y"]).of("y").sums.tolist()
    [[[2.0, 0.0, 0.0], [0.0, 8.0, 4.0], [0.0, 4.0, 2.0]], [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]
    """
    targets = tuple(dict.fromkeys(outcomes))
    usable = np.isfinite(frame[list(targets)].to_numpy(dtype=np.float64, na_value=np.nan)).any(axis=1)
    if weight is not None:
        usable &= frame[weight].to_numpy(dtype=np.float64, na_value=np.nan) > 0
    rows = frame if usable.all() else frame[usable]
    named = dict.fromkeys(columns)
    numeric = [name for name in named if pd.api.types.is_numeric_dtype(rows[name])]
    texts = [name for name in named if name not in numeric]
    look = _look(rows, numeric, texts, targets, customer, groups)
    return sum_products(_batches(rows, look, customer, weight), look)


def _look(
    rows: pd.DataFrame, numeric: list[str], texts: list[str], outcomes: tuple[str, ...], customer: str, groups: int
) -> Look:
    """Look at the usable rows of a frame."""
    origins, flagged = {}, set()
    for name in [*numeric, *outcomes]:
        values = _floats(rows[name])
        there = np.isfinite(values)
        with np.errstate(over="ignore"):
            origins[name] = float(values.mean(where=there)) if there.any() else 0.0
        if not there.all():
            flagged.add(name)
    known = {name: np.isfinite(_floats(rows[name])) for name in outcomes}
    return Look(
        origins={name: origins[name] for name in numeric},
        flagged=frozenset(flagged.intersection(numeric)),
        levels={name: tuple(sorted(map(str, rows[name].dropna().unique()))) for name in texts},
        outcomes={name: origins[name] for name in outcomes},
        n_rows={name: int(mask.sum()) for name, mask in known.items()},
        n_customers={name: int(rows.loc[mask, customer].nunique()) for name, mask in known.items()},
        groups=CustomerGroups.of(_identifiers(rows[customer]), groups),
    )


def _batches(rows: pd.DataFrame, look: Look, customer: str, weight: str | None) -> Iterator[Batch]:
    """Cut a frame into batches."""
    for start in range(0, len(rows), BATCH):
        some = rows.iloc[start : start + BATCH]
        yield Batch(
            numbers={name: _floats(some[name]) for name in (*look.origins, *look.outcomes)},
            texts={name: _texts(some[name]) for name in look.levels},
            customers=_identifiers(some[customer]),
            weight=None if weight is None else finite_weights(_floats(some[weight]), weight),
        )


def _floats(values: pd.Series) -> FloatArray:
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def _texts(values: pd.Series) -> pa.Array:
    plain = values.astype(object)
    return pa.array(plain.where(plain.notna(), None).map(str, na_action="ignore"), pa.string(), from_pandas=True)


def _identifiers(values: pd.Series) -> pa.Array:
    return pa.array(values) if pd.api.types.is_integer_dtype(values) else _texts(values)
