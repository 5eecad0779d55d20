from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from features.errors import ModelError
from flows.fence import load_champions, overtaken, require_registered
from flows.registry import crown
from flows.tracking import CHAMPION, Champion, Tracker, find_champion

HELD = {"feature_contract_hash": "h"}


@pytest.fixture
def tracker(mlflow_store: Path, request: pytest.FixtureRequest) -> Tracker:
    artifacts = (mlflow_store / "mlflow" / "artifacts").as_uri()
    return Tracker(f"sqlite:///{mlflow_store / 'mlflow' / 'mlflow.db'}", request.node.name[:40], artifacts)


@pytest.fixture
def champions(tracker: Tracker) -> dict[str, Champion]:
    _crown(tracker)
    found = find_champion(tracker, "churn")
    assert found is not None
    return {"churn": found}


def _crown(tracker: Tracker, strength: float = 1.0) -> None:
    with tracker.run("train", "train", {}) as run:
        number = run.register("churn", LogisticRegression(C=strength).fit([[0.0], [1.0]], [0, 1]), HELD)
    crown(tracker, "churn", number)


def test_a_champion_that_stays_is_loaded_and_nothing_is_said(champions: dict[str, Champion]) -> None:
    loaded = load_champions(champions, "h")
    assert loaded["churn"].version == "1"
    assert loaded["churn"].estimator.predict([[0.0], [1.0]]).tolist() == [0, 1]
    require_registered(champions)
    assert overtaken(champions) == []


def test_a_run_stays_with_the_version_it_began_with_and_says_which_is_newer(
    tracker: Tracker, champions: dict[str, Champion]
) -> None:
    _crown(tracker)
    assert load_champions(champions, "h")["churn"].version == "1"
    (note,) = overtaken(champions)
    assert "version 2 is champion since this run began; these scores are by version 1" in note
    tracker.client.delete_registered_model_alias(tracker.model_name("churn"), CHAMPION)
    (note,) = overtaken(champions)
    assert "there is no champion since this run began" in note


def test_a_version_that_was_withdrawn_is_refused_before_loading_and_before_publishing(
    tracker: Tracker, champions: dict[str, Champion]
) -> None:
    tracker.client.delete_model_version(tracker.model_name("churn"), "1")
    for use in (require_registered, lambda given: load_champions(given, "h")):
        with pytest.raises(ModelError, match="version 1, the champion when this run began, has been withdrawn since"):
            use(champions)


def test_the_number_of_a_withdrawn_version_given_to_another_model_is_refused(
    tracker: Tracker, champions: dict[str, Champion]
) -> None:
    tracker.client.delete_registered_model(tracker.model_name("churn"))
    _crown(tracker, strength=0.01)
    found = find_champion(tracker, "churn")
    assert found is not None
    assert found.version == "1"
    with pytest.raises(ModelError, match="version 1, the champion when this run began, has been withdrawn since"):
        require_registered(champions)
    (note,) = overtaken(champions)
    assert "version 1 is champion since this run began" in note


def test_a_champion_of_other_features_is_refused(champions: dict[str, Champion]) -> None:
    with pytest.raises(ModelError, match="was fitted on features h, the panel holds features other"):
        load_champions(champions, "other")
