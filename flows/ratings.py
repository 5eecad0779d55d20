"""What rated touchpoints go along with: how good they are, what low and very good ratings cost and bring, warnings."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.study import Study
from models.asymmetry import penalty_reward
from models.rated import Rated, performance, rated_drivers
from models.rating_quality import straight_liners
from models.splits import cluster_column

__all__ = ["rate_drivers"]

_LOWER: Final = frozenset({"is_churned"})
"""Outcomes of ours of which less is better."""


def rate_drivers(
    study: Study, contract: PanelContract, frame: pd.DataFrame, seed: int
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Estimate for every outcome what each rated driver goes along with.

    Parameters
    ----------
    study : Study
        Knows scales and directions.
    contract : PanelContract
        Of the panel.
    frame : DataFrame
        Its mature rows.
    seed : int
        Of the bootstrap.

    Returns
    -------
    frame : DataFrame
        One row an outcome and driver: see :meth:`models.asymmetry.Asymmetry.to_frame`, and performance (0 to 100) with
        its interval. Empty without ratings.
    notes : tuple of str
        Why an outcome is not told, and who gives the same score to everything.
    """
    rated = rated_drivers(contract.features, study.measures, frame)
    if not rated:
        return pd.DataFrame(), ()
    customer = cluster_column(frame)
    scores = pd.DataFrame([_performance(frame, one, customer) for one in rated])
    tables, notes = [], list(_straight_lines(frame, rated, customer))
    for number, column in enumerate(contract.outcomes):
        if not frame[column].notna().any():
            continue
        rng = np.random.default_rng([seed, 20 + number])
        better = _better(study, column)
        found = penalty_reward(frame, rated, column, better=better, rng=rng, weight="weight", customer=customer)
        if found.refusal:
            notes.append(f"ratings and {found.outcome}: {found.refusal}.")
        else:
            tables.append(found.to_frame().assign(better=better).merge(scores, on="feature", how="left"))
    return (pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()), tuple(notes)


def _performance(frame: pd.DataFrame, rated: Rated, customer: str) -> dict[str, Any]:
    found = performance(frame, rated, "weight", customer)
    return {"feature": rated.column, "performance": found.value, "performance_lo": found.lo, "performance_hi": found.hi}


def _straight_lines(frame: pd.DataFrame, rated: tuple[Rated, ...], customer: str) -> list[str]:
    """Warn of raters who give the same score to everything, for each set of ratings on one scale."""
    scales: dict[tuple[float, float], list[str]] = {}
    for one in rated:
        scales.setdefault((one.low, one.high), []).append(one.column)
    found = [
        straight_liners(frame[columns].to_numpy(np.float64), frame[customer], frame["weight"].to_numpy(np.float64))
        for columns in scales.values()
    ]
    return [one.warning for one in found if one.warning]


def _better(study: Study, column: str) -> Literal["higher", "lower"]:
    directions: Mapping[str, Literal["higher", "lower"]] = {one.name: one.direction for one in study.outcomes}
    return "lower" if column in _LOWER else directions.get(column, "higher")
