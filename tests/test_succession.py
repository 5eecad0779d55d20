from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.contract import PanelContract, read_contract
from features.panel import read_panel
from features.snapshot import DAY
from features.study import Study
from flows.recorded_tests import keep_tests
from flows.registry import crown
from flows.storage import open_workspace
from flows.succession import TRAINED_UNTIL, out_of_time, promotion, trained_until
from flows.tracking import Champion, Tracker, find_champion
from models.churn import evaluate_churn, fit_churn, predict_churn
from models.evaluation import Evaluation
from models.splits import cutoff_microseconds, plan_folds


@pytest.fixture(scope="module")
def study(demo_dir: Path) -> Study:
    return open_workspace(demo_dir / "study.yaml").study


@pytest.fixture(scope="module")
def contract(demo_dir: Path) -> PanelContract:
    return read_contract(demo_dir / "store")


@pytest.fixture(scope="module")
def frame(demo_dir: Path) -> pd.DataFrame:
    """The rows of every third customer: what is tested here does not depend on how many."""
    rows = read_panel(demo_dir / "store").loc[lambda rows: rows["is_mature"]]
    return rows.loc[rows["customer_key"] % 3 == 0].reset_index(drop=True)


@pytest.fixture(scope="module")
def evaluation(study: Study, contract: PanelContract, frame: pd.DataFrame) -> Evaluation:
    grid, rng = study.snapshot, np.random.default_rng(1)
    folds = plan_folds(frame, gap_days=grid.gap_days, horizon_days=grid.horizon_days, rng=rng)
    return evaluate_churn(frame, contract.features, folds, rng)


@pytest.fixture
def tracker(mlflow_store: Path, request: pytest.FixtureRequest) -> Tracker:
    artifacts = (mlflow_store / "mlflow" / "artifacts").as_uri()
    return Tracker(
        f"sqlite:///{mlflow_store / 'mlflow' / 'mlflow.db'}", request.node.name[:40], artifacts, mlflow_store
    )


def _champion(
    tracker: Tracker, frame: pd.DataFrame, contract: PanelContract, evaluation: Evaluation, until: int | None = None
) -> Champion:
    """Register a champion that has learned from cutoffs up to one of them."""
    at = cutoff_microseconds(frame)
    known = frame.loc[at <= (until or at.max())]
    model = fit_churn(known, contract.features, "logistic", np.random.default_rng(2), evaluation=evaluation)
    tags = {"feature_contract_hash": contract.feature_contract_hash, TRAINED_UNTIL: trained_until(known)}
    with tracker.run("train", "train", {}) as run:
        keep_tests(tracker, run.run_id, "churn", out_of_time(evaluation))
        number = run.register("churn", model, tags)
    crown(tracker, "churn", number)
    found = find_champion(tracker, "churn")
    assert found is not None
    return found


def test_the_first_version_is_champion_unless_promotion_is_off(
    study: Study, contract: PanelContract, frame: pd.DataFrame, evaluation: Evaluation
) -> None:
    assert promotion(study, contract, frame, evaluation, None).alias == "champion"
    assert promotion(study, contract, frame, evaluation, None, may_promote=False).alias == "challenger"


def test_a_champion_is_tested_on_rows_after_all_that_it_has_learned_from(
    study: Study, contract: PanelContract, frame: pd.DataFrame, evaluation: Evaluation, tracker: Tracker
) -> None:
    cutoffs = sorted(set(cutoff_microseconds(frame).tolist()))
    tests = sorted(set(cutoff_microseconds(evaluation.predictions).tolist()))
    embargo = (study.snapshot.gap_days + study.snapshot.horizon_days) * DAY
    until = max(one for one in cutoffs if one + embargo <= tests[-1])
    champion = _champion(tracker, frame, contract, evaluation, until)
    found = promotion(study, contract, frame, evaluation, champion).comparison
    assert found is not None
    assert found.basis == "stored model"
    own = evaluation.predictions.query("candidate == @evaluation.winner")
    fresh = own.loc[cutoff_microseconds(own) >= until + embargo]
    assert found.rows == len(fresh)
    rows = fresh[["customer_id", "cutoff"]].merge(frame, on=["customer_id", "cutoff"])
    risk = predict_churn(champion.load(contract.feature_contract_hash), rows, contract.features)
    y, p = fresh["observed"].to_numpy(), fresh["predicted"].to_numpy()
    loss = [-(y * np.log(q) + (1 - y) * np.log1p(-q)).mean() for q in (p, risk)]
    assert found.loss.value == pytest.approx(loss[0] - loss[1], abs=1e-9)


def test_without_newer_rows_both_are_compared_as_they_were_tested(
    study: Study, contract: PanelContract, frame: pd.DataFrame, evaluation: Evaluation, tracker: Tracker
) -> None:
    champion = _champion(tracker, frame, contract, evaluation)
    found = promotion(study, contract, frame, evaluation, champion)
    assert found.alias == "champion"
    assert found.comparison is not None
    assert (found.comparison.basis, found.comparison.loss.value) == ("recorded tests", 0.0)
    worse = replace(
        evaluation,
        predictions=evaluation.predictions.assign(predicted=0.5 * evaluation.predictions["predicted"] + 0.2),
    )
    lost = promotion(study, contract, frame, worse, champion)
    assert lost.alias == "challenger"
    assert "version 1 stays" in lost.reason


def test_switched_off_promotion_still_says_what_would_have_been(
    study: Study, contract: PanelContract, frame: pd.DataFrame, evaluation: Evaluation, tracker: Tracker
) -> None:
    champion = _champion(tracker, frame, contract, evaluation)
    found = promotion(study, contract, frame, evaluation, champion, may_promote=False)
    assert found.alias == "challenger"
    assert found.reason.startswith("promotion is switched off. Its log loss is neither clearly lower nor higher")


def test_a_champion_of_other_features_is_replaced_and_compared_by_its_recorded_tests(
    study: Study, contract: PanelContract, frame: pd.DataFrame, evaluation: Evaluation, tracker: Tracker
) -> None:
    champion = _champion(tracker, frame, contract, evaluation)
    other = replace(champion, tags={**champion.tags, "feature_contract_hash": "other"})
    found = promotion(study, contract, frame, evaluation, other)
    assert found.alias == "champion"
    assert "cannot score these. Besides: its log loss" in found.reason
