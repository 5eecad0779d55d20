import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.contract import read_contract
from features.layout import open_layout
from features.snapshot import iso, parse_date
from flows import cli
from flows.monitor_batch import Asked, Batch, look_at_batch
from flows.monitor_outcomes import (
    are_late,
    changes,
    has_learned,
    latest_judged,
    outcomes_digests,
    outcomes_of,
    promise_of,
    written,
)
from flows.monitor_section import monitor_section, read_monitor
from flows.monitor_sources import left_out
from flows.scores_read import read_scores, scored_cutoffs
from flows.storage import Workspace, open_workspace, read_json, write_json
from flows.succession import TRAINED_UNTIL
from flows.tracking import find_champion, find_version, open_tracker
from models.alarms import Reason
from models.arrivals import Arrivals
from models.reason_words import in_words
from tests.watched_company import make_watched

UNIT = {"wait_min": 60.0}


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company that ``journeylift monitor`` has looked at once; read it, do not change it."""
    study = make_watched(tmp_path_factory.mktemp("watched") / "a company")
    assert cli.main(["monitor", "--study", str(study), "--fail-on-act"]) == 0
    return study


def result_of(study: Path) -> dict[str, Any]:
    found = read_json(study.parent / "store" / "results" / "monitor.json")
    assert found is not None
    return found


def without_run(study: Path) -> str:
    """All of ``monitor.json`` but the name of its run."""
    lines = (study.parent / "store" / "results" / "monitor.json").read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if '"run_id"' not in line)


def looked(workspace: Workspace, scores: pd.DataFrame) -> Batch:
    root = workspace.store.root
    contract = read_contract(root)
    champion = find_champion(open_tracker(workspace.study, workspace.store), "churn")
    now = time.time_ns() // 1_000
    asked = Asked(workspace, contract, open_layout(root), scores, contract.cutoffs[-1], now)
    return look_at_batch(asked, champion, lambda _: None)


def kinds(batch: Batch) -> set[tuple[str, str]]:
    return {(one.kind, one.verdict) for one in batch.reasons}


def test_an_undisturbed_batch_is_ok_and_what_it_was_compared_with_is_told(monitored: Path) -> None:
    found = result_of(monitored)
    assert (found["verdict"], found["reasons"]) == ("ok", [])
    assert {one["check"] for one in found["checks"]} == {
        "freshness", "schema", "scored customers", "volume", "features", "different scores", "scores", "sources",
    }  # fmt: skip
    assert "cutoffs from" in found["notes"][0]
    controlled = "any alarm about features, scores, what arrived or the number of customers"
    assert f"at most 5% of undisturbed batches raise {controlled}" in found["notes"][1]
    assert [one["cutoff"] for one in found["batches"]] == list(scored_cutoffs(open_workspace(monitored).store))


def test_outcomes_of_a_mature_batch_stand_beside_the_promise(monitored: Path) -> None:
    (outcome,) = result_of(monitored)["outcomes"]
    assert outcome["cutoff"] == iso(read_contract(monitored.parent / "store").matured[-1])
    assert outcome["promise_cutoffs"] == 2
    table = {row["metric"]: row for row in outcome["metrics"]}
    assert set(table) == {"auc", "brier", "calibration_intercept", "calibration_slope", "lift"}
    assert table["auc"]["lo"] < table["auc"]["value"] < table["auc"]["hi"]
    assert table["auc"]["promised"] is not None
    assert read_json(monitored.parent / "store" / "monitor" / f"cutoff_date={outcome['cutoff']}.json") is not None


def test_mlflow_keeps_the_verdict_and_realised_metrics(monitored: Path) -> None:
    workspace = open_workspace(monitored)
    tracker = open_tracker(workspace.study, workspace.store)
    run = tracker.client.get_run(result_of(monitored)["run_id"])
    assert run.data.tags["verdict"] == "ok"
    assert {"realised_auc", "promised_auc", "largest_psi"} <= set(run.data.metrics)
    assert tracker.artifact(run.info.run_id, "verdicts.png")


def test_the_report_answers_whether_scores_are_still_right(monitored: Path) -> None:
    section = monitor_section(read_monitor(result_of(monitored)))
    assert section.lead.startswith("Yes, as far as can be told")
    assert "came true: AUC" in section.lead
    assert [block.title for block in section.blocks][1:3] == ["Did earlier scores come true?", "What moved"]


def test_features_are_named_in_words_with_their_column_beside(monitored: Path) -> None:
    found = result_of(monitored)
    contract = read_contract(monitored.parent / "store")
    words = {one.name: in_words(one) for one in contract.features} | {"churn_risk": "churn risk (the score)"}
    assert {row["feature"]: row["words"] for row in found["features"]}.items() <= words.items()
    table = next(block.table for block in monitor_section(read_monitor(found)).blocks if block.title == "What moved")
    assert table is not None
    assert table.rows[0][0] == words[found["features"][0]["feature"]]
    assert table.rows[0][-1] == f"\n{found['features'][0]['feature']}"
    (check,) = [one for one in found["checks"] if one["check"] == "features"]
    assert "__" not in check["value"]


def test_a_result_of_before_names_features_by_their_column(monitored: Path) -> None:
    found = result_of(monitored)
    for row in found["features"]:
        del row["words"]
    table = next(block.table for block in monitor_section(read_monitor(found)).blocks if block.title == "What moved")
    assert table is not None
    assert table.rows[0][0] == found["features"][0]["feature"]


def test_what_is_kept_of_the_reference_changes_nothing_and_is_made_anew_where_it_is_damaged(
    monitored: Path, tmp_path: Path
) -> None:
    study = _copied(monitored, tmp_path)
    folder = study.parent / "store" / "monitor" / "reference"
    there = sorted(folder.iterdir())
    assert len(there) >= 8
    first = there[0].read_bytes()
    there[0].write_bytes(first[: len(first) // 2])
    there[1].unlink()
    (folder / "cutoff_date=2001-01-01.bin").write_bytes(first)
    assert cli.main(["monitor", "--study", str(study)]) == 0
    assert without_run(study) == without_run(monitored)
    assert sorted(folder.iterdir()) == there
    assert there[0].read_bytes() == first
    assert not (folder / "cutoff_date=2001-01-01.bin").exists()


def test_scores_that_are_all_alike_need_action(monitored: Path) -> None:
    workspace = open_workspace(monitored)
    scores = read_scores(workspace.store, scored_cutoffs(workspace.store)[-1])
    batch = looked(workspace, scores.assign(churn_risk=0.05))
    assert ("constant score", "act") in kinds(batch)
    assert batch.reasons[0].text.startswith("1 different scores for")


def test_scores_under_other_features_and_without_some_customers_are_told(monitored: Path) -> None:
    workspace = open_workspace(monitored)
    scores = read_scores(workspace.store, scored_cutoffs(workspace.store)[-1])
    batch = looked(workspace, scores.iloc[5:].assign(feature_contract_hash="0" * 64))
    assert {("schema", "act"), ("unscored", "watch")} <= kinds(batch)
    assert any(one.text.startswith("5 of ") for one in batch.reasons)


def test_data_older_than_scoring_allows_need_action(monitored: Path, tmp_path: Path) -> None:
    text = monitored.read_text("utf-8") + "scoring: {freshness: {touchpoints: 2 days, revenue: 5000 weeks}}\n"
    other = tmp_path / "study.yaml"
    other.write_text(text, "utf-8")
    workspace = open_workspace(monitored)
    strict = Workspace(workspace.study_file, open_workspace(other, reads_only=True).study, workspace.store)
    batch = looked(strict, read_scores(workspace.store, scored_cutoffs(workspace.store)[-1]))
    (reason,) = [one for one in batch.reasons if one.kind == "freshness"]
    assert reason.verdict == "act"
    assert reason.text.startswith("The newest row of touchpoints is of")
    assert "at most 2 days were expected (scoring.freshness)" in reason.text


def test_a_change_of_unit_last_month_fails_the_run_that_is_to_fail(
    monitored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = _copied(monitored, tmp_path)
    last = pd.Timestamp(parse_date(result_of(study)["cutoff"]), unit="us", tz="UTC")
    path = study.parent / "touchpoints.parquet"
    table = pq.read_table(path)
    late = pd.to_datetime(table["event_time"].to_pandas(), utc=True) >= last - pd.Timedelta(days=31)
    waits = table["wait_min"].to_pandas() * np.where(late, UNIT["wait_min"], 1.0)
    field = table.field("wait_min")
    table = table.set_column(table.column_names.index("wait_min"), field, pa.array(waits, field.type, from_pandas=True))
    pq.write_table(table, path)
    out = tmp_path / "found.json"
    assert cli.main(["monitor", "--study", str(study), "--fail-on-act", "--json", str(out)]) == 9
    found = json.loads(out.read_text("utf-8"))
    assert found["verdict"] == "act"
    assert "unit" in {one["kind"] for one in found["reasons"]}
    assert "wait in support: typical size" in capsys.readouterr().err


def test_a_cutoff_without_scores_is_refused_with_those_there_are(
    monitored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["monitor", "--study", str(monitored), "--cutoff", "2031-01-01"]) == 2
    assert "--cutoff 2031-01-01: there are no scores of it. One of the 2 scored cutoffs" in capsys.readouterr().err


def test_outcomes_that_came_late_are_told_with_what_they_change() -> None:
    metrics = [{"metric": "auc", "value": 0.7}, {"metric": "brier", "value": 0.05}]
    before = {"n": 900, "churned": 40, "metrics": metrics}
    after = {"cutoff": "2025-06-01", "n": 900, "churned": 44, "metrics": [{"metric": "auc", "value": 0.66}]}
    told = changes(before, after)
    assert told.startswith("Outcomes of 2025-06-01 came late or were corrected.")
    assert "of them left: 40 before, 44 now; AUC: 0.7 before, 0.66 now" in told
    assert changes(before, {"cutoff": "2025-06-01", **before}) == ""


def test_other_rules_or_scores_make_outcomes_anew_and_nothing_else_does(monitored: Path) -> None:
    workspace = open_workspace(monitored)
    contract = read_contract(workspace.store.root)
    cutoff = iso(contract.matured[-1])
    once = outcomes_digests(workspace, contract, cutoff, (0.1, 0.01))
    assert outcomes_digests(workspace, contract, cutoff, (0.1, 0.01)) == once
    other = outcomes_digests(workspace, contract, cutoff, (0.2, 0.01))
    assert {name for name in once if once[name] != other[name]} == {"rules"}


def test_late_outcomes_of_a_run_that_died_are_told_by_the_next_one(monitored: Path, tmp_path: Path) -> None:
    study = _copied(monitored, tmp_path)
    kept = study.parent / "store" / "monitor" / f"cutoff_date={result_of(study)['outcomes'][-1]['cutoff']}.json"
    before = read_json(kept) or {}
    write_json(kept, before | {"untold": "Outcomes of then came late. of them left: 3 before, 5 now."})
    for told in (["Outcomes of then came late. of them left: 3 before, 5 now."], []):
        assert cli.main(["monitor", "--study", str(study)]) == 0
        found = result_of(study)["reasons"]
        assert [one["text"] for one in found if one["kind"] == "late outcomes"] == told
        assert "untold" not in (read_json(kept) or {})


def test_outcomes_are_called_late_only_where_scores_and_rules_are_the_same() -> None:
    once = {"rows": "a", "scores": "b", "rules": "c"}
    assert are_late(once, {**once, "rows": "x"})
    assert not any(are_late(once, now) for now in (once, {**once, "rules": "x"}, {**once, "rows": "x", "scores": "x"}))
    assert not are_late({}, once)


def test_a_change_of_rules_alone_is_not_told_as_late_outcomes(monitored: Path, tmp_path: Path) -> None:
    study = _copied(monitored, tmp_path)
    study.write_text(study.read_text("utf-8") + "monitoring: {contacted_share: 0.3}\n", "utf-8")
    assert cli.main(["monitor", "--study", str(study)]) == 0
    (before,), (after,) = result_of(monitored)["outcomes"], result_of(study)["outcomes"]
    assert (before["contacted_share"], after["contacted_share"]) == (0.1, 0.3)
    assert "late outcomes" not in {one["kind"] for one in result_of(study)["reasons"]}


def test_a_cutoff_whose_outcomes_the_version_has_learned_from_is_measured_but_not_judged(monitored: Path) -> None:
    workspace = open_workspace(monitored)
    contract = read_contract(workspace.store.root)
    champion = find_champion(open_tracker(workspace.study, workspace.store), "churn")
    assert champion is not None
    mature, latest = iso(contract.matured[-1]), contract.matured[-1]
    later = replace(champion, tags={**champion.tags, TRAINED_UNTIL: str(latest)})
    assert (has_learned(champion, mature), has_learned(later, mature), has_learned(None, mature)) == (
        False,
        True,
        False,
    )
    promised = promise_of(workspace, contract, champion)
    found = written(outcomes_of(workspace, mature, promised, {}, share=0.1, alpha=0.01, is_learned=True))
    assert (found["verdict"], found["reasons"], found["is_learned"]) == ("", [], True)
    assert {row["kept"] for row in found["metrics"]} == {""}
    reasons, (note,) = latest_judged([found], champion.version)
    assert reasons == ()
    assert f"Scores of {mature} are not judged: their model has learned from" in note


def test_broken_promises_of_a_version_that_no_longer_scores_are_a_note() -> None:
    reason = {"kind": "realised", "verdict": "act", "text": "worse"}
    old = {"cutoff": "2025-05-01", "version": "1", "is_learned": False, "reasons": [reason]}
    kept = {"cutoff": "2025-06-01", "version": "2", "is_learned": False, "reasons": []}
    reasons, (note,) = latest_judged([old], "2")
    assert reasons == ()
    assert "Scores of 2025-05-01 came true worse than promised, but they are of model version 1; version 2" in note
    assert latest_judged([old], "1") == ((Reason("realised", "act", "worse"),), ())
    assert latest_judged([old, kept], "2") == ((), ())


def test_scores_of_a_cutoff_that_the_panel_no_longer_holds_are_passed_over_or_refused(
    monitored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = _copied(monitored, tmp_path)
    store = open_workspace(study).store
    shutil.copytree(store.score_partition(result_of(study)["cutoff"]), store.score_partition("2031-01-01"))
    assert cli.main(["monitor", "--study", str(study), "--cutoff", "2031-01-01"]) == 2
    assert "--cutoff 2031-01-01: it has scores, but the panel does not hold it any more" in capsys.readouterr().err
    assert cli.main(["monitor", "--study", str(study)]) == 0
    assert result_of(study)["cutoff"] == result_of(monitored)["cutoff"]


def test_series_that_cannot_be_judged_are_named_in_a_note() -> None:
    table = pd.DataFrame()
    found = Arrivals(table, 12, 0.02, tuple(f"m{number} (size)" for number in range(10)))
    (note,) = left_out(found, "2025-11")
    assert note.startswith("Not judged in 2025-11")
    assert note.endswith("m6 (size), m7 (size) and 2 more.")
    assert left_out(Arrivals(table, 12, 0.02), "2025-11") == ()


def test_a_version_that_was_never_registered_is_none(monitored: Path) -> None:
    workspace = open_workspace(monitored)
    assert find_version(open_tracker(workspace.study, workspace.store), "churn", "77") is None


def _copied(study: Path, tmp_path: Path) -> Path:
    """Copy tables, panel and scores; runs stay where they are recorded."""
    folder = tmp_path / "a copy"
    shutil.copytree(study.parent, folder)
    return folder / study.name
