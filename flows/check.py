"""Say what was found in the sources of a study, before anything is modelled."""

import time
from dataclasses import asdict
from typing import Any

from features.flat import read_flat
from features.health import Health, describe, describe_flat
from features.layout import lay_out
from flows import console
from flows.storage import Workspace, open_workspace, write_json

__all__ = ["check", "take_stock"]


def check(study_file: str) -> None:
    """Lay the sources out and show what they hold.

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
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    health = take_stock(workspace)
    _show(health)
    write_json(workspace.store.result("check"), to_json(health))
    read, kept = sum(row.read for row in health.rows), sum(row.kept for row in health.rows)
    seconds, where = time.perf_counter() - started, str(workspace.store.root)
    console.say(console.Closing("check", f"{read:,} rows", f"{kept:,} usable", seconds, where).line())


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
    plain = {name: value for name, value in asdict(health).items() if not isinstance(value, tuple)}
    tables = {
        name: [one.model_dump() for one in getattr(health, name)]
        for name in ("rows", "quarantined", "journeys", "measures", "volumes")
    }
    return plain | tables | {"notes": list(health.notes)}


def _show(health: Health) -> None:
    if health.first_day:
        console.say(f"{health.customers:,} customers, {health.first_day} to {health.last_day}")
        console.say(f"first cutoff with a full window before it: {health.first_cutoff or 'none'}")
        console.say(f"{health.cutoffs} cutoffs, {health.matured} of them with known outcomes")
    console.show_table("Tables", health.to_frame())
    if health.quarantined:
        console.show_table("Quarantine", health.quarantine_frame())
    if health.journeys:
        console.show_table("Journeys", health.journeys_frame())
    if health.measures:
        console.show_table("Measures", health.measures_frame())
    for note in health.notes:
        console.say(f"note: {note}")
