import json
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from features.contract import PANEL, PanelContract
from flows import cli, registry
from flows.storage import open_workspace
from flows.tracking import CHALLENGER, CHAMPION, Run, Tracker, find_champion, open_tracker, set_alias
from flows.unfinished import OPENED, noted

STUDY = """
study: {name}
store: {store}
sources: {{t: t.csv}}
journeys: [{{name: use, stage: use}}]
flat: {{from: t, churned: left}}
"""


@pytest.fixture
def study(mlflow_store: Path) -> Path:
    """A study of its own, in the folder of the store whose MLflow database exists."""
    name = f"study-{uuid.uuid4().hex[:8]}"
    path = mlflow_store.parent / f"{name}.yaml"
    path.write_text(STUDY.format(name=name, store=mlflow_store.name), encoding="utf-8")
    return path


@pytest.fixture
def tracker(study: Path) -> Tracker:
    workspace = open_workspace(study)
    return open_tracker(workspace.study, workspace.store)


def _register(tracker: Tracker, outcome: str = "churn", loss: float = 0.25, features: str = "") -> str:
    model = LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1])
    tags = {
        "candidate": "logistic",
        "out_of_time_loss": repr(loss),
        "out_of_time_auc": "0.7",
        "data_fingerprint": "d" * 64,
        "feature_contract_hash": features,
    }
    with tracker.run("train", "train", {}) as run:
        return run.register(outcome, model, tags | {"trained_until": "1704067200000000"})


