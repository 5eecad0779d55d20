"""journeylift compare, from the command line: table, page, JSON, warnings, and one sentence for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from features.study import Money
from features.templates import write_templates
from flows import cli
from flows.compare import hold_against
from flows.compared_plans import Compared
from flows.draws_store import Stored, draws_bytes, write_draws
from flows.storage import Workspace, open_workspace
from flows.tracking import open_tracker
from models.cash import Cohort
from models.costs import Cost
from models.forecasts import sample
from models.response_surface import ResponseSurface
from models.retention import constant_retention
from tests.worths import a_forecast, an_effect

MADE = {"data_fingerprint": "d", "feature_contract_hash": "f", "initiatives_fingerprint": "i", "package_version": "1"}


def stored(study: str, seed: str = "0", months: int = 12) -> Stored:
    effect = an_effect(churn=-0.02, se=0.006)
    forecasts = [
        a_forecast("soon", effect, title="Soon", cost=Cost(once=500)),
        a_forecast("late", effect, title="Late", cost=Cost(once=500), start_month=3),
    ]
    samples = sample(forecasts, (), np.random.default_rng(int(seed)), 500)
    surface = ResponseSurface(samples, Cohort(800, 91), Money(months=months), constant_retention(months))
    return Stored(surface, (), {**MADE, "study_fingerprint": study, "seed": seed})


@pytest.fixture
def workspace(tmp_path: Path, mlflow_store: Path) -> Workspace:
    write_templates(tmp_path)
    copytree(mlflow_store / "mlflow", tmp_path / "store" / "mlflow")
    found = open_workspace(tmp_path / "study.yaml")
    write_draws(found.store.draws, stored(found.study.fingerprint()))
    return found


def run(workspace: Workspace, *given: str) -> int:
    return cli.main(["compare", *given, "--study", str(workspace.study_file)])


def test_a_later_start_is_told_apart_in_sentence_page_and_json_twice_alike(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(workspace, "soon", "late") == 0
    said = capsys.readouterr().out
    assert "“Soon” is worth most over 12 months" in said
    assert "paired" in said
    result = workspace.store.result("compare")
    first, page = result.read_bytes(), (workspace.store.root / "compare.html").read_bytes()
    content = json.loads(first)
    (npv,) = [one for one in content["differences"] if one["outcome"] == "npv"]
    assert (npv["verdict"], npv["is_paired"], content["warnings"]) == ("worse", True, [])
    assert npv["value"] < npv["hi"] < 0
    assert b"Soon" in page
    assert run(workspace, "soon", "late") == 0
    assert (result.read_bytes(), (workspace.store.root / "compare.html").read_bytes()) == (first, page)


def test_a_run_of_another_day_and_seed_is_compared_with_a_warning(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker = open_tracker(workspace.study, workspace.store)
    with tracker.run("simulate", "2 initiatives", {}) as parent:
        parent.log_bytes(draws_bytes(stored("another", seed="7", months=24)), "draws.npz")
    assert run(workspace, "soon", parent.run_id, "--json", "-") == 0
    content = json.loads(capsys.readouterr().out)
    first, second = content["warnings"]
    assert "shares no draws with “Soon”: the study file and the seed (0 and 7) differ" in first
    assert "are not counted alike: months 12 and 24." in second
    assert {one["is_paired"] for one in content["differences"]} == {False}


@pytest.mark.parametrize(
    ("given", "code", "match"),
    [
        (("soon",), 64, "Expected two to six"),
        (("soon",) * 7, 64, "Expected two to six"),
        (("soon", "lat"), 2, "Did you mean 'late'"),
        (("soon", "plan.yaml"), 2, "There is no file 'plan.yaml'"),
        (("soon", "f" * 32), 7, "There is no run f+ in MLflow"),
    ],
)
def test_what_cannot_be_compared_ends_in_a_sentence_and_leaves_nothing(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], given: tuple[str, ...], code: int, match: str
) -> None:
    import re  # noqa: PLC0415

    assert run(workspace, *given) == code
    told = capsys.readouterr()
    assert re.search(match, told.out + told.err)
    assert "Traceback" not in told.out + told.err
    assert not workspace.store.result("compare").exists()


def test_a_flat_table_has_no_months_to_compare(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    workspace.study_file.write_text(
        "study: flat\nsources: {t: people.csv}\njourneys: [{name: help, stage: use}]\n"
        "measures:\n  - {name: wait, unit: min, kind: duration, direction: lower, journey: help}\n"
        "flat: {from: t, columns: {customer_id: id}, churned: left}\n",
        encoding="utf-8",
    )
    code = run(workspace, "soon", "late")
    told = capsys.readouterr().err
    assert (code, "flat table without event times" in told) == (8, True), told


def test_plans_on_both_sides_of_fifteen_initiatives_are_counted_by_one_rule() -> None:
    def side(count: int) -> Compared:
        drawn = sample([a_forecast(f"i{number:02}") for number in range(count)], (), np.random.default_rng(1), 50)
        surface = ResponseSurface(drawn, Cohort(500, 91), Money(months=12), constant_retention(12))
        names = tuple(one.name for one in drawn.initiatives)
        return Compared("x", "file", str(count), "somewhere", surface, names, {})

    many, few = side(16), side(15)
    last = side(1).outlook().draws["npv"].mean()  # all are alike, and without an overlap values only add up
    held = hold_against([many, few]).to_frame().set_index("outcome")
    assert held.loc["npv", "value"] == pytest.approx(-last)
