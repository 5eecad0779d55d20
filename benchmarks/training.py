"""What training costs beside bare scikit-learn, and how near its models come to an oracle.

Run: ``python -m benchmarks.training overhead --rows 1e6 --features 150`` and ``python -m benchmarks.training oracle``.

*overhead*: the judging and fitting of the churn candidates in their default settings (without a panel, MLflow or
figures) beside the very same scikit-learn pipelines fitted and applied to the same folds of the same matrix by a bare
loop, each in a process of its own.

*oracle*: on a synthetic company, the out-of-time AUC of the models beside that of a model that is given the inputs of
the true hazard that can be observed (segment, region, age, season, tenure, and the true memories of what hurt), and of
the true probability, which also knows the loyalty and need that no table shows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from benchmarks.laid_out import laid_out
from benchmarks.measured import peak_bytes
from features.company import Company, GoLive, simulate_company
from features.company_policy import Policy
from features.company_world import live_week
from features.measures import Feature
from features.panel import build_panel, read_panel
from features.snapshot import DAY
from models.churn import evaluate_churn, fit_churn
from models.evaluation import known_rows, one_thread
from models.metrics import Sample, churn_metrics
from models.splits import AnyFold, Fold, cutoff_microseconds, rolling_origin

FloatArray = NDArray[np.float64]

CUTOFFS, HORIZON_DAYS = 8, 30
_CANDIDATES = ("logistic", "boosting", "additive boosting")


def panel(rows: int, features: int, seed: int = 1) -> tuple[pd.DataFrame, tuple[Feature, ...]]:
    """Draw a panel in which a tenth of the features matter a little, a fifth of the values are missing."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, features)).astype(np.float32)
    values[rng.random((rows, features)) < 0.2] = np.nan
    score = -2.5 + 0.3 * np.nan_to_num(values[:, : features // 10]).sum(axis=1) / np.sqrt(features / 10)
    names = [f"journey_{place % 7}__measure_{place}__mean" for place in range(features)]
    catalogue = tuple(
        Feature(name, name, "min", "lower", "journey", f"journey_{place % 7}", f"measure_{place}", "experience")
        for place, name in enumerate(names)
    )
    frame = pd.DataFrame(values, columns=names)
    at = pd.to_datetime(np.arange(rows) % CUTOFFS * HORIZON_DAYS * DAY, unit="us", utc=True)
    churned = (rng.random(rows) < expit(score)).astype(float)
    people = [f"c{number}" for number in np.arange(rows) // CUTOFFS]
    more = {"customer_id": people, "cutoff": at, "weight": 1.0, "is_mature": True, "is_churned": churned}
    return pd.concat([frame, pd.DataFrame(more)], axis=1), catalogue


def folds() -> tuple[AnyFold, ...]:
    """Test on the last three cutoffs."""
    every = [number * HORIZON_DAYS * DAY for number in range(CUTOFFS)]
    return rolling_origin(every, gap_days=0, horizon_days=HORIZON_DAYS, folds=3)


def ours(rows: int, features: int) -> None:
    """Judge the candidates and fit the winner, as train does."""
    frame, catalogue = panel(rows, features)
    started = time.perf_counter()
    rng = np.random.default_rng(2)
    found = evaluate_churn(frame, catalogue, folds(), rng, max_rows=rows, leaks=(), budget_seconds=0.0)
    fit_churn(frame, catalogue, found.winner, rng, evaluation=found, max_rows=rows)
    _tell(started, found.winner)


def bare(rows: int, features: int) -> None:
    """Fit the same pipelines to the same folds in a loop, predict, and fit one of them on all rows."""
    frame, catalogue = panel(rows, features)
    small = frame.sample(20_000, random_state=1)
    rng = np.random.default_rng(2)
    pipelines = {name: _unfitted(fit_churn(small, catalogue, name, rng)) for name in _CANDIDATES}
    started = time.perf_counter()
    known = known_rows(frame, catalogue, "is_churned")
    keys = known.keys()
    with one_thread():
        for fold in folds():
            split = fold.split(keys)
            train, test = known.rows(split.train), known.rows(split.test)
            for pipeline in pipelines.values():
                model = clone(pipeline).fit(train.table, train.observed.astype(np.int64))
                model.predict_proba(test.table)
        whole = known.rows(np.arange(len(known)))
        clone(pipelines["boosting"]).fit(whole.table, whole.observed.astype(np.int64))
    _tell(started, "boosting")


def overhead(rows: int, features: int) -> None:
    """Run both, one after the other, and print time, memory and their ratios."""
    found = {}
    for form in ("bare", "ours"):
        command = [sys.executable, "-m", "benchmarks.training", form, "--rows", str(rows), "--features", str(features)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        found[form] = json.loads(told)
        one = found[form]
        print(f"{form:<5} {one['seconds']:8.1f} s {one['cpu']:8.1f} CPU s {one['peak'] / 1e9:6.2f} GB")
    ratio = {name: found["ours"][name] / found["bare"][name] for name in ("seconds", "cpu", "peak")}
    print(f"ours / bare: {ratio['seconds']:.2f} in time, {ratio['cpu']:.2f} in CPU, {ratio['peak']:.2f} in memory")


def oracle(customers: int, seed: int) -> None:
    """Print AUC and calibration slope of every candidate, the observable oracle and the truth on the same rows."""
    company = simulate_company(customers, seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study, layout = laid_out(company, folder)
        contract = build_panel(study, layout, folder / "store").contract
        frame = read_panel(folder / "store", contract.matured)
    rng, known = np.random.default_rng(seed), (study.snapshot.gap_days + study.snapshot.horizon_days) * DAY
    plan = [
        Fold(tuple(at for at in contract.matured if at + known <= test), test)
        for test in sorted({go_live.date for go_live in company.go_lives} & set(contract.matured))
    ]
    found = evaluate_churn(frame, contract.features, plan, rng)
    truth = pd.concat([_known_at(company, go_live) for go_live in company.go_lives], ignore_index=True)
    table = found.predictions.assign(at=cutoff_microseconds(found.predictions))
    for candidate, part in table.groupby("candidate", sort=False):
        both = part.merge(truth, on=["customer_id", "at"])
        _show(str(candidate), both["observed"], both["predicted"], both["customer_id"])
    shared = table.loc[table["candidate"].eq(found.winner)].merge(truth, on=["customer_id", "at"])
    _show("oracle, observable inputs", shared["observed"], _oracle(shared), shared["customer_id"])
    _show("true probability", shared["observed"], shared["true_risk"], shared["customer_id"])
    print(f"{len(shared):,} rows of {customers:,} customers at {shared['at'].nunique()} test cutoffs; {found.sentence}")


def _known_at(company: Company, go_live: GoLive) -> pd.DataFrame:
    """Give the inputs of the hazard at a cutoff, and the true probability to leave within the horizon."""
    world, people = company.world, company.people.take(go_live.rows)
    policy, state, stay = Policy(world.seed, people), go_live.state, np.ones(len(people))
    for week in range(go_live.week, go_live.week + 13):
        lived = live_week(world, people, state, week, policy)
        stay *= 1 - lived.hazard
        state = lived.state
    tenure = go_live.week - people.first_week
    start = go_live.state
    return pd.DataFrame(
        {
            "customer_id": [f"N{one:08d}" for one in people.index],
            "at": go_live.date,
            "true_risk": 1 - stay,
            "fast": start.fast,
            "slow": start.slow,
            "worst": start.worst,
            "segment": people.segment,
            "region": people.region,
            "age": people.age,
            "tenure": tenure,
            "phase": tenure % 52,
        }
    )


def _oracle(rows: pd.DataFrame) -> FloatArray:
    """Fit the observable inputs to the outcome, each half of the customers by the other; it even knows later months."""
    names = ["fast", "slow", "worst", "segment", "region", "age", "tenure", "phase", "at"]
    half = pd.factorize(rows["customer_id"])[0] % 2
    predicted = np.empty(len(rows))
    for side in (0, 1):
        settings = {"learning_rate": 0.05, "max_iter": 150, "max_leaf_nodes": 6, "min_samples_leaf": 100}
        categories = ["segment", "region", "age"]
        model = HistGradientBoostingClassifier(**settings, random_state=0, categorical_features=categories)
        model.fit(rows.loc[half != side, names], rows.loc[half != side, "observed"].astype(int))
        predicted[half == side] = model.predict_proba(rows.loc[half == side, names])[:, 1]
    return predicted


def _show(name: str, observed: pd.Series, predicted: Sequence[float] | pd.Series | FloatArray, who: pd.Series) -> None:
    found = {one.metric: one for one in churn_metrics(Sample.of(observed, predicted, who, np.ones(len(observed))))}
    auc, slope, loss = (found[metric] for metric in ("auc", "calibration_slope", "log_loss"))
    print(
        f"{name:<28} AUC {auc.value:.4f} ({auc.lo:.4f} to {auc.hi:.4f})  calibration slope {slope.value:.2f} "
        f"({slope.lo:.2f} to {slope.hi:.2f})  log loss {loss.value:.5f}"
    )


def _unfitted(model: Pipeline) -> Pipeline:
    inner = model["model"]
    return Pipeline([("prepare", clone(model["prepare"])), ("model", clone(inner))])


def _tell(started: float, winner: str) -> None:
    seconds, cpu = time.perf_counter() - started, time.process_time()
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak_bytes(), "winner": winner}))


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overhead", "oracle", "ours", "bare"))
    parser.add_argument("--rows", type=float, default=1e6)
    parser.add_argument("--features", type=int, default=150)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    if given.what == "oracle":
        oracle(given.customers, given.seed)
    else:
        {"overhead": overhead, "ours": ours, "bare": bare}[given.what](int(given.rows), given.features)


if __name__ == "__main__":
    main()
