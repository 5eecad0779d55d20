"""What can be planned with is known without the seconds of imports that planning takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from features.errors import EmptyResultError, StoreError
from flows import cli
from flows.plannable import draws_said, simulated_workspace
from tests.benches import write_simulation

FLAT = (
    "study: flat\nsources: {t: people.csv}\njourneys: [{name: help, stage: use}]\n"
    "measures:\n  - {name: wait, unit: min, kind: duration, direction: lower, journey: help}\n"
    "flat: {from: t, columns: {customer_id: id}, churned: left}\n"
)


def test_what_is_simulated_opens_and_says_what_it_holds(tmp_path: Path) -> None:
    workspace = simulated_workspace(write_simulation(tmp_path))
    said = draws_said(workspace.store.draws.read_bytes())
    assert said is not None
    assert [one["initiative"]["name"] for one in said["initiatives"]] == ["good", "poor", "far"]


def test_draws_of_another_version_are_none_and_damaged_ones_are_told(tmp_path: Path) -> None:
    path = write_simulation(tmp_path)
    draws = simulated_workspace(path).store.draws
    np.savez(draws, said=np.array('{"format": 1, "initiatives": []}'))
    with pytest.raises(StoreError, match="Nothing has been simulated"):
        simulated_workspace(path)
    np.savez(draws, said=np.array('{"format": 2, "initiatives": []}'))
    with pytest.raises(EmptyResultError, match=r"Every initiative of .* was refused"):
        simulated_workspace(path)
    for content in (b"", b"PK half a file", draws.read_bytes()[:200]):
        draws.write_bytes(content)
        with pytest.raises(StoreError, match="Delete it and simulate again"):
            simulated_workspace(path)


@pytest.mark.parametrize("given", [["portfolio"], ["compare", "soon", "late"], ["app", "--no-browser"]])
def test_a_flat_table_is_told_alike_and_before_prefect_starts(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(FLAT, encoding="utf-8")
    monkeypatch.setitem(sys.modules, "flows.steps", None)  # whatever starts Prefect fails
    assert cli.main([*given, "--study", str(study)]) == 8
    told = capsys.readouterr().err
    assert "is a flat table without event times, so no money over months can be planned, compared or chosen by" in told


def test_looking_imports_neither_frames_nor_models() -> None:
    seen = "import sys, flows.plannable; print(*sorted({'pandas', 'scipy', 'models', 'marimo'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == ""


def test_what_the_page_shows_first_needs_no_solver_and_no_charts() -> None:
    heavy = "{'altair', 'statsmodels', 'sklearn', 'scipy.stats', 'scipy.optimize', 'prefect', 'mlflow'}"
    seen = f"import sys, flows.planner_first, flows.planner_funds; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == ""
