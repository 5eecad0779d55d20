"""Say what was found in the sources of a study, before anything is modelled."""

import time
from dataclasses import asdict
from typing import Any

import pandas as pd

from features.findings import numbered
from features.flat import read_flat
from features.health import Health, describe, describe_flat
from features.layout import lay_out
from flows import console
from flows.check_page import headline, render_check
from flows.storage import Workspace, open_workspace, records, write_bytes, write_json

__all__ = ["check", "take_stock"]


def check(study_file: str) -> None:
    """Lay the sources out, show what they hold, and write it as a page.

    Parameters
    ----------
    study_file : str
        The study.

    Raises
    ------
    DataError
        The tables make the study meaningless; every fault is listed.
    EmptyResultError
        Nobody churned, or everybody.
    StoreError
        The page cannot be written.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    health = take_stock(workspace)
    _show(health)
    write_json(workspace.store.result("check"), to_json(health))
    page = workspace.store.root / "check.html"
    write_bytes(page, render_check(health, workspace.study).encode())
    read, kept = sum(row.read for row in health.rows), sum(row.kept for row in health.rows)
    seconds = time.perf_counter() - started
    console.say(console.Closing("check", f"{read:,} rows", f"{kept:,} usable", seconds, str(page)).line())


def take_stock(workspace: Workspace) -> Health:
    """Describe the tables of a study, laying them out first when they have changed.

    Parameters
    ----------
    workspace : Workspace
        The study and its store.

    Returns
    -------
    Health
        What was found.
    """
    study, store = workspace.study, workspace.store.root
    with console.progress("check") as tick:
        if study.is_flat:
            return describe_flat(read_flat(study, workspace.base, store), study)
        return describe(lay_out(study, workspace.base, store, tick=tick), study)


def to_json(health: Health) -> dict[str, Any]:
    """Turn what was found into plain values, tables as rows."""
    plain = {name: value for name, value in asdict(health).items() if isinstance(value, str | int | float)}
    tables = {
        name: [one.model_dump() for one in getattr(health, name)]
        for name in ("rows", "quarantined", "journeys", "measures", "volumes")
    }
    found = {"findings": records(health.findings_frame()), "stock": health.stock.model_dump()}
    parts = {name: getattr(health, name) for name in ("replication", "inactivity")}
    further = {name: None if one is None else asdict(one) for name, one in parts.items()}
    return plain | tables | found | further | {"notes": list(health.notes)}


def _show(health: Health) -> None:
    """Show findings that need something done, then tables, then what is good to know."""
    console.say(headline(health))
    pressing = [finding for finding in health.findings if finding.severity != "fine"]
    for finding in pressing:
        console.say(f"{finding.severity}: {finding.sentence}")
    if health.first_day:
        console.say(f"{health.customers:,} customers, {health.first_day} to {health.last_day}")
        console.say(f"first cutoff with a full window before it: {health.first_cutoff or 'none'}")
        console.say(f"{health.cutoffs} cutoffs, {health.matured} of them with known outcomes")
    _show_tables(health)
    told = {finding.sentence for finding in pressing}
    for note in health.notes:
        if note not in told:
            console.say(f"note: {note}")


def _show_tables(health: Health) -> None:
    console.show_table("Tables", _tables_frame(health))
    if health.quarantined:
        examples = [numbered(one.rows, one.examples) for one in health.quarantined]
        console.show_table("Quarantine", health.quarantine_frame().assign(which=examples))
    if health.journeys:
        console.show_table("Journeys", health.journeys_frame())
    if health.measures:
        console.show_table("Measures", health.measures_frame())
    if health.stock.codes:
        columns = ["measure", "value", "rows", "low", "high", "is_outside"]
        console.show_table("Codes", pd.DataFrame([code.model_dump() for code in health.stock.codes]), columns)


def _tables_frame(health: Health) -> pd.DataFrame:
    """Put the rows of each table beside the customers they reach."""
    joins = health.joins_frame().drop(columns="read").rename(columns={"customers": "customers_reached"})
    if joins.empty:
        return health.to_frame()
    found = health.to_frame().merge(joins, on="table", how="left")
    whole = ["unknown_customer", "customers_reached"]
    return found.assign(**{name: ["" if pd.isna(one) else f"{one:.0f}" for one in found[name]] for name in whole})
