"""What initiatives would do, what they cost and what they are worth."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.errors import StudyError
from features.layout import Layout
from features.snapshot import iso
from flows import console
from flows.build_features import ensure_layout, ensure_panel
from flows.charts import npv_chart
from flows.flat_effects import simulate_flat
from flows.histories import go_lives_of, prepare_histories
from flows.identity import identity
from flows.steps import flow, io_step, step
from flows.storage import Workspace, open_workspace, records, write_json
from flows.theme import to_svg
from flows.tracking import Run, open_tracker
from flows.wording import chance, money_short, plain, points
from models.initiatives import Initiative, parse_initiatives, refusal
from models.policy import PolicyEffect, policy_effect
from models.prepared import Prepared
from models.removal import removal_refusal
from models.simulation import Cohort, Forecast, Refusal
from models.simulation import simulate as count_money

__all__ = ["simulate"]

_FILE: Final = "initiatives.yaml"


@dataclass(frozen=True, slots=True)
class Plans:
    """The text of an initiatives file and what it says."""

    text: str
    initiatives: tuple[Initiative, ...]


@flow(name="simulate")
def simulate(study_file: str, *, initiatives: str | None = None, seed: int = 0) -> None:
    """Compare the initiatives of a file.

    Parameters
    ----------
    study_file : str
        The study.
    initiatives : str, optional
        The file; ``initiatives.yaml`` beside the study when left out.
    seed : int
        Seed of everything random.

    Raises
    ------
    StudyError
        The file is missing or wrong; every fault is listed.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    plans = read_plans(workspace, initiatives)
    if workspace.study.is_flat:
        simulate_flat(workspace, plans.initiatives, plans.text, seed)
        return
    contract = ensure_panel(workspace)
    layout = ensure_layout(workspace)
    assert isinstance(layout, Layout)  # noqa: S101 (flat studies went their own way above)
    comparison = compare(workspace, layout, contract, plans.initiatives, seed)
    write_json(workspace.store.result("simulate"), record(workspace, layout, contract, plans, comparison, seed))
    console.show_table(_title(workspace, contract), _shown(comparison, workspace.study.currency))
    for row in comparison.loc[comparison["verdict"].eq("refused")].to_dict("records"):
        console.say(f"refused: {row['name']}. {row['reason']}")
    rows_in = f"{len(plans.initiatives)} initiatives for {contract.partitions[-1].rows:,} customers"
    seconds, where = time.perf_counter() - started, str(workspace.store.result("simulate"))
    console.say(console.Closing("simulate", rows_in, f"{len(comparison)} verdicts", seconds, where).line())


def _title(workspace: Workspace, contract: PanelContract) -> str:
    study = workspace.study
    return (
        f"Initiatives: effects within {study.snapshot.horizon_days} days per customer at risk; money of "
        f"{contract.partitions[-1].rows:,} customers over {study.money.months} months in {study.currency}"
    )


