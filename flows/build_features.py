"""Lay the sources out and build the panel: what was known about every customer at every cutoff, and what came next."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from features.contract import PanelContract, existing_contract
from features.flat import FlatTable, read_flat
from features.layout import Layout, lay_out
from features.panel import PanelInfo, build_panel
from features.snapshot import iso
from flows import console
from flows.steps import flow, io_step, step
from flows.storage import Workspace, open_workspace, write_json

__all__ = ["Tables", "build_features", "ensure_layout", "ensure_panel", "make_panel"]

Tables = Layout | FlatTable


@flow(name="build_features")
def build_features(study_file: str) -> None:
    """Build the panel of a study, or what is missing of it.

    Parameters
    ----------
    study_file : str
        The study.

    Raises
    ------
    DataError
        The tables make the study meaningless; every fault is listed.
    EmptyResultError
        Nobody churned, or no cutoff has enough history.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    tables = ensure_layout(workspace)
    info = make_panel(workspace, tables)
    write_json(workspace.store.result("features"), _result(workspace, tables, info))
    for note in info.contract.notes:
        console.say(f"note: {note}")
    contract, count = info.contract, console.count
    at = f"{count(len(contract.cutoffs), 'cutoff')} with {count(len(contract.features), 'feature')}"
    rows_out = f"{count(info.rows, 'row')} at {at}"
    seconds = time.perf_counter() - started
    console.say(console.Closing("features", _rows_in(tables), rows_out, seconds, str(workspace.store.panel)).line())


def ensure_panel(workspace: Workspace) -> PanelContract:
    """Give the contract of the panel, and build the panel first when it is missing or stale.

    Parameters
    ----------
    workspace : Workspace
        The study and its store.

    Returns
    -------
    PanelContract
        Contract of a panel that belongs to the study and the tables as they are now.
    """
    there = existing_contract(workspace.store.root)
    if there is None:
        console.say("The panel is missing: building it first.")
    elif there.layout_fingerprint != _fingerprint(ensure_layout(workspace)):
        console.say("The panel is stale, its study or its tables have changed: building it first.")
    else:
        return there
    build_features(str(workspace.study_file))
    found = existing_contract(workspace.store.root)
    assert found is not None  # noqa: S101 (it was built a moment ago)
    return found


@io_step("read the sources")
def ensure_layout(workspace: Workspace) -> Tables:
    """Lay the sources out, or use again what was laid out from the same files; a flat table is read."""
    study, store = workspace.study, workspace.store.root
    with console.progress("features") as tick:
        if study.is_flat:
            return read_flat(study, workspace.base, store)
        return lay_out(study, workspace.base, store, tick=tick)


@step("build the panel")
def make_panel(workspace: Workspace, tables: Tables, cutoffs: Sequence[int] | None = None) -> PanelInfo:
    """Build the partitions that are missing or stale; the grid of the study when no cutoffs are given."""
    with console.progress("features") as tick:
        return build_panel(workspace.study, tables, workspace.store.root, cutoffs=cutoffs, tick=tick)


def _fingerprint(tables: Tables) -> str:
    return tables.fingerprint if isinstance(tables, FlatTable) else tables.manifest.fingerprint


def _rows_in(tables: Tables) -> str:
    if isinstance(tables, FlatTable):
        return f"{tables.rows:,} rows of a flat table"
    return f"{tables.manifest.n_touchpoints:,} touchpoints of {tables.manifest.n_customers:,} customers"


def _counts(tables: Tables) -> dict[str, Any]:
    if isinstance(tables, FlatTable):
        customers = int(tables.frame["customer_id"].nunique())
        return {"customers": customers, "quarantined": [one.model_dump() for one in tables.quarantined]}
    found = tables.manifest
    return {
        "customers": found.n_customers,
        "touchpoints": found.n_touchpoints,
        "quarantined": [one.model_dump() for one in found.quarantined],
    }


def _result(workspace: Workspace, tables: Tables, info: PanelInfo) -> dict[str, Any]:
    contract = info.contract
    return {
        "study": workspace.study.name,
        "study_fingerprint": workspace.study.fingerprint(),
        "data_fingerprint": contract.layout_fingerprint,
        "feature_contract_hash": contract.feature_contract_hash,
        **_counts(tables),
        "rows": info.rows,
        "cutoffs": [iso(cutoff) for cutoff in contract.cutoffs],
        "matured": [iso(cutoff) for cutoff in contract.matured],
        "notes": list(contract.notes),
        "features": [asdict(feature) for feature in contract.features],
    }
