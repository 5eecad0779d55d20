"""What a customer has felt up to a moment: decayed sums of touchpoint quality, built by the feature engine.

Two memories (half-lives of two weeks and of two months) hold, for each measure, journey and piece of its scale, how far
contacts deviated from what was to be expected of such a contact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from features.engine import build
from features.folds import Fold, Plan, decayed, total
from features.study import Measure, Study
from models.adjustment import Exposure

Array = NDArray[np.float64]

FAST_DAYS, SLOW_DAYS = 14.0, 60.0
MEMORIES = {"fast": FAST_DAYS, "slow": SLOW_DAYS}
# What a minute more does depends on how long one has waited: the scale of a measure is cut at these quantiles into
# pieces of their own slope. Beyond the outermost ones it is taken as flat: a few extreme values must not tilt the rest.
KNOTS = (0.005, 0.5, 0.8, 0.975)
MOST_CATEGORIES = 30
MOST_REFERENCE_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Reference:
    """What was to be expected of a measure in a journey, given who the customer is, the channel and the month.

    Attributes
    ----------
    exposure : Exposure
        Measure and journey.
    knots : tuple of float
        Ends of the pieces, ascending.
    expected : tuple of Pipeline
        Per piece: regression on baseline, touchpoint, channel and month.
    """

    exposure: Exposure
    knots: tuple[float, ...]
    expected: tuple[Pipeline, ...]

    def pieces(self, value: Array) -> list[Array]:
        """Return how much of a value lies in each piece, in units of the measure; NaN stays NaN."""
        return [np.clip(value, low, high) - low for low, high in pairwise(self.knots)]


def fit_references(
    study: Study, exposures: Sequence[Exposure], touchpoints: pa.Table, customers: pa.Table
) -> tuple[Reference, ...]:
    """Learn what is to be expected of each measure.

    Parameters
    ----------
    study : Study
        Kind and direction of measures.
    exposures : sequence of Exposure
        What to learn about.
    touchpoints, customers : pyarrow.Table
        Whole customers, `customers` sorted by `customer_key`.

    Returns
    -------
    tuple of Reference
        In the order of `exposures`.

    Notes
    -----
    Deviations from this reference are what is left of quality after segment, region, channel and season: the part that
    acts like an experiment. Sums of deviations do not grow with the number of contacts, so a contact that happens only
    because an earlier one failed is not held fixed by them.
    """
    measures = {m.name: m for m in study.measures}
    return tuple(_fit_reference(measures[e.measure], e, touchpoints, customers) for e in exposures)


def _fit_reference(measure: Measure, exposure: Exposure, touchpoints: pa.Table, customers: pa.Table) -> Reference:
    rows = np.flatnonzero(_in_exposure(exposure, touchpoints))
    value = touchpoints[exposure.measure].to_numpy()[rows]
    knots = (value.min(), value.max()) if measure.kind == "share" else np.unique(np.quantile(value, KNOTS))
    if len(knots) < 2:  # nearly constant: the few other values are all there is to learn from
        knots = (value.min(), value.max())
    thinned = rows[:: max(1, len(rows) // MOST_REFERENCE_ROWS)]
    part = touchpoints.take(pa.array(thinned))
    setting = _setting(part, customers)
    blank = Reference(exposure, tuple(float(knot) for knot in knots), ())
    pieces = blank.pieces(part[exposure.measure].to_numpy())
    return replace(blank, expected=tuple(_regression(setting).fit(setting, piece) for piece in pieces))


def _in_exposure(exposure: Exposure, touchpoints: pa.Table) -> NDArray[np.bool_]:
    in_journey = pc.equal(touchpoints["journey"].cast(pa.string()), exposure.journey).to_numpy(zero_copy_only=False)
    return np.asarray(in_journey & ~np.isnan(touchpoints[exposure.measure].to_numpy()))


def _regression(setting: pd.DataFrame) -> Pipeline:
    """Boosted trees: waits multiply over segment and channel, and what a sum of levels leaves over would be confounded.

    Leaves of hundreds of contacts cannot follow single customers.
    """
    levels = [name for name in setting if not pd.api.types.is_numeric_dtype(setting[name])]
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=MOST_CATEGORIES,
    )
    columns = make_column_transformer((encoder, levels), remainder="passthrough", verbose_feature_names_out=False)
    trees = HistGradientBoostingRegressor(
        max_iter=80,
        max_leaf_nodes=15,
        min_samples_leaf=max(20, min(300, len(setting) // 50)),
        early_stopping=False,
        random_state=0,
    )
    return make_pipeline(columns, trees)


def _setting(touchpoints: pa.Table, customers: pa.Table) -> pd.DataFrame:
    """Baseline of the customer, touchpoint, channel and calendar month of each contact."""
    row = np.searchsorted(customers["customer_key"].to_numpy(), touchpoints["customer_key"].to_numpy())
    baseline = baseline_frame(customers).iloc[row].reset_index(drop=True)
    for name in ("touchpoint", "channel"):
        if name in touchpoints.column_names:
            baseline[f"{name} "] = touchpoints[name].cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False)
    month = touchpoints["occurred_at"].to_numpy().astype("datetime64[us]").astype("datetime64[M]").astype(int) % 12
    baseline["month "] = month.astype(str)
    return pd.DataFrame(baseline)


def baseline_frame(customers: pa.Table) -> pd.DataFrame:
    """Return the covariates of customers, complete: numbers with the median and a flag, text with a level of its own.

    Returns
    -------
    pandas.DataFrame
        One row per customer in the order of the table; text columns are categories.
    """
    out: dict[str, object] = {}
    for name in customers.column_names:
        if name in ("customer_key", "customer_id", "joined_at"):
            continue
        column = customers[name].to_pandas()
        if pd.api.types.is_numeric_dtype(column):
            missing = column.isna()
            out[name] = column.astype(float).fillna(0.0 if missing.all() else float(column.median()))
            if missing.any() and not missing.all():
                out[f"{name} missing"] = missing.astype(float)
        else:
            out[name] = column.astype(str).where(column.notna(), "(none)").astype("category")
    return pd.DataFrame(out, index=pd.RangeIndex(customers.num_rows))


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
    at = touchpoints["occurred_at"]
    columns = {n: touchpoints[n] for n in ("customer_key", "journey", "journey_key")} | {
        "occurred_at": at,
        "known_at": at,
    }
    setting = _setting(touchpoints, customers)
    for reference in references:
        rows = np.flatnonzero(_in_exposure(reference.exposure, touchpoints))
        value = touchpoints[reference.exposure.measure].to_numpy()[rows]
        parts = zip(_columns_of(reference), reference.pieces(value), reference.expected, strict=True)
        for name, piece, model in parts:
            full = np.full(touchpoints.num_rows, np.nan)
            full[rows] = piece - (model.predict(setting.iloc[rows]) if len(rows) else 0.0)
            columns[name] = pa.array(full)
    return pa.table(columns)


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
    at = touchpoints["occurred_at"]
    columns = {n: touchpoints[n] for n in ("customer_key", "journey", "journey_key")} | {
        "occurred_at": at,
        "known_at": at,
    }
    for reference in references:
        if reference.exposure.measure not in values:
            continue
        inside = _in_exposure(reference.exposure, touchpoints)
        before, after = touchpoints[reference.exposure.measure].to_numpy(), values[reference.exposure.measure]
        for name, old, new in zip(
            _columns_of(reference), reference.pieces(before), reference.pieces(after), strict=True
        ):
            columns[name] = pa.array(np.where(inside, new - old, np.nan))
    return pa.table(columns)


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
