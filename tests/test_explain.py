import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.run_notes import drivers_note
from flows.storage import open_workspace
from flows.tracking import open_tracker


@pytest.fixture(scope="module")
def explained(demo_dir: Path) -> dict[str, Any]:
    return dict(json.loads((demo_dir / "store" / "results" / "explain.json").read_text("utf-8")))


def test_association_and_effect_are_two_tables(explained: dict[str, Any]) -> None:
    association, effects = pd.DataFrame(explained["association"]), pd.DataFrame(explained["effects"])
    assert set(association["outcome"]) <= {"churn", "revenue"}
    assert {"share", "share_lo", "share_hi", "tier", "in_top_3", "r2", "n"} <= set(association)
    assert {"churn_effect", "churn_lo", "churn_hi", "raw_churn_effect", "adjustment", "n", "verdict"} <= set(effects)


def test_every_effect_has_an_interval_an_adjustment_set_and_n(explained: dict[str, Any]) -> None:
    effects = pd.DataFrame(explained["effects"])
    assert (effects["churn_lo"] < effects["churn_hi"]).all()
    assert effects["adjustment"].str.len().gt(0).all()
    assert effects["n"].gt(0).all()


def test_only_what_the_company_controls_has_an_effect(explained: dict[str, Any]) -> None:
    assert {"outage", "rating"} & {row["measure"] for row in explained["effects"]} == set()
    assert {"wait", "bill_error", "resolved"} <= {row["measure"] for row in explained["effects"]}


def test_the_run_says_above_everything_else_what_was_found(explained: dict[str, Any], demo_dir: Path) -> None:
    workspace = open_workspace(demo_dir / "study.yaml")
    run = open_tracker(workspace.study, workspace.store).client.get_run(explained["run_id"])
    told = run.data.tags["mlflow.note.content"]
    table, effects = pd.DataFrame(explained["driver_table"]), pd.DataFrame(explained["effects"])
    assert told == drivers_note(table, effects, explained["horizon_days"])
    assert "goes along with churn most" in told
    assert "does most for churn" in told
