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
from models.initiatives import MovedTouchpoints
from models.references import Reference, in_exposure

Array = NDArray[np.float64]

FAST_DAYS, SLOW_DAYS = 14.0, 60.0
MEMORIES = {"fast": FAST_DAYS, "slow": SLOW_DAYS}
_FELT = ("customer_key", "journey", "journey_key", "occurred_at", "known_at")


def exposure_columns(references: Sequence[Reference], touchpoints: pa.Table, customers: pa.Table) -> pa.Table:
    """Add to each touchpoint how far it deviated from expectation, piece by piece of the scale.

    Parameters
    ----------
    references : sequence of Reference
        From `fit_references`.
    touchpoints, customers : pyarrow.Table
        A bucket of whole customers.

    Returns
    -------
    pyarrow.Table
        `customer_key`, `journey`, `journey_key`, `occurred_at`, `known_at` (when it was felt, so `occurred_at`) and
        one column per state, NaN where it does not apply.
    """
    columns = _felt_when_it_happened(touchpoints)
    for reference in references:
        rows = np.flatnonzero(in_exposure(reference.exposure, touchpoints))
        found = reference.deviations(touchpoints.take(pa.array(rows)), customers)
        for name, deviation in zip(_columns_of(reference), found, strict=True):
            full = np.full(touchpoints.num_rows, np.nan)
            full[rows] = deviation
            columns[name] = pa.array(full)
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
            _columns_of(reference), reference.pieces(before), reference.pieces(after), strict=True
        ):
            columns[name] = pa.array(np.where(inside, new - old, np.nan))
    return pa.table(columns)


def vanished_columns(references: Sequence[Reference], touchpoints: pa.Table, customers: pa.Table) -> pa.Table:
    """Say by how much the states change when touchpoints do not happen.

    Parameters
    ----------
    references, touchpoints, customers
        As for `exposure_columns`; the touchpoints that vanish.

    Returns
    -------
    pyarrow.Table
        As `moved_columns`: each row takes back how far it deviated from expectation.
    """
    return _taken_back(exposure_columns(references, touchpoints, customers))


def retimed_columns(references: Sequence[Reference], moved: MovedTouchpoints, customers: pa.Table) -> pa.Table:
    """Say by how much the states change when touchpoints happen at another time, moved or not in what they measure.

    Parameters
    ----------
    references : sequence of Reference
        From `fit_references`.
    moved : MovedTouchpoints
        Touchpoints with the moments at which they would happen.
    customers : pyarrow.Table
        The bucket they belong to.

    Returns
    -------
    pyarrow.Table
        As `moved_columns`, two rows each: what was felt is taken back where it was, and felt, as it would have been,
        where it would be. What was to be expected stays that of the observed moment.
    """
    felt = exposure_columns(references, moved.touchpoints, customers)
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


def state_names(references: Sequence[Reference]) -> tuple[str, ...]:
    """Names of the states of these references, in the order in which `states` returns them."""
    return tuple(f"{column}__{memory}" for r in references for column in _columns_of(r) for memory in MEMORIES)


def _columns_of(reference: Reference) -> tuple[str, ...]:
    exposure = reference.exposure
    return tuple(f"{exposure.journey}__{exposure.measure}__{i}" for i in range(len(reference.knots) - 1))


def states(references: Sequence[Reference], columns: pa.Table, spine: pa.Table, window_days: int) -> Array:
    """Fold touchpoints into memories at each customer and moment.

    Parameters
    ----------
    references : sequence of Reference
        Which states.
    columns : pyarrow.Table
        From `exposure_columns` or `moved_columns`.
    spine : pyarrow.Table
        `customer_key` and `cutoff`.
    window_days : int
        Older touchpoints are forgotten.

    Returns
    -------
    float64 array, shape (spine rows, states)
    """
    present = [c for r in references for c in _columns_of(r) if c in columns.column_names]
    folds: dict[str, Fold] = {f"{c}__{m}": decayed(c, days) for c in present for m, days in MEMORIES.items()}
    return _fold(folds, columns, spine, window_days, state_names(references))


def current_names(references: Sequence[Reference]) -> tuple[str, ...]:
    """Names of the sums within a period, in the order in which `current` returns them."""
    return tuple(f"{column}__now" for r in references for column in _columns_of(r))


def current(references: Sequence[Reference], columns: pa.Table, spine: pa.Table, period_days: float) -> Array:
    """Sum what is felt within a period that ends at the cutoffs of the spine; otherwise as `states`.

    Returns
    -------
    float64 array, shape (spine rows, current names)
    """
    present = [c for r in references for c in _columns_of(r) if c in columns.column_names]
    folds = {f"{c}__now": total(c) for c in present}
    return _fold(folds, columns, spine, period_days, current_names(references))


def occurrences(columns: pa.Table, spine: pa.Table, ends: pa.Table, window_days: int, period_days: float) -> Array:
    """Count touchpoints in both memories at some moments, and within the periods that end later.

    Parameters
    ----------
    columns : pyarrow.Table
        The touchpoints to count, as `counted` gives them.
    spine, ends : pyarrow.Table
        `customer_key` and `cutoff`: moments, and ends of periods.
    window_days, period_days : float
        What is older is forgotten; length of a period.

    Returns
    -------
    float64 array, shape (spine rows, 3)
        Fast, slow, now.
    """
    folds: dict[str, Fold] = {memory: decayed("occurs", days) for memory, days in MEMORIES.items()}
    felt = _fold(folds, columns, spine, window_days, tuple(MEMORIES))
    now = _fold({"now": total("occurs")}, columns, ends, period_days, ("now",))
    return np.column_stack([felt, now])


def counted(touchpoints: pa.Table) -> pa.Table:
    """Lay touchpoints out so that `occurrences` counts each as one."""
    return pa.table(_felt_when_it_happened(touchpoints) | {"occurs": pa.array(np.ones(touchpoints.num_rows))})


def volume_names(journeys: Sequence[str]) -> tuple[str, ...]:
    """Names of the volume states, in the order in which `volumes` returns them."""
    return tuple(f"{journey}__journeys__{memory}" for journey in journeys for memory in MEMORIES)


def volumes(journeys: Sequence[str], columns: pa.Table, spine: pa.Table, window_days: int) -> Array:
    """Count, with decay, the journeys that customers began.

    Only the first touchpoint of a journey counts: that a customer came is a reason, that they had to come back is a
    consequence.

    Returns
    -------
    float64 array, shape (spine rows, 2 x journeys)
    """
    folds = {f"journeys__{m}": decayed("began", days) for m, days in MEMORIES.items()}
    plan = Plan(facts={"began": lambda t: t.is_first * 1.0}, touch_features={"journey": folds}, window_days=window_days)
    out = build(plan, columns, spine, {"journey": list(journeys)})
    order = [f"journeys__{m}__{j}" for j in journeys for m in MEMORIES]
    return np.column_stack([out[name].to_numpy() for name in order]) if order else np.zeros((spine.num_rows, 0))


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
