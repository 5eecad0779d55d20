"""Record a training in MLflow, register the models that won, and say which of them serves from now on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contract import PanelContract
from flows import console
from flows.departures import log_survival
from flows.identity import identity
from flows.model_card import CardFacts, model_card
from flows.model_record import example_rows, log_candidates, log_coefficients, log_figures
from flows.offers import priced_offer
from flows.recorded_tests import keep_tests
from flows.registry import OUTCOMES, crown, standing, withdraw
from flows.run_notes import training_note
from flows.sealed_models import refuse_foreign
from flows.settings import Settings
from flows.steps import io_step
from flows.storage import Workspace, records
from flows.succession import TRAINED_UNTIL, Promotion, out_of_time, promotion, trained_until, written
from flows.tracking import (
    CHALLENGER,
    CHAMPION,
    Run,
    Tracker,
    find_champion,
    open_tracker,
    set_alias,
)
from models import churn, revenue
from models.brier import recalibrate
from models.churn import churn_coefficients
from models.estimates import Sample
from models.evaluation import Evaluation, Tick
from models.grids import churn_grids, revenue_grids
from models.profit import Offer, expected_profit
from models.ranking import Ranking
from models.search import chosen_setting
from models.splits import AnyFold

__all__ = ["LOSS", "Fitted", "Judged", "Promote", "record"]

Promote: TypeAlias = Literal["auto", "never"]

LOSS: Final[Mapping[str, str]] = dict(zip(OUTCOMES, ("log_loss", "rmse"), strict=True))


@dataclass(frozen=True, slots=True)
class Fitted:
    """A judged and fitted model of one outcome."""

    evaluation: Evaluation
    model: Any

    @property
    def loss(self) -> float:
        """Out-of-time loss of the winner."""
        return self._measured(LOSS[self.evaluation.outcome])

    def shown(self) -> dict[str, float]:
        """Out-of-time AUC or R2 of the winner, for the list of versions."""
        name = "auc" if self.evaluation.outcome == "churn" else "r2"
        return {name: self._measured(name)}

    def _measured(self, metric: str) -> float:
        rows = self.evaluation.metrics
        wanted = rows["candidate"].eq(self.evaluation.winner) & rows["metric"].eq(metric) & rows["fold"].eq("all")
        return float(rows.loc[wanted, "value"].iloc[0])


@dataclass(frozen=True, slots=True)
class Judged:
    """The panel, the rows that models were fitted on, the folds that judged them, and what came of it by outcome."""

    panel: pd.DataFrame
    frame: pd.DataFrame
    folds: tuple[AnyFold, ...]
    fitted: dict[str, Fitted]


@io_step("record the models in MLflow")
def record(
    workspace: Workspace, contract: PanelContract, judged: Judged, seed: int, promote: Promote, token: str = ""
) -> dict[str, Any]:
    """Record runs, register the winners, and give aliases once all are registered; the content of ``train.json``.

    ``token`` is that of the note which takes all back should the process die (`flows.unfinished`).
    """
    tracker = open_tracker(workspace.study, workspace.store)
    tags = identity(workspace.study, contract, seed)
    for outcome, one in judged.fitted.items():
        refuse_foreign(one.model, outcome)
    before, registered = standing(tracker), dict[str, tuple[str, Promotion]]()
    note = training_note([one.evaluation for one in judged.fitted.values()], len(judged.frame))
    with (
        console.progress("train") as tick,
        tracker.run("train", "train", tags, note=note, token=token) as parent,
    ):
        parent.log_params({"seed": seed, **workspace.study.model_dump(mode="json", by_alias=True)})
        parent.log_text(workspace.study_file.read_text(encoding="utf-8"), "study.yaml")
        try:
            for outcome, one in judged.fitted.items():
                tick(f"recording {outcome}")
                _log(parent, workspace, contract, judged, one, seed, tick)
                found = _promotion(workspace, contract, judged.frame, one.evaluation, tracker, promote)
                registered[outcome] = (_register(parent, workspace, contract, judged.frame, one, found, tags), found)
            for outcome, (number, found) in registered.items():
                if found.alias == CHAMPION:
                    crown(tracker, outcome, number)
                else:
                    set_alias(tracker, outcome, number, CHALLENGER)
        except BaseException:
            withdraw(tracker, parent.run_id, before)
            raise
        for outcome, (number, found) in registered.items():
            console.say(f"{outcome}: version {number} is the {found.alias}: {found.reason}")
    fitted = judged.fitted
    outcomes = {outcome: _result(fitted[outcome], found, number) for outcome, (number, found) in registered.items()}
    return {"study": workspace.study.name, "seed": seed, "run_id": parent.run_id, **tags, "outcomes": outcomes}


def _log(
    parent: Run, workspace: Workspace, contract: PanelContract, judged: Judged, one: Fitted, seed: int, tick: Tick
) -> None:
    """Record what was found about one outcome's candidates and the winner."""
    log_candidates(parent, one.evaluation)
    keep_tests(parent.tracker, parent.run_id, one.evaluation.outcome, out_of_time(one.evaluation))
    rng, currency = np.random.default_rng([seed, 9]), workspace.study.currency
    log_figures(parent, one.evaluation, one.model, judged.frame, judged.folds, contract.matured, currency, rng)
    if one.evaluation.outcome != "churn":
        return
    tick("reading the coefficients of the logistic regression")
    log_coefficients(parent, _coefficients(judged, contract, one.evaluation, seed))
    if not workspace.study.is_flat:
        tick("following customers month by month")
        log_survival(parent, workspace, contract, judged.panel, one.model)


