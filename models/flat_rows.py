"""The rows of a flat table as the effect models need them: outcome, moved measures, what is held fixed, by customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.measures import Feature
from features.study import Study
from models.adjustment import AdjustmentSet, Exposure, adjustment_set
from models.double_ml import FlatRows, deal
from models.flat_design import design
from models.splits import cluster_column

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class FlatData:
    """The panel of a flat table, ready for effects.

    Attributes
    ----------
    study : Study
        A flat study.
    frame : DataFrame
        Rows of the panel, sorted by customer and wave, so that nothing depends on their order.
    column : mapping of Exposure to str
        Where each measure stands.
    observed : tuple of Exposure
        Measures with values that differ.
    cluster : int64 array, shape (n,)
        Position of each row's customer (or group of near copies).
    fold : int64 array, shape (customers,)
        Fold of each customer.
    """

    study: Study
    frame: pd.DataFrame
    column: dict[Exposure, str]
    observed: tuple[Exposure, ...]
    cluster: NDArray[np.int64]
    fold: NDArray[np.int64]

    @classmethod
    def of(cls, study: Study, panel: pd.DataFrame, features: Sequence[Feature], rng: np.random.Generator) -> FlatData:
        """Sort the rows and deal their customers into folds.

        Parameters
        ----------
        study : Study
            A flat study.
        panel : DataFrame
            `customer_id`, `customer_key`, `cutoff`, `weight`, outcomes and features.
        features : sequence of Feature
            Columns of the panel.
        rng : numpy.random.Generator
            Deals customers into folds.
        """
        frame = panel.sort_values(["customer_id", "cutoff"], kind="stable", ignore_index=True)
        column = {
            Exposure(f.journey, f.measure): f.name
            for f in features
            if f.journey is not None and f.measure is not None and f.kind == "number" and f.name in frame
        }
        observed = tuple(sorted(e for e, name in column.items() if _is_varying(frame[name])))
        codes, _ = pd.factorize(frame[cluster_column(frame)], sort=True)
        cluster = codes.astype(np.int64)
        return cls(study, frame, column, observed, cluster, deal(int(cluster.max(initial=-1)) + 1, rng))

    def value(self, exposure: Exposure) -> Array:
        """Give the values of a measure; NaN where it is missing; shape (n,)."""
        return self.frame[self.column[exposure]].to_numpy(float)

    def values(self, moved: Sequence[Exposure]) -> Array:
        """Give the values of several measures, shape (n, k)."""
        return np.column_stack([self.value(exposure) for exposure in moved])

    @property
    def weight(self) -> Array:
        """Survey weights, shape (n,)."""
        return self.frame["weight"].to_numpy(float)

    def held_fixed(self, moved: Sequence[Exposure]) -> AdjustmentSet:
        """Order the measures around those that move."""
        return adjustment_set(self.study, moved, self.observed)

    def known(self, outcome: str) -> Flags:
        """Say which rows have the outcome; shape (n,)."""
        return self.frame[outcome].notna().to_numpy()

    def rows(self, held: AdjustmentSet, outcome: str, extra: Array | None = None) -> FlatRows:
        """Lay out the rows whose outcome is known.

        Parameters
        ----------
        held : AdjustmentSet
            What moves and what is held fixed.
        outcome : str
            Column of the frame.
        extra : float64 array, shape (n, m), optional
            Further columns with which the effect may differ, such as whether an initiative reaches a row.

        Returns
        -------
        FlatRows
            The effect may differ with every baseline column that is held fixed.
        """
        known = self.known(outcome)
        part = self.frame.loc[known]
        measures = [self.column[e] for e in (*held.upstream, *held.context)]
        controls = part[[*held.covariates, *measures]]
        if "wave" in held.time and _is_varying(part["cutoff"]):
            controls = controls.assign(wave=part["cutoff"].astype(str))
        values, weight = self.values(held.moved)[known], self.weight[known]
        more = None if extra is None else extra[known]
        laid = design(controls.reset_index(drop=True), values, weight, held.covariates, more)
        return FlatRows(laid, values, part[outcome].to_numpy(float), weight, self.cluster[known], self.fold)


def _is_varying(values: pd.Series) -> bool:
    known = values.dropna()
    return len(known) > 0 and bool((known != known.iloc[0]).any())