def _shown(comparison: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Put the comparison into words and units."""
    money = partial(money_short, currency=currency)
    table = {
        "initiative": comparison["name"],
        "churn, points (90 %)": console.intervals(comparison, ("churn_effect", "churn_lo", "churn_hi"), points),
        f"revenue, {currency} (90 %)": console.intervals(
            comparison, ("revenue_effect", "revenue_lo", "revenue_hi"), plain
        ),
        "cost": [money(value) for value in comparison["cost"].astype(float)],
        "net present value (90 %)": console.intervals(comparison, ("npv", "npv_lo", "npv_hi"), money),
        "P(NPV > 0)": [chance(value) for value in comparison["p_npv_positive"].astype(float)],
        "verdict": comparison["verdict"],
    }
    return pd.DataFrame(table)


@io_step("read the initiatives")
def read_plans(workspace: Workspace, given: str | None) -> Plans:
    """Read and check the initiatives file."""
    path = workspace.base / _FILE if given is None else Path(given).expanduser().resolve()
    text = _read(path)
    return Plans(text, parse_initiatives(text, path.name, workspace.study))


@step("compare the initiatives")
def compare(
    workspace: Workspace, layout: Layout, contract: PanelContract, planned: Sequence[Initiative], seed: int
) -> pd.DataFrame:
    """Estimate every initiative that can be carried out and count the money; one row each, in the file's order."""
    study = workspace.study
    prepared = prepare_histories(str(workspace.study_file), layout, seed)
    whys = [refusal(one, study, prepared.exposures) or removal_refusal(one, layout.all_buckets) for one in planned]
    refused = [Refusal(one, why) for one, why in zip(planned, whys, strict=True) if why]
    names = {one.initiative.name for one in refused}
    forecasts = _forecasts(prepared, layout, [one for one in planned if one.name not in names], seed)
    cohort = Cohort(contract.partitions[-1].rows, study.snapshot.horizon_days)
    rng = np.random.default_rng([seed, 13])
    order = [one.name for one in planned]
    return count_money(forecasts, refused, cohort, study.money, rng, order=order).to_frame()


def _forecasts(prepared: Prepared, layout: Layout, planned: Sequence[Initiative], seed: int) -> list[Forecast]:
    forecasts = []
    with console.progress("simulate") as tick:
        for number, one in enumerate(planned):
            tick(one.label, number, len(planned))
            # The same folds for all: differences between initiatives are then about the initiatives.
            effect = policy_effect(prepared, one, layout.all_buckets, np.random.default_rng([seed, 12]))
            forecasts.append(_forecast(one, effect))
    return forecasts


def _forecast(initiative: Initiative, policy: PolicyEffect) -> Forecast:
    return Forecast(initiative, policy.effect, policy.support_share, policy.reached_share, policy.contacts_per_month)


@io_step("record the simulation in MLflow")
def record(
    workspace: Workspace,
    layout: Layout,
    contract: PanelContract,
    plans: Plans,
    comparison: pd.DataFrame,
    seed: int,
) -> dict[str, Any]:
    """Record one run an initiative under a parent; the content of ``simulate.json``."""
    study = workspace.study
    tags = identity(study, contract, seed)
    tracker = open_tracker(study, workspace.store)
    rows = records(comparison)
    with tracker.run("simulate", "simulate", tags) as parent:
        parent.log_params({"seed": seed, **study.model_dump(mode="json", by_alias=True)})
        parent.log_text(workspace.study_file.read_text(encoding="utf-8"), "study.yaml")
        parent.log_text(plans.text, "initiatives.yaml")
        parent.log_table(comparison, "initiatives.csv")
        if comparison["npv"].notna().any():
            parent.log_text(to_svg(npv_chart(comparison, study.currency, study.money.months)), "npv.svg")
        for initiative, row in zip(plans.initiatives, rows, strict=True):
            _record_one(parent, initiative, row)
    return {
        "study": study.name,
        "run_id": parent.run_id,
        **tags,
        "currency": study.currency,
        "horizon_days": study.snapshot.horizon_days,
        "months": study.money.months,
        "cutoff": iso(contract.partitions[-1].cutoff),
        "customers": contract.partitions[-1].rows,
        "go_live": [iso(at) for at in go_lives_of(study, layout.manifest)],
        "initiatives": rows,
    }


def _record_one(parent: Run, initiative: Initiative, row: dict[str, Any]) -> None:
    tags = {"owner": initiative.owner, "verdict": str(row["verdict"]), "reason": str(row["reason"])}
    with parent.tracker.run("simulate", initiative.name, tags, parent) as run:
        run.log_params(initiative.model_dump(mode="json"))
        run.log_metrics({name: float(value) for name, value in row.items() if isinstance(value, int | float)})


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise StudyError(
            f"The initiatives file '{path}' cannot be read: {why}. A YAML file was expected. Name one with "
            "--initiatives FILE, or see how one is written: journeylift init DIR"
        ) from error
