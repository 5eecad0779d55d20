"""The latest results of a study, gathered from its store into the report."""

import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from features.contract import PanelContract, existing_contract
from features.health import Health, describe
from features.layout import open_layout
from features.panel import read_panel
from features.snapshot import iso
from flows import console
from flows.check import take_stock
from flows.monitor_section import read_monitor
from flows.portfolio_section import read_portfolio
from flows.premium_section import read_premium
from flows.report import Counter, DataHealth, ReportData, ReportHeader, health_of, write_report
from flows.report_data import PortfolioFound, PremiumFound
from flows.storage import Workspace, open_store, open_workspace, read_json, write_json
from flows.tracking import find_champion, open_tracker

__all__ = ["gather", "report"]


def report(study_file: str, *, out: str | None = None) -> None:
    """Write the report of a study from its latest results.

    Parameters
    ----------
    study_file : str
        The study.
    out : str, optional
        The file; ``report.html`` in the study's store when left out.

    Raises
    ------
    StoreError
        The file cannot be written.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    path = workspace.store.report if out is None else Path(out).expanduser().resolve()
    open_store(path.parent)
    with console.progress("report") as tick:
        tick("gathering the latest results")
        data = gather(workspace)
        tick("drawing")
        write_report(data, path)
    write_json(workspace.store.result("report"), {"study": workspace.study.name, "path": str(path)})
    found = (data.drivers, data.effects, data.initiatives, data.metrics, data.premium, data.portfolio)
    parts = sum(part is not None for part in found)
    seconds = time.perf_counter() - started
    console.say(console.Closing("report", f"{parts} of {len(found)} results", "1 page", seconds, str(path)).line())


def gather(workspace: Workspace) -> ReportData:
    """Gather the latest results; what has not been run yet is None.

    Parameters
    ----------
    workspace : Workspace
        The study and its store.

    Returns
    -------
    ReportData
        Header, result tables and the health of the data.
    """
    found = {name: read_json(workspace.store.result(name)) or {} for name in ("train", "explain", "simulate")}
    outcomes: Mapping[str, Any] = found["train"].get("outcomes", {})
    return ReportData(
        header=_header(workspace, found["train"]),
        drivers=_table(found["explain"].get("driver_table")),
        driver_notes=_table(found["explain"].get("driver_notes")),
        effects=_table(found["explain"].get("effects")),
        initiatives=_table(found["simulate"].get("initiatives")),
        metrics=_table([row for one in outcomes.values() for row in one["metrics"]]),
        reliability=_table(outcomes.get("churn", {}).get("reliability")),
        health=_health(workspace),
        premium=_premium(workspace),
        paths=_table(found["simulate"].get("paths")),
        tornado=_table(found["simulate"].get("tornado")),
        pairs=_table(found["simulate"].get("pairs")),
        retention=str(found["simulate"].get("retention", {}).get("assumption", "")),
        portfolio=_portfolio(workspace, found["simulate"]),
        monitor=read_monitor(monitored) if (monitored := read_json(workspace.store.result("monitor"))) else None,
    )


def _table(rows: list[dict[str, Any]] | None) -> pd.DataFrame | None:
    return pd.DataFrame(rows) if rows else None


def _premium(workspace: Workspace) -> PremiumFound | None:
    """Read the journey premium, and whether it belongs to the panel as it is now."""
    content = read_json(workspace.store.result("premium"))
    if content is None:
        return None
    contract = existing_contract(workspace.store.root)
    made_from = (content["data_fingerprint"], content["feature_contract_hash"])
    is_stale = contract is None or made_from != (contract.layout_fingerprint, contract.feature_contract_hash)
    return read_premium(content, is_stale=is_stale)


def _portfolio(workspace: Workspace, simulated: Mapping[str, Any]) -> PortfolioFound | None:
    """Read the portfolio, and whether it belongs to the simulation as it is now."""
    content = read_json(workspace.store.result("portfolio"))
    if content is None:
        return None
    rests_on = ("data_fingerprint", "feature_contract_hash", "initiatives_fingerprint", "seed")
    return read_portfolio(content, is_stale=any(content[name] != simulated.get(name) for name in rests_on))


def _header(workspace: Workspace, trained: Mapping[str, Any]) -> ReportHeader:
    study, contract = workspace.study, existing_contract(workspace.store.root)
    data_start, data_end, customers = _extent(workspace, contract)
    return ReportHeader(
        study=study.name,
        currency=study.currency,
        data_start=data_start,
        data_end=data_end,
        customers=customers,
        rows=contract.rows if contract else 0,
        cutoffs=tuple(map(iso, contract.cutoffs)) if contract and not study.is_flat else (),
        horizon_days=study.snapshot.horizon_days,
        months=study.money.months,
        churn_rate=float(trained.get("churn_rate", "nan")),
        is_survey=study.flat is not None and study.flat.churned is None,
        is_flat=study.is_flat,
        churn_model=_model(workspace, "churn") if trained else "",
        revenue_model=_model(workspace, "revenue") if trained else "",
        seed=int(trained.get("seed", 0)),
        version=version("journeylift"),
    )


def _extent(workspace: Workspace, contract: PanelContract | None) -> tuple[str, str, int]:
    """First day, last day and customers of the data."""
    if contract is None:
        return "", "", 0
    if workspace.study.is_flat:
        return "", "", int(read_panel(workspace.store.root)["customer_id"].nunique())
    found = open_layout(workspace.store.root).manifest
    return iso(found.data_start), iso(found.data_end), found.n_customers


def _model(workspace: Workspace, outcome: str) -> str:
    champion = find_champion(open_tracker(workspace.study, workspace.store), outcome)
    return f"{champion.name} version {champion.version}, {champion.tags['candidate']}" if champion else ""


def _health(workspace: Workspace) -> DataHealth | None:
    if existing_contract(workspace.store.root) is None:
        return None
    if workspace.study.is_flat:
        return _flat_health(take_stock(workspace))
    layout = open_layout(workspace.store.root)
    return replace(health_of(layout.manifest), notes=describe(layout, workspace.study).notes)


def _flat_health(health: Health) -> DataHealth:
    counters = [Counter(f"{row.table}: rows read", row.read) for row in health.rows]
    counters += [Counter(f"{row.table}: rows used", row.kept) for row in health.rows]
    return DataHealth(
        counters=tuple(counters),
        quarantined=health.quarantine_frame(),
        missing=health.measures_frame()[["measure", "n", "missing_share"]],
        volumes=health.volumes_frame(),
        notes=health.notes,
    )
