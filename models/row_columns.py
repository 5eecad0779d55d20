"""What may enter a model of a customer's period: covariates, tenure, season, past spend, memories of contacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.engine import build
from features.folds import CUSTOMER, Plan, total
from features.snapshot import DAY, DAYS_PER_MONTH, n_periods
from features.study import Study
from models.baseline import baseline_frame
from models.cadence import Charging, charges_due
from models.design_rows import Rows
from models.exposures import current, current_names, pieces_of, remembered, remembered_names, usual_column
from models.learnt import Learnt
from models.people import Bucket
from models.person_period import Periods

__all__ = ["period_length", "rows_of"]

Array = NDArray[np.float64]

TENURE_KNOTS = (30.0, 90.0, 365.0)
PAST_SPEND_DAYS = 180
LEAST_PAST_DAYS = 30.0


def period_length(study: Study) -> int:
    """Return the length of a period in microseconds: about a week, a whole number of them in the horizon."""
    return study.snapshot.horizon_days * DAY // n_periods(study.snapshot.horizon_days)


def rows_of(
    study: Study,
    learnt: Learnt,
    bucket: Bucket,
    columns: pa.Table,
    periods: Periods,
    go_live: NDArray[np.int64],
) -> Rows:
    """Lay out everything that may enter a model of some rows.

    Parameters
    ----------
    study : Study
        Gives windows and the length of a period.
    learnt : Learnt
        What is remembered of contacts, and how customers are charged.
    bucket : Bucket
        Whole customers of the rows.
    columns : pyarrow.Table
        From `models.exposures.exposure_columns`, of their touchpoints.
    periods : Periods
        The rows.
    go_live : int64 array, shape (rows,)
        Index of the go-live of each row.

    Returns
    -------
    Rows
        Columns `baseline__` (covariates), `time__` (tenure, season, trend, past spend), memories of contacts, and what
        was felt within the period.
    """
    spine = pa.table({"customer_key": periods.customer_key, "cutoff": periods.start})
    ends = pa.table({"customer_key": periods.customer_key, "cutoff": periods.start + period_length(study)})
    references, kinds, charging = learnt.references, learnt.kinds, learnt.charging
    names = [*(kind.column for kind in kinds), *pieces_of(references), *map(usual_column, references)]
    parts = [
        _baseline(bucket.customers, learnt.levels, periods),
        _past_spend(study, bucket, periods, charging),
        _single(remembered(names, columns, spine, study.snapshot.window_days), remembered_names(names)),
        _single(current(references, columns, ends, period_length(study) / DAY), current_names(references)),
    ]
    due = charges_due(charging.cadence, bucket.revenue, periods.customer_key, periods.start, period_length(study))
    return Rows(periods, pd.concat(parts, axis=1), go_live, due, np.ones(len(periods)))


def _single(values: Array, names: Sequence[str]) -> pd.DataFrame:
    """Keep states in single precision: seven digits are more than any contact was measured with."""
    return pd.DataFrame(values.astype(np.float32), columns=list(names))


def _baseline(customers: pa.Table, levels: Mapping[str, frozenset[str]], periods: Periods) -> pd.DataFrame:
    """Covariates, tenure, season and trend of each row; levels stay categories until all buckets are joined."""
    row = np.searchsorted(customers["customer_key"].to_numpy(), periods.customer_key)
    frame = baseline_frame(customers, levels).iloc[row].reset_index(drop=True).add_prefix("baseline__")
    tenure = (periods.start - _of_rows(customers, "joined_at", periods)) / DAY
    year = 2 * np.pi * periods.start / (365.25 * DAY)
    return frame.assign(
        time__tenure=np.log1p(np.maximum(tenure, 0.0)),
        **{f"time__tenure_over_{knot:g}": np.log1p(np.maximum(tenure - knot, 0.0)) for knot in TENURE_KNOTS},
        **{f"time__{f.__name__}{k}": f(k * year) for f in (np.sin, np.cos) for k in (1, 2)},
        time__trend=periods.start / (365.25 * DAY) - 50.0,
    )


def _past_spend(study: Study, bucket: Bucket, periods: Periods, charging: Charging) -> pd.DataFrame:
    """Say what each customer spent a day in the half-year that ended a horizon ago, and whether that is known.

    Heavy users meet more touchpoints and spend more. Ending a horizon ago, it lies before every go-live that a row can
    follow: no policy moves it.
    """
    at = bucket.revenue["occurred_at"]
    key = bucket.revenue["customer_key"]
    label = pa.array(["revenue"] * len(at), pa.string()).dictionary_encode()
    columns = {"customer_key": key, "journey": label, "journey_key": key, "occurred_at": at, "known_at": at}
    then = periods.start - study.snapshot.horizon_days * DAY
    spine = pa.table({"customer_key": periods.customer_key, "cutoff": then})
    plan = Plan(touch_features={CUSTOMER: {"spent": total("amount")}}, window_days=PAST_SPEND_DAYS)
    rows = pa.table(columns | {"amount": bucket.revenue["amount"]})
    spent = build(plan, rows, spine, {CUSTOMER: [CUSTOMER]})[f"spent__{CUSTOMER}"].to_numpy()
    joined = _of_rows(bucket.customers, "joined_at", periods)
    began = np.maximum(joined, charging.since)
    days = np.clip((then - began) / DAY, 0, PAST_SPEND_DAYS)
    is_known = days >= LEAST_PAST_DAYS
    daily = np.where(is_known, spent / np.maximum(days, 1.0), 0.0)
    log = np.log1p(DAYS_PER_MONTH * np.maximum(daily, 0.0) / charging.typical)  # the same in any currency
    return pd.DataFrame(
        {"time__spent_before": daily, "time__log_spent_before": log, "time__spent_known": is_known * 1.0}
    )


def _of_rows(customers: pa.Table, column: str, periods: Periods) -> NDArray[np.int64]:
    """Look a column of the customers up for each row."""
    row = np.searchsorted(customers["customer_key"].to_numpy(), periods.customer_key)
    return np.asarray(customers[column].to_numpy()[row], np.int64)
