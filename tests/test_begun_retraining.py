"""A retraining whose process died goes on with what is done: nothing is trained twice, nothing goes untold."""

from __future__ import annotations

from typing import Any

import pytest

from features.contract import PanelContract
from features.errors import StoreError
from flows.begun_retraining import begin, begun, forget, is_trained
from flows.nightly import nightly
from flows.registry import versions
from flows.retrain import retrain
from flows.storage import Workspace, read_json, write_json
from flows.tracking import open_tracker
from tests.nights import small_company, with_champions

_ASKED = {"kinds": ["realised"], "version": "1"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, PanelContract]:
    """A company with champions, and the result of the training that has made them."""
    found = small_company(tmp_path_factory.mktemp("begun") / "a company")
    return found, with_champions(found)


@pytest.fixture
def company(prepared: tuple[Workspace, PanelContract]) -> Workspace:
    workspace, contract = prepared
    listed = versions(open_tracker(workspace.study, workspace.store), "churn")
    trained = {
        "run_id": listed[0].run_id, "seed": "0", "may_promote": True, "data_fingerprint": contract.layout_fingerprint,
        "outcomes": {"churn": {"version": listed[0].version, "alias": "champion", "reason": "it is better."}},
    }  # fmt: skip
    write_json(workspace.store.result("train"), trained)
    workspace.store.result("retrain").unlink(missing_ok=True)
    forget(workspace)
    return workspace


def _begin(workspace: Workspace, *, if_act: bool = True, seed: int = 0) -> None:
    """Note a retraining, and let a training follow."""
    trained = read_json(workspace.store.result("train")) or {}
    write_json(workspace.store.result("train"), {**trained, "run_id": "of-before"})
    begin(workspace, if_act=if_act, seed=seed, budget=None, why="Monitoring says act.", asked=_ASKED)
    write_json(workspace.store.result("train"), trained)


def test_what_was_begun_is_known_until_it_is_forgotten(company: Workspace) -> None:
    assert begun(company) is None
    _begin(company, if_act=False, seed=3)
    found = begun(company)
    assert found is not None
    assert (found.why, found.asked, found.before) == ("Monitoring says act.", _ASKED, "of-before")
    assert found.is_of(if_act=False, seed=3, budget=None)
    assert not any(
        found.is_of(if_act=act, seed=seed, budget=budget)
        for act, seed, budget in ((True, 3, None), (False, 0, None), (False, 3, 60.0))
    )
    forget(company)
    assert begun(company) is None


@pytest.mark.parametrize(
    ("change", "is_done"),
    [
        ({}, True),
        ({"run_id": "of-before"}, False),
        ({"run_id": "of-a-run-whose-versions-were-taken-back"}, False),
        ({"seed": "1"}, False),
        ({"data_fingerprint": "of other rows"}, False),
        ({"may_promote": False}, False),
        ({"outcomes": {"churn": {"version": "9"}}}, False),
    ],
)
def test_a_training_counts_where_it_is_of_now_and_its_versions_are_registered(
    company: Workspace, prepared: tuple[Workspace, PanelContract], change: dict[str, Any], is_done: bool
) -> None:
    _begin(company)
    write_json(company.store.result("train"), (read_json(company.store.result("train")) or {}) | change)
    found = begun(company)
    assert found is not None
    assert is_trained(company, prepared[1], found) is is_done


def test_a_retraining_that_died_after_its_training_is_told_and_not_trained_again(
    company: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings: list[str] = []
    monkeypatch.setattr("flows.retrain.train", lambda study, **_: trainings.append(study))
    _begin(company)
    retrain(str(company.study_file), if_act=True)
    said = read_json(company.store.result("retrain")) or {}
    assert trainings == []
    assert (said["trained"], said["why"], said["asked"]) == (True, "Monitoring says act.", _ASKED)
    assert said["outcomes"]["churn"]["scores_next"] == "1"
    assert begun(company) is None
    retrain(str(company.study_file))
    assert len(trainings) == 1, "what was told is not gone on with"


def test_a_retraining_that_fails_is_not_gone_on_with(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ConnectionError("the server is away")

    monkeypatch.setattr("flows.retrain.train", broken)
    with pytest.raises(ConnectionError, match="the server is away"):
        retrain(str(company.study_file))
    assert begun(company) is None
    assert read_json(company.store.result("retrain")) is None


@pytest.mark.parametrize(("watched", "parts"), [(True, ["retrain"]), (False, ["score", "monitor", "retrain"])])
def test_a_night_that_died_in_its_retraining_goes_on_there_where_its_batch_was_watched(
    company: Workspace, monkeypatch: pytest.MonkeyPatch, watched: bool, parts: list[str]
) -> None:
    done: list[str] = []
    for part in ("score", "monitor", "retrain"):
        monkeypatch.setattr(f"flows.nightly.{part}", lambda *_, part=part, **__: done.append(part))
    _begin(company)
    data = (read_json(company.store.result("train")) or {})["data_fingerprint"] if watched else "of yesterday"
    write_json(company.store.result("monitor"), {"data_fingerprint": data})
    nightly(str(company.study_file))
    assert done == parts


def test_a_note_of_something_else_is_told_with_its_file(company: Workspace) -> None:
    path = company.store.root / "open" / "retraining.json"
    write_json(path, {"why": "by schedule"})
    with pytest.raises(StoreError, match=r"retraining\.json' holds why\. What a retraining notes when it begins"):
        begun(company)
    path.unlink()
