"""Scores of a table of customers: risk, expected revenue, reasons, and which models said so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from features.contract import PanelContract
from features.snapshot import Snapshot
from features.study import Study
from models.churn import predict_churn
from models.reasons import reasons
from models.revenue import predict_revenue
from models.splits import cutoff_microseconds

__all__ = ["REASONS", "SCORE_SCHEMA", "LoadedModel", "score_rows"]

REASONS: Final = 3
_TIME: Final = pa.timestamp("us", tz="UTC")
SCORE_SCHEMA: Final = pa.schema(
    [
        ("customer_id", pa.string()),
        ("cutoff", _TIME),
        ("churn_risk", pa.float64()),
        ("expected_revenue", pa.float64()),
        ("revenue_at_risk", pa.float64()),
        *((f"reason_{number}", pa.string()) for number in range(1, REASONS + 1)),
        ("churn_model_version", pa.string()),
        ("revenue_model_version", pa.string()),
        ("feature_contract_hash", pa.string()),
        ("outcome_matures_at", _TIME),
    ]
)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A loaded champion."""

    version: str
    estimator: Any


def score_rows(
    study: Study, contract: PanelContract, frame: pd.DataFrame, models: Mapping[str, LoadedModel]
) -> pa.Table:
    """Compute risk, expected revenue and reasons of every row.

    Parameters
    ----------
    study : Study
        Knows when outcomes are mature.
    contract : PanelContract
        The panel's features.
    frame : DataFrame
        Rows of the panel; each is scored by itself, whatever else is in the frame.
    models : mapping of str to LoadedModel
        ``churn``, and ``revenue`` where the study has one.

    Returns
    -------
    Table
        One row for each of the frame, in its order, with the columns of `SCORE_SCHEMA`.
    """
    churn, revenue = models["churn"], models.get("revenue")
    risk = predict_churn(churn.estimator, frame, contract.features)
    expected = np.full(len(frame), np.nan)
    if revenue is not None:
        expected = predict_revenue(revenue.estimator, frame, contract.features)
    why = reasons(churn.estimator, frame, contract.features, top=REASONS)
    cutoffs = cutoff_microseconds(frame)
    snapshot = Snapshot.of(study.snapshot)
    n = len(frame)
    columns = {
        "customer_id": frame["customer_id"].astype(str),
        "cutoff": cutoffs,
        "churn_risk": risk,
        "expected_revenue": expected,
        "revenue_at_risk": risk * np.maximum(expected, 0.0),
        **{name: why[name] for name in why.columns},
        "churn_model_version": [churn.version] * n,
        "revenue_model_version": [revenue.version if revenue else None] * n,
        "feature_contract_hash": [contract.feature_contract_hash] * n,
        "outcome_matures_at": [snapshot.matures_at(int(cutoff)) for cutoff in cutoffs],
    }
    arrays = [pa.array(columns[field.name], type=field.type, from_pandas=True) for field in SCORE_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCORE_SCHEMA)
