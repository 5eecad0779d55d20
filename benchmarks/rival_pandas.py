"""The features of the benchmark as one would write them by hand in pandas: group and unstack, cutoff after cutoff."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measured import Work
from benchmarks.task import (
    CHANNELS,
    COLUMNS,
    FEATURES,
    HALF_LIFE_DAYS,
    JOURNEYS,
    REPEAT_DAYS,
    TOUCHPOINTS,
    WINDOW_DAYS,
    ZERO_WHEN_EMPTY,
    Task,
)

__all__ = ["compute", "features_at"]


def compute(task: Task) -> Work:
    """Write the features of all cutoffs, a file each."""
    settled = _read(task.touchpoints)
    customers = pd.read_parquet(task.customers)
    rows = 0
    for cutoff in task.cutoffs:
        frame = features_at(settled, customers, pd.Timestamp(cutoff, unit="us", tz="UTC"))
        frame = frame.astype(dict.fromkeys(frame.columns[frame.dtypes == np.float64], np.float32))
        path = task.out / f"{cutoff}.parquet"
        frame.to_parquet(path, index=False, compression="lz4", use_dictionary=False, write_statistics=False)
        rows += len(frame)
    return Work(rows)


def features_at(settled: pd.DataFrame, customers: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Compute the features of the customers at risk at one cutoff."""
    window = _window(settled, cutoff)
    by_journey = _by_journey(_journeys(window, cutoff))
    by_touchpoint = window.groupby(["customer_id", "touchpoint"], observed=True, sort=False).agg(
        effort_mean=("effort", "mean"), contacts=("effort", "size")
    )
    wide = pd.concat([_wide(by_journey, JOURNEYS), _wide(by_touchpoint, TOUCHPOINTS)], axis=1)
    at_risk = (customers["joined_at"] <= cutoff) & ~(customers["left_at"] <= cutoff)
    wide = wide.reindex(pd.Index(customers.loc[at_risk, "customer_id"], name="customer_id"))
    zero = [name for name in wide.columns if name.startswith(ZERO_WHEN_EMPTY)]
    wide = wide.fillna(dict.fromkeys(zero, 0.0)).astype("float64").reset_index()
    wide.insert(1, "cutoff", cutoff)
    return wide


def _read(path: Path) -> pd.DataFrame:
    """Read touchpoints with their facts as they stand once all is known."""
    touches = pd.read_parquet(path, columns=list(COLUMNS))
    kinds = {"journey": JOURNEYS, "touchpoint": TOUCHPOINTS, "channel": CHANNELS}
    for name, levels in kinds.items():
        touches[name] = pd.Categorical(touches[name], categories=levels)
    touches["thread"] = touches["customer_id"] * len(JOURNEYS) + touches["journey"].cat.codes
    return _with_facts(touches)


def _with_facts(touches: pd.DataFrame) -> pd.DataFrame:
    codes = touches[["resolved"]].assign(channel=touches["channel"].cat.codes, kind=touches["touchpoint"].cat.codes)
    before = codes.groupby(touches["journey_id"], sort=False).shift()
    thread = touches.groupby("thread", sort=False)["occurred_at"].shift()
    is_first = before["channel"].isna()
    return touches.assign(
        switched=(codes["channel"] != before["channel"]) & ~is_first,
        handed_on=(before["resolved"] == 0) & (codes["kind"] != before["kind"]),
        came_back=is_first & (touches["occurred_at"] - thread <= pd.Timedelta(days=REPEAT_DAYS)),
    )


def _window(settled: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Take what was known in the window; where something was still hidden, facts are computed without it."""
    has_happened, is_known = settled["occurred_at"] <= cutoff, settled["known_at"] <= cutoff
    is_hidden = settled["thread"].isin(settled.loc[has_happened & ~is_known, "thread"].unique())
    start = cutoff - pd.Timedelta(days=WINDOW_DAYS)
    known = settled[~is_hidden & has_happened & is_known & (settled["occurred_at"] > start)]
    beside_hidden = _with_facts(settled[is_hidden & has_happened & is_known])
    window = pd.concat([known, beside_hidden[beside_hidden["occurred_at"] > start]])
    age = (cutoff - window["occurred_at"]) / pd.Timedelta(days=1)
    return window.assign(felt=window["wait"] * np.exp2(-age / HALF_LIFE_DAYS))


def _journeys(window: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    journeys = window.groupby(["customer_id", "journey", "journey_id"], observed=True, sort=False).agg(
        touches=("wait", "size"),
        wait=("wait", "sum"),
        waits=("wait", "count"),
        worst=("wait", "max"),
        felt=("felt", "sum"),
        closed=("resolved", "last"),
        rating=("rating", "min"),
        kept=("kept", "sum"),
        promised=("kept", "count"),
        switches=("switched", "sum"),
        handovers=("handed_on", "sum"),
        returns=("came_back", "sum"),
        began=("occurred_at", "first"),
        ended=("occurred_at", "last"),
    )
    day = pd.Timedelta(days=1)
    return journeys.assign(
        days=(journeys["ended"] - journeys["began"]) / day,
        age=(cutoff - journeys["ended"]) / day,
    ).sort_values("ended")


def _by_journey(journeys: pd.DataFrame) -> pd.DataFrame:
    found = journeys.groupby(["customer_id", "journey"], observed=True, sort=False).agg(
        journeys=("touches", "size"),
        touches_total=("touches", "sum"),
        touches_mean=("touches", "mean"),
        wait=("wait", "sum"),
        waits=("waits", "sum"),
        wait_worst=("worst", "max"),
        wait_felt=("felt", "sum"),
        closed_mean=("closed", "mean"),
        closed_last=("closed", "last"),
        rating_low=("rating", "min"),
        kept=("kept", "sum"),
        promised=("promised", "sum"),
        switches_mean=("switches", "mean"),
        handovers_mean=("handovers", "mean"),
        returns_total=("returns", "sum"),
        days_mean=("days", "mean"),
        age_low=("age", "min"),
    )
    found = found.assign(
        wait_mean=found["wait"] / found["waits"].replace(0, np.nan),
        promise_gap=(found["promised"] - found["kept"]) / found["promised"].replace(0, np.nan),
    )
    return found[list(FEATURES["journey"])]


def _wide(long: pd.DataFrame, levels: Sequence[str]) -> pd.DataFrame:
    """Put levels side by side, as ``name__level``; those that nobody has as well."""
    wide = long.unstack()  # noqa: PD010 - pivot_table would aggregate once more
    wide.columns = [f"{name}__{level}" for name, level in wide.columns]
    return wide.reindex(columns=[f"{name}__{level}" for name in long.columns for level in levels])
