"""Flat tables whose truth is known: a covariate moves a measure, what follows from it, and the outcome."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.measures import flat_features
from features.study import Study, parse_study
from models.double_ml import FlatRows, deal
from models.flat_design import design
from models.flat_rows import FlatData

TEXT = """
study: flat
sources: {t: t.csv}
flat: {from: t, columns: {customer_id: id}, churned: left, revenue: paid, covariates: [segment, load], segment: segment}
journeys: [{name: billing, stage: use, leads_to: [support]}, {name: support, stage: use}]
measures:
  - {name: error, unit: share, kind: share, direction: lower, journey: billing}
  - {name: wait, unit: min, kind: duration, direction: lower, journey: support}
  - {name: calls, unit: calls, kind: count, direction: lower, journey: support}
  - {name: score, unit: points, kind: rating, direction: higher, journey: support}
"""
STUDY = parse_study(TEXT, "study.yaml")
NAMES = {feature.measure: feature.name for feature in flat_features(STUDY) if feature.measure}


def panel(n: int = 3_000, seed: int = 1, slope: float = -0.5) -> pd.DataFrame:
    """Load makes people wait and spend less; a minute more costs `slope` by itself and as much by the calls it causes.

    A tenth of the rows have no wait: it did not apply.
    """
    rng = np.random.default_rng(seed)
    basic, load = rng.random(n) < 0.5, rng.normal(size=n)
    error = (rng.random(n) < np.where(basic, 0.3, 0.1)).astype(float)
    wait = np.maximum(20 + 4 * load + 2 * error + 3 * rng.normal(size=n), 0)
    calls = np.maximum(0.5 * wait + rng.normal(size=n), 0)
    revenue = 100 - 5 * basic - 4 * load + slope * wait + 2 * slope * calls + 3 * rng.normal(size=n)
    left = (rng.random(n) < np.clip(0.1 + 0.1 * basic + 0.02 * load + 0.01 * (wait - 20), 0.01, 0.99)).astype(float)
    applies = rng.random(n) > 0.1
    return pd.DataFrame(
        {
            "customer_id": [f"c{i:05d}" for i in range(n)], "customer_key": np.arange(n), "cutoff": 0, "weight": 1.0,
            "segment": np.where(basic, "basic", "plus"), "load": load, "is_churned": left,
            "revenue": np.where(applies, revenue, 70 - 4 * load - 5 * basic),
            NAMES["error"]: error, NAMES["wait"]: np.where(applies, wait, np.nan), NAMES["calls"]: calls,
            NAMES["score"]: 10 - 8 * left,
        }
    )  # fmt: skip


def data_of(frame: pd.DataFrame, study: Study = STUDY, seed: int = 2) -> FlatData:
    return FlatData.of(study, frame, flat_features(study), np.random.default_rng(seed))


def confounded(rng: np.random.Generator, n: int = 500, slope: float = 2.0) -> tuple[FlatRows, np.ndarray]:
    """Partially linear: Y = slope A + 1.5 L + e, A = 0.8 L + v; and the value moved by -0.5."""
    L = rng.normal(size=n)
    A = (0.8 * L + rng.normal(size=n))[:, None]
    weight = np.ones(n)
    laid = design(pd.DataFrame({"L": L}), A, weight, ["L"])
    rows = FlatRows(laid, A, slope * A[:, 0] + 1.5 * L + rng.normal(size=n), weight, np.arange(n), deal(n, rng))
    return rows, A - 0.5
