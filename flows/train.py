"""Fit and check the models of churn and revenue, and register the better candidates."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.errors import StudyError, UnsupportedError, closest
from features.measures import Feature
from features.panel import read_panel
from features.snapshot import iso
from flows import console
from flows.artefacts import leave
from flows.build_features import ensure_panel
from flows.identity import identity
from flows.interrupted import Remembered, remembered
from flows.registration import LOSS, Fitted, Judged, Promote, record
from flows.registry import OUTCOMES, put_right, standing
from flows.settings import Settings
from flows.steps import flow, io_step, step
from flows.storage import Workspace, open_workspace, write_json
from flows.tracking import (
    Champion,
    find_champion,
    open_tracker,
)
from flows.unfinished import noted
from models.churn import evaluate_churn, fit_churn
from models.evaluation import Evaluation, Tick
from models.identifying import identifying
from models.leaks import kept_features, leak_warnings
from models.revenue import evaluate_revenue, fit_revenue
from models.splits import AnyFold, grouping_note, picture, plan_folds

__all__ = ["ensure_models", "mature", "read_rows", "require_features", "to_learn_from", "train"]

_EVALUATE: Final[Mapping[str, Callable[..., Evaluation]]] = {"churn": evaluate_churn, "revenue": evaluate_revenue}
_FIT: Final[Mapping[str, Callable[..., Any]]] = {"churn": fit_churn, "revenue": fit_revenue}
_SHOWN: Final = {
    "churn": ("log_loss", "brier", "auc", "average_precision", "calibration_slope", "captured_10"),
    "revenue": ("rmse", "mae", "r2", "mean_calibration"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of a training: seed, features that the user vouches for, seconds an outcome, rows a fit."""

    seed: int
    allow: frozenset[str]
    budget_seconds: float
    most_rows: int


@flow(name="train")
def train(
    study_file: str,
    *,
    seed: int = 0,
    promote: Promote = "auto",
    allow: Sequence[str] = (),
    budget: float | None = None,
) -> None:
    """Judge, fit and register the models of a study.

    Parameters
    ----------
    study_file : str
        The study.
    seed : int
        Seed of everything random.
    promote : str
        ``auto``: the new version becomes champion if it is better, or as good and better calibrated; ``never``: it is
        registered as challenger.
    allow : sequence of str
        Features that know too much by the look of it, and that the user vouches for.
    budget : float, optional
        Seconds for trying settings, half of them for each outcome; each candidate's default is tried in any case.

    Raises
    ------
    EmptyResultError
        Nothing can be learned: one class only, or too short a history.
    ModelError
        MLflow does not answer.
    StudyError
        A feature to be allowed is none of the panel's.
    UnsupportedError
        The study names no churn.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    if workspace.study.flat is not None and workspace.study.flat.churned is None:
        raise UnsupportedError(
            "The study names no churn, so there is nothing to predict. Add 'flat.churned: COLUMN', or see what goes "
            "along with its other outcomes: journeylift explain"
        )
    tracker = open_tracker(workspace.study, workspace.store)
    tracker.require()
    put_right(tracker)
    contract = ensure_panel(workspace)
    require_features(allow, contract)
    panel = read_rows(workspace)
    asked = Asked(seed, frozenset(allow), math.inf if budget is None else budget / len(LOSS), Settings().training_rows)
    tags = identity(workspace.study, contract, seed)
    kept = remembered(workspace.store.training, {**tags, "allow": sorted(allow), "rows": asked.most_rows})
    if count := kept.count():
        console.say(
            f"Going on where an interrupted training was: {console.count(count, 'prediction')} need no new fit."
        )
    judged = judge_and_fit(workspace, contract, panel, asked, kept)
    frame = judged.frame
    rate = float(np.average(frame["is_churned"], weights=frame["weight"]))
    # The note goes when the result is there: of a training that is killed before, nothing stays.
    with noted(tracker.notes, {outcome: asdict(one) for outcome, one in standing(tracker).items()}) as token:
        result = {
            **record(workspace, contract, judged, seed, promote, token),
            "rows": len(frame),
            "churn_rate": rate,
            **to_learn_from(contract),
            "may_promote": promote == "auto",
        }
        write_json(workspace.store.result("train"), result)
        kept.forget()  # before the note goes: a training that is repeated from here on ends with the same versions
    leave(workspace, "train")
    rows_in = console.count(len(frame), "mature row")
    seconds = time.perf_counter() - started
    where = str(workspace.store.result("train"))
    console.say(console.Closing("train", rows_in, console.count(len(judged.fitted), "model"), seconds, where).line())


@io_step("read the panel")
def read_rows(workspace: Workspace) -> pd.DataFrame:
    """Read all rows: those whose outcome is known, and those that are young yet."""
    return read_panel(workspace.store.root)


def mature(panel: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows whose outcome is known."""
    return panel.loc[panel["is_mature"]].reset_index(drop=True)


def to_learn_from(contract: PanelContract) -> dict[str, str]:
    """Name what a training learns from: features, and the latest cutoff whose outcomes are known; empty if none is."""
    return {
        "matured": iso(max(contract.matured)) if contract.matured else "",
        "feature_contract_hash": contract.feature_contract_hash,
    }


