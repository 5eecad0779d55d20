"""Deep feature synthesis by featuretools, with a cutoff time and a window: its own primitives, for every customer.

It needs pandas 2, so it runs in an environment of its own: see benchmarks/README.md. Its features are not ours (it has
no look back within a journey, no journey in between, no decay), so what is compared is the time for each value.
"""

from __future__ import annotations

import warnings

import featuretools
import pandas as pd

from benchmarks.measured import Work
from benchmarks.task import KINDS, MEASURES, WINDOW_DAYS, Task

__all__ = ["compute"]


def compute(task: Task) -> Work:
    """Write the features of the first cutoff."""
    cutoff = pd.Timestamp(task.cutoffs[0], unit="us")
    touches = pd.read_parquet(task.touchpoints, columns=["customer_id", "journey", "touchpoint", "known_at", *MEASURES])
    touches["known_at"] = touches["known_at"].dt.tz_localize(None)
    touches["touch_id"] = range(len(touches))
    customers = pd.read_parquet(task.customers)
    customers = customers.assign(**{name: customers[name].dt.tz_localize(None) for name in ("joined_at", "left_at")})
    at_risk = (customers["joined_at"] <= cutoff) & ~(customers["left_at"] <= cutoff)
    wanted = customers.loc[at_risk, ["customer_id"]].assign(time=cutoff)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about pandas
        found = _synthesise(touches, customers[["customer_id"]], wanted)
    found.reset_index().to_parquet(task.out / "features.parquet", index=False)
    return Work(len(found), len(found.columns))


def _synthesise(touches: pd.DataFrame, customers: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    """Count, and fold each measure, of all touchpoints and of each journey type and kind of touchpoint."""
    data = featuretools.EntitySet("workload")
    data.add_dataframe(dataframe_name="customers", dataframe=customers, index="customer_id")
    kinds = dict.fromkeys(("journey", "touchpoint"), "Categorical") | dict.fromkeys(MEASURES, "Double")
    data.add_dataframe(
        dataframe_name="touches", dataframe=touches, index="touch_id", time_index="known_at", logical_types=kinds
    )
    data.add_relationship("customers", "customer_id", "touches", "customer_id")
    data.add_last_time_indexes()
    levels = {name: list(KINDS[name]) for name in ("journey", "touchpoint")}
    data.add_interesting_values(dataframe_name="touches", values=levels)
    found, _ = featuretools.dfs(
        entityset=data,
        target_dataframe_name="customers",
        cutoff_time=wanted,
        training_window=f"{WINDOW_DAYS} days",
        agg_primitives=["count", "mean", "max", "sum"],
        where_primitives=["count", "mean"],
        trans_primitives=[],
        max_depth=1,
    )
    return found
