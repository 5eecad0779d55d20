import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.contract import read_contract
from features.panel import read_panel
from flows.model_record import example_rows
from flows.storage import open_workspace
from flows.tracking import Champion, Tracker, find_champion, open_tracker


@pytest.fixture(scope="module")
def trained(demo_dir: Path) -> dict[str, Any]:
    return dict(json.loads((demo_dir / "store" / "results" / "train.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def tracker(demo_dir: Path) -> Tracker:
    workspace = open_workspace(demo_dir / "study.yaml")
    return open_tracker(workspace.study, workspace.store)


def _champion(tracker: Tracker, outcome: str) -> Champion:
    found = find_champion(tracker, outcome)
    assert found is not None
    return found


def _files(tracker: Tracker, run_id: str, folder: str) -> set[str]:
    return {Path(one.path).name for one in tracker.client.list_artifacts(run_id, folder)}


def test_tables_and_figures_are_kept_for_each_outcome(trained: dict[str, Any], tracker: Tracker) -> None:
    both = {"metrics.csv", "segments.csv", "reliability.csv", "folds.svg", "partial_effects.svg", "partial_effects.csv"}
    both |= {"model_card.md", "settings.csv"}
    assert _files(tracker, trained["run_id"], "churn") == both | {
        "calibration.svg",
        "coefficients.csv",
        "coefficients.svg",
        "comparisons.csv",
        "gains.svg",
        "survival.csv",
        "survival.svg",
    }
    assert _files(tracker, trained["run_id"], "revenue") == both


def test_metrics_are_recorded_fold_by_fold_as_steps(trained: dict[str, Any], tracker: Tracker) -> None:
    metrics = pd.DataFrame(trained["outcomes"]["churn"]["metrics"])
    winner = trained["outcomes"]["churn"]["winner"]
    own = metrics[(metrics["candidate"] == winner) & (metrics["metric"] == "log_loss")].set_index("fold")["value"]
    query = f"tags.`mlflow.parentRunId` = '{trained['run_id']}'"
    (child,) = [
        one
        for one in tracker.client.search_runs([tracker.experiment("train")], query)
        if one.info.run_name == f"churn: {winner}"
    ]
    steps = {one.step: one.value for one in tracker.client.get_metric_history(child.info.run_id, "fold.log_loss")}
    folds = [fold for fold in own.index if fold != "all"]
    assert steps == pytest.approx({at: float(own[fold]) for at, fold in enumerate(folds, 1)})
    assert child.data.params["folds.0"] == folds[0]
    assert child.data.metrics["log_loss"] == pytest.approx(own["all"])


def test_the_example_is_nobodys_and_the_model_takes_it(demo_dir: Path, tracker: Tracker) -> None:
    contract = read_contract(demo_dir / "store")
    frame = read_panel(demo_dir / "store")
    model = _champion(tracker, "churn").load(contract.feature_contract_hash)
    rows = example_rows(model, frame, contract.features)
    assert len(rows) == 3
    assert list(rows) == list(model.feature_names_in_)
    assert model.predict_proba(rows).shape == (3, 2)
    assert rows["tenure_days"].tolist() == pytest.approx(frame["tenure_days"].quantile([0.25, 0.5, 0.75]).tolist())
    assert not set(rows.astype(str).to_numpy().ravel()) & set(frame["customer_id"])


def test_a_version_has_a_signature_and_its_card_as_description(trained: dict[str, Any], tracker: Tracker) -> None:
    import mlflow.models  # noqa: PLC0415 (seconds of imports)

    for outcome in ("churn", "revenue"):
        champion = _champion(tracker, outcome)
        version = tracker.client.get_model_version(champion.name, champion.version)
        assert version.description.startswith(f"# {champion.name}, version {champion.version}")
        mlflow.set_tracking_uri(tracker.uri)
        try:
            signature = mlflow.models.get_model_info(f"models:/{champion.name}/{champion.version}").signature
        finally:
            mlflow.set_tracking_uri(None)
        assert signature is not None
        assert "tenure_days" in signature.inputs.input_names()
    assert trained["outcomes"]["churn"]["comparison"] is None


def test_runs_say_above_everything_else_what_they_found(trained: dict[str, Any], tracker: Tracker) -> None:
    parent = tracker.client.get_run(trained["run_id"]).data.tags["mlflow.note.content"]
    churn = trained["outcomes"]["churn"]
    assert parent.startswith(f"**Churn**: {churn['winner']}, AUC 0.")
    assert churn["sentence"] in parent
    assert f"Fitted on {trained['rows']:,} rows" in parent
    query = f"tags.`mlflow.parentRunId` = '{trained['run_id']}' and tags.outcome = 'churn'"
    children = tracker.client.search_runs([tracker.experiment("train")], query)
    notes = {one.info.run_name: one.data.tags["mlflow.note.content"] for one in children}
    assert all(f"churn: {note.split(', AUC')[0]}" == name for name, note in notes.items())
    assert [name for name, note in notes.items() if "It was chosen for churn." in note] == [f"churn: {churn['winner']}"]
