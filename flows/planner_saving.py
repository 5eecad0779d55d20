"""What leaves the planner's page: scenarios saved and recorded, tables as CSV, a chart as PNG, the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pandas as pd

from features.errors import JourneyliftError, ModelError
from flows.planner import Bench, Desk, Setting
from flows.planner_sets import SetWorth, compare_sets, set_worth
from flows.scenarios import FOLDER, Scenario, completed, list_scenarios, scenario_file, write_scenario
from flows.wording import chance, money_short
from models.funding import Funding

__all__ = ["Saved", "comparison_csv", "comparison_png", "report_file", "save", "saved_scenarios", "settings_csv"]

_EXPERIMENT: Final = "scenarios"


@dataclass(frozen=True, slots=True)
class Saved:
    """A scenario that was saved.

    Attributes
    ----------
    scenario : Scenario
        As it is in the file.
    path : Path
        The file.
    run_id : str
        Of the run in MLflow; empty where it could not be recorded.
    sentence : str
        What to tell.
    """

    scenario: Scenario
    path: Path
    run_id: str
    sentence: str


def save(bench: Bench, desk: Desk, name: str, settings: Mapping[str, Setting], funding: Funding) -> Saved:
    """Save what is chosen: a file that the command line accepts, and a run in MLflow.

    Parameters
    ----------
    bench, desk
        The simulation, and the tab, which takes the saved scenario for loaded from now on.
    name : str
        As people call it.
    settings : mapping of str to Setting
        Of the chosen initiatives.
    funding : Funding
        Limits.

    Raises
    ------
    StudyError
        The name is taken by something else, or is none; see `flows.scenarios.write_scenario`.
    StoreError
        The folder cannot be written.

    Notes
    -----
    The file comes first: it is what counts. Where MLflow does not answer it stays, and the sentence says so.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    scenario = completed(replace(bench.scenario(name, settings, funding), saved_at=now))
    found = set_worth(bench, settings)
    path = write_scenario(bench.folder, scenario, replaces=desk.own.get(scenario_file(bench.folder, scenario.name), ""))
    desk.take(scenario, bench.folder)
    told = f"Saved as {FOLDER}/{path.name}"
    try:
        run_id = _record(bench, scenario, found, path)
    except JourneyliftError as error:
        return Saved(scenario, path, "", f"{told}, but not recorded. {error.message}")
    command = f"journeylift simulate --study {bench.workspace.study_file.name} --initiatives {FOLDER}/{path.name}"
    return Saved(scenario, path, run_id, f"{told} and recorded in MLflow as run {run_id[:8]}. Simulate it: {command}")


def _record(bench: Bench, scenario: Scenario, found: SetWorth, path: Path) -> str:
    from flows.tracking import open_tracker  # noqa: PLC0415 (seconds of imports that only saving needs)

    tracker = open_tracker(bench.workspace.study, bench.workspace.store)
    tracker.require()
    row = compare_sets({scenario.name: found, "": found}, bench.currency).iloc[0]
    numbers = {str(name): float(value) for name, value in row.items() if isinstance(value, float | int)}
    tags = {"study": bench.workspace.study.name, "scenario_fingerprint": scenario.fingerprint, **scenario.made_from}
    try:
        with tracker.run(_EXPERIMENT, scenario.name, tags) as run:
            run.log_params({one.name: one.model_dump(mode="json") for one in scenario.initiatives})
            run.log_metrics(numbers)
            run.log_text(path.read_text(encoding="utf-8"), path.name)
    except Exception as error:  # each kind of store fails in its own way
        raise ModelError(f"MLflow did not take the run: {str(error).strip().splitlines()[0][:200]}") from error
    return run.run_id


