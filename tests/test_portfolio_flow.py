"""journeylift portfolio, end to end on the demo's company."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import cli
from flows.storage import open_workspace
from flows.tracking import open_tracker


@pytest.fixture(scope="module")
def chosen(demo_dir: Path) -> dict[str, Any]:
    return dict(json.loads((demo_dir / "store" / "results" / "portfolio.json").read_text("utf-8")))


def test_the_demo_chooses_among_all_that_is_not_refused(demo_dir: Path, chosen: dict[str, Any]) -> None:
    simulated = json.loads((demo_dir / "store" / "results" / "simulate.json").read_text("utf-8"))["initiatives"]
    left_out = {one["name"] for one in simulated if one["verdict"] in {"refused", "unsupported"}}
    assert {one["initiative"] for one in chosen["members"]} == {one["name"] for one in simulated} - left_out
    assert all(any(name in note for note in chosen["notes"]) for name in left_out)
    assert chosen["gap"] == 0 or not chosen["funded"]


def test_members_carry_the_value_that_the_simulation_told(demo_dir: Path, chosen: dict[str, Any]) -> None:
    simulated = json.loads((demo_dir / "store" / "results" / "simulate.json").read_text("utf-8"))["initiatives"]
    npv = {one["name"]: one["npv"] for one in simulated}
    for one in chosen["members"]:
        assert one["value_alone"] == pytest.approx(npv[one["initiative"]])


def test_the_choice_is_recorded_with_tables_and_charts(demo_dir: Path, chosen: dict[str, Any]) -> None:
    workspace = open_workspace(demo_dir / "study.yaml")
    tracker = open_tracker(workspace.study, workspace.store)
    names = {one.path for one in tracker.client.list_artifacts(chosen["run_id"])}
    assert names >= {"members.csv", "frontier.csv", "frontier.svg", "stability.svg", "initiatives.yaml"}


def test_the_same_again_gives_the_same_bytes_without_simulating(
    copied: Callable[[bool], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    study = copied(True)
    result = study.parent / "store" / "results" / "portfolio.json"
    assert cli.main(["portfolio", "--study", str(study), "--budget", "300000"]) == 0
    first = {k: v for k, v in json.loads(result.read_text("utf-8")).items() if k != "run_id"}
    assert cli.main(["portfolio", "--study", str(study), "--budget", "300000"]) == 0
    assert {k: v for k, v in json.loads(result.read_text("utf-8")).items() if k != "run_id"} == first
    assert "simulated as they are now" not in capsys.readouterr().out
    assert first["cost"] <= 300_000


@pytest.mark.parametrize(
    ("section", "options", "match"),
    [
        ("{must: [quick-chat]}", (), "Did you mean 'quicker-chat'"),
        ("{must: [quicker-chat], never: [quicker-chat]}", (), "in must and in never"),
        ("{must: [fewer-storm-outages]}", (), "'fewer-storm-outages' must be done, but it is refused"),
        ("{}", ("--budget", "1"), "budget"),
        ("{}", ("--budget", "-1"), "--budget -1 is out of range"),
        ("{}", ("--aversion", "2"), "--aversion 2 is out of range. Expected 0 to 1"),
        ("{must: [quicker-chat]}", ("--cash", "10"), "at hand"),
    ],
)
def test_bad_input_ends_in_a_sentence_and_code_2(
    demo_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    section: str,
    options: tuple[str, ...],
    match: str,
) -> None:
    text = (demo_dir / "initiatives.yaml").read_text("utf-8")
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"{text}portfolio: {section}\n", encoding="utf-8")
    before = (demo_dir / "store" / "results" / "portfolio.json").read_bytes()
    study = str(demo_dir / "study.yaml")
    assert cli.main(["portfolio", "--study", study, "--initiatives", str(plan), *options]) == 2
    told = capsys.readouterr()
    assert match in told.err
    assert "Traceback" not in told.out + told.err
    assert (demo_dir / "store" / "results" / "portfolio.json").read_bytes() == before
