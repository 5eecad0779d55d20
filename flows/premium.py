"""Is the journey view worth it: what whole journeys predict beyond the best model of touchpoints one by one."""

import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.errors import EmptyResultError, JourneyliftError, UnsupportedError
from flows import console
from flows.build_features import ensure_panel
from flows.identity import identity
from flows.offers import priced_offer
from flows.premium_chart import premium_chart
from flows.premium_section import learned_sentence, money_sentence, premium_table, read_premium, verdict_sentence
from flows.settings import Settings
from flows.steps import flow, io_step, step
from flows.storage import Workspace, open_workspace, records, write_json
from flows.theme import to_svg
from flows.tracking import open_tracker
from flows.train import mature, read_rows, require_features
from models.leaks import leak_warnings
from models.premium import MATTERS, Premium, journey_premium
from models.profit import Offer
from models.splits import Fold, picture, rolling_origin

__all__ = ["premium", "refusal"]

_ROWS: Final = 20_000
"""Rows a model learns from at most, unless it shall be thorough: about a minute on the demo."""

_FAMILIES: Final = ("logistic", "boosting")
"""What whole journeys are tried in, unless it shall be thorough; touchpoints are tried in every kind of model."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the views are compared.

    Parameters
    ----------
    seed : int
        Seed of everything random.
    allow : frozenset of str
        Features that the user vouches for.
    families : tuple of str or None
        Candidates that whole journeys are tried in; None: all.
    most_rows : int
        Rows that a model learns from at most.
    folds : tuple of Fold
        Which cutoffs train and which test.
    offer : Offer
        The yardstick in money.
    """

    seed: int
    allow: frozenset[str]
    families: tuple[str, ...] | None
    most_rows: int
    folds: tuple[Fold, ...]
    offer: Offer


