"""Scores of a table of customers: risk, expected revenue, reasons, and which models said so."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit

from features.contract import PanelContract
from features.pipeline import side_by_side
from features.snapshot import Snapshot
from features.study import Study
from models.churn import predict_churn
from models.evaluation import model_inputs, one_thread
from models.explainer import Explainer
from models.revenue import amount_predictor
from models.splits import cutoff_microseconds

__all__ = ["REASONS", "SAME", "SCORE_SCHEMA", "LoadedModel", "Scorer", "needed", "score_batches", "score_rows"]

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


SAME: Final = (
    "cutoff", "churn_model_version", "revenue_model_version", "feature_contract_hash", "outcome_matures_at",
)  # fmt: skip
"""Columns that hold one value for all scores of a cutoff."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A loaded champion."""

    version: str
    estimator: Any


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """Both champions made ready for many rows, with what is typical at a cutoff.

    Attributes
    ----------
    study : Study
        Knows when outcomes are mature.
    contract : PanelContract
        The panel's features.
    models : mapping of str to LoadedModel
        ``churn``, and ``revenue`` where the study has one.
    explainer : Explainer
        Of the churn model.
    amount : callable or None
        Quick form of the revenue model.
    """

    study: Study
    contract: PanelContract
    models: Mapping[str, LoadedModel]
    explainer: Explainer
    amount: Callable[[pd.DataFrame], NDArray[np.float64]] | None

    @classmethod
    def of(
        cls, study: Study, contract: PanelContract, models: Mapping[str, LoadedModel], reference: pd.DataFrame
    ) -> "Scorer":
        """Make champions ready.

        Parameters
        ----------
        study, contract, models
            See the attributes.
        reference : DataFrame
            Rows that say what is typical, at least one.
        """
        churn, revenue = models["churn"].estimator, models.get("revenue")
        by_name = {feature.name: feature for feature in contract.features}
        columns = list(churn.feature_names_in_)
        table = model_inputs(columns, reference, contract.features)
        explainer = Explainer.of(churn, table, [by_name[name] for name in columns])
        return cls(study, contract, models, explainer, amount_predictor(revenue.estimator) if revenue else None)

    def score(self, frame: pd.DataFrame) -> pa.Table:
        """Score rows of the panel: a row for each, in their order, with the columns of `SCORE_SCHEMA`."""
        churn, revenue = self.models["churn"], self.models.get("revenue")
        features = self.contract.features
        table = model_inputs(list(churn.estimator.feature_names_in_), frame, features)
        found = self.explainer.explain(table, REASONS)
        risk = (
            expit(found.prediction) if found.prediction is not None else predict_churn(churn.estimator, frame, features)
        )
        expected = np.full(len(frame), np.nan)
        if revenue is not None and self.amount is not None:
            names = list(revenue.estimator.feature_names_in_)
            expected = self.amount(table if names == list(table) else model_inputs(names, frame, features))
        return self._written(frame, risk, expected, found.texts)

    def _written(
        self, frame: pd.DataFrame, risk: NDArray[np.float64], expected: NDArray[np.float64], texts: NDArray[np.object_]
    ) -> pa.Table:
        """Put the columns together."""
        churn, revenue = self.models["churn"], self.models.get("revenue")
        n, cutoffs, snapshot = len(frame), cutoff_microseconds(frame), Snapshot.of(self.study.snapshot)
        moments, place = np.unique(cutoffs, return_inverse=True)
        matures = np.array([snapshot.matures_at(int(moment)) for moment in moments], np.int64)[place]
        columns: dict[str, Any] = {
            "customer_id": frame["customer_id"].to_numpy(object),
            "cutoff": cutoffs,
            "churn_risk": risk,
            "expected_revenue": expected,
            "revenue_at_risk": risk * np.maximum(expected, 0.0),
            **{f"reason_{place + 1}": texts[:, place] for place in range(REASONS)},
            "churn_model_version": pa.repeat(pa.scalar(churn.version), n),
            "revenue_model_version": pa.repeat(pa.scalar(revenue.version if revenue else None, pa.string()), n),
            "feature_contract_hash": pa.repeat(pa.scalar(self.contract.feature_contract_hash), n),
            "outcome_matures_at": matures,
        }
        arrays = [
            made if isinstance(made := columns[field.name], pa.Array) else pa.array(made, field.type, from_pandas=True)
            for field in SCORE_SCHEMA
        ]
        return pa.Table.from_arrays(arrays, schema=SCORE_SCHEMA)


def needed(contract: PanelContract, models: Mapping[str, LoadedModel]) -> list[str]:
    """Name the features that any of the models needs, in the order of the panel."""
    wanted = {name for one in models.values() for name in one.estimator.feature_names_in_}
    return [feature.name for feature in contract.features if feature.name in wanted]


def score_batches(scorer: Scorer, batches: Iterable[pd.DataFrame], workers: int) -> Iterator[pa.Table]:
    """Score rows piece by piece, several pieces at a time.

    Parameters
    ----------
    scorer : Scorer
        Champions made ready.
    batches : iterable of DataFrame
        Rows of the panel, best from `features.panel_batches.panel_batches`.
    workers : int
        Threads, best from `features.memory.scoring_threads`.

    Yields
    ------
    Table
        The scores of each piece, in the order of the pieces.

    Notes
    -----
    Memory: two pieces for each thread. The number of threads changes no bit.
    """
    with one_thread():  # the threads are ours
        yield from side_by_side(scorer.score, batches, workers)


def score_rows(
    study: Study, contract: PanelContract, frame: pd.DataFrame, models: Mapping[str, LoadedModel]
) -> pa.Table:
    """Score the rows of a frame that is in memory, which says itself what is typical.

    Parameters
    ----------
    study : Study
        Knows when outcomes are mature.
    contract : PanelContract
        The panel's features.
    frame : DataFrame
        Rows of the panel.
    models : mapping of str to LoadedModel
        ``churn``, and ``revenue`` where the study has one.

    Returns
    -------
    Table
        One row for each of the frame, in its order, with the columns of `SCORE_SCHEMA`.
    """
    if frame.empty:
        return SCORE_SCHEMA.empty_table()
    return Scorer.of(study, contract, models, frame).score(frame)