def _coefficients(judged: Judged, contract: PanelContract, evaluation: Evaluation, seed: int) -> pd.DataFrame:
    rng, most = np.random.default_rng([seed, 8]), Settings().training_rows
    return churn_coefficients(judged.frame, contract.features, rng, evaluation=evaluation, max_rows=most)


def _promotion(
    workspace: Workspace,
    contract: PanelContract,
    frame: pd.DataFrame,
    evaluation: Evaluation,
    tracker: Tracker,
    promote: Promote,
) -> Promotion:
    earned = _earned(priced_offer(workspace.study, frame)) if evaluation.outcome == "churn" else None
    present = find_champion(tracker, evaluation.outcome)
    may_promote = promote == "auto"
    return promotion(workspace.study, contract, frame, evaluation, present, may_promote=may_promote, earned=earned)


def _register(
    parent: Run,
    workspace: Workspace,
    contract: PanelContract,
    frame: pd.DataFrame,
    one: Fitted,
    found: Promotion,
    tags: Mapping[str, str],
) -> str:
    """Register a version with its card; it has no alias yet."""
    more = {**tags, **_version_tags(one), TRAINED_UNTIL: trained_until(frame)}
    example = example_rows(one.model, frame, contract.features)
    number = parent.register(one.evaluation.outcome, one.model, more, example=example)
    facts = CardFacts(workspace.study, contract, more, _meaning(one.evaluation), Settings().training_rows)
    card = model_card(facts, frame, one.evaluation, found, number)
    parent.log_text(card, f"{one.evaluation.outcome}/model_card.md")
    parent.describe(one.evaluation.outcome, number, card)
    return number


def _meaning(evaluation: Evaluation) -> str:
    """Say what the winner is, and in which setting."""
    if evaluation.outcome == "churn":
        tried = churn.candidates(evaluation.features, churn_grids(0, 0))
    else:
        tried = revenue.candidates(evaluation.features, revenue_grids(0, 0, 0))
    said = next(one.meaning for one in tried if one.name == evaluation.winner)
    setting = chosen_setting(evaluation.settings, evaluation.winner)
    return f"{said} Setting: {setting}."


def _earned(offer: Offer) -> Callable[[Sample], NDArray[np.float64]]:
    def earned(sample: Sample) -> NDArray[np.float64]:
        ranking = Ranking.of(sample)
        profit, _ = expected_profit(ranking, recalibrate(ranking), offer)
        return np.asarray(profit.value + profit.influence, np.float64)

    return earned


def _version_tags(one: Fitted) -> dict[str, str]:
    return {
        "outcome": one.evaluation.outcome,
        "candidate": one.evaluation.winner,
        "out_of_time_loss": repr(one.loss),
        **{f"out_of_time_{name}": repr(value) for name, value in one.shown().items()},
        "beats_baseline": str(one.evaluation.beats_baseline).lower(),
    }


def _result(one: Fitted, found: Promotion, number: str) -> dict[str, Any]:
    evaluation = one.evaluation
    return {
        "winner": evaluation.winner,
        "version": number,
        "alias": found.alias,
        "reason": found.reason,
        "comparison": written(found.comparison),
        "beats_baseline": evaluation.beats_baseline,
        "sentence": evaluation.sentence,
        "leaks": [{"feature": leak.feature, "reason": leak.reason} for leak in evaluation.leaks],
        "settings": records(evaluation.settings),
        "comparisons": records(evaluation.comparisons),
        "metrics": records(evaluation.metrics),
        "reliability": records(evaluation.reliability),
    }
