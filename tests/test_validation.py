from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.contract import read_contract
from features.errors import ModelError
from features.panel import read_panel
from flows.storage import Workspace, open_workspace, read_json
from flows.tracking import CHALLENGER
from flows.validation import PastTests, beside, past_tests


@pytest.fixture(scope="module")
def workspace(demo_dir: Path) -> Workspace:
    return open_workspace(demo_dir / "study.yaml", reads_only=True)


@pytest.fixture(scope="module")
def panel(workspace: Workspace) -> pd.DataFrame:
    return read_panel(workspace.store.root)


def _tests(workspace: Workspace, panel: pd.DataFrame, outcome: str, alias: str = "champion") -> PastTests | None:
    return past_tests(workspace, read_contract(workspace.store.root), panel, outcome, alias)


@pytest.fixture(scope="module")
def champion(workspace: Workspace, panel: pd.DataFrame) -> PastTests:
    found = _tests(workspace, panel, "churn")
    assert found is not None
    return found


@pytest.mark.parametrize("outcome", ["churn", "revenue"])
def test_metrics_are_those_that_training_found(workspace: Workspace, panel: pd.DataFrame, outcome: str) -> None:
    found = _tests(workspace, panel, outcome)
    assert found is not None
    trained = read_json(workspace.store.result("train"))["outcomes"][outcome]
    keys = ["metric", "fold"]
    rows = pd.DataFrame(trained["metrics"]).query("candidate == @found.candidate").set_index(keys)
    again = found.metrics().set_index(keys)
    shared = rows.index.intersection(again.index)
    assert {"all"} < set(shared.get_level_values("fold"))
    columns = ["value", "lo", "hi", "n"]
    shared = shared[~shared.get_level_values("metric").isin(["expected_max_profit", "max_profit_share"])]  # own offer
    pd.testing.assert_frame_equal(
        again.loc[shared, columns].astype(float), rows.loc[shared, columns].astype(float), rtol=1e-9
    )


def test_segments_and_bins_add_up_to_all_rows(champion: PastTests) -> None:
    segments = champion.segments().query("metric == 'log_loss'").set_index("segment")["n"]
    assert segments[segments.index.str.startswith("region = ")].sum() == segments["all"] == champion.recorded
    bins = champion.reliability().groupby("candidate")["n"].sum()
    assert bins.to_dict() == champion.predictions.groupby("fold").size().to_dict()
    assert champion.gains()["captured"].iloc[-1] == 1


def test_rows_that_the_panel_has_lost_are_counted(workspace: Workspace, panel: pd.DataFrame) -> None:
    gone = panel["customer_id"].isin(sorted(panel["customer_id"].unique())[:100])
    found = _tests(workspace, panel[~gone], "churn")
    assert found is not None
    assert len(found.predictions) < found.recorded
    with pytest.raises(ModelError, match=r"None of the .* rows that northline-churn version 1 was tested on"):
        _tests(workspace, panel.assign(is_mature=False), "churn")


def test_without_a_version_there_is_nothing(workspace: Workspace, panel: pd.DataFrame) -> None:
    assert _tests(workspace, panel, "churn", CHALLENGER) is None


def test_a_version_beside_itself_differs_in_nothing_and_a_worse_one_is_told(champion: PastTests) -> None:
    same = beside(champion, champion)
    assert same["fold"].tolist()[0] == "all"
    assert (same[["difference", "lo", "hi"]] == 0).all(axis=None)
    noise = np.random.default_rng(1).normal(0, 1, len(champion.predictions))
    odds = champion.predictions["predicted"] / (1 - champion.predictions["predicted"]) * np.exp(noise)
    worse = replace(champion, predictions=champion.predictions.assign(predicted=odds / (1 + odds)))
    found = beside(worse, champion).iloc[0]
    assert found["lo"] > 0
    assert found["challenger"] - found["champion"] == pytest.approx(found["difference"])
    assert found["n"] == len(champion.predictions)


def test_versions_that_share_no_rows_are_not_compared(champion: PastTests) -> None:
    later = champion.predictions.assign(cutoff=champion.predictions["cutoff"] + pd.Timedelta(days=1))
    assert beside(replace(champion, predictions=later), champion).empty


def test_amounts_are_compared_by_absolute_error(workspace: Workspace, panel: pd.DataFrame) -> None:
    found = _tests(workspace, panel, "revenue")
    assert found is not None
    off = found.predictions.assign(predicted=found.predictions["observed"] + 3)
    rows = beside(
        replace(found, predictions=off), replace(found, predictions=off.assign(predicted=off["observed"] - 2))
    )
    assert rows["metric"].unique().tolist() == ["absolute_error"]
    assert rows["difference"].to_numpy() == pytest.approx(1)
