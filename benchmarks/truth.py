"""Estimated effects of initiatives beside the truth, on synthetic companies; what correlation and boosting would say.

For each seed a company is made, laid out and its initiatives estimated through the same functions that the command line
uses; truth is found only here, from the company itself. Run: make bench, or python -m benchmarks.truth --seeds 4
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.laid_out import laid_out
from benchmarks.plug_in import BoostedPlugIn
from features.company import Company, Truth, simulate_company, truth_for
from features.company_initiatives import INITIATIVES
from features.layout import Layout
from features.panel import build_panel, read_panel
from features.study import Study
from flows.histories import exposures_of, go_lives_of
from models.initiatives import Initiative, refusal
from models.levers import raw_contrast
from models.plans_file import parse_plans
from models.policy import PolicyEffect, policy_effect
from models.prepared import Prepared, prepare
from models.shared_fits import SharedFits

RIVALS = ("naive", "boosted")
"""Univariate slope, and boosted trees on our own rows (benchmarks/plug_in.py)."""

_OTHER_LUCK = 1_000_000
"""Seeds of reruns begin here: no company is made from them."""


def companies(customers: int, seeds: Iterable[int], hidden: float = 0.0, lucks: int = 1) -> pd.DataFrame:
    """Estimate the initiatives of several companies, one after the other; truth is the mean of so many reruns."""
    parts = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            parts.append(one_company(Path(folder), customers, seed, hidden, lucks))
    return pd.concat(parts, ignore_index=True)


def one_company(folder: Path, customers: int, seed: int, hidden: float, lucks: int = 1) -> pd.DataFrame:
    """Estimate all initiatives of one company; one row per initiative and outcome."""
    company = simulate_company(customers, seed, hidden_confounding=hidden)
    study, layout = laid_out(company, folder)
    contract = build_panel(study, layout, folder / "store").contract
    panel = read_panel(folder / "store", contract.matured)
    started = time.perf_counter()
    prepared = prepare_study(study, layout, seed)
    fits = SharedFits(prepared)
    seconds = time.perf_counter() - started
    boosted = BoostedPlugIn.fit(prepared, seed)
    started = time.perf_counter()
    text = (folder / "initiatives.yaml").read_text(encoding="utf-8")
    truth = expected_truth(company, lucks)
    rows: list[dict[str, object]] = []
    for initiative in parse_plans(text, "initiatives.yaml", study).initiatives:
        if not refusal(initiative, study, prepared.exposures):
            found = policy_effect(fits, initiative)
            names = {f.name for f in contract.features}
            seconds += time.perf_counter() - started
            rival = dict(zip(("churn", "revenue"), boosted.effect(fits, initiative), strict=True))
            started = time.perf_counter()
            rows += [
                row | {"boosted": rival[str(row["outcome"])]}
                for row in compare(initiative, found, truth[initiative.name], panel, names)
            ]
    frame = pd.DataFrame(rows).assign(seed=seed)
    print(f"seed {seed}: {len(panel):,} panel rows, effects in {seconds:.1f} s", flush=True)
    return frame


def expected_truth(company: Company, lucks: int) -> dict[str, Truth]:
    """Average the truth over reruns of the world after go-live: the first is that of truth.json, others in other weeks.

    History and environment stay; who is reached, who calls, how long they wait and what is solved are drawn anew. One
    rerun of 10,000 customers differs from the mean by 2 to 7 % of the effect, by a sixth where few are concerned.
    """
    worlds = [company.world, *(replace(company.world, seed=_OTHER_LUCK + n) for n in range(1, lucks))]
    reruns = [truth_for(replace(company, world=world), INITIATIVES) for world in worlds]
    return {
        own[0].name: replace(
            own[0],
            churn_effect=float(np.mean([one.churn_effect for one in own])),
            revenue_effect=float(np.mean([one.revenue_effect for one in own])),
        )
        for own in zip(*reruns, strict=True)
    }


def prepare_study(study: Study, layout: Layout, seed: int) -> Prepared:
    """Lay out the rows that all effects share."""
    found = layout.manifest
    return prepare(
        study, layout.all_buckets, go_lives_of(study, found), (found.data_start, found.data_end),
        np.random.default_rng(seed), exposures=exposures_of(study, found),
    )  # fmt: skip


def compare(
    initiative: Initiative, found: PolicyEffect, truth: Truth, panel: pd.DataFrame, names: set[str]
) -> list[dict[str, object]]:
    """Put estimate, truth and the univariate slope side by side."""
    rows: list[dict[str, object]] = []
    change = initiative.changes[0]
    prefix = f"{change.journey}__{change.measure}_"
    column = next(
        (n for n in sorted(names) if n.startswith(prefix) and n.endswith("__mean") and n.count("__") == 2), None
    )
    for outcome, estimate, target, true in (
        ("churn", found.effect.churn, "is_churned", truth.churn_effect),
        ("revenue", found.effect.revenue, "revenue", truth.revenue_effect),
    ):
        naive = raw_contrast(panel, column, target, found.mean_change[change.exposure]) * initiative.reach
        rows.append(
            {
                "initiative": initiative.name,
                "outcome": outcome,
                "truth": true,
                "estimate": estimate.value,
                "lo": estimate.lo,
                "hi": estimate.hi,
                "se": estimate.se,
                "spread": estimate.spread,
                "naive": naive,
                "kind": truth.kind,
            }
        )
    return rows


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Bias, RMSE and coverage per initiative and outcome, over seeds; bias and RMSE in per cent of the mean truth."""
    rows = []
    for (outcome, name), part in frame.groupby(["outcome", "initiative"], sort=False):
        scale = abs(part["truth"].mean())
        error = part["estimate"] - part["truth"]
        inside = (part["lo"] <= part["truth"]) & (part["truth"] <= part["hi"])
        rows.append(
            {
                "outcome": outcome,
                "initiative": name,
                "truth": part["truth"].mean(),
                "estimate": part["estimate"].mean(),
                "bias_%": 100 * error.mean() / scale if scale else np.nan,
                "rmse_%": 100 * np.sqrt((error**2).mean()) / scale if scale else np.nan,
                **{
                    f"{rival}_rmse_%": 100 * np.sqrt(((part[rival] - part["truth"]) ** 2).mean()) / scale
                    if scale
                    else np.nan
                    for rival in RIVALS
                },
                "cover": inside.mean(),
                "rms_z": float(np.sqrt(((error / part["spread"]) ** 2).mean())),
                "companies": len(part),
            }
        )
    return pd.DataFrame(rows)


def ranking(frame: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation with the truth and whether the best initiative was picked, per company, for churn."""
    rows = []
    for seed, part in frame[frame["outcome"] == "churn"].groupby("seed"):
        for method in ("estimate", *RIVALS):
            rho = stats.spearmanr(part[method], part["truth"]).statistic
            picked = part.loc[part[method].idxmin()]
            best = part["truth"].min()
            rows.append(
                {
                    "seed": seed,
                    "method": method,
                    "spearman": rho,
                    "picks": picked["initiative"],
                    "regret_%": 100 * (1 - picked["truth"] / best),
                }
            )
    return pd.DataFrame(rows)


def main() -> None:
    """Run the companies and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=101)
    parser.add_argument("--hidden-confounding", type=float, default=0.0)
    parser.add_argument("--lucks", type=int, default=1, help="reruns of the world over which truth is averaged")
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    frame = companies(given.customers, seeds, given.hidden_confounding, given.lucks)
    if given.csv:
        frame.to_csv(given.csv, index=False)
    with pd.option_context("display.width", 200, "display.max_columns", 20, "display.float_format", "{:.4g}".format):
        print(summary(frame).to_string(index=False))
        print(ranking(frame).to_string(index=False))


if __name__ == "__main__":
    main()
