"""A small company with a panel and champions that are made directly, for tests of what runs by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from features.company import simulate_company
from features.company_files import write_company
from features.contract import PanelContract, read_contract
from features.layout import lay_out
from features.panel import build_panel, read_panel
from flows.registry import crown
from flows.storage import Workspace, open_workspace
from flows.succession import TRAINED_UNTIL, trained_until
from flows.tracking import open_tracker
from models.churn import fit_churn
from models.revenue import fit_revenue
from models.splits import cutoff_microseconds


def small_company(out: Path, customers: int = 300, seed: int = 7) -> Workspace:
    """Write the tables and build the panel."""
    write_company(simulate_company(customers, seed), out)
    workspace = open_workspace(out / "study.yaml")
    tables = lay_out(workspace.study, workspace.base, workspace.store.root)
    build_panel(workspace.study, tables, workspace.store.root)
    return workspace


def with_champions(workspace: Workspace, *, damage: float = 0.0, until: float = 1.0) -> PanelContract:
    """Register logistic and linear champions, fitted without any search.

    `damage` is the share of rows whose outcome was recorded the wrong way round, `until` the share of cutoffs known.
    """
    contract = read_contract(workspace.store.root)
    rows = read_panel(workspace.store.root).loc[lambda frame: frame["is_mature"]].reset_index(drop=True)
    at = cutoff_microseconds(rows)
    last = np.quantile(np.unique(at), until, method="lower")
    known = rows.loc[at <= last].reset_index(drop=True)
    rng = np.random.default_rng(3)
    wrong = rng.random(len(known)) < damage
    known["is_churned"] = np.where(wrong, 1 - known["is_churned"], known["is_churned"])
    tags = {"feature_contract_hash": contract.feature_contract_hash, TRAINED_UNTIL: trained_until(known)}
    tracker = open_tracker(workspace.study, workspace.store)
    with tracker.run("train", "train", {}) as run:
        churn = fit_churn(known, contract.features, "logistic", rng, max_rows=1_000)
        revenue = fit_revenue(_with_revenue(known), contract.features, "ridge", rng, max_rows=1_000)
        for outcome, model in {"churn": churn, "revenue": revenue}.items():
            crown(tracker, outcome, run.register(outcome, model, tags))
    return contract


def _with_revenue(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.loc[frame["revenue"].notna()].reset_index(drop=True)
