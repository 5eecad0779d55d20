import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.errors import ModelError
from flows import cli, registration
from flows.registry import OUTCOMES, versions
from flows.storage import open_workspace
from flows.tracking import Tracker, find_champion, open_tracker

REVENUE = {"ridge", "Tweedie", "two-part", "boosting"}


@pytest.fixture(scope="module")
def trained(demo_dir: Path) -> dict[str, Any]:
    return dict(json.loads((demo_dir / "store" / "results" / "train.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def tracker(demo_dir: Path) -> Tracker:
    workspace = open_workspace(demo_dir / "study.yaml")
    return open_tracker(workspace.study, workspace.store)


def test_each_outcome_has_its_candidates_beside_baselines_with_intervals(trained: dict[str, Any]) -> None:
    for outcome, baselines in (("churn", {"prevalence", "recency-frequency"}), ("revenue", {"mean", "last period"})):
        metrics = pd.DataFrame(trained["outcomes"][outcome]["metrics"])
        tried = {"churn": {"logistic", "boosting", "additive boosting"}, "revenue": REVENUE}[outcome]
        assert set(metrics["candidate"]) - baselines == tried
        assert baselines <= set(metrics["candidate"])
        shown = metrics[metrics["metric"].isin(["log_loss", "auc", "rmse", "r2"])]
        assert (shown["lo"] <= shown["value"]).all()
        assert (shown["value"] <= shown["hi"]).all()


def test_the_better_candidates_are_champions_and_load(trained: dict[str, Any], tracker: Tracker) -> None:
    for outcome in ("churn", "revenue"):
        champion = find_champion(tracker, outcome)
        assert champion is not None
        assert champion.version == trained["outcomes"][outcome]["version"] == "1"
        assert champion.tags["candidate"] == trained["outcomes"][outcome]["winner"]
        assert hasattr(champion.load(trained["feature_contract_hash"]), "predict")


def test_a_run_answers_which_data_which_code_which_seed(trained: dict[str, Any], tracker: Tracker) -> None:
    run = tracker.client.get_run(trained["run_id"])
    for name in ("data_fingerprint", "study_fingerprint", "feature_contract_hash", "seed", "package_version"):
        assert run.data.tags[name] == trained[name]
    assert run.data.params["snapshot.horizon_days"] == "91"
    assert run.data.params["measures.0.name"] == "read_time"
    assert {"churn", "revenue", "study.yaml"} <= {one.path for one in tracker.client.list_artifacts(run.info.run_id)}
    assert "churn/calibration.svg" in {one.path for one in tracker.client.list_artifacts(run.info.run_id, "churn")}


def test_every_candidate_has_a_run_of_its_own_under_the_parent(trained: dict[str, Any], tracker: Tracker) -> None:
    query = f"tags.`mlflow.parentRunId` = '{trained['run_id']}'"
    children = tracker.client.search_runs([tracker.experiment("train")], query)
    names = {child.info.run_name for child in children}
    assert {"churn: logistic", "churn: boosting", "churn: prevalence", "revenue: ridge", "revenue: boosting"} <= names
    assert all("log_loss" in one.data.metrics for one in children if one.info.run_name.startswith("churn"))


def test_training_that_breaks_off_registers_nothing_and_goes_on_to_the_same_numbers(
    copied: Callable[[bool], Path],
    trained: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    study = copied(True)
    command = ["train", "--study", str(study), "--seed", str(trained["seed"])]
    workspace = open_workspace(study)
    tracker = open_tracker(workspace.study, workspace.store)
    crown = registration.crown

    def breaks_for_revenue(tracker: Tracker, outcome: str, number: str) -> None:
        if outcome == "revenue":
            raise ModelError("MLflow at nowhere does not answer.")
        crown(tracker, outcome, number)

    monkeypatch.setattr(registration, "crown", breaks_for_revenue)
    assert cli.main(command) == 7
    assert "MLflow at nowhere does not answer." in capsys.readouterr().err
    assert [one.version for outcome in OUTCOMES for one in versions(tracker, outcome)] == ["1", "1"]
    assert [one.aliases for outcome in OUTCOMES for one in versions(tracker, outcome)] == ["champion", "champion"]

    monkeypatch.undo()
    assert cli.main(command) == 0
    assert "Going on where an interrupted training was" in capsys.readouterr().out
    again = json.loads(workspace.store.result("train").read_text("utf-8"))
    kept = workspace.store.training
    assert not kept.exists() or not list(kept.iterdir())
    for outcome, one in trained["outcomes"].items():
        assert again["outcomes"][outcome]["metrics"] == one["metrics"]
        assert again["outcomes"][outcome]["alias"] == "champion"
        compared = again["outcomes"][outcome]["comparison"]
        assert compared["basis"] == "recorded tests"
        assert compared["loss"] == {"value": 0.0, "lo": 0.0, "hi": 0.0}
        assert compared["rows"] == max(row["n"] for row in one["metrics"])


def test_a_feature_to_be_allowed_that_is_none_is_refused_before_anything_is_fitted(
    demo_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", "--study", str(demo_dir / "study.yaml"), "--allow", "tenure_day"]) == 2
    assert "--allow: 'tenure_day' is none of the panel's" in (told := capsys.readouterr().err)
    assert "Did you mean 'tenure_days'?" in told


def test_ctrl_c_ends_a_flow_at_once_with_130_and_one_line(copied: Callable[[bool], Path]) -> None:
    command = [sys.executable, "-u", "-m", "flows.cli", "train", "--study", str(copied(True))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("fold 1"))
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == cli.INTERRUPTED
    assert told == "journeylift: interrupted. What was complete is kept; the same command goes on from there.\n"
