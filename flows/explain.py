"""What drives churn and revenue: what goes along with them, and what they would do if a measure improved."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.errors import EmptyResultError
from features.flat import FlatTable
from flows import console
from flows.artefacts import leave
from flows.build_features import Tables, ensure_layout, ensure_panel
from flows.charts import churn_effects_chart
from flows.driver_charts import drawings
from flows.driver_ranking import Ranking, rank_drivers
from flows.driver_shares import mcfadden_notes, mcfadden_shares, reaches
from flows.driver_table import driver_table, drivers_of, show_driver_table, with_refits
from flows.histories import exposures_of, prepare_histories
from flows.identity import identity
from flows.ratings import rate_drivers
from flows.run_notes import drivers_note
from flows.steps import flow, io_step, step
from flows.storage import Workspace, open_workspace, records, write_json
from flows.theme import to_svg
from flows.tracking import open_tracker
from flows.train import mature, read_rows
from flows.wording import plain, points
from models.drivers import outcome_name
from models.levers import flat_levers, levers, to_frame
from models.rating_quality import code_warnings

__all__ = ["explain"]


@dataclass(frozen=True, slots=True)
class Drivers:
    """The two tables that are never confused.

    Parameters
    ----------
    ranking : Ranking
        What goes along with the outcomes.
    table : DataFrame
        The same for people: from :func:`flows.driver_table.driver_table`.
    notes : DataFrame
        What to know before believing it: outcome (empty: all), note.
    effects : DataFrame
        What the outcomes would do if a measure improved.
    """

    ranking: Ranking
    table: pd.DataFrame
    notes: pd.DataFrame
    effects: pd.DataFrame


@flow(name="explain")
def explain(study_file: str, *, seed: int = 0) -> None:
    """Rank what goes along with churn and revenue, and estimate what would change them.

    Parameters
    ----------
    study_file : str
        The study.
    seed : int
        Seed of everything random.

    Raises
    ------
    EmptyResultError
        No cutoff has matured, or churn does not vary.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    contract = ensure_panel(workspace)
    tables = ensure_layout(workspace)
    panel = read_rows(workspace)
    frame = mature(panel)
    ranking = rank_association(workspace, contract, panel, seed)
    ratings, said = rank_ratings(workspace, contract, frame, seed)
    table = tabulate(tables, contract, frame, ranking, ratings)
    table, notes = add_mcfadden(contract, frame, table, ranking, seed)
    effects = estimate_effects(workspace, tables, contract, frame, seed)
    general = pd.DataFrame({"outcome": "", "note": [*ranking.notes, *said]}, dtype=object)
    drivers = Drivers(ranking, table, pd.concat([general, notes], ignore_index=True), effects)
    write_json(workspace.store.result("explain"), record(workspace, contract, drivers, seed))
    leave(workspace, "explain")
    _show(drivers, workspace)
    rows_out = f"{len(ranking.shares)} associations and {len(effects)} effects"
    seconds, where = time.perf_counter() - started, str(workspace.store.result("explain"))
    console.say(console.Closing("explain", f"{len(frame):,} mature rows", rows_out, seconds, where).line())


@step("rank the association")
def rank_association(workspace: Workspace, contract: PanelContract, panel: pd.DataFrame, seed: int) -> Ranking:
    """Share out the explained variance of each outcome; the reasons where that would be noise."""
    return rank_drivers(workspace, contract, panel, seed)


