"""Watch scored batches: whether the latest is like what the model has learned from, and earlier ones came true."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from features.contract import PanelContract
from features.errors import AlarmError, StudyError, UnsupportedError, closest
from features.layout import open_layout
from features.snapshot import iso, parse_date
from flows import console
from flows.artefacts import leave
from flows.build_features import ensure_panel
from flows.events import announce
from flows.identity import identity
from flows.monitor_batch import Asked, Batch, look_at_batch
from flows.monitor_outcomes import (
    are_late,
    changes,
    has_learned,
    latest_judged,
    outcomes_digests,
    outcomes_of,
    promise_of,
    written,
)
from flows.monitor_record import log_monitor
from flows.monitor_shown import show
from flows.score import score
from flows.scores_read import read_scores, scored_cutoffs
from flows.settings import Settings
from flows.steps import flow, io_step, step
from flows.storage import Workspace, open_workspace, read_json, records, write_json
from flows.tracking import Champion, find_version, open_tracker
from models.alarms import Reason, verdict_of

__all__ = ["monitor"]

_MOST_FEATURES: Final = 30
"""Features that the result lists beside those that moved."""

_UNTOLD: Final = "untold"
"""In the file of a cutoff: what late outcomes have changed, as long as it is not in the result."""


@flow(name="monitor")
def monitor(study_file: str, *, cutoff: str | None = None, fail_on_act: bool = False) -> None:
    """Look at a batch of scores, and at all earlier ones whose outcomes are known.

    Parameters
    ----------
    study_file : str
        The study.
    cutoff : str, optional
        Date (YYYY-MM-DD) of a scored cutoff; the latest one when left out.
    fail_on_act : bool
        Whether a verdict of *act* is an error, for schedulers.

    Raises
    ------
    AlarmError
        The verdict is *act*, and the run was told to fail then; all results are written nevertheless.
    StudyError
        The cutoff has no scores, or the panel does not hold it.
    UnsupportedError
        The study is a flat table.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    if workspace.study.is_flat:
        raise UnsupportedError(
            "A flat table has no cutoffs that follow each other, so there is nothing to watch. A study with "
            "touchpoints was expected. Compare its waves with: journeylift check"
        )
    contract = ensure_panel(workspace)
    at = _chosen(workspace, contract, cutoff)
    tracker = open_tracker(workspace.study, workspace.store)
    known: dict[str, Champion | None] = {}

    def version_of(number: str) -> Champion | None:
        if number not in known:
            known[number] = find_version(tracker, "churn", number)
        return known[number]

    scores = read_scores(workspace.store, at)
    now = time.time_ns() // 1_000
    asked = Asked(workspace, contract, open_layout(workspace.store.root), scores, parse_date(at), now)
    model = version_of(str(scores["churn_model_version"].iloc[0]))
    batch = look(asked, model)
    keep_batch(workspace, batch)
    told = revisit(workspace, contract, version_of)
    result = _result(workspace, contract, batch, told)
    result["run_id"] = record(workspace, result, identity(workspace.study, contract, 0))
    write_json(workspace.store.result("monitor"), result)
    mark_as_told(workspace)
    leave(workspace, "monitor")
    show(result)
    _announce(workspace, result)
    rows, seconds = f"{len(scores):,} scores of {at}", time.perf_counter() - started
    where = str(workspace.store.result("monitor"))
    console.say(console.Closing("monitor", rows, f"verdict {result['verdict']}", seconds, where).line())
    if fail_on_act and result["verdict"] == "act":
        reasons = [reason["text"] for reason in result["reasons"] if reason["verdict"] == "act"]
        raise AlarmError.collect(reasons, "The verdict on the scores is act, and --fail-on-act was given.")


def _chosen(workspace: Workspace, contract: PanelContract, wanted: str | None) -> str:
    """Choose the batch among the cutoffs of the panel; without any scores of these, score first."""
    of_panel = {iso(at) for at in contract.cutoffs}
    scored = scored_cutoffs(workspace.store)
    if wanted in scored and wanted not in of_panel:
        raise StudyError(
            f"--cutoff {wanted}: it has scores, but the panel does not hold it any more. One of its cutoffs from "
            f"{min(of_panel)} to {max(of_panel)} was expected. Choose one of them, or leave --cutoff out."
        )
    there = [one for one in scored if one in of_panel]
    if not there:
        console.say("No cutoff of the panel has been scored yet: scoring first.")
        score(str(workspace.study_file), cutoff=wanted)
        there = [one for one in scored_cutoffs(workspace.store) if one in of_panel]
    if wanted is None:
        return there[-1]
    if wanted not in there:
        raise StudyError(
            f"--cutoff {wanted}: there are no scores of it. One of the {len(there)} scored cutoffs from {there[0]} to "
            f"{there[-1]} was expected.{closest(wanted, there)} Or score it: journeylift score --cutoff {wanted}"
        )
    return wanted


@step("look at the batch")
def look(asked: Asked, model: Champion | None) -> Batch:
    """Compare a batch with what its model has learned from."""
    with console.progress("monitor") as tick:
        return look_at_batch(asked, model, tick)


@io_step("keep what was found about the batch")
def keep_batch(workspace: Workspace, batch: Batch) -> None:
    """Write what was found about a batch into the file of its cutoff, beside its outcomes."""
    path = _file(workspace, iso(batch.cutoff))
    before = read_json(path) or {}
    content = {
        "cutoff": iso(batch.cutoff),
        "version": batch.version,
        "verdict": batch.verdict,
        "reasons": [asdict(reason) for reason in batch.reasons],
        "checks": [asdict(check) for check in batch.checks],
    }
    write_json(path, {**before, "cutoff": iso(batch.cutoff), "batch": content})


