import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, StackingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from features.errors import ModelError
from features.study import parse_study
from flows import tracking
from flows.settings import Settings
from flows.storage import Store

STUDY = "study: tiny\nsources: {t: t.csv}\njourneys: [{name: use, stage: use}]\nflat: {from: t, churned: left}"


class Ours(BaseEstimator):
    def fit(self, X: object, y: object) -> "Ours":
        return self


@pytest.fixture
def tracker(mlflow_store: Path, request: pytest.FixtureRequest) -> tracking.Tracker:
    artifacts = (mlflow_store / "mlflow" / "artifacts").as_uri()
    return tracking.Tracker(f"sqlite:///{mlflow_store / 'mlflow' / 'mlflow.db'}", request.node.name[:40], artifacts)


@pytest.fixture
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))


def test_a_study_without_a_server_is_tracked_in_its_store(tmp_path: Path) -> None:
    tracker = tracking.open_tracker(parse_study(STUDY, "study.yaml"), Store(tmp_path), Settings())
    assert tracker.uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert tracker.model_name("churn") == "tiny-churn"


def test_a_configured_server_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:1")
    study = parse_study(STUDY, "study.yaml")
    assert tracking.open_tracker(study, Store(tmp_path), Settings()).uri == "http://localhost:1"
    own = Settings(tracking_uri="http://localhost:2")
    assert tracking.open_tracker(study, Store(tmp_path), own).uri == "http://localhost:2"
    assert not (tmp_path / "mlflow").exists()


def test_a_run_holds_parameters_metrics_tables_and_its_parent(tracker: tracking.Tracker) -> None:
    with tracker.run("train", "whole", {"seed": "3"}) as parent:
        parent.log_params({"study": {"name": "tiny", "journeys": [{"name": f"j{at}"} for at in range(150)]}})
        with tracker.run("train", "boosting", {}, parent) as child:
            child.log_metrics({"log_loss": 0.25, "unknown": float("nan")})
            child.log_table(pd.DataFrame({"a": [1]}), "metrics.csv")
    whole, part = tracker.client.get_run(parent.run_id), tracker.client.get_run(child.run_id)
    assert len(whole.data.params) == 151
    assert whole.data.tags["seed"] == "3"
    assert whole.info.status == "FINISHED"
    assert part.data.metrics == {"log_loss": 0.25}
    assert part.data.tags["mlflow.parentRunId"] == parent.run_id
    assert [found.path for found in tracker.client.list_artifacts(child.run_id)] == ["metrics.csv"]


def test_a_run_that_fails_is_marked_as_failed(tracker: tracking.Tracker) -> None:
    with pytest.raises(ValueError, match="broken"), tracker.run("train", "x", {}) as run:
        raise ValueError("broken")
    assert tracker.client.get_run(run.run_id).info.status == "FAILED"


def _models() -> dict[str, Any]:
    boosted = HistGradientBoostingClassifier(max_iter=3)
    return {
        "logistic": make_pipeline(SplineTransformer(n_knots=3), StandardScaler(), LogisticRegression()),
        "calibrated": StackingClassifier([("boosting", boosted)], LogisticRegression(), cv="prefit"),
        "revenue": HistGradientBoostingRegressor(max_iter=3),
        "ridge": make_pipeline(StandardScaler(), Ridge()),
    }


@pytest.mark.parametrize("kind", _models())
def test_a_champion_predicts_as_the_fitted_model_did(tracker: tracking.Tracker, rows: pd.DataFrame, kind: str) -> None:
    churned = (rows["a"] > 0).astype(int)
    model = _models()[kind]
    if kind == "calibrated":
        model.estimators[0][1].fit(rows, churned)
    model.fit(rows, churned)
    with tracker.run("train", "x", {}) as run:
        number = run.register("churn", model, {"feature_contract_hash": "abc"})
        assert tracker.client.get_run(run.run_id).info.status == "RUNNING"
    tracking.set_alias(tracker, "churn", number, tracking.CHAMPION)
    champion = tracking.find_champion(tracker, "churn")
    assert champion is not None
    assert champion.version == number
    np.testing.assert_array_equal(champion.load("abc").predict(rows), model.predict(rows))
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_champion_loads_where_our_code_is_absent(
    tracker: tracking.Tracker, rows: pd.DataFrame, tmp_path: Path
) -> None:
    model = HistGradientBoostingClassifier(max_iter=3).fit(rows, rows["a"] > 0)
    with tracker.run("train", "x", {}) as run:
        number = run.register("churn", model, {})
    code = f"""
import sys
sys.path[:] = [path for path in sys.path if path not in ('', {str(Path.cwd())!r})]
import importlib.util, mlflow.sklearn
assert importlib.util.find_spec('models') is None and importlib.util.find_spec('flows') is None
print(type(mlflow.sklearn.load_model('models:/{tracker.model_name("churn")}/{number}')).__name__)
"""
    environment = os.environ | {"MLFLOW_TRACKING_URI": tracker.uri}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "HistGradientBoostingClassifier", done.stderr


def test_features_under_another_contract_are_refused(tracker: tracking.Tracker, rows: pd.DataFrame) -> None:
    with tracker.run("train", "x", {}) as run:
        number = run.register("churn", Ridge().fit(rows, rows["a"]), {"feature_contract_hash": "abc"})
    tracking.set_alias(tracker, "churn", number, tracking.CHAMPION)
    champion = tracking.find_champion(tracker, "churn")
    assert champion is not None
    with pytest.raises(ModelError, match=r"version 1 was fitted on features abc.*journeylift train"):
        champion.load("def")


def test_a_model_holding_a_class_of_ours_is_never_stored(tracker: tracking.Tracker, rows: pd.DataFrame) -> None:
    with (
        pytest.raises(ModelError, match=r"Ours.*Only classes that load anywhere"),
        tracker.run("train", "x", {}) as run,
    ):
        run.register("churn", Ours().fit(rows, rows), {})
    assert tracking.find_champion(tracker, "churn") is None


def test_a_run_is_found_again_with_its_note_parent_and_files_also_when_deleted(tracker: tracking.Tracker) -> None:
    with tracker.run("simulate", "all", {}, note="It was **found**.") as parent:
        parent.log_bytes(b"\x00draws", "draws.npz")
        with tracker.run("simulate", "one", {"initiative": "a"}, parent) as child:
            pass
    found = tracker.recorded(child.run_id)
    assert found is not None
    assert (found.name, found.parent, found.tags["initiative"]) == ("one", parent.run_id, "a")
    assert found.experiment.endswith("/simulate")
    whole = tracker.recorded(parent.run_id)
    assert whole is not None
    assert (whole.parent, whole.is_deleted, whole.tags["mlflow.note.content"]) == ("", False, "It was **found**.")
    assert tracker.artifact(parent.run_id, "draws.npz") == b"\x00draws"
    assert tracker.artifact(child.run_id, "draws.npz") is None
    tracker.client.delete_run(parent.run_id)
    gone = tracker.recorded(parent.run_id)
    assert gone is not None
    assert gone.is_deleted
    assert tracker.recorded("0" * 32) is None
