"""What a simulation leaves behind: the content of simulate.json, and runs with tables and charts in MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from features.contract import PanelContract
from features.layout import Layout
from features.snapshot import iso
from features.study import Study
from flows.charts import npv_chart
from flows.console import count
from flows.histories import go_lives_of
from flows.identity import identity
from flows.initiative_record import described, metrics_of, params_of, plan_described
from flows.plans import Plans
from flows.steps import io_step
from flows.storage import Workspace, records
from flows.theme import to_svg
from flows.tracking import Run, open_tracker
from flows.worth_charts import path_chart, tornado_chart
from models.combinations import Combinations
from models.initiatives import Initiative
from models.retention import Retention
from models.simulation import WORST, Comparison

__all__ = ["Simulated", "record", "shown_titles"]


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """What was counted, and the retention that it was counted with."""

    comparison: Comparison
    pairs: Combinations
    retention: Retention
    controls: pd.DataFrame


@io_step("record the simulation in MLflow")
def record(
    workspace: Workspace,
    layout: Layout,
    contract: PanelContract,
    plans: Plans,
    simulated: Simulated,
    seed: int,
    draws: bytes,
) -> dict[str, Any]:
    """Record one run an initiative under a parent, with the draws as ``draws.npz``; the content of ``simulate.json``.

    Parameters of the parent are few, because MLflow puts those of all runs into one table; the whole study is an
    artefact.
    """
    study = workspace.study
    tags = identity(study, contract, seed)
    tracker = open_tracker(study, workspace.store)
    comparison, retention = simulated.comparison, simulated.retention
    found, pairs = comparison.to_frame(), simulated.pairs.to_frame()
    rows, paths, tornado = records(found), comparison.paths(), comparison.tornado()
    customers, money = contract.partitions[-1].rows, study.money
    title = f"{count(len(found), 'initiative')} at {iso(contract.partitions[-1].cutoff)}"
    note = plan_described(found, study.currency, money.months, customers)
    with tracker.run("simulate", title, tags, note=note) as parent:
        horizon = study.snapshot.horizon_days
        parent.log_params({"seed": seed, "horizon_days": horizon, "customers": customers, **money.model_dump()})
        parent.log_json(study.model_dump(mode="json", by_alias=True), "study.json")
        parent.log_bytes(draws, "draws.npz")
        parent.log_text(workspace.study_file.read_text(encoding="utf-8"), "study.yaml")
        parent.log_text(plans.text, "initiatives.yaml")
        for name, table in {"initiatives": found, "paths": paths, "tornado": tornado, "pairs": pairs}.items():
            parent.log_table(table, f"{name}.csv")
        if len(simulated.controls):
            parent.log_table(simulated.controls, "negative_controls.csv")
        if found["npv"].notna().any():
            parent.log_text(to_svg(npv_chart(found, study.currency, study.money.months)), "npv.svg")
            parent.log_text(to_svg(path_chart(paths, shown_titles(found), study.currency)), "paths.svg")
        for initiative, row in zip(plans.initiatives, rows, strict=True):
            _record_one(parent, initiative, row, tornado[tornado["name"] == initiative.name], study)
    return {
        "study": study.name,
        "run_id": parent.run_id,
        **tags,
        "initiatives_fingerprint": plans.fingerprint,
        "currency": study.currency,
        "horizon_days": study.snapshot.horizon_days,
        "months": study.money.months,
        "cutoff": iso(contract.partitions[-1].cutoff),
        "customers": contract.partitions[-1].rows,
        "go_live": [iso(at) for at in go_lives_of(study, layout.manifest)],
        "worst_share": WORST.tail,
        "retention": {
            "assumption": retention.describe(),
            "is_estimated": retention.is_estimated,
            "factor": retention.factor.tolist(),
        },
        "initiatives": rows,
        "paths": records(paths),
        "tornado": records(tornado),
        "pairs": records(pairs),
        "negative_controls": records(simulated.controls),
    }


def shown_titles(found: pd.DataFrame) -> list[tuple[str, str]]:
    """Name and title of what was simulated, worth most first."""
    rows = found[found["npv"].notna()].sort_values("npv", ascending=False, kind="stable")
    return list(zip(rows["name"], rows["title"], strict=True))


def _record_one(parent: Run, initiative: Initiative, row: dict[str, Any], bars: pd.DataFrame, study: Study) -> None:
    tags = {"initiative": initiative.name, "owner": initiative.owner}
    tags |= {name: str(row[name] or "") for name in ("verdict", "reason", "effect_verdict", "effect_reason", "placebo")}
    note = described(row, study.currency, study.money.months, study.snapshot.horizon_days)
    with parent.tracker.run("simulate", initiative.label, tags, parent, note) as run:
        run.log_params(params_of(initiative, study.currency))
        run.log_metrics(metrics_of(row, study.currency))
        if len(bars):
            run.log_text(to_svg(tornado_chart(bars, initiative.label, study.currency)), "tornado.svg")