@io_step("revisit outcomes")
def revisit(workspace: Workspace, contract: PanelContract, version_of: Any) -> tuple[Reason, ...]:
    """Measure every mature batch whose scores, outcomes or rules are new; say what late outcomes have changed.

    What late outcomes have changed stands in the file of the cutoff until the result is written: a process that dies in
    between leaves nothing untold.
    """
    rules = workspace.study.monitoring
    mature = {iso(at) for at in contract.matured}
    told: list[Reason] = []
    promises: dict[str, Any] = {}
    with console.progress("monitor") as tick:
        for cutoff in (one for one in scored_cutoffs(workspace.store) if one in mature):
            path = _file(workspace, cutoff)
            before = read_json(path) or {}
            digests = outcomes_digests(workspace, contract, cutoff, (rules.contacted_share, rules.broken_promises))
            known = (before.get("outcomes") or {}).get("digests", {})
            if known == digests:
                if before.get(_UNTOLD):
                    told.append(_late(before[_UNTOLD]))
                continue
            tick(f"what came true of {cutoff}")
            number = str(read_scores(workspace.store, cutoff)["churn_model_version"].iloc[0])
            if number not in promises:
                promises[number] = promise_of(workspace, contract, version_of(number))
            found = outcomes_of(
                workspace,
                cutoff,
                promises[number],
                digests,
                share=rules.contacted_share,
                alpha=rules.broken_promises,
                is_learned=has_learned(version_of(number), cutoff),
            )
            after = written(found)
            untold = changes(before["outcomes"], after) if are_late(known, digests) else ""
            if untold:
                told.append(_late(untold))
                after["before"] = {name: before["outcomes"][name] for name in ("n", "churned", "metrics")}
            marked = {_UNTOLD: untold} if untold else {}
            write_json(path, {**_without_mark(before), "cutoff": cutoff, "outcomes": after, **marked})
    return tuple(told)


def _late(text: str) -> Reason:
    return Reason("late outcomes", "watch", text)


@io_step("mark late outcomes as told")
def mark_as_told(workspace: Workspace) -> None:
    """Take the marks away from cutoffs whose late outcomes stand in the result."""
    for path, found in _found(workspace):
        if _UNTOLD in found:
            write_json(path, _without_mark(found))


def _without_mark(kept: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kept.items() if name != _UNTOLD}


@io_step("record the monitoring in MLflow")
def record(workspace: Workspace, result: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Record what was found, and give the run's id."""
    return log_monitor(open_tracker(workspace.study, workspace.store), result, tags)


def _result(workspace: Workspace, contract: PanelContract, batch: Batch, told: tuple[Reason, ...]) -> dict[str, Any]:
    """Put the content of ``monitor.json`` together; the verdict is on this batch and its version."""
    kept = [found for _, found in _found(workspace)]
    outcomes = [one["outcomes"] for one in kept if one.get("outcomes") and one["cutoff"] <= iso(batch.cutoff)]
    latest, notes = latest_judged(outcomes, batch.version)
    reasons = sorted((*batch.reasons, *latest, *told), key=lambda one: one.verdict != "act")
    table = batch.drift
    shown = table
    if len(table):
        shown = table.loc[table["aspect"].notna() | (table.index < _MOST_FEATURES)]
    return {
        **identity(workspace.study, contract, 0),
        "cutoff": iso(batch.cutoff),
        "version": batch.version,
        "customers": contract.by_cutoff[batch.cutoff].rows,
        "verdict": verdict_of(reasons),
        "reasons": [asdict(reason) for reason in reasons],
        "checks": [asdict(check) for check in batch.checks],
        "features": records(shown),
        "sources": records(batch.arrivals),
        "notes": [*batch.notes, *notes],
        "outcomes": outcomes,
        "batches": [_line(one) for one in kept],
    }


def _line(kept: Mapping[str, Any]) -> dict[str, Any]:
    """One batch in a few words: what was said of it at once, and what came true."""
    batch, outcomes = kept.get("batch") or {}, kept.get("outcomes") or {}
    return {
        "cutoff": kept["cutoff"],
        "version": batch.get("version") or outcomes.get("version", ""),
        "verdict": batch.get("verdict", ""),
        "reasons": [reason["text"] for reason in batch.get("reasons", [])],
        "outcome_verdict": outcomes.get("verdict", ""),
        "outcome_reasons": [reason["text"] for reason in outcomes.get("reasons", [])],
    }


def _announce(workspace: Workspace, result: Mapping[str, Any]) -> None:
    """Send the verdict to Prefect, for automations."""
    payload = {
        "study": workspace.study.name,
        "cutoff": result["cutoff"],
        "verdict": result["verdict"],
        "reasons": [f"{one['verdict']}: {one['text']}" for one in result["reasons"]],
    }
    is_told = Settings().verbose
    announce(f"monitor.{result['verdict']}", f"study.{workspace.study.name}", payload, is_told=is_told)


def _found(workspace: Workspace) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Give what was found about each cutoff with its file, the oldest first."""
    for path in sorted(workspace.store.monitor.glob("cutoff_date=*.json")):
        if content := read_json(path):
            yield path, content


def _file(workspace: Workspace, cutoff: str) -> Path:
    return workspace.store.monitor / f"cutoff_date={cutoff}.json"
