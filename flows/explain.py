"""Say what goes along with churn and revenue (association), and what would change them (effect): two tables."""

import time
from typing import Any

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.errors import EmptyResultError
from features.layout import Layout
from features.snapshot import go_live_dates, iso
from features.study import Study
from flows import console
from flows.build_features import ensure_layout, ensure_panel
from flows.steps import flow, io_step, step
from flows.storage import Workspace, open_workspace, records, write_json
from flows.tracking import identity, open_tracker
from flows.train import read_mature
from models.adjustment import Exposure
from models.importance import association, drivers_from_features
from models.leaks import leak_warnings
from models.levers import Lever, flat_levers, levers, to_frame
from models.policy import Prepared, prepare

__all__ = ["explain", "prepared_histories"]

_OUTCOMES = ("is_churned", "revenue")


@flow(name="explain")
def explain(study_file: str, *, seed: int = 0) -> None:
    """Explain churn and revenue of a study.

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
    frame = read_mature(workspace)
    shares = associate(contract, frame, seed)
    effects = to_frame(estimate(workspace, contract, frame, seed))
    console.show_table("Association: what goes along with churn and revenue", _top(shares), _SHOWN_SHARES)
    console.show_table("Effect: what a fifth better would change", effects, _SHOWN_EFFECTS)
    result = record(workspace, contract, shares, effects, seed)
    write_json(workspace.store.result("explain"), result)
    rows_in, rows_out = f"{len(frame):,} mature rows", f"{len(shares)} associations and {len(effects)} effects"
    seconds = time.perf_counter() - started
    console.say(console.Closing("explain", rows_in, rows_out, seconds, str(workspace.store.result("explain"))).line())


_SHOWN_SHARES = ("outcome", "journey", "driver", "share", "share_lo", "share_hi", "r2", "n", "warning")
_SHOWN_EFFECTS = (
    "journey", "change", "churn_effect", "churn_lo", "churn_hi", "revenue_effect", "raw_churn_effect", "verdict", "n",
)  # fmt: skip


def _top(shares: pd.DataFrame) -> pd.DataFrame:
    """Order by outcome, the largest share first."""
    return shares.sort_values(["outcome", "share"], ascending=[True, False], kind="stable")


@step("share out what goes along with the outcomes")
def associate(contract: PanelContract, frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Share out R2 among journeys and measures, for every outcome that the panel has."""
    drivers = drivers_from_features(contract.features, frame)
    if not drivers:
        console.say("No feature belongs to a journey and a measure: there is no association table.")
        return pd.DataFrame(columns=list(_SHOWN_SHARES))
    suspects = {leak.feature: leak.reason for leak in leak_warnings(frame, contract.features)}
    parts = []
    with console.progress("explain") as tick:
        for number, outcome in enumerate(_OUTCOMES):
            if outcome in frame and frame[outcome].notna().any():
                tick(f"association with {outcome}")
                rng = np.random.default_rng([seed, 10 + number])
                found = association(frame, drivers, outcome, weight="weight", rng=rng)
                if found.refusal:
                    console.say(f"No ranking for {outcome}: {found.refusal}")
                parts.append(found.to_frame())
    shares = pd.concat(parts, ignore_index=True)
    shares["outcome"] = shares["outcome"].replace({"is_churned": "churn"})
    leaked = shares["feature"].map(suspects).fillna("")
    shares["warning"] = (leaked + " " + shares["warning"].fillna("")).str.strip()
    return shares


def estimate(workspace: Workspace, contract: PanelContract, frame: pd.DataFrame, seed: int) -> tuple[Lever, ...]:
    """Estimate the effect of improving each measure that the firm controls."""
    study = workspace.study
    if study.is_flat:
        console.say("A flat table has no event times: effects hold upstream measures fixed, and nothing is rebuilt.")
        return flat_levers(study, frame, contract.features, np.random.default_rng([seed, 20]))
    layout = ensure_layout(workspace)
    assert isinstance(layout, Layout)  # noqa: S101 (a study is flat or laid out)
    with console.progress("explain") as tick:
        try:
            prepared = prepared_histories(study, layout, contract, seed, tick)
        except EmptyResultError as error:
            console.say(f"No effects: {error}")
            return ()
        rng = np.random.default_rng([seed, 21])
        return levers(prepared, layout.all_buckets, frame, contract.features, rng, tick=tick)


def prepared_histories(
    study: Study, layout: Layout, contract: PanelContract, seed: int, tick: console.Tick
) -> Prepared:
    """Lay out the rows that every effect of a study shares.

    Parameters
    ----------
    study : Study
        The study.
    layout : Layout
        Its tables.
    contract : PanelContract
        Gives the cutoffs from which go-live dates are chosen.
    seed : int
        Seed of everything random.
    tick : callable
        Told what is being done.

    Returns
    -------
    Prepared

    Raises
    ------
    EmptyResultError
        When no cutoff has matured.
    """
    found = layout.manifest
    go_lives = go_live_dates(study.snapshot, contract.cutoffs, contract.data_end)
    console.say(f"Go-live dates over which effects are averaged: {', '.join(map(iso, go_lives)) or 'none'}")
    span = (found.data_start, found.data_end)
    rng = np.random.default_rng([seed, 22])
    exposures = observed_exposures(study, layout)
    return prepare(study, layout.all_buckets, go_lives, span, rng, exposures=exposures, tick=tick)


def observed_exposures(study: Study, layout: Layout) -> tuple[Exposure, ...]:
    """List the measures that have values, by journey; answers and what is known only afterwards are left out."""
    usable = {m.name for m in study.measures if not m.is_rating and m.known == "before"}
    return tuple(
        Exposure(journey, measure.name)
        for measure in layout.manifest.measures
        if measure.name in usable
        for journey, rows in measure.by_journey.items()
        if rows and journey in study.journey_names
    )


@io_step("record the drivers in MLflow")
def record(
    workspace: Workspace, contract: PanelContract, shares: pd.DataFrame, effects: pd.DataFrame, seed: int
) -> dict[str, Any]:
    """Record the run with both tables; the content of ``explain.json``."""
    tracker = open_tracker(workspace.study, workspace.store)
    tags = identity(workspace.study, contract, seed)
    with tracker.run("explain", "explain", tags) as run:
        run.log_params({"seed": seed, **workspace.study.model_dump(mode="json", by_alias=True)})
        run.log_table(shares, "association.csv")
        run.log_table(effects, "effects.csv")
        run.log_metrics(
            {
                f"effect.churn.{row['journey']}.{row['measure']}": float(row["churn_effect"])
                for row in records(effects)
                if row["churn_effect"] is not None
            }
        )
    name = workspace.study.name
    return {"study": name, "seed": seed, "run_id": run.run_id, **tags, **_tables(shares, effects)}


def _tables(shares: pd.DataFrame, effects: pd.DataFrame) -> dict[str, Any]:
    return {"association": records(shares), "effects": records(effects)}