def saved_scenarios(bench: Bench) -> tuple[dict[str, Scenario], tuple[str, ...]]:
    """Read what is saved beside the study.

    Returns
    -------
    scenarios : dict of str to Scenario
        By name; equal names of two files are told apart by when they were saved.
    faults : tuple of str
        Files that do not fit the study (any more), one sentence or more each.
    """
    found, faults = list_scenarios(bench.folder, bench.workspace.study)
    names = [one.name for one in found]
    return {
        one.name if names.count(one.name) == 1 else f"{one.name} ({one.saved_at:%Y-%m-%d %H:%M:%S})": one
        for one in found
    }, faults


def settings_csv(bench: Bench, settings: Mapping[str, Setting]) -> bytes:
    """Write what is set and what each initiative is worth with it: one row an initiative, UTF-8."""
    rows = []
    for name, setting in settings.items():
        one = bench.worth(name, setting)
        low, likely, high = setting.delivery
        ends = pd.Series(one.npv).quantile([0.05, 0.95])
        rows.append(
            {
                "initiative": name, "title": one.initiative.label, "reach": setting.reach, "size": setting.size,
                "delivery_low": low, "delivery_likely": likely, "delivery_high": high,
                "start_month": setting.start_month, "ramp_months": setting.ramp_months,
                "lasts_months": setting.lasts_months, "churn_effect": one.churn.value, "churn_lo": one.churn.lo,
                "churn_hi": one.churn.hi, "revenue_effect": one.revenue.value, "revenue_lo": one.revenue.lo,
                "revenue_hi": one.revenue.hi, "cost": float(one.cost.mean()), "npv": float(one.npv.mean()),
                "npv_lo": float(ends.iloc[0]), "npv_hi": float(ends.iloc[1]),
                "p_npv_positive": one.p_npv_positive, "verdict": one.verdict, "currency": bench.currency,
            }
        )  # fmt: skip
    return _csv(pd.DataFrame(rows))


def comparison_csv(rows: pd.DataFrame) -> bytes:
    """Write scenarios beside each other: one row a scenario, UTF-8."""
    return _csv(rows)


def _csv(rows: pd.DataFrame) -> bytes:
    """Write text cells so that no spreadsheet takes one for a formula."""
    safe = rows.copy()
    for column in safe.columns[safe.dtypes.map(lambda kind: kind.kind not in "ifb")]:
        safe[column] = [f"'{one}" if isinstance(one, str) and one[:1] in "=+-@\t" else one for one in safe[column]]
    return str(safe.to_csv(index=False)).encode()


def comparison_png(rows: pd.DataFrame, currency: str, months: int) -> bytes:
    """Draw scenarios beside each other for a slide: net present value with interval, best first."""
    # Only who wants a picture waits for the library that draws it.
    from flows.intervals import Axis, Estimates, interval_plot  # noqa: PLC0415
    from flows.theme import to_png  # noqa: PLC0415

    ordered = rows.sort_values(["npv", "scenario"], ascending=[False, True])
    found = Estimates.of(ordered["scenario"].tolist(), ordered, "npv", partial(money_short, currency=currency))
    chances = [f"{note} · {chance(p)} to pay" for note, p in zip(found.notes, ordered["p_npv_positive"], strict=True)]
    largest = float(ordered[["npv_lo", "npv_hi"]].abs().max().max())
    axis = Axis(currency, "~s" if largest >= 1_000 else ",.2~f", "loses money", "earns money")
    title = f"Net present value over {months} months, by scenario"
    return to_png(interval_plot(replace(found, notes=chances).toned("higher"), axis, title))


def report_file(bench: Bench) -> bytes:
    """Give the report of the study; written anew where a result is younger than it, or there is none."""
    store = bench.workspace.store
    results = [path.stat().st_mtime for path in (store.root / "results").glob("*.json") if path.stem != "report"]
    if store.report.exists() and store.report.stat().st_mtime >= max(results, default=0.0):
        return store.report.read_bytes()
    from flows.report import write_report  # noqa: PLC0415 (seconds of imports that only a new report needs)
    from flows.results import gather  # noqa: PLC0415

    with TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        write_report(gather(bench.workspace), path)
        return path.read_bytes()
