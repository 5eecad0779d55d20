import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.contract import read_contract
from features.panel import read_panel
from flows.model_card import CardFacts, model_card
from flows.storage import open_workspace
from flows.succession import Promotion
from flows.tracking import open_tracker
from models.evaluation import Evaluation
from models.leaks import Leak


@pytest.fixture(scope="module")
def card(demo_dir: Path) -> str:
    workspace = open_workspace(demo_dir / "study.yaml")
    tracker = open_tracker(workspace.study, workspace.store)
    trained = json.loads((demo_dir / "store" / "results" / "train.json").read_text("utf-8"))
    folder = tracker.client.download_artifacts(trained["run_id"], "churn/model_card.md")
    return Path(folder).read_text("utf-8")


def test_a_card_says_what_from_which_data_how_good_where_weak_and_what_not_for(card: str, demo_dir: Path) -> None:
    sections = [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]
    assert sections == [
        "What it predicts",
        "Data",
        "How good it is",
        "Where it is weak",
        "What it was not given",
        "What it is not for",
        "Where it comes from",
    ]
    frame = read_panel(demo_dir / "store").loc[lambda rows: rows["is_mature"]]
    assert f"{len(frame):,} rows of {frame['customer_id'].nunique():,} customers" in card
    assert "leaves within 91 days after a cutoff" in card
    assert "journeylift simulate" in card
    assert "on cutoffs after everything that the tested model had learned from" in card
    assert "prevalence" in card
    assert f"`{read_contract(demo_dir / 'store').feature_contract_hash}`" in card


def test_no_customer_is_named(card: str, demo_dir: Path) -> None:
    ids = read_panel(demo_dir / "store")["customer_id"].unique()
    assert not any(one in card for one in ids[:200])


def _evaluation(**changes: Any) -> Evaluation:
    metrics = pd.DataFrame(
        [
            ("revenue", name, metric, value, value - 0.1, value + 0.1, 100, "all")
            for name, value in (("ridge", 2.0), ("mean", 3.0))
            for metric in ("rmse", "mae", "r2", "mean_calibration")
        ],
        columns=["outcome", "candidate", "metric", "value", "lo", "hi", "n", "fold"],
    )
    segments = pd.DataFrame(
        [
            ("revenue", "ridge", "mean_calibration", value, value - 0.05, value + 0.05, 40, "all", name)
            for name, value in (("region: north", 1.5), ("region: south", 0.6), ("region: west", 1.01), ("all", 1.4))
        ],
        columns=["outcome", "candidate", "metric", "value", "lo", "hi", "n", "fold", "segment"],
    )
    whole = Evaluation(
        outcome="revenue",
        metrics=metrics,
        predictions=pd.DataFrame({"fold": ["part 1 of 3"]}),
        reliability=pd.DataFrame(),
        segments=segments,
        winner="ridge",
        beats_baseline=True,
        sentence="ridge beats the best baseline (mean).",
        features=(),
        leaks=(),
    )
    return replace(whole, **changes)


def _card(demo_dir: Path, evaluation: Evaluation) -> str:
    study = open_workspace(demo_dir / "study.yaml").study
    facts = CardFacts(study, read_contract(demo_dir / "store"), {"seed": "7"}, "A line.", 60)
    frame = read_panel(demo_dir / "store").loc[lambda rows: rows["is_mature"]]
    return model_card(facts, frame, evaluation, Promotion("challenger", "version 1 stays."), "4")


def test_segments_whose_totals_are_off_come_first_and_others_are_left_out(demo_dir: Path) -> None:
    text = _card(demo_dir, _evaluation())
    assert "Challenger: version 1 stays." in text
    south, north = (
        text.index("region: south: predictions are too low"),
        text.index("region: north: predictions are too"),
    )
    assert south < north
    assert "region: west" not in text
    assert "**ridge**" in text
    assert f"{np.nan}" not in text


def test_a_model_that_does_not_beat_its_baseline_says_so_and_leaks_are_named(demo_dir: Path) -> None:
    leak = Leak("a", "'a' bears the outcome's name.", 0.9, 0.4)
    text = _card(demo_dir, _evaluation(beats_baseline=False, leaks=(leak,)))
    assert "**It does not beat the best baseline.**" in text
    assert "- left out: 'a' bears the outcome's name." in text


def test_a_model_tested_by_customer_and_fitted_on_a_part_of_the_rows_says_so(demo_dir: Path) -> None:
    text = _card(demo_dir, _evaluation())
    assert "on customers the tested model had not seen" in text
    assert "fitted on all rows" not in text
    assert "60 of the" in text
