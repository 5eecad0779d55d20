"""The loop is closed: what monitoring calls for is trained once, promoted if better, and scores next."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.contract import read_contract
from features.errors import StoreError
from flows.monitor import monitor
from flows.retrain import MENDABLE, call_for, retrain
from flows.score import score
from flows.scores_read import scored_cutoffs
from flows.storage import Workspace, open_workspace, read_json, write_json
from flows.tracking import find_champion, open_tracker
from flows.train import to_learn_from
from models.realised import Realised, realised
from tests.nights import small_company, with_champions
from tests.watched_company import make_watched


def _reason(kind: str, verdict: str = "act") -> dict[str, str]:
    return {"kind": kind, "verdict": verdict, "text": f"{kind} it is."}


_ACT = {"verdict": "act", "reasons": [_reason("realised")], "outcomes": [{"version": "0"}, {"version": "1"}]}


@pytest.mark.parametrize(
    ("verdict", "reasons", "is_wanted", "why"),
    [
        ("ok", [], False, "Monitoring says ok: no training is called for."),
        ("watch", [_reason("drift", "watch")], False, "Monitoring says watch"),
        ("act", [_reason("realised")], True, "predictions came true worse than promised"),
        ("act", [_reason("realised"), _reason("drift", "watch")], True, "act: predictions came true worse"),
        ("act", [_reason("realised"), _reason("drift")], False, r"no training can mend \(drift\)"),
        ("act", [_reason("unit")], False, r"no training can mend \(unit\): a person has to look"),
        ("act", [_reason("realised"), _reason("freshness")], False, r"can mend \(freshness\)"),
        ("act", [_reason("realised"), _reason("freshness", "watch")], True, "came true worse"),
        ("act", ["a sentence only"], False, r"\(of unknown kind\)"),
        ("act", [], False, r"\(no reason given\)"),
    ],
)
def test_only_what_newer_rows_can_mend_is_trained_for(
    verdict: str, reasons: list[Any], is_wanted: bool, why: str
) -> None:
    call = call_for({"verdict": verdict, "reasons": reasons})
    assert call.is_wanted is is_wanted
    assert re.search(why, call.why)
    assert set(call.kinds) <= set(MENDABLE)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A company whose champion for churn was fitted while a third of the outcomes were recorded the wrong way round."""
    found = small_company(tmp_path_factory.mktemp("retrained") / "a company", customers=500)
    with_champions(found, damage=0.3, until=0.4)
    return found


def _champion(workspace: Workspace, outcome: str = "churn") -> str:
    found = find_champion(open_tracker(workspace.study, workspace.store), outcome)
    assert found is not None
    return found.version


def test_without_a_verdict_there_is_nothing_to_act_on(company: Workspace) -> None:
    company.store.result("monitor").unlink(missing_ok=True)
    with pytest.raises(StoreError, match=r"Nothing was monitored yet.*Run: journeylift monitor --study"):
        retrain(str(company.study_file), if_act=True)


def test_an_act_verdict_is_answered_once_and_the_winner_scores_next(
    company: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNEYLIFT_TRAINING_ROWS", "1000")
    study = str(company.study_file)
    score(study)
    before = read_json(company.store.result("score")) or {}
    assert before["churn_model_version"] == _champion(company) == "1"
    assert before["mean_churn_risk"] > 0.2, "a third of the outcomes was wrong"

    write_json(company.store.result("monitor"), {"verdict": "watch", "reasons": [_reason("drift", "watch")]})
    retrain(study, if_act=True)
    assert _champion(company) == "1"
    assert (read_json(company.store.result("retrain")) or {})["trained"] is False

    write_json(company.store.result("monitor"), _ACT)
    retrain(study, if_act=True, budget=0.0)
    said = read_json(company.store.result("retrain")) or {}
    assert said["trained"] is True
    assert said["outcomes"]["churn"]["alias"] == "champion", said
    assert said["outcomes"]["churn"]["version"] == said["outcomes"]["churn"]["scores_next"] == _champion(company) == "2"
    assert said["outcomes"]["revenue"]["scores_next"] == _champion(company, "revenue")

    score(study)
    after = read_json(company.store.result("score")) or {}
    assert after["churn_model_version"] == "2"
    assert after["mean_churn_risk"] < 0.15

    retrain(study, if_act=True)
    again = read_json(company.store.result("retrain")) or {}
    assert again["trained"] is False
    assert "has already answered that" in again["why"]
    assert again["asked"] == said["asked"]
    assert again["asked"]["kinds"] == ["realised"]
    assert again["asked"]["version"] == "1"
    assert _champion(company) == "2"


@pytest.mark.parametrize(
    ("last", "is_trained"),
    [
        ({"may_promote": True}, False),
        ({"may_promote": False}, True),
        ({"may_promote": True, "matured": "2020-01-01"}, True),
        ({"may_promote": True, "feature_contract_hash": "0" * 64}, True),
        ({}, True),
    ],
)
def test_any_training_on_the_same_outcomes_has_answered_it_if_it_could_promote(
    company: Workspace, monkeypatch: pytest.MonkeyPatch, last: dict[str, Any], is_trained: bool
) -> None:
    write_json(company.store.result("monitor"), {"verdict": "act", "reasons": [_reason("realised")]})
    by_schedule = to_learn_from(read_contract(company.store.root)) | {"outcomes": {}} | last
    write_json(company.store.result("train"), by_schedule)
    company.store.result("retrain").unlink(missing_ok=True)
    trainings: list[str] = []
    monkeypatch.setattr("flows.retrain.train", lambda study, **_: trainings.append(study))
    retrain(str(company.study_file), if_act=True)
    assert bool(trainings) is is_trained
    said = read_json(company.store.result("retrain")) or {}
    assert said["trained"] is is_trained
    assert said["asked"]["version"] == "", "no outcome was judged"


def test_what_monitoring_writes_is_what_retraining_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any, **more: Any) -> Realised:
        found = realised(*given, **more)
        return replace(found, table=found.table.assign(kept=np.where(found.table["metric"].eq("auc"), "no", "yes")))

    monkeypatch.setattr("flows.monitor_outcomes.realised", broken)
    study = make_watched(tmp_path / "a company")
    store = open_workspace(study).store
    monitor(str(study))
    found = read_json(store.result("monitor")) or {}
    assert {one["kind"] for one in found["reasons"] if one["verdict"] == "act"} == {"realised"}
    assert found["outcomes"][-1]["version"] == "1"
    assert call_for(found).kinds == ("realised",)

    for path in store.score_partition(scored_cutoffs(store)[-1]).glob("part-*.parquet"):
        table = pq.read_table(path)
        at = table.column_names.index("churn_risk")
        pq.write_table(table.set_column(at, table.field(at), pa.array([0.05] * len(table))), path)
    monitor(str(study))
    call = call_for(read_json(store.result("monitor")) or {})
    assert call.is_wanted is False
    assert "constant score" in call.why
