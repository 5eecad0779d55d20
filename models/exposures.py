"""What a customer has felt up to a moment: decayed sums of touchpoint quality, built by the feature engine.

Two memories (half-lives of two weeks and of two months) hold, for each measure, journey and piece of its scale, how far
contacts deviated from what was to be expected of such a contact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.engine import build
from features.folds import Fold, Plan, decayed, total
from features.snapshot import DAY
from models.contact_kinds import ContactKind, kinds_of_rows
from models.initiatives import MovedTouchpoints
from models.references import Reference, in_exposure

Array = NDArray[np.float64]

FAST_DAYS, SLOW_DAYS = 14.0, 60.0
MEMORIES = {"fast": FAST_DAYS, "slow": SLOW_DAYS}
_FELT = ("customer_key", "journey", "journey_key", "occurred_at", "known_at")


def exposure_columns(
    references: Sequence[Reference], touchpoints: pa.Table, customers: pa.Table, kinds: Sequence[ContactKind] = ()
) -> pa.Table:
    """Add to each touchpoint how far it deviated from expectation, piece by piece of the scale, and what kind it is of.

    Parameters
    ----------
    references : sequence of Reference
        From `fit_references`.
    touchpoints, customers : pyarrow.Table
        A bucket of whole customers.
    kinds : sequence of ContactKind
        Counted by a column each.

    Returns
    -------
    pyarrow.Table
        `customer_key`, `journey`, `journey_key`, `occurred_at`, `known_at` (when it was felt, so `occurred_at`) and
        one column per state, NaN where it does not apply.
    """
    columns = _felt_when_it_happened(touchpoints)
    for reference in references:
        rows = np.flatnonzero(in_exposure(reference.exposure, touchpoints))
        deviations, usual = reference.split(touchpoints.take(pa.array(rows)), customers)
        names = (*piece_columns(reference), usual_column(reference))
        for name, values in zip(names, (*deviations, usual), strict=True):
            full = np.full(touchpoints.num_rows, np.nan)
            full[rows] = values
            columns[name] = pa.array(full)
    kind = kinds_of_rows(kinds, touchpoints)
    columns |= {one.column: pa.array(np.where(kind == k, 1.0, np.nan)) for k, one in enumerate(kinds)}
    return pa.table(columns)


def _felt_when_it_happened(touchpoints: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Return what the engine needs of touchpoints, known from the moment on at which they were felt."""
    at = touchpoints["occurred_at"]
    kept = {name: touchpoints[name] for name in ("customer_key", "journey", "journey_key")}
    return kept | {"occurred_at": at, "known_at": at}


def moved_columns(references: Sequence[Reference], touchpoints: pa.Table, values: dict[str, Array]) -> pa.Table:
    """Say by how much each moved touchpoint changes the states.

    Parameters
    ----------
    references : sequence of Reference
        From `fit_references`.
    touchpoints : pyarrow.Table
        The moved rows as observed.
    values : mapping of str to float64 array
        Delivered values per measure.

    Returns
    -------
    pyarrow.Table
        As `exposure_columns`, with differences. States are sums over touchpoints, so the state rebuilt from moved
        touchpoints is the observed state plus the same fold over these differences; a row that is not moved adds 0.
    """
    columns = _felt_when_it_happened(touchpoints)
    for reference in references:
        if reference.exposure.measure not in values:
            continue
        inside = in_exposure(reference.exposure, touchpoints)
        before, after = touchpoints[reference.exposure.measure].to_numpy(), values[reference.exposure.measure]
        for name, old, new in zip(
            piece_columns(reference), reference.pieces(before), reference.pieces(after), strict=True
        ):
            columns[name] = pa.array(np.where(inside, new - old, np.nan))
    return pa.table(columns)


def vanished_columns(
    references: Sequence[Reference], touchpoints: pa.Table, customers: pa.Table, kinds: Sequence[ContactKind] = ()
) -> pa.Table:
    """Say by how much the states change when touchpoints do not happen.

    Parameters
    ----------
    references, touchpoints, customers, kinds
        As for `exposure_columns`; the touchpoints that vanish.

    Returns
    -------
    pyarrow.Table
        As `moved_columns`: each row takes back how far it deviated from expectation, and that it happened.
    """
    return _taken_back(exposure_columns(references, touchpoints, customers, kinds))


def retimed_columns(
    references: Sequence[Reference], moved: MovedTouchpoints, customers: pa.Table, kinds: Sequence[ContactKind] = ()
) -> pa.Table:
    """Say by how much the states change when touchpoints happen at another time, moved or not in what they measure.

    Parameters
    ----------
    references : sequence of Reference
        From `fit_references`.
    moved : MovedTouchpoints
        Touchpoints with the moments at which they would happen.
    customers : pyarrow.Table
        The bucket they belong to.
    kinds : sequence of ContactKind
        Counted where they would be.

    Returns
    -------
    pyarrow.Table
        As `moved_columns`, two rows each: what was felt is taken back where it was, and felt, as it would have been,
        where it would be. What was to be expected stays that of the observed moment.
    """
    felt = exposure_columns(references, moved.touchpoints, customers, kinds)
    change = moved_columns(references, moved.touchpoints, dict(moved.delivered))
    there = felt
    for number, name in enumerate(felt.column_names):
        if name in ("occurred_at", "known_at"):
            there = there.set_column(number, name, pa.array(moved.at))
        elif name in change.column_names and name not in _FELT:
            there = there.set_column(number, name, pa.array(felt[name].to_numpy() + change[name].to_numpy()))
    return pa.concat_tables([_taken_back(felt), there])


