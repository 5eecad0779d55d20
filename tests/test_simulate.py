import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import cli
from flows.storage import open_workspace
from flows.tracking import open_tracker

PROMISED = {
    "name", "churn_effect", "churn_lo", "churn_hi", "revenue_effect", "revenue_lo", "revenue_hi", "npv", "npv_lo",
    "npv_hi", "p_npv_positive", "support_share", "verdict", "n",
}  # fmt: skip
PLAN = """
initiatives:
  - name: one
    changes: [{journey: %s, measure: %s, scale: 0.5}]
    reach: %s
"""


@pytest.fixture(scope="module")
def simulated(demo_dir: Path) -> dict[str, Any]:
    return dict(json.loads((demo_dir / "store" / "results" / "simulate.json").read_text("utf-8")))


def test_every_initiative_has_what_was_promised_in_the_order_of_the_file(
    demo_dir: Path, simulated: dict[str, Any]
) -> None:
    names = re.findall(r"^\s*- name: (\S+)", (demo_dir / "initiatives.yaml").read_text("utf-8"), re.MULTILINE)
    assert [one["name"] for one in simulated["initiatives"]] == names
    assert all(set(one) >= PROMISED for one in simulated["initiatives"])


def test_numbers_lie_within_their_intervals(simulated: dict[str, Any]) -> None:
    estimated = [one for one in simulated["initiatives"] if one["verdict"] != "refused"]
    assert len(estimated) >= 8
    for one in estimated:
        assert one["churn_lo"] < one["churn_effect"] < one["churn_hi"]
        assert one["revenue_lo"] < one["revenue_effect"] < one["revenue_hi"]
        assert one["npv_lo"] < one["npv"] < one["npv_hi"]
        assert 0 <= one["p_npv_positive"] <= 1


def test_what_nobody_controls_is_refused_with_a_reason_and_without_numbers(simulated: dict[str, Any]) -> None:
    (refused,) = [one for one in simulated["initiatives"] if one["verdict"] == "refused"]
    assert refused["name"] == "fewer-storm-outages"
    assert "control" in refused["reason"]
    assert refused["churn_effect"] is None
    assert refused["npv"] is None


def test_each_initiative_has_a_run_under_the_parent(demo_dir: Path, simulated: dict[str, Any]) -> None:
    workspace = open_workspace(demo_dir / "study.yaml")
    tracker = open_tracker(workspace.study, workspace.store)
    query = f"tags.`mlflow.parentRunId` = '{simulated['run_id']}'"
    runs = tracker.client.search_runs([tracker.experiment("simulate")], query)
    assert {run.data.tags["initiative"] for run in runs} == {one["name"] for one in simulated["initiatives"]}
    assert {run.info.run_name for run in runs} == {one["title"] for one in simulated["initiatives"]}
    (bills,) = [run for run in runs if run.data.tags["initiative"] == "right-first-time-bills"]
    assert bills.data.params["changes"] == "billing bill_error: 60 % of failures mended"
    (told,) = [one for one in simulated["initiatives"] if one["name"] == "right-first-time-bills"]
    assert bills.data.metrics["npv_eur_mean"] == told["npv"]
    assert "likely to pay" in bills.data.tags["mlflow.note.content"]


def test_the_draws_are_kept_with_the_run_as_they_are_in_the_store(demo_dir: Path, simulated: dict[str, Any]) -> None:
    workspace = open_workspace(demo_dir / "study.yaml")
    tracker = open_tracker(workspace.study, workspace.store)
    assert tracker.artifact(simulated["run_id"], "draws.npz") == workspace.store.draws.read_bytes()


@pytest.mark.parametrize(
    ("journey", "measure", "reach", "match"),
    [
        ("suport", "wait", "0.5", r"plan\.yaml:4: .*Did you mean 'support'"),
        ("support", "waite", "0.5", r"plan\.yaml:4: .*Did you mean 'wait'"),
        ("support", "wait", "0", r"plan\.yaml:5: .*reach"),
        ("support", "wait", "1.1", r"plan\.yaml:5: .*reach"),
    ],
)
def test_a_wrong_plan_is_exit_2_with_its_line(
    demo_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    journey: str,
    measure: str,
    reach: str,
    match: str,
) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN % (journey, measure, reach), encoding="utf-8")
    given = ["simulate", "--study", str(demo_dir / "study.yaml"), "--initiatives", str(tmp_path / "plan.yaml")]
    assert cli.main(given) == 2
    told = capsys.readouterr()
    assert re.search(match, told.err)
    assert "Traceback" not in told.out + told.err


def test_a_missing_plan_says_how_to_name_one(
    copied: Callable[[bool], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    study = copied(False)
    (study.parent / "initiatives.yaml").unlink()
    assert cli.main(["simulate", "--study", str(study)]) == 2
    assert "--initiatives FILE" in capsys.readouterr().err
