"""Compare which initiative each method would start with, on companies whose truth is known, and what that costs.

Each method scores the same initiatives of the same company from the same panel; the one with the highest score is
picked. Regret is the share of the best initiative's effect on churn that the pick leaves out.

- ours: the estimated effect on churn;
- correlation: how strongly the mean of the measure goes along with churn, in the direction of the change;
- SHAP: mean absolute Shapley value of the measure's features in boosted trees (exact, trees of six leaves);
- all features: coefficient of the measure's mean in a logistic regression on everything, times the change.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.laid_out import laid_out
from benchmarks.truth import prepare_study
from features.company import simulate_company
from features.panel import build_panel, read_panel
from models.additive import shapley
from models.initiatives import Initiative, refusal
from models.plans_file import parse_plans
from models.policy import PolicyEffect, policy_effect
from models.shared_fits import SharedFits
from models.verdicts import Evidence, judge

TREES = 100
LEAVES = 6
MOST_SHAPLEY_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Offer:
    """An initiative with what was estimated of it and what it truly does."""

    initiative: Initiative
    found: PolicyEffect
    truth: float
    kind: str

    @property
    def prefix(self) -> str:
        """How the features of its first measure begin."""
        change = self.initiative.changes[0]
        return f"{change.journey}__{change.measure}_"

    @property
    def change(self) -> float:
        """Mean change of that measure over moved touchpoints, times reach."""
        return self.found.mean_change[self.initiative.changes[0].exposure] * self.initiative.reach


def one_company(folder: Path, customers: int, seed: int, hidden: float) -> pd.DataFrame:
    """Score the initiatives of one company by every method; one row per method and initiative."""
    study, layout = laid_out(simulate_company(customers, seed, hidden_confounding=hidden), folder)
    contract = build_panel(study, layout, folder / "store").contract
    panel = read_panel(folder / "store", contract.matured)
    numbers = [f.name for f in contract.features if pd.api.types.is_numeric_dtype(panel[f.name])]
    names = [name for name in numbers if panel[name].min() < panel[name].max()]
    fits = SharedFits(prepare_study(study, layout, seed))
    truth = {t["name"]: t for t in json.loads((folder / "truth.json").read_text(encoding="utf-8"))["initiatives"]}
    text = (folder / "initiatives.yaml").read_text(encoding="utf-8")
    planned = [
        one
        for one in parse_plans(text, "initiatives.yaml", study).initiatives
        if truth[one.name]["kind"] in {"good", "useless"} and not refusal(one, study, fits.prepared.exposures)
    ]
    offers = [
        Offer(
            one,
            policy_effect(fits, one),
            float(truth[one.name]["churn_effect"]),
            str(truth[one.name]["kind"]),
        )
        for one in planned
    ]
    scores = {
        "ours": [-one.found.effect.churn.value for one in offers],
        "correlation": _correlations(panel, offers),
        "SHAP": _importances(panel, names, offers),
        "all features": _coefficients(panel, names, offers),
    }
    evidence = [Evidence(one.found.effect, one.found.support_share, one.found.placebo) for one in offers]
    rulings = judge(evidence, np.random.default_rng(seed))
    rows = [
        (seed, method, one.initiative.name, one.kind, -one.truth, score, ruling.verdict)
        for method, found in scores.items()
        for one, score, ruling in zip(offers, found, rulings, strict=True)
    ]
    return pd.DataFrame(rows, columns=["seed", "method", "initiative", "kind", "truth", "score", "verdict"])


def _mean_of(panel: pd.DataFrame, offer: Offer) -> str | None:
    return next(
        (
            n
            for n in sorted(map(str, panel))
            if n.startswith(offer.prefix) and n.endswith("__mean") and n.count("__") == 2
        ),
        None,
    )


def _correlations(panel: pd.DataFrame, offers: Sequence[Offer]) -> list[float]:
    found = []
    for one in offers:
        column = _mean_of(panel, one)
        value = panel[column].to_numpy(float) if column else np.full(len(panel), np.nan)
        known, churned = ~np.isnan(value), panel["is_churned"].to_numpy(float)
        r = stats.pearsonr(value[known], churned[known]).statistic if known.any() else 0.0
        found.append(float(-r * np.sign(one.change)))
    return found


def _importances(panel: pd.DataFrame, names: Sequence[str], offers: Sequence[Offer]) -> list[float]:
    model = HistGradientBoostingClassifier(
        max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=0.1, early_stopping=False, random_state=0
    )
    matrix = panel[list(names)].to_numpy(float)
    model.fit(matrix, panel["is_churned"].to_numpy(float))
    values = np.abs(shapley(model, matrix[:: max(1, len(matrix) // MOST_SHAPLEY_ROWS)]).amounts).mean(axis=0)
    return [float(sum(v for name, v in zip(names, values, strict=True) if name.startswith(o.prefix))) for o in offers]


def _coefficients(panel: pd.DataFrame, names: Sequence[str], offers: Sequence[Offer]) -> list[float]:
    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=500))
    model.fit(panel[list(names)].to_numpy(float), panel["is_churned"].to_numpy(float))
    slopes = dict(zip(names, model[-1].coef_[0] / model[-2].scale_, strict=True))
    return [float(-slopes.get(_mean_of(panel, one) or "", 0.0) * one.change) for one in offers]


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Say by method how often the best was picked, what that cost, and how well all were ranked."""
    found = []
    for method, mine in rows.groupby("method", sort=False):
        companies = [part for _, part in mine.groupby("seed")]
        picks = [part.iloc[int(part["score"].to_numpy().argmax())] for part in companies]
        best = [part["truth"].max() for part in companies]
        found.append(
            {
                "method": method,
                "companies": len(companies),
                "best_picked": np.mean([p["truth"] == b for p, b in zip(picks, best, strict=True)]),
                "regret_%": 100 * np.mean([1 - p["truth"] / b for p, b in zip(picks, best, strict=True)]),
                "rank_correlation": np.mean([stats.spearmanr(p["score"], p["truth"]).statistic for p in companies]),
            }
        )
    return pd.DataFrame(found)


def main() -> None:
    """Run the companies and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=10, help="how many companies")
    parser.add_argument("--first-seed", type=int, default=601)
    parser.add_argument("--hidden-confounding", type=float, default=0.0)
    parser.add_argument("--csv", help="write the rows here")
    given = parser.parse_args()
    parts = []
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            parts.append(one_company(Path(folder), given.customers, seed, given.hidden_confounding))
        print(f"seed {seed}: {time.perf_counter() - started:.0f} s", flush=True)
    rows = pd.concat(parts, ignore_index=True)
    if given.csv:
        rows.to_csv(given.csv, index=False)
    print(summary(rows).round(3).to_string(index=False))
    ours = rows[rows["method"] == "ours"]
    print(pd.crosstab(ours["kind"], ours["verdict"]).to_string())


if __name__ == "__main__":
    main()
