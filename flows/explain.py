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
from flows.build_features import Tables, ensure_layout, ensure_panel
from flows.charts import association_chart, churn_effects_chart
from flows.driver_ranking import Ranking, rank_drivers
from flows.histories import exposures_of, prepare_histories
from flows.identity import identity
from flows.rating_charts import penalty_reward_chart, quadrant_chart
from flows.ratings import rate_drivers, show_ratings
from flows.steps import flow, io_step, step
from flows.storage import Workspace, open_workspace, records, write_json
from flows.theme import to_svg
from flows.tracking import open_tracker
from flows.train import mature, read_rows
from flows.wording import p_value, percent, plain, points
from models.levers import flat_levers, levers, to_frame

__all__ = ["explain"]


@dataclass(frozen=True, slots=True)
class Drivers:
    """The two tables that are never confused.

    Parameters
    ----------
    ranking : Ranking
        What goes along with the outcomes.
    ratings : DataFrame
        How good rated touchpoints are, and what low and very good ratings go along with.
    notes : tuple of str
        What to know before believing them.
    effects : DataFrame
        What the outcomes would do if a measure improved.
    """

    ranking: Ranking
    ratings: pd.DataFrame
    notes: tuple[str, ...]
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
    ratings, notes = rank_ratings(workspace, contract, frame, seed)
    effects = estimate_effects(workspace, tables, contract, frame, seed)
    drivers = Drivers(ranking, ratings, notes, effects)
    write_json(workspace.store.result("explain"), record(workspace, contract, drivers, seed))
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


@step("estimate the effects")
def estimate_effects(
    workspace: Workspace, tables: Tables, contract: PanelContract, frame: pd.DataFrame, seed: int
) -> pd.DataFrame:
    """Estimate one standard improvement of every measure that the company controls."""
    rng = np.random.default_rng([seed, 11])
    if isinstance(tables, FlatTable) and frame["is_churned"].isna().all():
        console.say("note: no effects. The study names no churn.")
        return to_frame(())
    if isinstance(tables, FlatTable):
        console.say("note: a flat table has no event times; upstream measures are held fixed and nothing is rebuilt.")
        return to_frame(flat_levers(workspace.study, frame, contract.features, rng))
    try:
        prepared = prepare_histories(str(workspace.study_file), tables, seed)
    except EmptyResultError as error:
        console.say(f"note: no effects. {error}")
        return to_frame(())
    for exposure in sorted(set(exposures_of(workspace.study, tables.manifest)) - prepared.exposures):
        console.say(f"note: {exposure} never varies, so nothing can be learned about moving it.")
    with console.progress("explain") as tick:
        return to_frame(levers(prepared, tables.all_buckets, frame, contract.features, rng, tick=tick))


@io_step("record the drivers in MLflow")
def record(workspace: Workspace, contract: PanelContract, drivers: Drivers, seed: int) -> dict[str, Any]:
    """Record tables and charts; the content of ``explain.json``."""
    horizon = workspace.study.snapshot.horizon_days
    tags = identity(workspace.study, contract, seed)
    tracker = open_tracker(workspace.study, workspace.store)
    with tracker.run("explain", "explain", tags) as run:
        run.log_params({"seed": seed, **workspace.study.model_dump(mode="json", by_alias=True)})
        run.log_text(workspace.study_file.read_text(encoding="utf-8"), "study.yaml")
        named = drivers.effects["journey"] + "." + drivers.effects["measure"]
        run.log_metrics(
            {f"effect.churn.{name}": value for name, value in zip(named, drivers.effects["churn_effect"], strict=True)}
        )
        run.log_table(drivers.ranking.shares, "association.csv")
        if len(drivers.ranking.by_size):
            run.log_table(drivers.ranking.by_size, "association_by_size.csv")
        run.log_table(drivers.effects, "effects.csv")
        if len(drivers.ratings):
            run.log_table(drivers.ratings, "ratings.csv")
            for outcome, rows in drivers.ratings.groupby("outcome", sort=False):
                run.log_text(to_svg(quadrant_chart(rows, str(outcome))), f"ratings_{outcome}.svg")
                run.log_text(to_svg(penalty_reward_chart(rows, str(outcome))), f"penalty_reward_{outcome}.svg")
        if len(drivers.effects):
            run.log_text(to_svg(churn_effects_chart(drivers.effects, horizon)), "effects.svg")
        for outcome, rows in drivers.ranking.shares.groupby("outcome", sort=False):
            if rows["share"].notna().any():
                run.log_text(
                    to_svg(association_chart(drivers.ranking.shares, str(outcome))), f"association_{outcome}.svg"
                )
    return {
        "study": workspace.study.name,
        "run_id": run.run_id,
        **tags,
        "horizon_days": horizon,
        "association": records(drivers.ranking.shares),
        "association_by_size": records(drivers.ranking.by_size),
        "association_notes": list(drivers.ranking.notes),
        "refusals": list(drivers.ranking.refusals),
        "ratings": records(drivers.ratings),
        "rating_notes": list(drivers.notes),
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
    for outcome, rows in drivers.ranking.shares.groupby("outcome", sort=False):
        table = {
            "journey": rows["journey"],
            "driver": rows["driver"],
            "share (90 %)": console.intervals(rows, ("share", "share_lo", "share_hi"), percent),
            "tier": [str(one) if one else "" for one in rows["tier"]],
            "p (Holm)": [p_value(one) for one in rows["p_adjusted"]],
            "warning": rows["warning"],
        }
        title = f"Association with {outcome}: all drivers together explain {percent(rows['r2'].iloc[0], 1)} of it"
        console.show_table(title, pd.DataFrame(table))
    if len(drivers.ratings):
        show_ratings(drivers.ratings)
    for refusal in drivers.ranking.refusals:
        console.say(f"note: no ranking of {refusal}")
    for note in (*drivers.ranking.notes, *drivers.notes):
        console.say(f"note: {note}")
