"""The features of the benchmark in Polars: lazy frames, cutoff after cutoff, on touchpoints sorted once."""

from __future__ import annotations

import polars as pl
import polars.selectors as cs

from benchmarks.measured import Work
from benchmarks.task import (
    COLUMNS,
    FEATURES,
    HALF_LIFE_DAYS,
    KINDS,
    REPEAT_DAYS,
    WINDOW_DAYS,
    ZERO_WHEN_EMPTY,
    Task,
)

__all__ = ["compute"]

DAY_US = 86_400_000_000


def compute(task: Task) -> Work:
    """Write the features of all cutoffs, a file each."""
    kinds = [pl.col(name).cast(pl.Enum(levels)) for name, levels in KINDS.items()]
    touches = pl.scan_parquet(task.touchpoints).select(COLUMNS).with_columns(kinds)
    settled = _with_facts(touches).collect().lazy()
    customers = pl.read_parquet(task.customers).lazy()
    rows = 0
    for cutoff in task.cutoffs:
        found = _features_at(settled, customers, pl.lit(cutoff).cast(pl.Datetime("us", "UTC")))
        found = found.with_columns(pl.col(pl.Float64).cast(pl.Float32))
        found.write_parquet(task.out / f"{cutoff}.parquet", compression="lz4", statistics=False)
        rows += found.height
    return Work(rows)


def _features_at(settled: pl.LazyFrame, customers: pl.LazyFrame, cutoff: pl.Expr) -> pl.DataFrame:
    window = _window(settled, cutoff).with_columns(felt=_felt(cutoff)).collect().lazy()
    by_journey = _by_journey(_journeys(window, cutoff))
    by_touchpoint = window.group_by("customer_id", "touchpoint").agg(
        effort_mean=pl.col("effort").mean(), contacts=pl.len()
    )
    has_left = (pl.col("left_at") <= cutoff).fill_null(value=False)
    at_risk = customers.filter(pl.col("joined_at") <= cutoff, ~has_left).select("customer_id", cutoff=cutoff)
    by_journey, by_touchpoint = (
        part.lazy() for part in pl.collect_all([by_journey, by_touchpoint], engine="streaming")
    )
    wide = _beside(_beside(at_risk, by_journey, "journey"), by_touchpoint, "touchpoint")
    return wide.with_columns(cs.starts_with(*ZERO_WHEN_EMPTY).fill_null(0.0)).collect()


def _with_facts(touches: pl.LazyFrame) -> pl.LazyFrame:
    """Look back by sorting and shifting: six times as fast as ``over``."""
    in_threads = touches.sort("customer_id", "journey", "occurred_at")
    is_same_thread = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in ("customer_id", "journey"))
    thread = pl.when(is_same_thread).then(pl.col("occurred_at").shift())
    ordered = in_threads.with_columns(thread=thread).sort("journey_id", "occurred_at")
    is_first = (pl.col("journey_id") != pl.col("journey_id").shift()).fill_null(value=True)
    before = {name: pl.col(name).shift() for name in ("channel", "resolved", "touchpoint")}
    handed_on = (before["resolved"] == 0) & (pl.col("touchpoint") != before["touchpoint"])
    is_soon = pl.col("occurred_at") - pl.col("thread") <= pl.duration(days=REPEAT_DAYS)
    return ordered.with_columns(
        switched=~is_first & (pl.col("channel") != before["channel"]),
        handed_on=(~is_first & handed_on).fill_null(value=False),
        came_back=(is_first & is_soon).fill_null(value=False),
    )


def _window(settled: pl.LazyFrame, cutoff: pl.Expr) -> pl.LazyFrame:
    """Take what was known in the window; where something was still hidden, facts are computed without it."""
    has_happened, is_known = pl.col("occurred_at") <= cutoff, pl.col("known_at") <= cutoff
    is_recent = pl.col("occurred_at") > cutoff - pl.duration(days=WINDOW_DAYS)
    threads = ["customer_id", "journey"]
    hidden = settled.filter(has_happened, ~is_known).select(threads).unique()
    known = settled.filter(has_happened, is_known)
    beside_hidden = _with_facts(known.join(hidden, on=threads, how="semi").select(COLUMNS)).filter(is_recent)
    settled_ones = known.filter(is_recent).join(hidden, on=threads, how="anti")
    return pl.concat([settled_ones, beside_hidden.select(settled.collect_schema().names())])


def _felt(cutoff: pl.Expr) -> pl.Expr:
    age = (cutoff - pl.col("occurred_at")).dt.total_microseconds() / DAY_US
    return pl.col("wait") * 2.0 ** (-age / HALF_LIFE_DAYS)


def _journeys(window: pl.LazyFrame, cutoff: pl.Expr) -> pl.LazyFrame:
    journeys = window.group_by("journey_id").agg(
        pl.col("customer_id", "journey").first(),
        touches=pl.len(),
        wait=pl.col("wait").sum(),
        waits=pl.col("wait").count(),
        worst=pl.col("wait").max(),
        felt=pl.col("felt").sum(),
        closed=pl.col("resolved").last(ignore_nulls=True),
        rating=pl.col("rating").min(),
        kept=pl.col("kept").sum(),
        promised=pl.col("kept").count(),
        switches=pl.col("switched").sum(),
        handovers=pl.col("handed_on").sum(),
        returns=pl.col("came_back").sum(),
        began=pl.col("occurred_at").min(),
        ended=pl.col("occurred_at").max(),
    )
    return journeys.with_columns(
        days=(pl.col("ended") - pl.col("began")).dt.total_microseconds() / DAY_US,
        age=(cutoff - pl.col("ended")).dt.total_microseconds() / DAY_US,
    )


def _by_journey(journeys: pl.LazyFrame) -> pl.LazyFrame:
    is_closed = pl.col("closed").is_not_null()
    total = {name: pl.col(name).sum() for name in ("wait", "waits", "kept", "promised")}
    return journeys.group_by("customer_id", "journey").agg(
        journeys=pl.len(),
        touches_total=pl.col("touches").sum(),
        touches_mean=pl.col("touches").mean(),
        wait_mean=pl.when(total["waits"] > 0).then(total["wait"] / total["waits"]),
        wait_worst=pl.col("worst").max(),
        wait_felt=pl.col("felt").sum(),
        closed_mean=pl.col("closed").mean(),
        closed_last=pl.col("closed").filter(is_closed).max_by(pl.col("ended").filter(is_closed)),
        rating_low=pl.col("rating").min(),
        promise_gap=pl.when(total["promised"] > 0).then((total["promised"] - total["kept"]) / total["promised"]),
        switches_mean=pl.col("switches").mean(),
        handovers_mean=pl.col("handovers").mean(),
        returns_total=pl.col("returns").sum(),
        days_mean=pl.col("days").mean(),
        age_low=pl.col("age").min(),
    )


def _beside(wide: pl.LazyFrame, long: pl.LazyFrame, by: str) -> pl.LazyFrame:
    """Join level after level: four times as fast as ``pivot``, and as conditional aggregation."""
    for level in KINDS[by]:
        columns = [pl.col(name).cast(pl.Float64).alias(f"{name}__{level}") for name in FEATURES[by]]
        wide = wide.join(long.filter(pl.col(by) == level).select("customer_id", *columns), on="customer_id", how="left")
    return wide
