"""What was to be expected of a contact, given who the customer is, the channel and the month.

What is left of quality after that acts like an experiment: it does not depend on segment, region, channel or season,
so it is not mixed up with why such customers leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.luck import uniform
from features.study import Measure, Study
from models.adjustment import Exposure
from models.baseline import NOT_COVARIATES

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

Array = NDArray[np.float64]

# What a minute more does depends on how long one has waited: the scale of a measure is cut at these quantiles into
# pieces of their own slope. Beyond the outermost ones it is taken as flat: a few extreme values must not tilt the rest.
KNOTS = (0.005, 0.5, 0.8, 0.975)
MOST_LEVELS = 30
MOST_ROWS = 50_000
MOST_TREES = 40
_PLACE = ("touchpoint", "channel")
ATTEMPT = "attempt"
MOST_ATTEMPTS = 3


def with_attempts(touchpoints: pa.Table) -> pa.Table:
    """Give each touchpoint its number within its instance of the journey.

    Parameters
    ----------
    touchpoints : pyarrow.Table
        Whole instances, sorted by customer and time.

    Returns
    -------
    pyarrow.Table
        With `attempt`: 1 for the first touchpoint of an instance, at most 3. A second attempt fails more often than a
        first one; measured against what is usual for second attempts, its quality is no echo of the first.
    """
    case = touchpoints["journey_key"].to_numpy()
    order = np.argsort(case, kind="stable")
    place = np.arange(len(case)) - np.searchsorted(case[order], case[order])
    attempt = np.empty(len(case), np.int64)
    attempt[order] = np.minimum(place + 1, MOST_ATTEMPTS)
    return touchpoints.append_column(ATTEMPT, pa.array(attempt))


@dataclass(frozen=True, slots=True)
class Setting:
    """Turns the circumstances of contacts into numbers, the same way for every bucket.

    Attributes
    ----------
    levels : mapping of str to tuple of str
        Known levels of each text column, the most frequent first; others count as missing.
    """

    levels: Mapping[str, tuple[str, ...]]

    @classmethod
    def learn(cls, touchpoints: pa.Table, customers: pa.Table) -> Setting:
        """Collect the levels of baseline columns, touchpoint and channel."""
        texts = {
            n: customers[n] for n in customers.column_names if n not in NOT_COVARIATES and not _is_number(customers[n])
        }
        texts |= {n: touchpoints[n] for n in _PLACE if n in touchpoints.column_names}
        return cls({name: _frequent(column) for name, column in texts.items()})

    def of(self, touchpoints: pa.Table, customers: pa.Table) -> Array:
        """Describe contacts; shape (touchpoints, columns), NaN where missing."""
        row = np.searchsorted(customers["customer_key"].to_numpy(), touchpoints["customer_key"].to_numpy())
        names = [name for name in customers.column_names if name not in NOT_COVARIATES]
        columns = [self._numbers(name, customers[name])[row] for name in names]
        columns += [self._numbers(name, touchpoints[name]) for name in _PLACE if name in touchpoints.column_names]
        columns.append(touchpoints[ATTEMPT].to_numpy().astype(np.float64))
        months = touchpoints["occurred_at"].to_numpy().astype("datetime64[us]").astype("datetime64[M]").astype(int)
        return np.column_stack([*columns, months % 12])

    def _numbers(self, name: str, column: pa.ChunkedArray) -> Array:
        if _is_number(column):
            return np.asarray(column.to_pandas(), np.float64)
        codes = pc.index_in(column.cast(pa.string()), pa.array(self.levels[name], pa.string()))
        return np.asarray(codes.to_pandas(), np.float64)


def _is_number(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_floating(column.type) or pa.types.is_integer(column.type))


def _frequent(column: pa.ChunkedArray) -> tuple[str, ...]:
    """Return the most frequent levels; ties go by name."""
    counts = column.cast(pa.string()).drop_null().value_counts().to_pylist()
    ordered = sorted(counts, key=lambda entry: (-entry["counts"], entry["values"]))
    return tuple(entry["values"] for entry in ordered[:MOST_LEVELS])


@dataclass(frozen=True, slots=True)
class Reference:
    """What was to be expected of a measure in a journey, given who the customer is, the channel and the month.

    Attributes
    ----------
    exposure : Exposure
        Measure and journey.
    knots : tuple of float
        Ends of the pieces, ascending.
    setting : Setting
        Describes a contact in numbers.
    expected : tuple of tuple of HistGradientBoostingRegressor
        Per half of the customers, per piece: regression on the setting, learnt from the other half. What is to be
        expected of a contact must not know how it went.
    """

    exposure: Exposure
    knots: tuple[float, ...]
    setting: Setting
    expected: tuple[tuple[HistGradientBoostingRegressor, ...], ...]

    def pieces(self, value: Array) -> list[Array]:
        """Return how much of a value lies in each piece, in units of the measure; NaN stays NaN."""
        return [np.clip(value, low, high) - low for low, high in pairwise(self.knots)]

    def split(self, touchpoints: pa.Table, customers: pa.Table) -> tuple[list[Array], Array]:
        """Split contacts of this journey with this measure into what was unexpected and what was usual.

        Returns
        -------
        tuple of list of float64 array and float64 array
            Per piece how far the contacts were from what was to be expected; and what was, all pieces together.
        """
        found = self.pieces(touchpoints[self.exposure.measure].to_numpy())
        if not touchpoints.num_rows:
            return found, np.zeros(0)
        setting, half = self.setting.of(touchpoints, customers), _halves(touchpoints)
        usual = [np.zeros(touchpoints.num_rows) for _ in found]
        for side, models in enumerate(self.expected):
            rows = np.flatnonzero(half == side)
            for expected, model in zip(usual, models, strict=True):
                if len(rows):
                    expected[rows] = model.predict(setting[rows])
        deviations = [piece - expected for piece, expected in zip(found, usual, strict=True)]
        return deviations, np.asarray(np.sum(usual, axis=0), np.float64)


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
    setting = Setting.learn(touchpoints, customers)
    return tuple(_fit_reference(measures[e.measure], e, setting, touchpoints, customers) for e in exposures)


def _fit_reference(
    measure: Measure, exposure: Exposure, setting: Setting, touchpoints: pa.Table, customers: pa.Table
) -> Reference:
    rows = np.flatnonzero(in_exposure(exposure, touchpoints))
    value = touchpoints[exposure.measure].to_numpy()[rows]
    knots = (value.min(), value.max()) if measure.kind == "share" else np.unique(np.quantile(value, KNOTS))
    if len(knots) < 2:  # nearly constant: the few other values are all there is to learn from
        knots = (value.min(), value.max())
    thinned = rows[:: max(1, len(rows) // MOST_ROWS)]
    part = touchpoints.take(pa.array(thinned))
    blank = Reference(exposure, tuple(float(knot) for knot in knots), setting, ())
    X, pieces = setting.of(part, customers), blank.pieces(part[exposure.measure].to_numpy())
    half = _halves(part)
    by_piece = [_cross_fitted(X, piece, [half != side for side in range(2)]) for piece in pieces]
    return replace(blank, expected=tuple(zip(*by_piece, strict=True)))


def _cross_fitted(X: Array, y: Array, others: Sequence[NDArray[np.bool_]]) -> tuple[HistGradientBoostingRegressor, ...]:
    """Fit each half's model on the other, with as many trees as predict the halves best: few where contacts are few."""
    if not all(rows.any() for rows in others):  # one half has no contacts: there is nothing apart to learn from
        return tuple(_fitted(X, y, 1) for _ in others)
    models = [_fitted(X[rows], y[rows], MOST_TREES) for rows in others]
    loss = np.zeros(MOST_TREES)
    for model, rows in zip(models, others, strict=True):
        loss += [float(((y[~rows] - stage) ** 2).sum()) for stage in model.staged_predict(X[~rows])]
    best = int(np.argmin(loss)) + 1
    return tuple(models) if best == MOST_TREES else tuple(_fitted(X[rows], y[rows], best) for rows in others)


