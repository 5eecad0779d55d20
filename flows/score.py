"""Score every customer at risk with the champion models: one partition a cutoff, replaced as a whole."""

import time
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.contract import PanelContract
from features.errors import EmptyResultError, StudyError, closest
from features.panel import read_panel
from features.publish import staged
from features.snapshot import iso, parse_date
from flows import console
from flows.artefacts import leave
from flows.build_features import ensure_panel
from flows.identity import identity
from flows.score_rows import LoadedModel, score_rows
from flows.steps import flow, io_step, step
from flows.storage import Workspace, open_workspace, write_json
from flows.tracking import Champion, open_tracker
from flows.train import ensure_models

__all__ = ["choose_cutoff", "score"]


@flow(name="score")
def score(study_file: str, *, cutoff: str | None = None) -> None:
    """Score the customers at risk at a cutoff.

    Parameters
    ----------
    study_file : str
        The study.
    cutoff : str, optional
        Date (YYYY-MM-DD) of a cutoff of the panel; the latest one when left out.

    Raises
    ------
    StudyError
        The date is none of the panel's cutoffs.
    EmptyResultError
        The date lies beyond the data.
    ModelError
        The champion was fitted on other features.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    contract = ensure_panel(workspace)
    at = choose_cutoff(contract, cutoff)
    champions = ensure_models(workspace, contract)
    with console.progress("score") as tick:
        tick("reading the panel")
        frame = read_rows(workspace, at)
        tick("loading the champions")
        models = load_models(champions, contract)
        tick(f"scoring {len(frame):,} customers")
        scores = score_all(workspace, contract, frame, models)
        tick("writing the scores")
        where = write_scores(workspace, scores, at)
        result = record_scores(workspace, contract, scores, at)
    write_json(workspace.store.result("score"), {**result, "path": where})
    leave(workspace, "score")
    rows = f"{len(frame):,} customers at {iso(at)}"
    closing = console.Closing("score", rows, f"{scores.num_rows:,} scores", time.perf_counter() - started, where)
    console.say(closing.line())


def choose_cutoff(contract: PanelContract, wanted: str | None) -> int:
    """Find the cutoff to score.

    Parameters
    ----------
    contract : PanelContract
        Knows the cutoffs of the panel and the end of the data.
    wanted : str or None
        Date (YYYY-MM-DD); None for the latest.

    Returns
    -------
    int
        Microseconds since 1970.

    Raises
    ------
    StudyError
        No date, or none of the cutoffs.
    EmptyResultError
        After the end of the data.
    """
    if wanted is None:
        return max(contract.cutoffs)
    try:
        at = parse_date(wanted)
    except ValueError as error:
        raise StudyError(f"'{wanted}' is not a date. A date such as 2025-06-01 was expected.") from error
    if at > contract.data_end:
        raise EmptyResultError(
            f"The cutoff {wanted} lies beyond the data, which end on {iso(contract.data_end)}: what was known by then "
            f"is not in the tables. Score {iso(max(contract.cutoffs))} or earlier, or bring newer data."
        )
    if at not in contract.cutoffs:
        known = [iso(one) for one in contract.cutoffs]
        raise StudyError(
            f"{wanted} is none of the {len(known)} cutoffs from {known[0]} to {known[-1]}.{closest(wanted, known)} "
            "Leave --cutoff out for the latest, or change 'snapshot' in the study."
        )
    return at


@io_step("read the rows to be scored")
def read_rows(workspace: Workspace, at: int) -> pd.DataFrame:
    """Read the customers at risk at a cutoff, in the order of their ids."""
    frame = read_panel(workspace.store.root, (at,))
    if frame.empty:
        raise EmptyResultError(f"No customer is at risk on {iso(at)}. At least one was expected. Score another cutoff.")
    return frame.sort_values("customer_id", kind="stable").reset_index(drop=True)


@io_step("load the champions")
def load_models(champions: dict[str, Champion], contract: PanelContract) -> dict[str, LoadedModel]:
    """Load the versions that the alias stood for; a mismatch of features is refused."""
    wanted = contract.feature_contract_hash
    return {outcome: LoadedModel(one.version, one.load(wanted)) for outcome, one in champions.items()}


@step("score")
def score_all(
    workspace: Workspace, contract: PanelContract, frame: pd.DataFrame, models: dict[str, LoadedModel]
) -> pa.Table:
    """Score every row of the cutoff."""
    return score_rows(workspace.study, contract, frame, models)


@io_step("write the scores")
def write_scores(workspace: Workspace, scores: pa.Table, at: int) -> str:
    """Replace the partition of a cutoff as a whole, and say where it is."""
    partition = workspace.store.score_partition(iso(at))
    with staged(partition) as folder:
        pq.write_table(scores, folder / "part-0.parquet", compression="zstd")
    return str(partition)


@io_step("record the scores in MLflow")
def record_scores(workspace: Workspace, contract: PanelContract, scores: pa.Table, at: int) -> dict[str, Any]:
    """Record what was scored with which versions; the content of ``score.json``."""
    versions = {name: scores[name][0].as_py() for name in ("churn_model_version", "revenue_model_version")}
    found = {
        "customers": float(scores.num_rows),
        "mean_churn_risk": _total(scores, "churn_risk") / scores.num_rows,
        "expected_revenue": _total(scores, "expected_revenue"),
        "revenue_at_risk": _total(scores, "revenue_at_risk"),
    }
    tags = identity(workspace.study, contract, 0) | {"cutoff": iso(at)}
    named = {key: value for key, value in versions.items() if value is not None}
    tracker = open_tracker(workspace.study, workspace.store)
    with tracker.run("score", f"score {iso(at)}", tags | named) as run:
        run.log_metrics(found)
    counted = {**found, "customers": scores.num_rows}
    return {"study": workspace.study.name, "run_id": run.run_id, **tags, **versions, **counted}


def _total(scores: pa.Table, column: str) -> float:
    """Sum of a column; NaN when it is missing throughout."""
    known = scores[column].drop_null().to_numpy()
    return float(known.sum()) if len(known) else float("nan")