@flow(name="premium")
def premium(study_file: str, *, seed: int = 0, allow: Sequence[str] = (), thorough: bool = False) -> None:
    """Say whether whole journeys predict churn better than touchpoints one by one, out of time.

    Parameters
    ----------
    study_file : str
        The study.
    seed : int
        Seed of everything random.
    allow : sequence of str
        Features that know too much by the look of it, and that the user vouches for.
    thorough : bool
        Try all candidates, on as many rows as a training takes.

    Raises
    ------
    EmptyResultError
        No cutoff can be tested on, or too few churners or stayers.
    ModelError
        MLflow does not answer.
    StudyError
        A feature to be allowed is none of the panel's.
    UnsupportedError
        The study is a flat table, or there is nothing to compare.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    if workspace.study.is_flat:
        raise UnsupportedError(
            "The study is a flat table: one row a customer, without touchpoints that form journeys. Touchpoints with a "
            "time and a journey were expected, to compare both views. Declare the four event tables, or see what goes "
            "along with churn: journeylift explain"
        )
    open_tracker(workspace.study, workspace.store).require()
    contract = ensure_panel(workspace)
    require_features(allow, contract)
    panel = read_rows(workspace)
    frame, grid, most = mature(panel), workspace.study.snapshot, Settings().training_rows
    plan = Plan(
        seed=seed,
        allow=frozenset(allow),
        families=None if thorough else _FAMILIES,
        most_rows=most if thorough else min(most, _ROWS),
        folds=rolling_origin(contract.matured, gap_days=grid.gap_days, horizon_days=grid.horizon_days),
        offer=priced_offer(workspace.study, frame),
    )
    content = record(workspace, contract, compare_views(contract, panel, plan), plan)
    write_json(workspace.store.result("premium"), content)
    _show(content, workspace.study.currency)
    seconds, where = time.perf_counter() - started, str(workspace.store.result("premium"))
    console.say(console.Closing("premium", f"{len(frame):,} mature rows", "1 verdict", seconds, where).line())


@step("compare journeys with touchpoints")
def compare_views(contract: PanelContract, panel: pd.DataFrame, plan: Plan) -> Premium:
    """Predict later cutoffs with and without journey terms."""
    console.say(picture(plan.folds, contract.matured))
    with console.progress("premium") as tick:
        tick("looking for features that know too much")
        leaks = leak_warnings(panel, contract.features)
        for leak in leaks:
            what = "allowed" if leak.feature in plan.allow else "left out"
            console.say(f"{what}: {leak.feature}. {leak.reason}")
        found = journey_premium(
            panel,
            contract.features,
            plan.folds,
            np.random.default_rng([plan.seed, 30]),
            tick,
            offer=plan.offer,
            journey_families=plan.families,
            max_rows=plan.most_rows,
            allow=plan.allow,
            leaks=leaks,
        )
    if found.gains:
        return found
    raise refusal(found)


def refusal(found: Premium) -> JourneyliftError:
    """Say why nothing was compared: the study has no such features (never on these tables), or too few left so far."""
    if found.terms and found.touchpoint_terms:
        return EmptyResultError(f"{found.sentence} Bring more customers or a longer history.")
    return UnsupportedError(
        f"{found.sentence} Both kinds of features were expected. See store/dictionary.csv, and what was left out above."
    )


@io_step("record the journey premium in MLflow")
def record(workspace: Workspace, contract: PanelContract, found: Premium, plan: Plan) -> dict[str, Any]:
    """Record numbers, tables and chart; the content of ``premium.json``."""
    tags = identity(workspace.study, contract, plan.seed)
    content = _content(contract, found, plan)
    tracker = open_tracker(workspace.study, workspace.store)
    with tracker.run("premium", "premium", {**tags, "verdict": found.verdict}) as run:
        run.log_params({key: content[key] for key in ("candidates", "most_rows", "matters", "offer")})
        run.log_params({"seed": plan.seed, **workspace.study.model_dump(mode="json", by_alias=True)})
        run.log_text(workspace.study_file.read_text(encoding="utf-8"), "study.yaml")
        for row in (content["share"], *content["gains"]):
            ends = ("touchpoints", "journeys", "gain", "lo", "hi")
            run.log_metrics({f"{row['metric']}.{name}": row[name] for name in ends})
        run.log_table(found.to_frame(), "premium.csv")
        run.log_table(found.rivals_frame(), "rivals.csv")
        run.log_text(to_svg(premium_chart(found.rivals_frame(), MATTERS)), "premium.svg")
    return {"study": workspace.study.name, "run_id": run.run_id, **tags, **content}


def _content(contract: PanelContract, found: Premium, plan: Plan) -> dict[str, Any]:
    """Turn what was found and asked into plain values."""
    assert found.share is not None  # noqa: S101 (what was not compared has been refused)
    return {
        "verdict": found.verdict,
        "sentence": found.sentence,
        "share": asdict(found.share),
        "gains": records(found.to_frame().drop(columns=["verdict", "n_rows", "n_customers"])),
        "rivals": records(found.rivals_frame()),
        "matters": MATTERS,
        "best": found.best,
        "chosen": list(found.chosen),
        "tested": [fold.label for fold in plan.folds],
        "n_rows": found.n_rows,
        "n_customers": found.n_customers,
        "n_train": max(_rows(contract, fold.train) for fold in plan.folds),
        "candidates": list(plan.families or ("all",)),
        "most_rows": plan.most_rows,
        "is_thorough": plan.families is None,
        "allowed": sorted(plan.allow),
        "offer": asdict(plan.offer),
        "touchpoint_terms": list(found.touchpoint_terms),
        "terms": list(found.terms),
    }


def _rows(contract: PanelContract, cutoffs: Collection[int]) -> int:
    return sum(one.rows for one in contract.partitions if one.cutoff in cutoffs)


def _show(content: dict[str, Any], currency: str) -> None:
    found = read_premium(content, is_stale=False)
    written = premium_table(found, currency)
    cells = [[cell.replace("\n", " (") + (")" if "\n" in cell else "") for cell in row] for row in written.rows]
    console.show_table(written.caption, pd.DataFrame(cells, columns=[column.title for column in written.columns]))
    for sentence in (verdict_sentence(found), money_sentence(found, currency), f"note: {learned_sentence(found)}"):
        console.say(sentence)