@step("rank the ratings")
def rank_ratings(
    workspace: Workspace, contract: PanelContract, frame: pd.DataFrame, seed: int
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Say how good rated touchpoints are, and what low and very good ratings go along with."""
    return rate_drivers(workspace.study, contract, frame, seed)


@step("put the table of drivers together")
def tabulate(
    tables: Tables,
    contract: PanelContract,
    frame: pd.DataFrame,
    ranking: Ranking,
    ratings: pd.DataFrame,
) -> pd.DataFrame:
    """Set drivers under their journeys, with reach, ratings and warnings of codes beside them."""
    found = ranking.shares
    codes = code_warnings(
        tables.codes if isinstance(tables, FlatTable) else tables.manifest.stock.codes, contract.features
    )
    reach = reaches(frame, ranking.drivers, _columns_of(contract, found))
    return driver_table(found, ranking.journeys, reach, ratings, codes, ranking.refusals)


@step("share out churn by McFadden")
def add_mcfadden(
    contract: PanelContract, frame: pd.DataFrame, table: pd.DataFrame, ranking: Ranking, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add shares of a logistic fit where an outcome happens or not, and what to know about them."""
    ranked = _columns_of(contract, table[table["share"].notna()])
    found = mcfadden_shares(frame, ranking.drivers, ranked, seed, ranking.raw)
    notes = [
        {"outcome": one.outcome, "note": note}
        for one in found
        for note in mcfadden_notes(one, drivers_of(table, one.outcome))
    ]
    return with_refits(table, [one.to_frame() for one in found]), pd.DataFrame(notes, columns=["outcome", "note"])


def _columns_of(contract: PanelContract, rows: pd.DataFrame) -> list[str]:
    """Columns of the outcomes that have rows."""
    return [column for column in contract.outcomes if outcome_name(column) in set(rows["outcome"])]


@step("estimate the effects")
def estimate_effects(
    workspace: Workspace, tables: Tables, contract: PanelContract, frame: pd.DataFrame, seed: int
) -> pd.DataFrame:
    """Estimate one standard improvement of every measure that the company controls."""
    rng = np.random.default_rng([seed, 11])
    if isinstance(tables, FlatTable) and frame["is_churned"].isna().all():
        console.say("note: no effects. The study names no churn.")
        return to_frame((), rng)
    if isinstance(tables, FlatTable):
        console.say("note: a flat table has no event times; upstream measures are held fixed and nothing is rebuilt.")
        return to_frame(flat_levers(workspace.study, frame, contract.features, rng), rng)
    try:
        fits = prepare_histories(str(workspace.study_file), tables, seed)
    except EmptyResultError as error:
        console.say(f"note: no effects. {error}")
        return to_frame((), rng)
    for exposure in sorted(set(exposures_of(workspace.study, tables.manifest)) - fits.prepared.exposures):
        console.say(f"note: {exposure} never varies, so nothing can be learned about moving it.")
    with console.progress("explain") as tick:
        return to_frame(levers(fits, frame, contract.features, tick=tick), rng)


@io_step("record the drivers in MLflow")
def record(workspace: Workspace, contract: PanelContract, drivers: Drivers, seed: int) -> dict[str, Any]:
    """Record tables and charts; the content of ``explain.json``."""
    horizon = workspace.study.snapshot.horizon_days
    tags = identity(workspace.study, contract, seed)
    tracker = open_tracker(workspace.study, workspace.store)
    note = drivers_note(drivers.table, drivers.effects, horizon)
    with tracker.run("explain", "explain", tags, note=note) as run:
        run.log_params({"seed": seed, **workspace.study.model_dump(mode="json", by_alias=True)})
        run.log_text(workspace.study_file.read_text(encoding="utf-8"), "study.yaml")
        named = drivers.effects["journey"] + "." + drivers.effects["measure"]
        run.log_metrics(
            {f"effect.churn.{name}": value for name, value in zip(named, drivers.effects["churn_effect"], strict=True)}
        )
        run.log_table(drivers.table, "driver_table.csv")
        if len(drivers.ranking.by_size):
            run.log_table(drivers.ranking.by_size, "association_by_size.csv")
        run.log_table(drivers.effects, "effects.csv")
        for name, drawing in drawings(drivers.table).items():
            run.log_text(to_svg(drawing), f"{name}.svg")
        if len(drivers.effects):
            run.log_text(to_svg(churn_effects_chart(drivers.effects, horizon)), "effects.svg")
    return {
        "study": workspace.study.name,
        "run_id": run.run_id,
        **tags,
        "horizon_days": horizon,
        "association": records(drivers.ranking.shares),
        "association_by_size": records(drivers.ranking.by_size),
        "refusals": list(drivers.ranking.refusals),
        "driver_table": records(drivers.table),
        "driver_notes": records(drivers.notes),
        "effects": records(drivers.effects),
    }


def _show(drivers: Drivers, workspace: Workspace) -> None:
    effects, currency = drivers.effects, workspace.study.currency
    table = {
        "journey": effects["journey"],
        "improvement": effects["change"],
        "churn, points (90 %)": console.intervals(effects, ("churn_effect", "churn_lo", "churn_hi"), points),
        "correlation says": [points(value) for value in effects["raw_churn_effect"].astype(float)],
        f"revenue, {currency} (90 %)": console.intervals(
            effects, ("revenue_effect", "revenue_lo", "revenue_hi"), plain
        ),
        "verdict": effects["verdict"],
    }
    days = workspace.study.snapshot.horizon_days
    if len(effects):
        title = f"Effect: what a fifth better would change, per customer within {days} days"
        console.show_table(title, pd.DataFrame(table))
    show_driver_table(drivers.table)
    for refusal in drivers.ranking.refusals:
        console.say(f"note: no ranking of {refusal}")
    for note in drivers.notes["note"]:
        console.say(f"note: {note}")
