"""A small company with a panel and registered champions, without the minutes of a training: for tests of scoring."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.company import simulate_company
from features.company_files import write_company
from features.contract import PanelContract, read_contract
from features.layout import lay_out
from features.panel import build_panel, read_panel
from features.study import parse_study
from flows.registry import crown
from flows.storage import Workspace, open_workspace
from flows.tracking import Tracker, open_tracker
from models.churn import fit_churn
from models.revenue import fit_revenue

__all__ = ["crown_anew", "late_contact", "make_company", "tracker_of"]

_FIT = {"churn": (fit_churn, "logistic"), "revenue": (fit_revenue, "two-part")}


def make_company(folder: Path, customers: int = 250, weeks: int = 66) -> Path:
    """Write a company, build its panel, register a champion for each outcome; give the study file."""
    write_company(simulate_company(customers, 11, weeks=weeks), folder)
    path = folder / "study.yaml"
    path.write_text(path.read_text("utf-8") + "engine: {workers: 1}\n", "utf-8")
    workspace = open_workspace(path)
    study = parse_study(path.read_text("utf-8"), "study.yaml")
    build_panel(study, lay_out(study, folder, folder / "store"), folder / "store")
    for outcome in _FIT:
        crown_anew(workspace, outcome)
    return path


def crown_anew(workspace: Workspace, outcome: str, rows: int = 800, *, is_champion: bool = True) -> str:
    """Fit a model on the first mature rows, register it, make it the champion; its version."""
    root = workspace.store.root
    contract, frame = read_contract(root), read_panel(root, read_contract(root).matured).iloc[:rows]
    fit, candidate = _FIT[outcome]
    model = fit(frame, contract.features, candidate, np.random.default_rng(2))
    tracker = tracker_of(workspace)
    with tracker.run("train", "train", {}) as run:
        number = run.register(outcome, model, _tags(contract))
    if is_champion:
        crown(tracker, outcome, number)
    return number


def tracker_of(workspace: Workspace) -> Tracker:
    """Open the place where runs are recorded."""
    return open_tracker(workspace.study, workspace.store)


def late_contact(folder: Path, at: str) -> None:
    """Add a contact that was made and booked at a time, for the customer who had the last one before it."""
    path = folder / "touchpoints.parquet"
    table = pq.read_table(path)
    moment = pd.Timestamp(at, tz="UTC")
    rows = table.select(["event_time", "client_no"]).to_pandas()
    earlier = rows.loc[rows["event_time"] < moment].sort_values(["event_time", "client_no"])
    late = table.slice(int(earlier.index[-1]), 1)
    for name in ("event_time", "booked_time"):
        place = table.column_names.index(name)
        late = late.set_column(place, table.field(name), pa.array([moment], table.field(name).type))
    pq.write_table(pa.concat_tables([table, late]), path)


def _tags(contract: PanelContract) -> Mapping[str, str]:
    return {"feature_contract_hash": contract.feature_contract_hash}
