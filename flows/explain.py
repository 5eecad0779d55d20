"""What drives churn and revenue: what goes along with them, and what they would do if a measure improved."""

import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.errors import EmptyResultError
from features.flat import FlatTable
from flows import console
from flows.build_features import Tables, ensure_layout, ensure_panel
from flows.charts import association_chart, churn_effects_chart
from flows.histories import exposures_of, prepare_histories
from flows.identity import identity
from flows.rating_charts import penalty_reward_chart, quadrant_chart
from flows.ratings import rate_drivers, show_ratings
from flows.steps import flow, io_step, step
from flows.storage import Workspace, open_workspace, records, write_json
from flows.theme import to_svg
from flows.tracking import open_tracker
from flows.train import mature, read_rows
from flows.wording import percent, plain, points
from models.drivers import drivers_from_features, outcome_name
from models.importance import association
from models.leaks import leak_warnings
from models.levers import flat_levers, levers, to_frame
from models.splits import cluster_column

__all__ = ["explain"]

_ASSOCIATION: Final = (
    "outcome", "journey", "driver", "feature", "share", "share_lo", "share_hi", "tier", "in_top_3", "quality", "reach",
    "alone_r2", "last_r2", "r2", "n", "warning",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drivers:
    """The two tables that are never confused.

    Parameters
    ----------
    association : DataFrame
        What goes along with the outcomes; rows of both.
    refusals : tuple of str
        Why an outcome could not be ranked.
    ratings : DataFrame
        How good rated touchpoints are, and what low and very good ratings go along with.
    notes : tuple of str
        What to know before believing them.
    effects : DataFrame
        What the outcomes would do if a measure improved.
    """

    association: pd.DataFrame
    refusals: tuple[str, ...]
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
    found, refusals = rank_association(contract, panel, seed)
    ratings, notes = rank_ratings(workspace, contract, frame, seed)
    effects = estimate_effects(workspace, tables, contract, frame, seed)
    drivers = Drivers(found, refusals, ratings, notes, effects)
    write_json(workspace.store.result("explain"), record(workspace, contract, drivers, seed))
    _show(drivers, workspace)
    rows_out = f"{len(found)} associations and {len(effects)} effects"
    seconds, where = time.perf_counter() - started, str(workspace.store.result("explain"))
    console.say(console.Closing("explain", f"{len(frame):,} mature rows", rows_out, seconds, where).line())


@step("rank the association")
def rank_association(contract: PanelContract, panel: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Share out the explained variance of each outcome; the reasons where that would be noise."""
    frame = mature(panel)
    drivers = drivers_from_features(contract.features, frame)
    if not drivers:
        nothing = pd.DataFrame(columns=list(_ASSOCIATION))
        return nothing, ("any outcome: no feature belongs to a journey and a measure.",)
    shares, refusals = [], []
    with console.progress("explain") as tick:
        for number, column in enumerate(contract.outcomes):
            outcome = outcome_name(column)
            if frame[column].notna().any():
                tick(f"association with {outcome}", number, len(contract.outcomes))
                rng = np.random.default_rng([seed, 10 + number])
                found = association(frame, drivers, column, weight="weight", rng=rng, customer=cluster_column(frame))
                shares.append(found.to_frame())
                refusals += [f"{outcome}: {found.refusal}"] if found.refusal else []
    return _with_leaks(pd.concat(shares, ignore_index=True), contract, panel), tuple(refusals)


def _with_leaks(shares: pd.DataFrame, contract: PanelContract, panel: pd.DataFrame) -> pd.DataFrame:
    """Warn of drivers that know too much, beside what the ranking itself warns of."""
    suspects = {leak.feature: leak.reason for leak in leak_warnings(panel, contract.features)}
    told = zip(shares["feature"], shares["warning"], strict=True)
    return shares.assign(warning=[" ".join(filter(None, (suspects.get(name), own))) for name, own in told])


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
        run.log_table(drivers.association, "association.csv")
        run.log_table(drivers.effects, "effects.csv")
        if len(drivers.ratings):
            run.log_table(drivers.ratings, "ratings.csv")
            for outcome, rows in drivers.ratings.groupby("outcome", sort=False):
                run.log_text(to_svg(quadrant_chart(rows, str(outcome))), f"ratings_{outcome}.svg")
                run.log_text(to_svg(penalty_reward_chart(rows, str(outcome))), f"penalty_reward_{outcome}.svg")
        if len(drivers.effects):
            run.log_text(to_svg(churn_effects_chart(drivers.effects, horizon)), "effects.svg")
        for outcome, rows in drivers.association.groupby("outcome", sort=False):
            if rows["share"].notna().any():
                run.log_text(to_svg(association_chart(drivers.association, str(outcome))), f"association_{outcome}.svg")
    return {
        "study": workspace.study.name,
        "run_id": run.run_id,
        **tags,
        "horizon_days": horizon,
        "association": records(drivers.association),
        "refusals": list(drivers.refusals),
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
    for outcome, rows in drivers.association.groupby("outcome", sort=False):
        table = {
            "journey": rows["journey"],
            "driver": rows["driver"],
            "share (90 %)": console.intervals(rows, ("share", "share_lo", "share_hi"), percent),
            "tier": [str(one) if one else "" for one in rows["tier"]],
            "warning": rows["warning"],
        }
        title = f"Association with {outcome}: all drivers together explain {percent(rows['r2'].iloc[0], 1)} of it"
        console.show_table(title, pd.DataFrame(table))
    if len(drivers.ratings):
        show_ratings(drivers.ratings)
    for refusal in drivers.refusals:
        console.say(f"note: no ranking of {refusal}")
    for note in drivers.notes:
        console.say(f"note: {note}")
