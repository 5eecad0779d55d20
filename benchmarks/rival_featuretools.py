"""Deep feature synthesis by featuretools: customers, their journeys, touchpoints of these; one cutoff and a window.

It needs pandas 2, so it runs in an environment of its own: see benchmarks/README.md. Its features are not ours (nothing
looks back within a journey or forgets), so what is compared is the time for each value.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import featuretools
import pandas as pd

from benchmarks.measured import Work
from benchmarks.task import JOURNEYS, MEASURES, WINDOW_DAYS, Task

__all__ = ["compute", "compute_defaults"]

_FOLDS = ("count", "mean", "max", "min", "sum", "last")
_FOLDS_BY_JOURNEY = ("count", "mean", "max", "sum")


def compute(task: Task) -> Work:
    """Write features like ours for the first cutoff: cheap folds over touchpoints, then journeys, by journey type."""
    return _write(task, _FOLDS, _FOLDS_BY_JOURNEY)


def compute_defaults(task: Task) -> Work:
    """Write the features of the first cutoff that featuretools makes when not told which."""
    return _write(task, None, None)


def _write(task: Task, folds: Sequence[str] | None, folds_by_journey: Sequence[str] | None) -> Work:
    cutoff = pd.Timestamp(task.cutoffs[0], unit="us")
    columns = ["customer_id", "journey_id", "journey", "touchpoint", "known_at", *MEASURES]
    touches = pd.read_parquet(task.touchpoints, columns=columns)
    touches["known_at"] = touches["known_at"].dt.tz_localize(None)
    customers = pd.read_parquet(task.customers)
    customers = customers.assign(**{name: customers[name].dt.tz_localize(None) for name in ("joined_at", "left_at")})
    at_risk = (customers["joined_at"] <= cutoff) & ~(customers["left_at"] <= cutoff)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about pandas
        found, _ = featuretools.dfs(
            entityset=_entities(touches, customers[["customer_id"]]),
            target_dataframe_name="customers",
            cutoff_time=customers.loc[at_risk, ["customer_id"]].assign(time=cutoff),
            training_window=f"{WINDOW_DAYS} days",
            agg_primitives=folds,
            where_primitives=folds_by_journey,
            trans_primitives=[],
            max_depth=2,
        )
    found.reset_index().to_parquet(task.out / "features.parquet", index=False)
    return Work(len(found), len(found.columns))


def _entities(touches: pd.DataFrame, customers: pd.DataFrame) -> featuretools.EntitySet:
    journeys = touches.groupby("journey_id", as_index=False).agg(
        customer_id=("customer_id", "first"), journey=("journey", "first"), began=("known_at", "min")
    )
    touches = touches.drop(columns=["customer_id", "journey"]).assign(touch_id=range(len(touches)))
    data = featuretools.EntitySet("workload")
    data.add_dataframe(dataframe_name="customers", dataframe=customers, index="customer_id")
    data.add_dataframe(
        dataframe_name="journeys",
        dataframe=journeys,
        index="journey_id",
        time_index="began",
        logical_types={"journey": "Categorical"},
    )
    data.add_dataframe(
        dataframe_name="touches",
        dataframe=touches,
        index="touch_id",
        time_index="known_at",
        logical_types={"touchpoint": "Categorical"} | dict.fromkeys(MEASURES, "Double"),
    )
    data.add_relationship("customers", "customer_id", "journeys", "customer_id")
    data.add_relationship("journeys", "journey_id", "touches", "journey_id")
    data.add_interesting_values(dataframe_name="journeys", values={"journey": list(JOURNEYS)})
    data.add_last_time_indexes()
    return data