@step("judge and fit the candidates")
def judge_and_fit(
    workspace: Workspace, contract: PanelContract, panel: pd.DataFrame, asked: Asked, kept: Remembered
) -> Judged:
    """Judge the candidates of every outcome on later cutoffs, and fit the better ones on all mature rows."""
    grid = workspace.study.snapshot
    frame = mature(panel)
    rng = np.random.default_rng([asked.seed, 0])
    folds = plan_folds(frame, gap_days=grid.gap_days, horizon_days=grid.horizon_days, rng=rng)
    console.say(picture(folds, contract.matured))
    if note := grouping_note(frame):
        console.say(f"note: {note}")
    outcomes = [name for name in LOSS if name == "churn" or frame[name].notna().any()]
    with console.progress("train") as tick:
        tick("looking for features that know too much")
        naming = identifying(panel, contract.features)
        unnamed = kept_features(contract.features, naming)
        leaks = (*naming, *leak_warnings(panel, unnamed))
        for leak in leaks:
            what = "allowed" if leak.feature in asked.allow else "left out"
            console.say(f"{what}: {leak.feature}. {leak.reason}")
        fitted = {
            name: _fit_one(name, frame, contract.features, folds, asked, kept.about(name), tick, leaks)
            for name in outcomes
        }
    return Judged(panel, frame, folds, fitted)


def _fit_one(
    name: str,
    frame: pd.DataFrame,
    features: tuple[Feature, ...],
    folds: tuple[AnyFold, ...],
    asked: Asked,
    kept: Remembered,
    tick: Tick,
    leaks: Any,
) -> Fitted:
    rng = np.random.default_rng([asked.seed, 1 + OUTCOMES.index(name)])
    evaluation = _EVALUATE[name](
        frame,
        features,
        folds,
        rng,
        tick,
        max_rows=asked.most_rows,
        leaks=leaks,
        allow=asked.allow,
        budget_seconds=asked.budget_seconds,
        memory=kept,
    )
    tick(f"fitting {evaluation.winner} for {name} on all rows")
    model = _FIT[name](frame, features, evaluation.winner, rng, evaluation=evaluation, max_rows=asked.most_rows)
    console.say(f"{name}: {evaluation.sentence}")
    console.show_table(f"{name}, on rows not learned from", _wide(evaluation))
    for sentence in _remarks(evaluation):
        console.say(f"{name}: {sentence}")
    return Fitted(evaluation, model)


def _remarks(evaluation: Evaluation) -> Iterator[str]:
    """Say what restrictions cost, and which settings the budget did not reach."""
    rows = evaluation.comparisons
    for row in rows.loc[rows["metric"].eq("auc")].itertuples() if len(rows) else ():
        yield (
            f"{row.first} in place of {row.second}: AUC {row.difference:+.4f} (90 % interval {row.lo:+.4f} to "
            f"{row.hi:+.4f})."
        )
    if len(evaluation.settings):
        untried = evaluation.settings.loc[~evaluation.settings["is_tried"].astype(bool)]
        names = [f"{one} ({setting})" for one, setting in zip(untried["candidate"], untried["setting"], strict=True)]
        if names:
            yield f"the budget was spent before {', '.join(names)} could be tried."


def _wide(evaluation: Evaluation) -> pd.DataFrame:
    """One row a candidate, one column a metric: value and half width of its 90 % interval."""
    rows = evaluation.metrics.loc[lambda frame: frame["fold"].eq("all")]
    text = [f"{value:.4g} ±{(hi - lo) / 2:.2g}" for value, lo, hi in rows[["value", "lo", "hi"]].to_numpy()]
    table = rows.assign(text=text).pivot_table("text", "candidate", "metric", aggfunc="first")
    shown = [name for name in _SHOWN[evaluation.outcome] if name in table.columns]
    order = list(dict.fromkeys(rows["candidate"]))
    return table.loc[order, shown].reset_index()


def require_features(allow: Sequence[str], contract: PanelContract) -> None:
    """Make sure that features which the user vouches for are some of the panel's."""
    known = [feature.name for feature in contract.features]
    absent = [name for name in allow if name not in known]
    if absent:
        raise StudyError(
            f"--allow: '{absent[0]}' is none of the panel's {len(known)} features.{closest(absent[0], known)} "
            "store/dictionary.csv lists them."
        )


def ensure_models(workspace: Workspace, contract: PanelContract, *, seed: int = 0) -> dict[str, Champion]:
    """Find the champions that fit a panel, and train first when there are none.

    Parameters
    ----------
    workspace : Workspace
        The study and its store.
    contract : PanelContract
        Contract of the panel.
    seed : int
        Seed of the training, should it be needed.

    Returns
    -------
    dict of str to Champion
        By outcome; revenue is absent where the study has none.

    Notes
    -----
    Models are stale when the features have changed. New rows under the same contract do not make them stale: when to
    learn again is a decision, and ``journeylift train`` carries it out.
    """
    found = _champions(workspace)
    if "churn" not in found:
        console.say("There is no champion yet: training first.")
    elif any(one.contract != contract.feature_contract_hash for one in found.values()):
        console.say("The champion was fitted on other features: training first.")
    else:
        return found
    train(str(workspace.study_file), seed=seed)
    return _champions(workspace)


def _champions(workspace: Workspace) -> dict[str, Champion]:
    tracker = open_tracker(workspace.study, workspace.store)
    put_right(tracker)
    found = {outcome: find_champion(tracker, outcome) for outcome in LOSS}
    return {outcome: champion for outcome, champion in found.items() if champion is not None}
