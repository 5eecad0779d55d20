"""What leaves the page: a file and a run, or one sentence; tables that no spreadsheet executes; a chart; the report."""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from features.errors import StudyError
from flows.planner import Bench, Desk, Setting
from flows.planner_saving import comparison_csv, comparison_png, report_file, save, saved_scenarios, settings_csv
from flows.planner_scenes import put
from flows.planner_sets import compare_sets, set_worth
from flows.tracking import open_tracker
from models.funding import Funding
from tests.benches import a_bench
from tests.worths import a_forecast


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return a_bench(tmp_path)


def settings(bench: Bench, **changed: object) -> dict[str, Setting]:
    return {"good": replace(Setting.of(bench.initiatives["good"]), **changed)}


def test_a_scenario_becomes_a_file_and_a_run(bench: Bench, mlflow_store: Path) -> None:
    shutil.copytree(mlflow_store / "mlflow", bench.workspace.store.mlflow)
    desk, name = Desk(), "<b>“Autumn”</b>; 'quoted'"
    saved = save(bench, desk, name, settings(bench, reach=0.5), Funding(budget=7.0))
    assert saved.sentence.startswith("Saved as scenarios/b-autumn-b-quoted.yaml and recorded in MLflow as run ")
    tracker = open_tracker(bench.workspace.study, bench.workspace.store)
    run = tracker.client.get_run(saved.run_id)
    assert run.info.run_name == name
    assert run.data.tags["seed"] == "0"
    assert run.data.params["good.reach"] == "0.5"
    wanted = set_worth(bench, settings(bench, reach=0.5))
    assert run.data.metrics["npv"] == pytest.approx(wanted.npv.mean())
    assert [one.path for one in tracker.client.list_artifacts(saved.run_id)] == [saved.path.name]
    found, faults = saved_scenarios(bench)
    assert found == {name: saved.scenario}
    assert faults == ()
    tracker.client.delete_run(saved.run_id)
    assert saved_scenarios(bench)[0] == found, "the file is what counts"
    again = save(bench, desk, name, settings(bench, reach=0.6), Funding())
    assert saved_scenarios(bench)[0][name] == again.scenario


def test_two_tabs_saving_one_name_the_second_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEYLIFT_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    first = save(bench, Desk(), "plan", settings(bench), Funding())
    assert first.run_id == ""
    assert (
        "Saved as scenarios/plan.yaml, but not recorded. MLflow at http://127.0.0.1:9 does not answer" in first.sentence
    )
    with pytest.raises(StudyError, match=r"saved as 'plan\.yaml' already"):
        save(bench, Desk(), "plan", settings(bench, reach=0.2), Funding())
    assert saved_scenarios(bench)[0]["plan"] == first.scenario


def test_a_tab_saves_again_what_it_saved_before_the_last_one_or_before_it_loaded_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNEYLIFT_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    desk, other = Desk(), Desk()
    save(bench, desk, "a", settings(bench), Funding())
    second = save(bench, desk, "b", settings(bench, reach=0.7), Funding())
    save(bench, desk, "a", settings(bench, reach=0.6), Funding())
    loaded = put(bench, second.scenario, desk.own)
    save(bench, loaded, "a", settings(bench, reach=0.5), Funding())
    with pytest.raises(StudyError, match=r"saved as 'a\.yaml' already"):
        save(bench, other, "a", settings(bench, reach=0.4), Funding())
    loaded_there = put(bench, saved_scenarios(bench)[0]["a"], other.own)
    last = save(bench, loaded_there, "a", settings(bench, reach=0.3), Funding())
    with pytest.raises(StudyError, match=r"saved as 'a\.yaml' already"):
        save(bench, loaded, "a", settings(bench, reach=0.2), Funding())
    assert saved_scenarios(bench)[0]["a"] == last.scenario, "what another tab saved meanwhile stays"


def test_a_tab_saves_again_what_it_saved_with_rules_about_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNEYLIFT_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    found = [a_forecast("good", excludes=("poor",)), a_forecast("poor", capacity={"people": 2.0}), a_forecast("far")]
    bench, desk = a_bench(tmp_path, found), Desk()
    limits = Funding(capacity={"people": 3.0}, must=("poor",), never=("far",))
    first = save(bench, desk, " plan ", settings(bench), limits)
    assert saved_scenarios(bench)[0] == {"plan": first.scenario}, "the tab knows what is in the file"
    again = save(bench, desk, "plan", settings(bench, reach=0.2), limits)
    assert saved_scenarios(bench)[0] == {"plan": again.scenario}
    assert again.scenario.initiatives[0].reach == 0.2


def test_tables_hold_the_numbers_and_no_formula(bench: Bench) -> None:
    sets = {"=cmd|' /C calc'!A0": set_worth(bench, settings(bench)), "b": set_worth(bench, settings(bench, reach=0.1))}
    rows = compare_sets(sets, "EUR")
    read = pd.read_csv(io.BytesIO(comparison_csv(rows)))
    assert read["scenario"].tolist() == ["'=cmd|' /C calc'!A0", "b"]
    assert read["npv"].tolist() == pytest.approx(rows["npv"].tolist())
    found = pd.read_csv(io.BytesIO(settings_csv(bench, settings(bench, size=0.5)))).iloc[0]
    assert (found["initiative"], found["size"], found["reach"]) == ("good", 0.5, 0.8)
    assert found["npv_lo"] < found["npv"] < found["npv_hi"]


def test_the_chart_is_a_picture(bench: Bench) -> None:
    sets = {"a": set_worth(bench, settings(bench)), "<b>": set_worth(bench, settings(bench, reach=0.1))}
    drawn = comparison_png(compare_sets(sets, "EUR"), "EUR", 24)
    assert drawn.startswith(b"\x89PNG")
    assert len(drawn) > 10_000


def test_the_report_is_that_of_the_store_unless_a_result_is_younger(bench: Bench) -> None:
    store = bench.workspace.store
    store.report.write_text("the report", encoding="utf-8")
    assert report_file(bench) == b"the report"
    store.result("simulate").parent.mkdir()
    store.result("simulate").write_text("{}", encoding="utf-8")
    os.utime(store.report, (1, 1))
    assert b"<html" in report_file(bench)
    assert store.report.read_text(encoding="utf-8") == "the report", "reading writes nothing"
