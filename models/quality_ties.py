"""How the quality that customers meet goes along with who they are, before the references take that out.

Exposures are deviations from what was to be expected of such a customer, so a covariate that is known no longer goes
along with them. A hidden cause is in no reference: to say *as strong as segment*, its tie to quality has to be
that of segment before segment was known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from models.adjustment import Exposure
from models.baseline import baseline_frame
from models.contact_kinds import ContactKind
from models.exposures import FAST_DAYS, MEMORIES, current_names, piece_columns, remembered_names
from models.references import Reference, in_exposure
from models.yardsticks import Benchmark

__all__ = ["Tie", "benchmarks_of", "covariate_columns", "learn_tie"]

Array = NDArray[np.float64]

_PREFIX = "baseline__"
_PAST_SPEND = ("time__spent", "time__log_spent")


@dataclass(frozen=True, slots=True)
class Tie:
    """How one measure in a journey goes along with the covariates.

    Attributes
    ----------
    slopes : pandas.DataFrame
        Mean change of each piece of the scale (columns) by unit of each covariate column (index: names of the design,
        every level of a text), the other covariates held fixed; in units of the measure.
    per_journey : float
        Touchpoints with the measure for each journey begun.
    """

    slopes: pd.DataFrame
    per_journey: float


def learn_tie(
    reference: Reference, touchpoints: pa.Table, customers: pa.Table, levels: Mapping[str, frozenset[str]]
) -> Tie:
    """Regress the pieces of a measure on who the customer is.

    Parameters
    ----------
    reference : Reference
        Measure, journey and pieces.
    touchpoints, customers : pyarrow.Table
        Whole customers, `customers` sorted by `customer_key`.
    levels : mapping of str to frozenset of str
        From `models.baseline.known_levels`.

    Returns
    -------
    Tie
        Levels of a text are known up to a constant, of which differences between levels are free.
    """
    inside = in_exposure(reference.exposure, touchpoints)
    row = np.searchsorted(customers["customer_key"].to_numpy(), touchpoints["customer_key"].to_numpy()[inside])
    count = np.bincount(row, minlength=customers.num_rows).astype(np.float64)
    frame = baseline_frame(customers, levels).add_prefix(_PREFIX)
    if len(frame.columns):  # get_dummies refuses a table without columns
        frame = pd.get_dummies(frame, dtype=float)
    X = np.column_stack([frame.to_numpy(np.float64), np.ones(len(frame))])
    pieces = reference.pieces(touchpoints[reference.exposure.measure].to_numpy()[inside])
    sums = np.column_stack([np.bincount(row, piece, customers.num_rows) for piece in pieces])
    size = np.maximum(np.abs(X).max(axis=0), 1e-12)
    scaled = X / size
    slopes = np.linalg.lstsq((scaled * count[:, None]).T @ scaled, scaled.T @ sums, rcond=1e-10)[0] / size[:, None]
    journeys = len(np.unique(touchpoints["journey_key"].to_numpy()[_in_journey(reference, touchpoints)]))
    return Tie(pd.DataFrame(slopes[:-1], index=frame.columns), float(count.sum()) / max(journeys, 1))


def _in_journey(reference: Reference, touchpoints: pa.Table) -> NDArray[np.bool_]:
    journey = touchpoints["journey"].cast(pa.string()).to_pandas()
    return np.asarray(journey == reference.exposure.journey, bool)


def covariate_columns(names: Sequence[str], covariates: Sequence[str]) -> dict[str, list[str]]:
    """Say which columns of a design belong to each covariate.

    Parameters
    ----------
    names : sequence of str
        Columns of the design: `baseline__` and the covariate, perhaps with a level or `missing` behind it.
    covariates : sequence of str
        Of the study.

    Returns
    -------
    dict of str to list of str
        In the order of the covariates; those without a column are left out. Of covariates whose names begin alike the
        longest that fits owns a column.

    Examples
    --------
    >>> covariate_columns(["baseline__age", "baseline__age_band_old", "time__trend"], ["age", "age_band"])
    {'age': ['baseline__age'], 'age_band': ['baseline__age_band_old']}
    """
    found: dict[str, list[str]] = {covariate: [] for covariate in covariates}
    for name in names:
        own = name.removeprefix(_PREFIX)
        fits = [c for c in covariates if own == c or own.startswith((f"{c}_", f"{c} missing"))]
        if name.startswith(_PREFIX) and fits:
            found[max(fits, key=len)].append(name)
    return {covariate: columns for covariate, columns in found.items() if columns}


def benchmarks_of(
    names: Sequence[str],
    covariates: Sequence[str],
    held: Sequence[Reference],
    ties: Mapping[Exposure, Tie],
    design: pd.DataFrame,
    weight: Array,
    period_days: float,
    kinds: Sequence[ContactKind],
) -> tuple[Benchmark, ...]:
    """Make each covariate a yardstick for hidden causes.

    Parameters
    ----------
    names : sequence of str
        Columns of the regression.
    covariates : sequence of str
        Of the study.
    held : sequence of Reference
        Exposures in the regression.
    ties : mapping of Exposure to Tie
        From `learn_tie`.
    design : pandas.DataFrame
        Rows with the number of contacts by kind.
    weight : float64 array, shape (rows,)
        Of these rows.
    period_days : float
        Length of a period.
    kinds : sequence of ContactKind
        Contacts that are counted.

    Returns
    -------
    tuple of Benchmark
        One per covariate with columns, in their order, and one without a name: past spend. The tie of a memory is that
        of a touchpoint times the mean of the decayed number of such touchpoints: what is linear in the covariate.
    """
    position = {name: i for i, name in enumerate(names)}
    by_covariate = covariate_columns(names, covariates)
    moved = {}
    for one in held:
        begun = [kind for kind in kinds if kind.journey == one.exposure.journey and not kind.is_later]
        numbers = _mean_numbers(begun, design, weight, period_days)
        moved[one.exposure] = _moved(one, numbers, ties[one.exposure].per_journey)
    found = []
    for covariate, columns in by_covariate.items():
        table = np.zeros((len(columns), len(names)))
        for reference in held:
            slopes = _from_base(ties[reference.exposure].slopes, columns, covariate, covariates)
            for name, piece, number in moved[reference.exposure]:
                if name in position:
                    table[:, position[name]] = slopes[:, piece] * number
        found.append(Benchmark(covariate, np.array([position[c] for c in columns], np.int64), table))
    spent = np.array([i for i, name in enumerate(names) if name.startswith(_PAST_SPEND)], np.int64)
    return (*found, Benchmark("", spent, np.zeros((len(spent), len(names)))))


def _moved(reference: Reference, numbers: Sequence[float], per_journey: float) -> list[tuple[str, int, float]]:
    """Name the states of an exposure, the piece of the scale of each, and the mean number of touchpoints in it."""
    states = remembered_names(piece_columns(reference))
    memories = [(name, i // len(MEMORIES), numbers[i % len(MEMORIES)]) for i, name in enumerate(states)]
    now = [(name, i, numbers[-1]) for i, name in enumerate(current_names([reference]))]
    return [(name, piece, number * per_journey) for name, piece, number in (*memories, *now)]


def _from_base(slopes: pd.DataFrame, columns: Sequence[str], covariate: str, covariates: Sequence[str]) -> Array:
    """Slopes against the level that the design leaves out; shape (columns, pieces)."""
    known = covariate_columns([str(name) for name in slopes.index], covariates).get(covariate, [])
    left_out = [name for name in known if name not in columns]
    is_text = all(name.startswith(f"{_PREFIX}{covariate}_") for name in known)
    base = slopes.loc[left_out].mean().to_numpy() if is_text and left_out else np.zeros(slopes.shape[1])
    return np.asarray(np.nan_to_num(slopes.reindex(list(columns)).to_numpy(np.float64) - base))


def _mean_numbers(begun: Sequence[ContactKind], design: pd.DataFrame, weight: Array, period_days: float) -> list[float]:
    """Mean decayed number of journeys begun, by memory, and within a period."""
    states = remembered_names([kind.column for kind in begun])
    by_kind = [np.average(design[name].to_numpy(), weights=weight) for name in states]
    numbers = [float(sum(by_kind[memory :: len(MEMORIES)])) for memory in range(len(MEMORIES))]
    return [*numbers, numbers[0] * period_days * np.log(2) / FAST_DAYS]
