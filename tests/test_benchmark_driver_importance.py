"""The benchmark of driver importance, small: it compares before it measures, and says what it could not run."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import driver_importance
from benchmarks.driver_importance import NO_PINGOUIN, by_solving, main, some_rows
from models.lattice import lmg


def test_every_task_agrees_and_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--repeats", "1", "--json", str(tmp_path / "all.json")]) == 0
    table = capsys.readouterr().out
    kept = json.loads((tmp_path / "all.json").read_text())
    assert len({form["task"] for form in kept}) == 5
    assert all(len(form["seconds"]) == (not form["missing"]) for form in kept)
    assert (NO_PINGOUIN in table) == (importlib.util.find_spec("pingouin") is None)


def test_a_wrong_answer_ends_the_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(C: np.ndarray, blocks: list[list[int]]) -> np.ndarray:
        return lmg(C, blocks) + 1e-9

    monkeypatch.setattr(driver_importance, "lmg", wrong)
    assert main(["--quick", "--repeats", "1", "--only", "exact shares, 5"]) == 1
    assert "answers differ by 1.0e-09" in capsys.readouterr().err


def test_the_rival_that_solves_every_subset_shares_out_all_of_r2() -> None:
    X, y = some_rows(300, 4, 1)
    fitted = np.column_stack([np.ones(300), X])
    residual = y - fitted @ np.linalg.lstsq(fitted, y)[0]
    assert by_solving(X, y).sum() == pytest.approx(1 - residual.var() / y.var(), abs=1e-12)
