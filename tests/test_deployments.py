"""What a server can run of a study: found by module path, scheduled by the study."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import yaml

from features.study import Study, parse_study
from features.templates import write_templates
from flows.deployments import deployments
from flows.storage import open_workspace

ROOT = Path(__file__).parents[1]
FLAT = "study: a\nsources: {t: t.csv}\njourneys: [{name: x, stage: use}]\nflat: {from: t, churned: left}\n"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    write_templates(tmp_path)
    return open_workspace(tmp_path / "study.yaml").study


def test_night_and_retraining_run_by_the_studys_times_and_all_else_when_asked(study: Study) -> None:
    lines = {one.flow: one.cron(study) for one in deployments(study)}
    assert lines["nightly"] == "0 5 * * 1"
    assert lines["retrain"] == "0 3 1 * *"
    assert {line for flow, line in lines.items() if flow not in {"nightly", "retrain"}} == {None}
    never = study.model_copy(update={"schedule": study.schedule.model_copy(update={"train": "never"})})
    assert {one.flow: one.cron(never) for one in deployments(never)}["retrain"] is None


def test_every_entrypoint_is_a_flow_of_that_name_in_a_module_of_that_name(study: Study) -> None:
    for one in deployments(study):
        module, _, name = one.entrypoint.rpartition(".")
        found = getattr(import_module(module), name)
        assert found.name == one.flow
        assert "study_file" in found.parameters.properties
        assert one.does.endswith(".")


def test_of_a_flat_table_nothing_runs_by_itself() -> None:
    flat = parse_study(FLAT, "study.yaml")
    assert {one.cron(flat) for one in deployments(flat)} == {None}
    assert "nightly" not in {one.flow for one in deployments(flat)}


def test_the_file_for_work_pools_names_the_same_flows_and_default_times(study: Study) -> None:
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    known = {one.entrypoint: one.cron(study) for one in deployments(study)}
    for one in content["deployments"]:
        crons = [schedule["cron"] for schedule in one.get("schedules", [])]
        assert crons == ([known[one["entrypoint"]]] if known[one["entrypoint"]] else [])
        assert one["concurrency_limit"] == 1
        assert ":" not in one["entrypoint"], "a path of a file would put flows/ on the search path"
    assert content["pull"] == []


def test_workers_can_start_the_image_with_a_command_of_their_own() -> None:
    lines = (ROOT / "examples" / "docker" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if line.upper().startswith("ENTRYPOINT")], "it would be put before the command"
    assert lines[-1] == 'CMD ["journeylift", "--help"]'
    copied = {line.split()[1] for line in lines if line.startswith("COPY")} - {"requirements.lock"}
    assert copied == {"features", "models", "flows"}
    assert "entry point is journeylift" not in (ROOT / "docs" / "how-to" / "schedule.md").read_text(encoding="utf-8")