def test_versions_are_listed_newest_first_with_what_they_are(
    study: Path, tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["models", "--study", str(study)]) == 0
    assert "No model of" in capsys.readouterr().out
    for loss in (0.25, 0.2):
        _register(tracker, loss=loss)
    registry.crown(tracker, "churn", "1")
    set_alias(tracker, "churn", "2", CHALLENGER)
    assert cli.main(["models", "--study", str(study), "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    newest, oldest = told["versions"]
    assert (newest["version"], newest["aliases"], newest["loss"]) == ("2", "challenger", 0.2)
    assert (oldest["version"], oldest["aliases"], oldest["auc"]) == ("1", "champion", 0.7)
    assert (oldest["trained_until"], oldest["data"], oldest["r2"]) == ("2024-01-01", "dddddddd", None)
    assert cli.main(["models", "--study", str(study)]) == 0
    shown = capsys.readouterr().out
    assert "champion" in shown
    assert "2024-01-01" in shown


def test_rolling_back_goes_from_champion_to_champion(study: Path, tracker: Tracker) -> None:
    for number in ("1", "2", "3"):
        assert _register(tracker) == number
        if number != "2":
            registry.crown(tracker, "churn", number)
    assert cli.main(["rollback", "churn", "--study", str(study)]) == 0
    champion = find_champion(tracker, "churn")
    assert champion is not None
    assert champion.version == "1"
    registry.crown(tracker, "churn", "2")
    assert cli.main(["rollback", "--study", str(study)]) == 0
    champion = find_champion(tracker, "churn")
    assert champion is not None
    assert champion.version == "1"


def test_rolling_back_to_a_version_needs_no_history(study: Path, tracker: Tracker) -> None:
    for _ in range(2):
        _register(tracker)
    registry.crown(tracker, "churn", "2")
    assert cli.main(["rollback", "churn", "--study", str(study), "--to", "1"]) == 0
    champion = find_champion(tracker, "churn")
    assert champion is not None
    assert champion.version == "1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["churn"], "is its first champion. Name a version with --to: 1, 2."),
        (["churn", "--to", "7"], "has no version 7. Expected one of 1, 2."),
        (["churn", "--to", "2"], "version 2 is the champion already"),
        (["revenue"], "has no champion to go back from"),
        (["profit"], "'profit' is no outcome with a model. Expected churn or revenue."),
        (["--to", "1"], "--to 1 needs an outcome"),
        ([], "has had an earlier champion"),
    ],
)
def test_a_way_back_that_is_none_is_refused_and_nothing_changes(
    study: Path, tracker: Tracker, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    for _ in range(2):
        _register(tracker)
    registry.crown(tracker, "churn", "2")
    assert cli.main(["rollback", *arguments, "--study", str(study)]) == 7
    assert told in capsys.readouterr().err
    champion = find_champion(tracker, "churn")
    assert champion is not None
    assert champion.version == "2"


@pytest.fixture
def panel(study: Path) -> Iterator[None]:
    """A panel of the features bbb..., in the store that the tests of this module share."""
    folder = open_workspace(study).store.root / PANEL
    folder.mkdir()
    PanelContract(
        study="any", layout_fingerprint="x", feature_contract_hash="b" * 64, features=(), outcomes=(), data_end=0,
        partitions=(),
    ).write(folder)  # fmt: skip
    yield
    shutil.rmtree(folder)


@pytest.mark.usefixtures("panel")
def test_a_version_that_cannot_score_the_panel_is_refused_unless_forced(
    study: Path, tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    for outcome in registry.OUTCOMES:
        for features in ("b" * 64, "a" * 64, "b" * 64):
            registry.crown(tracker, outcome, _register(tracker, outcome, features=features))
    assert cli.main(["rollback", "--study", str(study)]) == 7
    told = capsys.readouterr().err
    assert "version 2 was trained on features aaaaaaaa, the panel holds features bbbbbbbb" in told
    assert "(--to 1)" in told
    assert "journeylift rollback churn --to 2 --force" in told
    assert _champions(tracker) == ["3", "3"]
    assert cli.main(["rollback", "churn", "--to", "1", "--study", str(study)]) == 0
    assert cli.main(["rollback", "revenue", "--force", "--study", str(study)]) == 0
    assert _champions(tracker) == ["1", "2"]


def _champions(tracker: Tracker) -> list[str]:
    found = [find_champion(tracker, outcome) for outcome in registry.OUTCOMES]
    return [one.version for one in found if one is not None]


@pytest.mark.usefixtures("panel")
def test_of_two_outcomes_neither_goes_back_when_one_cannot(study: Path, tracker: Tracker) -> None:
    for outcome, first in zip(registry.OUTCOMES, ("b", "a"), strict=True):
        for features in (first, "b"):
            registry.crown(tracker, outcome, _register(tracker, outcome, features=features * 64))
    assert cli.main(["rollback", "--study", str(study)]) == 7
    assert _champions(tracker) == ["2", "2"]


@pytest.mark.parametrize("command", [["models"], ["rollback", "churn"], ["train"]])
def test_a_registry_that_does_not_answer_is_one_message_without_secrets(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.setenv("JOURNEYLIFT_TRACKING_URI", "http://someone:secret@localhost:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert cli.main([*command, "--study", str(study)]) == 7
    told = capsys.readouterr().err
    assert "MLflow at http://localhost:9 does not answer" in told
    assert "secret" not in told


def test_a_locked_database_is_told_as_such_and_nothing_changes(
    study: Path, tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.crown(tracker, "churn", _register(tracker))
    path = tracker.uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        assert cli.main(["models", "--study", str(study)]) == 7
    told = capsys.readouterr().err
    assert "mlflow.db in the store) is locked by another program" in told
    assert "Traceback" not in told
    assert cli.main(["models", "--study", str(study)]) == 0


def test_what_an_unfinished_training_registered_is_taken_back(tracker: Tracker) -> None:
    first = _register(tracker)
    registry.crown(tracker, "churn", first)
    before = registry.standing(tracker)
    for outcome in registry.OUTCOMES:
        number = _register(tracker, outcome)
        registry.crown(tracker, outcome, number)
        (run_id,) = (one.run_id for one in registry.versions(tracker, outcome) if one.version == number)
        registry.withdraw(tracker, run_id, before)
    (left,) = registry.versions(tracker, "churn")
    assert (left.version, left.aliases) == (first, CHAMPION)
    assert registry.versions(tracker, "revenue") == ()
    assert registry.standing(tracker)["churn"] == before["churn"]
    assert registry.standing(tracker)["revenue"].aliases == {}


def _die_in_training(tracker: Tracker, outcomes: tuple[str, ...], crowned: tuple[str, ...]) -> str:
    """Leave what a training leaves that is killed after some versions were registered and some crowned."""
    undo = {outcome: asdict(one) for outcome, one in registry.standing(tracker).items()}
    with suppress(InterruptedError), noted(tracker.notes, undo) as token:
        created = tracker.client.create_run(tracker.experiment("train"), tags={OPENED: token})
        run = Run(tracker, created.info.run_id, token)
        for outcome in outcomes:
            number = run.register(outcome, LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1]), {})
            if outcome in crowned:
                registry.crown(tracker, outcome, number)
        raise InterruptedError
    return run.run_id


@pytest.mark.parametrize("crowned", [(), ("churn",), ("churn", "revenue")])
def test_what_a_dead_training_left_is_taken_back_and_its_numbers_are_given_again(
    tracker: Tracker, crowned: tuple[str, ...]
) -> None:
    registry.crown(tracker, "churn", _register(tracker))
    before = registry.standing(tracker)
    run_id = _die_in_training(tracker, ("churn", "revenue"), crowned)
    assert registry.put_right(tracker) == 1
    assert registry.standing(tracker) == before
    assert [one.version for one in registry.versions(tracker, "churn")] == ["1"]
    assert registry.versions(tracker, "revenue") == ()
    assert tracker.client.get_run(run_id).info.status == "KILLED"
    assert (_register(tracker), _register(tracker, "revenue")) == ("2", "1")
    assert registry.put_right(tracker) == 0


def test_a_later_training_keeps_its_aliases_when_an_earlier_dead_one_is_taken_back(tracker: Tracker) -> None:
    _die_in_training(tracker, ("churn",), ("churn",))
    later = _register(tracker)
    registry.crown(tracker, "churn", later)
    registry.put_right(tracker)
    found = find_champion(tracker, "churn")
    assert found is not None
    assert found.version == later
    assert [one.version for one in registry.versions(tracker, "churn")] == [later]


def test_a_training_that_goes_on_elsewhere_is_left_alone(tracker: Tracker) -> None:
    with noted(tracker.notes, {"churn": {"aliases": {}, "history": ""}}) as token:
        with tracker.run("train", "train", {}, token=token) as run:
            number = run.register("churn", LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1]), {})
            assert registry.put_right(tracker) == 0
        assert [one.version for one in registry.versions(tracker, "churn")] == [number]


def test_a_way_back_that_died_half_way_is_put_back_for_all_models(study: Path, tracker: Tracker) -> None:
    for outcome in registry.OUTCOMES:
        for _ in range(2):
            registry.crown(tracker, outcome, _register(tracker, outcome))
    before = registry.standing(tracker)
    undo = {"rollback": {outcome: asdict(one) for outcome, one in before.items()}}
    with suppress(InterruptedError), noted(tracker.notes, undo):
        registry.crown(tracker, "churn", "1", deposed="2")
        raise InterruptedError
    assert registry.standing(tracker)["churn"] != before["churn"]
    assert registry.put_right(tracker) == 1
    assert registry.standing(tracker) == before
    assert cli.main(["rollback", "--study", str(study)]) == 0
    assert [one.aliases[CHAMPION] for one in registry.standing(tracker).values()] == ["1", "1"]
    assert registry.put_right(tracker) == 0, "a way back that came to its end stays"
