"""A small simulation on disk, as `journeylift simulate` leaves one, for tests of the planner's page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from features.study import parse_study
from features.templates import write_templates
from flows.draws_store import Stored, write_draws
from flows.planner import Bench, open_bench
from models.cash import Cohort
from models.costs import Cost
from models.forecasts import Forecast, Refusal, sample
from models.response_surface import ResponseSurface
from models.retention import Retention
from models.verdicts import Ruling
from tests.worths import a_forecast, an_effect, an_initiative, an_overlap

COHORT = Cohort(1_000, 91)


def forecasts() -> list[Forecast]:
    """`good` pays, `poor` does not, `far` lies outside what was observed."""
    good = a_forecast(
        "good", an_effect(churn=-0.02, spend=1.0, se=0.002, form=0.05),
        half=an_effect(churn=-0.012, spend=0.6, se=0.001),
        reached=0.8, reach=0.8, delivery=(0.5, 0.8, 1.0), start_month=1, ramp_months=2,
        cost=Cost(once=(500.0, 1_000.0, 2_000.0), monthly=50.0),
    )  # fmt: skip
    poor = a_forecast(
        "poor", an_effect(churn=-0.004, se=0.001, at=4), half=an_effect(churn=-0.003, se=0.0005, at=4),
        cost=Cost(once=30_000.0), capacity={"people": 2.0},
    )  # fmt: skip
    far = a_forecast("far", an_effect(churn=-0.01, se=0.002, at=6))
    ruling = Ruling("unsupported", "Only 12 % of it lies within what was observed.", "passes")
    return [good, poor, Forecast(far.initiative, far.effect, 0.12, far.reached_share, 0.2, ruling=ruling)]


def write_simulation(
    folder: Path, found: Sequence[Forecast] = (), draws: int = 400, cohort: Cohort = COHORT, **made: str
) -> Path:
    """Write a study with a simulation and give the study file."""
    write_templates(folder)
    path = folder / "study.yaml"
    study = parse_study(path.read_text(encoding="utf-8"), "study.yaml")
    (folder / "initiatives.yaml").unlink()
    chosen = list(found) or forecasts()
    names = [one.initiative.name for one in chosen]
    overlaps = [an_overlap(("good", "poor"), churn=-0.001, se=0.0002)] if {"good", "poor"} <= set(names) else []
    samples = sample(chosen, overlaps, np.random.default_rng(3), draws)
    retention = Retention(np.linspace(1.1, 0.9, study.money.months), 11, 5_000)
    refused = (Refusal(an_initiative("weather"), "Nobody controls it (control: none in the study)."),)
    made_from = {
        "study_fingerprint": study.fingerprint(), "data_fingerprint": "d", "feature_contract_hash": "f",
        "initiatives_fingerprint": "i", "seed": "0", "package_version": version("journeylift"), **made,
    }  # fmt: skip
    surface = ResponseSurface(samples, cohort, study.money, retention)
    write_draws(folder / study.store / "draws.npz", Stored(surface, refused, made_from))
    return path


def a_bench(folder: Path, found: Sequence[Forecast] = (), **made: str) -> Bench:
    """Write a simulation and open it."""
    return open_bench(write_simulation(folder, found, **made))