def _fitted(X: Array, y: Array, trees: int) -> HistGradientBoostingRegressor:
    # The trees refuse a column without any value; one without any difference says as little.
    return _regression(len(X), trees).fit(np.where(np.isnan(X).all(axis=0), 0.0, X), y)


def _halves(touchpoints: pa.Table) -> NDArray[np.intp]:
    """Deal customers into two halves by their key."""
    return np.asarray(uniform(0, "half of the customers", touchpoints["customer_key"].to_numpy()) < 1 / 2, np.intp)


def in_exposure(exposure: Exposure, touchpoints: pa.Table) -> NDArray[np.bool_]:
    """Say of each touchpoint whether it belongs to the journey and has the measure.

    Returns
    -------
    bool array, shape (touchpoints,)
    """
    in_journey = pc.equal(touchpoints["journey"].cast(pa.string()), exposure.journey).to_numpy(zero_copy_only=False)
    return np.asarray(in_journey & ~np.isnan(touchpoints[exposure.measure].to_numpy()))


def _regression(rows: int, trees: int) -> HistGradientBoostingRegressor:
    """Boosted trees: waits multiply over segment and channel, and what a sum of levels leaves over would be confounded.

    Leaves of hundreds of contacts cannot follow single customers.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 (reading a simulation does without)

    return HistGradientBoostingRegressor(
        max_iter=trees,
        learning_rate=0.2,
        max_leaf_nodes=15,
        min_samples_leaf=max(20, min(300, rows // 50)),
        early_stopping=False,
        random_state=0,
    )
