"""The rival that a data scientist would build: boosted trees on the same rows, moved and predicted again.

It is given everything ours is: the same rows of customer and week, every remembered state, the same moved histories.
Nothing holds causes fixed or leaves consequences out, and nothing corrects what the trees smooth away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from models.initiatives import Initiative
from models.paths import paths, plug_in
from models.policy import PolicyModel
from models.prepared import Prepared
from models.shared_fits import SharedFits

TREES = 100
LEAVES = 15
LEAST_IN_LEAF = 200


@dataclass(frozen=True, slots=True)
class BoostedPlugIn:
    """Hazard and spend by boosted trees; no intervals.

    Attributes
    ----------
    names : tuple of str
        Columns of both models.
    settled : bool array, shape (columns,)
        What is known before a week begins; leaving is predicted from these alone.
    hazard, spend : estimator
        Fitted; spend is predicted over its scale.
    """

    names: tuple[str, ...]
    settled: NDArray[np.bool_]
    hazard: HistGradientBoostingClassifier
    spend: HistGradientBoostingRegressor

    @classmethod
    def fit(cls, prepared: Prepared, seed: int) -> BoostedPlugIn:
        """Fit both models to the rows that ours are fitted to."""
        rows = prepared.fit
        names = tuple(str(name) for name in rows.design)
        settled = np.array([not name.endswith("__now") for name in names])
        X, periods = rows.columns(names), rows.periods
        settings = {"max_iter": TREES, "max_leaf_nodes": LEAVES, "min_samples_leaf": LEAST_IN_LEAF, "max_bins": 63}
        hazard = HistGradientBoostingClassifier(**settings, early_stopping=False, random_state=seed)
        spend = HistGradientBoostingRegressor(**settings, early_stopping=False, random_state=seed)
        hazard.fit(X[:, settled], periods.churned, sample_weight=periods.weight)
        spend.fit(np.column_stack([X, rows.due]), periods.spend / rows.scale, sample_weight=periods.weight)
        return cls(names, settled, hazard, spend)

    def effect(self, fits: SharedFits, initiative: Initiative) -> tuple[float, float]:
        """Return the change in churn and revenue, reach included, between moved and observed histories."""
        prepared = fits.prepared
        model = PolicyModel.of(fits, initiative.moved_among(prepared.exposures))
        shift = model.moves_of((initiative,)).shift(model.fit.names)
        X = prepared.target.columns(self.names)
        base = self._predicted(X, prepared)
        X[:, self._places([model.fit.names[column] for column in shift.columns])] += shift.values
        hazard, spend = self._predicted(X, prepared)
        target, runs = model.fit.unmoved, model.fit.observed.runs
        change = plug_in(
            paths(target, runs, *base, base[0]),
            paths(target, runs, hazard, spend, base[0]),
        )
        return initiative.reach * float(change[0]), initiative.reach * float(change[1])

    def _places(self, names: Sequence[str]) -> list[int]:
        return [self.names.index(name) for name in names]

    def _predicted(self, X: NDArray[np.float32], prepared: Prepared) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        after = prepared.target
        hazard = self.hazard.predict_proba(X[:, self.settled])[:, 1]
        return hazard, after.scale * self.spend.predict(np.column_stack([X, after.due]))
