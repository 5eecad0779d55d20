"""A small company with a registered champion and scores, without the minutes of a training: for tests of monitoring."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from features.company import simulate_company
from features.company_files import write_company
from features.contract import read_contract
from features.layout import lay_out
from features.panel import build_panel, read_panel
from features.publish import staged
from features.snapshot import iso, parse_date
from flows.recorded_tests import keep_tests
from flows.registry import crown
from flows.score_rows import LoadedModel, score_rows
from flows.storage import Workspace, open_workspace
from flows.succession import TRAINED_UNTIL
from flows.tracking import find_champion, open_tracker
from models.churn import fit_churn, predict_churn

__all__ = ["make_watched", "score_at"]

_TESTED = 2


def make_watched(folder: Path, customers: int = 400, weeks: int = 118) -> Path:
    """Write a company, build its panel, register a champion with recorded tests, score two cutoffs; the study file."""
    write_company(simulate_company(customers, 5, weeks=weeks), folder)
    path = folder / "study.yaml"
    path.write_text(path.read_text("utf-8") + "engine: {workers: 1}\n", "utf-8")
    workspace = open_workspace(path)
    root = workspace.store.root
    build_panel(workspace.study, lay_out(workspace.study, folder, root), root)
    contract = read_contract(root)
    known, later = contract.matured[: -1 - _TESTED], contract.matured[-1 - _TESTED : -1]
    frame = read_panel(root, known)
    model = fit_churn(frame.iloc[:1500], contract.features, "logistic", np.random.default_rng(2))
    tests = read_panel(root, later)
    tracker = open_tracker(workspace.study, workspace.store)
    tags = {"feature_contract_hash": contract.feature_contract_hash, TRAINED_UNTIL: str(known[-1]), "candidate": "x"}
    with tracker.run("train", "train", {}) as run:
        risk = predict_churn(model, tests, contract.features)
        keep_tests(tracker, run.run_id, "churn", tests.assign(predicted=risk))
        number = run.register("churn", model, tags)
    crown(tracker, "churn", number)
    score_at(workspace, iso(contract.matured[-1]))
    score_at(workspace, iso(contract.cutoffs[-1]))
    return path


def score_at(workspace: Workspace, cutoff: str, rows: pd.DataFrame | None = None) -> None:
    """Publish scores of the customers at risk at a cutoff, or of given rows."""
    contract = read_contract(workspace.store.root)
    champion = find_champion(open_tracker(workspace.study, workspace.store), "churn")
    assert champion is not None
    model = LoadedModel(champion.version, champion.load(contract.feature_contract_hash))
    frame = read_panel(workspace.store.root, (parse_date(cutoff),)) if rows is None else rows
    ordered = frame.sort_values("customer_id", kind="stable").reset_index(drop=True)
    scores = score_rows(workspace.study, contract, ordered, {"churn": model})
    with staged(workspace.store.score_partition(cutoff)) as folder:
        pq.write_table(scores, folder / "part-0.parquet", compression="zstd")
