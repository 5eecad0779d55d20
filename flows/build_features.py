"""Lay the sources out and build the panel: what was known about every customer at every cutoff, and what came next."""

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from features.contract import PanelContract, existing_contract
from features.dictionary import write_dictionary
from features.errors import EmptyResultError, StoreError, StudyError, UnsupportedError
from features.flat import FlatTable, read_flat
from features.layout import Layout, lay_out
from features.panel import PanelInfo, build_panel
from features.publish import sweep
from features.snapshot import cutoffs_between, day_end, iso, parse_date
from features.sources import sweep_spilled
from flows import console
from flows.artefacts import leave
from flows.steps import flow, io_step, step
from flows.storage import Workspace, open_workspace, read_json, write_json

__all__ = ["Tables", "build_features", "ensure_layout", "ensure_panel", "make_panel"]

Tables = Layout | FlatTable


_BACKFILL_STEP = 6
"""Cutoffs that are built before they are published: what a killed backfill has to build again at most."""


@flow(name="build_features")
def build_features(study_file: str, backfill: tuple[str, str] | None = None) -> None:
    """Build the panel of a study, or what is missing of it.

    Parameters
    ----------
    study_file : str
        The study.
    backfill : tuple of str, optional
        First and last date (YYYY-MM-DD) of cutoffs to build beside those that are there.

    Raises
    ------
    DataError
        The tables make the study meaningless; every fault is listed.
    EmptyResultError
        Nobody churned, or no cutoff has enough history.
    StudyError
        The dates of the backfill are no dates, or the wrong way round.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    dates = None if backfill is None else _span(*backfill)
    tables = ensure_layout(workspace)
    info = make_panel(workspace, tables) if dates is None else _fill_back(workspace, tables, *dates)
    _sweep(workspace)
    if not _is_described(workspace, info.contract):
        write_dictionary(workspace.store.dictionary, info.contract, workspace.store.root)
    write_json(workspace.store.result("features"), _result(workspace, tables, info))
    leave(workspace, "features")
    for note in info.contract.notes:
        console.say(f"note: {note}")
    contract, count = info.contract, console.count
    at = f"{count(len(contract.cutoffs), 'cutoff')} with {count(len(contract.features), 'feature')}"
    rows_out = f"{count(info.rows, 'row')} at {at}"
    if info.parts_reused:
        parts = (
            f"{info.parts_built:,} of {info.parts_built + info.parts_reused:,} parts (cutoff and bucket of customers)"
        )
        console.say(f"built {parts}; the others would come out the same and were kept")
    console.say(f"what each feature is, with its range and what is missing: {workspace.store.dictionary}")
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
    elif not _is_described(workspace, there):
        console.say("The last build of the panel did not come to its end: ending it first.")
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


def _span(first: str, last: str) -> tuple[int, int]:
    """Read the dates of a backfill."""
    start, end = parse_date(first), parse_date(last)
    if start > end:
        raise StudyError(f"--backfill {first} {last}: the first date lies after the last. Give the earlier one first.")
    return start, end


def _fill_back(workspace: Workspace, tables: Tables, first: int, last: int) -> PanelInfo:
    """Build the cutoffs between two dates, some at a time; what is published stays, whatever happens after."""
    if isinstance(tables, FlatTable):
        raise UnsupportedError("A flat table has waves instead of cutoffs: there is nothing to fill back.")
    found = tables.manifest
    grid = cutoffs_between(workspace.study.snapshot, first, last)
    wanted = [cutoff for cutoff in grid if found.data_start < cutoff <= day_end(found.data_end)]
    if not wanted:
        span = f"the data reach from {iso(found.data_start)} to {iso(found.data_end)}"
        raise EmptyResultError(
            f"No cutoff of the study lies between {iso(first)} and {iso(last)} with history before it: {span}. "
            "Choose other dates."
        )
    steps = [wanted[at : at + _BACKFILL_STEP] for at in range(0, len(wanted), _BACKFILL_STEP)]
    infos = []
    for step_cutoffs in steps:
        infos.append(make_panel(workspace, tables, step_cutoffs))
        console.say(f"cutoffs {iso(step_cutoffs[0])} to {iso(step_cutoffs[-1])} are in the panel")
    built = tuple(sorted({cutoff for info in infos for cutoff in info.built}))
    return replace(
        infos[-1],
        built=built,
        reused=tuple(cutoff for cutoff in infos[-1].contract.cutoffs if cutoff not in built),
        parts_built=sum(info.parts_built for info in infos),
        parts_reused=sum(len(one.parts) for one in infos[-1].contract.partitions) - sum(i.parts_built for i in infos),
    )


def _sweep(workspace: Workspace) -> None:
    """Remove what a dead process has left beside what it had published; where something is built, that does it."""
    store = workspace.store
    for folder in (store.layout, store.root / "quarantine", store.panel):
        sweep(folder)
    sweep_spilled(store.root, workspace.study.resources)


def _is_described(workspace: Workspace, contract: PanelContract) -> bool:
    """Tell whether the dictionary is of this panel: the result, written after it, names the panel it was written for.

    A process may have died between the panel and its dictionary, or between the dictionary and the result.
    """
    if not workspace.store.dictionary.exists():
        return False
    with suppress(StoreError):
        return (read_json(workspace.store.result("features")) or {}).get("panel") == _of_panel(contract)
    return False


def _of_panel(contract: PanelContract) -> str:
    return hashlib.sha256(contract.model_dump_json().encode()).hexdigest()


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
        "panel": _of_panel(contract),
        **_counts(tables),
        "rows": info.rows,
        "cutoffs": [iso(cutoff) for cutoff in contract.cutoffs],
        "matured": [iso(cutoff) for cutoff in contract.matured],
        "notes": list(contract.notes),
        "features": [asdict(feature) for feature in contract.features],
        "parts_built": info.parts_built,
        "parts_reused": info.parts_reused,
    }
