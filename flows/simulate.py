"""Compare initiatives: what each would do to churn, revenue and money, one MLflow run each under a parent."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.errors import StudyError, UnsupportedError
from features.layout import Layout
from features.panel import read_panel
from features.snapshot import iso
from flows import console
from flows.build_features import ensure_layout, ensure_panel
from flows.explain import prepared_histories
from flows.steps import flow, io_step, step
from flows.storage import Workspace, open_workspace, records, write_json
from flows.tracking import identity, open_tracker
from models.initiatives import Initiative, parse_initiatives, refusal
from models.policy import Prepared, policy_effect
from models.simulation import Cohort, Comparison, Forecast, Refusal
from models.simulation import simulate as count_money

__all__ = ["simulate"]

_SHOWN = (
    "name", "churn_effect", "churn_lo", "churn_hi", "revenue_effect", "npv", "npv_lo", "npv_hi", "p_npv_positive", "verdict",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plans:
    """The initiatives file: its path, its text and what it says."""

    path: Path
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
        The initiatives file; ``initiatives.yaml`` beside the study when left out.
    seed : int
        Seed of everything random.

    Raises
    ------
    StudyError
        The file is missing or wrong; all faults are listed.
    UnsupportedError
        The study is a flat table: there are no touchpoints to move.
    EmptyResultError
        No cutoff has matured.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    if workspace.study.is_flat:
        raise UnsupportedError(
            f"'{workspace.study.name}' is a flat table without event times: there are no touchpoints to move. "
            "Initiatives need customers, touchpoints, churn and revenue as tables. Run explain for effects of measures."
        )
    plans = read_initiatives(workspace, initiatives)
    contract = ensure_panel(workspace)
    comparison, cohort = compare(workspace, contract, plans.initiatives, seed)
    frame = comparison.to_frame()
    console.show_table(_title(cohort, workspace), frame, _SHOWN)
    result = record(workspace, contract, plans, frame, cohort, seed)
    write_json(workspace.store.result("simulate"), result)
    rows_in, rows_out = f"{len(plans.initiatives)} initiatives", f"{len(frame)} results"
    seconds = time.perf_counter() - started
    console.say(console.Closing("simulate", rows_in, rows_out, seconds, str(workspace.store.result("simulate"))).line())


def _title(cohort: Cohort, workspace: Workspace) -> str:
    money = workspace.study.money
    return (
        f"Initiatives: effects within {cohort.horizon_days} days per customer at risk; money of {cohort.customers:,} "
        f"customers over {money.months} months in {workspace.study.currency}; 90 % intervals"
    )


@io_step("read the initiatives")
def read_initiatives(workspace: Workspace, given: str | None) -> Plans:
    """Read and check the initiatives file."""
    path = Path(given).expanduser() if given else workspace.base / "initiatives.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StudyError(
            f"There are no initiatives at '{path}'. A YAML file was expected. Name one with --initiatives FILE; "
            "journeylift init DIR writes an example."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"'{path}' cannot be read as UTF-8 text: {error}. Check the file.") from error
    return Plans(path, text, parse_initiatives(text, path.name, workspace.study))


@step("estimate effects and count the money")
def compare(
    workspace: Workspace, contract: PanelContract, initiatives: Sequence[Initiative], seed: int
) -> tuple[Comparison, Cohort]:
    """Estimate every initiative on the same rows and roll it forward."""
    study = workspace.study
    layout = ensure_layout(workspace)
    assert isinstance(layout, Layout)  # noqa: S101 (flat studies were refused)
    with console.progress("simulate") as tick:
        prepared = prepared_histories(study, layout, contract, seed, tick)
        refused = {i.name: refusal(i, study, prepared.exposures) for i in initiatives}
        wanted = [i for i in initiatives if not refused[i.name]]
        forecasts = []
        for number, initiative in enumerate(wanted, 1):
            tick(f"effect of {initiative.name}", number, len(wanted))
            forecasts.append(_forecast(prepared, layout, initiative, seed))
        tick("counting the money")
        cohort = Cohort(_customers_now(workspace, contract), study.snapshot.horizon_days)
        refusals = [Refusal(i, refused[i.name]) for i in initiatives if refused[i.name]]
        rng = np.random.default_rng([seed, 31])
        order = tuple(i.name for i in initiatives)
        return count_money(forecasts, refusals, cohort, study.money, rng, order=order), cohort


def _forecast(prepared: Prepared, layout: Layout, initiative: Initiative, seed: int) -> Forecast:
    """Estimate one initiative; all get the same folds, so that their influences can be compared."""
    found = policy_effect(prepared, initiative, layout.all_buckets, np.random.default_rng([seed, 30]))
    return Forecast(initiative, found.effect, found.support_share, found.reached_share, found.contacts_per_month)


def _customers_now(workspace: Workspace, contract: PanelContract) -> int:
    """Count the customers at risk at the last cutoff: the money is theirs."""
    return len(read_panel(workspace.store.root, (max(contract.cutoffs),)))


@io_step("record the initiatives in MLflow")
def record(
    workspace: Workspace, contract: PanelContract, plans: Plans, frame: pd.DataFrame, cohort: Cohort, seed: int
) -> dict[str, Any]:
    """Record a parent run and one run an initiative; the content of ``simulate.json``."""
    tracker = open_tracker(workspace.study, workspace.store)
    tags = identity(workspace.study, contract, seed)
    rows = records(frame)
    by_name = {initiative.name: initiative for initiative in plans.initiatives}
    with tracker.run("simulate", f"simulate {plans.path.name}", tags) as parent:
        parent.log_params({"seed": seed, **workspace.study.model_dump(mode="json", by_alias=True)})
        parent.log_text(plans.text, "initiatives.yaml")
        parent.log_text(workspace.study_file.read_text(encoding="utf-8"), "study.yaml")
        parent.log_table(frame, "initiatives.csv")
        for row in rows:
            initiative = by_name[row["name"]]
            own = tags | {"initiative": row["name"], "owner": initiative.owner, "verdict": row["verdict"]}
            with tracker.run("simulate", row["name"], own, parent) as child:
                child.log_params(initiative.model_dump(mode="json"))
                child.log_metrics({k: float(v) for k, v in row.items() if isinstance(v, int | float)})
    return {
        "study": workspace.study.name,
        "run_id": parent.run_id,
        **tags,
        "customers": cohort.customers,
        "horizon_days": cohort.horizon_days,
        "months": workspace.study.money.months,
        "currency": workspace.study.currency,
        "cutoff": iso(max(contract.cutoffs)),
        "initiatives": rows,
    }
