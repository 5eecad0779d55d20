"""`journeylift simulate` on a flat table: effects over one wave, what they can be trusted for, and what is left out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.errors import EmptyResultError
from features.study import Study
from flows import console
from flows.artefacts import leave
from flows.build_features import ensure_panel
from flows.flat_chart import wave_chart
from flows.identity import identity
from flows.steps import io_step, step
from flows.storage import Workspace, records, write_json
from flows.theme import to_svg
from flows.tracking import open_tracker
from flows.train import mature, read_rows
from flows.wording import money_short, p_value, percent, plain, points, signed, whole
from models.drivers import outcome_name
from models.effects import Estimate
from models.flat_effects import FlatEffect, flat_effects, moved_values, outcomes_of
from models.flat_money import wave_money
from models.flat_rows import FlatData
from models.flat_thirds import Thirds, asymmetries
from models.initiatives import Initiative

__all__ = ["WaveEffects", "simulate_flat", "writer"]

_EFFECTS = (
    "name", "title", "outcome", "effect", "lo", "hi", "base", "raw_effect", "support_share", "effective_share",
    "extrapolated_share", "robustness_value", "learner", "n", "n_customers", "n_moved", "adjustment", "verdict",
    "reason",
)  # fmt: skip
_SEGMENTS = (
    "name", "outcome", "level", "effect", "lo", "hi", "apart", "apart_lo", "apart_hi", "p_adjusted", "n", "n_moved",
)  # fmt: skip
_THIRDS = (
    "journey", "measure", "unit", "outcome", "worst", "worst_lo", "worst_hi", "best", "best_lo", "best_hi",
    "difference", "difference_lo", "difference_hi", "worst_to", "best_from", "best_to", "n_worst", "n_best", "reason",
)  # fmt: skip
_MONEY = ("name", "gain", "gain_lo", "gain_hi", "cost", "net", "net_lo", "net_hi", "customers")


@dataclass(frozen=True, slots=True)
class WaveEffects:
    """What `simulate` says of a flat table.

    Parameters
    ----------
    effects, segments, thirds, money : DataFrame
        A row an initiative and outcome; a level; a measure and outcome; an initiative.
    switched_off : tuple of str
        What an event study would have said, and why it is not here.
    """

    effects: pd.DataFrame
    segments: pd.DataFrame
    thirds: pd.DataFrame
    money: pd.DataFrame
    switched_off: tuple[str, ...]


def simulate_flat(workspace: Workspace, initiatives: Sequence[Initiative], text: str, seed: int) -> None:
    """Estimate, record and show what initiatives would do to the outcomes of a flat table.

    Parameters
    ----------
    workspace : Workspace
        A flat study.
    initiatives : sequence of Initiative
        In the order of the file.
    text : str
        The file, to be recorded.
    seed : int
        Deals customers into folds.

    Raises
    ------
    EmptyResultError
        No row has an outcome.
    """
    started = time.perf_counter()
    contract = ensure_panel(workspace)
    frame = mature(read_rows(workspace))
    found = estimate_wave(workspace.study, contract, frame, initiatives, seed)
    write_json(workspace.store.result("simulate"), record_wave(workspace, contract, found, text, seed))
    leave(workspace, "simulate")
    _show(found, workspace.study)
    seconds, where = time.perf_counter() - started, str(workspace.store.result("simulate"))
    rows_in = f"{len(initiatives)} initiatives for {len(frame):,} rows"
    console.say(console.Closing("simulate", rows_in, f"{len(found.effects)} effects", seconds, where).line())


@step("estimate the effects of initiatives over one wave")
def estimate_wave(
    study: Study, contract: PanelContract, frame: pd.DataFrame, initiatives: Sequence[Initiative], seed: int
) -> WaveEffects:
    """Estimate every initiative on every outcome, by segment, and by third of what moves."""
    if frame.empty or not outcomes_of(study, frame):
        raise EmptyResultError(
            "No row has an outcome, so nothing can be learnt. Correct flat.churned or flat.outcomes."
        )
    data = FlatData.of(study, frame, contract.features, np.random.default_rng([seed, 12]))
    with console.progress("simulate") as tick:
        found, refused = flat_effects(data, initiatives, tick=tick)
        moved = sorted({exposure for one in found for exposure in one.adjustment.moved})
        tick("worst and best thirds of what moves")
        thirds = asymmetries(data, moved)
    number = len(outcomes_of(study, frame))
    rows = {one.name: [_row(e, number) for e in found if e.initiative.name == one.name] for one in initiatives}
    for one in initiatives:
        if one.name in refused:
            rows[one.name] = [_refused(one, refused[one.name])]
    earned = [_money(data, e) for e in found if e.outcome == "revenue" and not e.reason]
    return WaveEffects(
        effects=pd.DataFrame([row for one in initiatives for row in rows[one.name]], columns=list(_EFFECTS)),
        segments=pd.DataFrame([row for e in found for row in _levels(e)], columns=list(_SEGMENTS)),
        thirds=pd.DataFrame([_third(study, one) for one in thirds], columns=list(_THIRDS)),
        money=pd.DataFrame(earned, columns=list(_MONEY)),
        switched_off=tuple(_switched_off(study, frame, initiatives)),
    )


def _row(e: FlatEffect, outcomes: int) -> tuple[object, ...]:
    s, ruling = e.support, e.ruling(outcomes)
    return (
        e.initiative.name, e.initiative.label, outcome_name(e.outcome), *_ends(e.estimate), e.base, e.raw, s.inside,
        s.effective, s.extrapolated, float("nan") if e.reason else e.robustness, e.learner, s.rows, s.customers,
        s.moved, e.adjustment.describe(), ruling.verdict, ruling.reason,
    )  # fmt: skip


def _refused(one: Initiative, reason: str) -> tuple[object, ...]:
    nothing = (float("nan"),) * 9
    return (one.name, one.label, "", *nothing, "", 0, 0, 0, "", "refused", reason)


def _ends(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.lo, estimate.hi


def _levels(e: FlatEffect) -> list[tuple[object, ...]]:
    return [
        (
            e.initiative.name, outcome_name(e.outcome), one.level, *_ends(one.estimate), *_ends(one.apart),
            one.p_adjusted, one.rows, one.moved,
        )
        for one in e.segments
    ]  # fmt: skip


def _third(study: Study, one: Thirds) -> tuple[object, ...]:
    unit = next(m.unit for m in study.measures if m.name == one.exposure.measure)
    return (
        one.exposure.journey, one.exposure.measure, unit, outcome_name(one.outcome), *_ends(one.worst),
        *_ends(one.best), *_ends(one.difference), one.worst_to, one.best_from, one.best_to, one.worst_customers,
        one.best_customers, one.reason,
    )  # fmt: skip


def _money(data: FlatData, e: FlatEffect) -> tuple[object, ...]:
    moved, reached = moved_values(data, e.initiative)
    latest = (data.frame["cutoff"] == data.frame["cutoff"].max()).to_numpy()
    before = data.values(e.adjustment.moved)
    touched = (~np.isnan(before) & (moved != before)).any(axis=1)
    reach = e.initiative.reach
    found = wave_money(
        e.initiative,
        e.estimate,
        customers=int(latest.sum()),
        reached=reach * float((latest & reached).sum()),
        moved=reach * float((latest & touched).sum()),
        money=data.study.money,
    )
    return (e.initiative.name, *_ends(found.gain), found.cost, *_ends(found.net), found.customers)


def _switched_off(study: Study, frame: pd.DataFrame, initiatives: Sequence[Initiative]) -> list[str]:
    """Say what a table without event times cannot answer."""
    said = [
        "months, ramps, starts, net present value and retention over time: a flat table has no event times",
        "channels and single contacts: only whole rows move",
    ]
    if "revenue" not in outcomes_of(study, frame):
        said.append("money: the study names no revenue")
    elif any(one.cost.limits(part)[2] > 0 for one in initiatives for part in ("monthly", "saved_monthly")):
        said.append("net money of initiatives with monthly costs: a wave has no months")
    if study.flat is not None and study.flat.segment is None:
        said.append("effects by segment: name a covariate under flat.segment")
    return said


@io_step("record the simulation in MLflow")
def record_wave(
    workspace: Workspace, contract: PanelContract, found: WaveEffects, text: str, seed: int
) -> dict[str, Any]:
    """Record the run; the content of ``simulate.json``."""
    study, tags = workspace.study, identity(workspace.study, contract, seed)
    tables = {"effects": found.effects, "segments": found.segments, "thirds": found.thirds, "money": found.money}
    tracker = open_tracker(study, workspace.store)
    with tracker.run("simulate", "simulate", tags) as run:
        run.log_params({"seed": seed, **study.model_dump(mode="json", by_alias=True)})
        run.log_text(workspace.study_file.read_text(encoding="utf-8"), "study.yaml")
        run.log_text(text, "initiatives.yaml")
        for name, table in tables.items():
            run.log_table(table, f"flat_{name}.csv")
        for outcome in found.effects.loc[found.effects["effect"].notna(), "outcome"].unique():
            unit = study.currency if outcome == "revenue" else ""
            chart = wave_chart(found.effects, outcome, writer(study, outcome), unit)
            run.log_text(to_svg(chart), f"flat_{outcome}.svg")
    return {
        "study": study.name,
        "run_id": run.run_id,
        **tags,
        "currency": study.currency,
        "is_flat": True,
        **{f"flat_{name}": records(table) for name, table in tables.items()},
        "switched_off": list(found.switched_off),
    }


def writer(study: Study, outcome: str) -> Callable[[float], str]:
    """Say how a change of an outcome is written: churn in points, revenue in currency, others as they are."""
    if outcome == "churn":
        return points
    return partial(money_short, currency=study.currency) if outcome == "revenue" else signed


def _show(found: WaveEffects, study: Study) -> None:
    told = found.effects[found.effects["outcome"] != ""]
    for outcome in told["outcome"].unique():
        rows = told[told["outcome"] == outcome]
        write = writer(study, outcome)
        table = {
            "initiative": rows["name"],
            f"{_unit(study, outcome)} (90 %)": console.intervals(rows, ("effect", "lo", "hi"), write),
            "correlation says": [write(value) for value in rows["raw_effect"].astype(float)],
            "inside what was observed": [percent(value) for value in rows["support_share"]],
            "effective rows": [percent(value) for value in rows["effective_share"]],
            "customers moved": [whole(value) for value in rows["n_moved"]],
            "verdict": rows["verdict"],
        }
        n = int(rows["n_customers"].max())
        console.show_table(f"Effect on {outcome} over one wave, per customer, n = {n:,}", pd.DataFrame(table))
        _show_segments(found.segments[found.segments["outcome"] == outcome], study, outcome)
    _show_thirds(found.thirds, study)
    _show_money(found.money, study)
    for row in found.effects[found.effects["verdict"] == "refused"].to_dict("records"):
        what = f"{row['name']} on {row['outcome']}" if row["outcome"] else row["name"]
        console.say(f"refused: {what}. {row['reason']}")
    for held in found.effects.loc[found.effects["adjustment"] != ""].drop_duplicates("name").to_dict("records"):
        console.say(f"held fixed for {held['name']}: {held['adjustment']}")
    for said in found.switched_off:
        console.say(f"switched off: {said}.")
    if found.effects["verdict"].eq("possible").any():
        console.say("possible: beyond chance. No effect here is called likely: a flat table has no past to test it on.")
    console.say(
        "note: estimated, not measured. Where it was checked against experiments, such estimates missed widely."
    )


def _unit(study: Study, outcome: str) -> str:
    return {"churn": "churn, points", "revenue": f"revenue, {study.currency}"}.get(outcome, outcome)


def _show_segments(rows: pd.DataFrame, study: Study, outcome: str) -> None:
    if rows.empty:
        return
    write = writer(study, outcome)
    table = {
        "initiative": rows["name"],
        "segment": rows["level"],
        f"{_unit(study, outcome)} (90 %)": console.intervals(rows, ("effect", "lo", "hi"), write),
        "less all others (90 %)": console.intervals(rows, ("apart", "apart_lo", "apart_hi"), write),
        "p that it is no other (Holm)": [p_value(value) for value in rows["p_adjusted"].astype(float)],
        "rows": [whole(value) for value in rows["n"]],
    }
    segment = study.flat.segment if study.flat else ""
    console.show_table(f"By {segment}: effect on {outcome} per customer of the segment", pd.DataFrame(table))


def _show_thirds(thirds: pd.DataFrame, study: Study) -> None:
    for outcome, every in thirds[thirds["reason"] == ""].groupby("outcome", sort=False):
        write = plain if outcome == "revenue" else writer(study, str(outcome))
        table = {
            "measure": every["journey"] + ": " + every["measure"] + ", " + every["unit"],
            "worst third repaired (90 %)": console.intervals(every, ("worst", "worst_lo", "worst_hi"), write),
            "best third polished (90 %)": console.intervals(every, ("best", "best_lo", "best_hi"), write),
            "difference (90 %)": console.intervals(every, ("difference", "difference_lo", "difference_hi"), write),
            "customers": [f"{whole(a)}, {whole(b)}" for a, b in zip(every["n_worst"], every["n_best"], strict=True)],
        }
        title = f"Repair or polish: change of {_unit(study, str(outcome))}, by unit of improvement"
        console.show_table(title, pd.DataFrame(table))
    for row in thirds[thirds["reason"] != ""].to_dict("records"):
        console.say(f"note: no thirds of {row['journey']}: {row['measure']} for {row['outcome']}. {row['reason']}")


def _show_money(money: pd.DataFrame, study: Study) -> None:
    if money.empty:
        return
    write = partial(money_short, currency=study.currency)
    table = {
        "initiative": money["name"],
        "gain (90 %)": console.intervals(money, ("gain", "gain_lo", "gain_hi"), write),
        "cost": [write(value) for value in money["cost"].astype(float)],
        "net (90 %)": console.intervals(money, ("net", "net_lo", "net_hi"), write),
    }
    customers = int(money["customers"].iloc[0])
    console.show_table(f"Money over one wave, {customers:,} customers, {study.currency}", pd.DataFrame(table))