def _taken_back(columns: pa.Table) -> pa.Table:
    for number, name in enumerate(columns.column_names):
        if name not in _FELT:
            columns = columns.set_column(number, name, pc.negate(columns[name]))
    return columns


def joined_columns(tables: Sequence[pa.Table]) -> pa.Table:
    """Put differences from several causes into one table, sorted by customer and time."""
    whole = pa.concat_tables(tables, promote_options="default").unify_dictionaries()
    order = np.lexsort((whole["occurred_at"].to_numpy(), whole["customer_key"].to_numpy()))
    return whole.take(pa.array(order))


def piece_columns(reference: Reference) -> tuple[str, ...]:
    """Name the pieces of an exposure, in the order of its scale."""
    exposure = reference.exposure
    return tuple(f"{exposure.journey}__{exposure.measure}__{i}" for i in range(len(reference.knots) - 1))


def pieces_of(references: Sequence[Reference]) -> tuple[str, ...]:
    """Name the pieces of several exposures, one exposure after the other."""
    return tuple(column for reference in references for column in piece_columns(reference))


def usual_column(reference: Reference) -> str:
    """Name the column of what was to be expected of an exposure."""
    return f"{reference.exposure.journey}__{reference.exposure.measure}__usual"


def remembered_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of the memories of these columns, in the order in which `remembered` returns them."""
    return tuple(f"{name}__{memory}" for name in names for memory in MEMORIES)


def remembered(names: Sequence[str], columns: pa.Table, spine: pa.Table, window_days: int) -> Array:
    """Fold touchpoints into memories at each customer and moment.

    Parameters
    ----------
    names : sequence of str
        Columns to be remembered: pieces, what was usual, kinds of contacts. All in one call cost one sorting.
    columns : pyarrow.Table
        From `exposure_columns` or `moved_columns`.
    spine : pyarrow.Table
        `customer_key` and `cutoff`.
    window_days : int
        Older touchpoints are forgotten.

    Returns
    -------
    float64 array, shape (spine rows, 2 x names)
        The memories of a column side by side; 0 where the table does not have it.
    """
    here = [name for name in names if name in columns.column_names]
    folds: dict[str, Fold] = {f"{name}__{m}": decayed(name, days) for name in here for m, days in MEMORIES.items()}
    return _fold(folds, columns, spine, window_days, remembered_names(names))


def current_names(references: Sequence[Reference]) -> tuple[str, ...]:
    """Names of the sums within a period, in the order in which `current` returns them."""
    return tuple(f"{column}__now" for column in pieces_of(references))


def current(references: Sequence[Reference], columns: pa.Table, spine: pa.Table, period_days: float) -> Array:
    """Sum what is felt within a period that ends at the cutoffs of the spine; otherwise as `remembered`.

    Returns
    -------
    float64 array, shape (spine rows, current names)
    """
    present = [c for c in pieces_of(references) if c in columns.column_names]
    folds = {f"{c}__now": total(c) for c in present}
    return _fold(folds, columns, spine, period_days, current_names(references))


def lagged_columns(columns: pa.Table, lag_days: Sequence[float]) -> pa.Table:
    """Repeat what touchpoints change, as if it happened so many days later.

    Parameters
    ----------
    columns : pyarrow.Table
        From `moved_columns`.
    lag_days : sequence of float
        One for each repetition.

    Returns
    -------
    pyarrow.Table
        Sorted by customer and time, the columns of repetition b named `{column}__lag{b}`.
    """
    parts = []
    for b, days in enumerate(lag_days):
        at = pa.array(columns["occurred_at"].to_numpy() + round(days * DAY))
        kept = {name: columns[name] for name in ("customer_key", "journey", "journey_key")}
        felt = {f"{name}__lag{b}": columns[name] for name in columns.column_names if name not in _FELT}
        parts.append(pa.table(kept | {"occurred_at": at, "known_at": at} | felt))
    return joined_columns(parts)


def lagged(reference: Reference, n_lags: int, columns: pa.Table, spine: pa.Table, window_days: int) -> Array:
    """Fold what `lagged_columns` gives for one reference.

    Returns
    -------
    float64 array, shape (spine rows, lags x pieces, 2)
        Memories last.
    """
    names = [f"{column}__lag{b}" for b in range(n_lags) for column in piece_columns(reference)]
    return remembered(names, columns, spine, window_days).reshape(spine.num_rows, len(names), len(MEMORIES))


def _fold(
    folds: dict[str, Fold], columns: pa.Table, spine: pa.Table, window_days: float, names: tuple[str, ...]
) -> Array:
    """Run the engine over all rows of a customer; states that are not in the table stay 0."""
    result = np.zeros((spine.num_rows, len(names)))
    if folds and columns.num_rows:
        plan = Plan(touch_features={"customer": folds}, window_days=window_days)
        out = build(plan, columns, spine, {"customer": ["customer"]})
        for i, name in enumerate(names):
            if name in folds:
                result[:, i] = out[f"{name}__customer"].to_numpy()
    return result
