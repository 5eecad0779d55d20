from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.contract import PanelContract, read_contract
from features.errors import EmptyResultError
from features.panel import read_panel
from features.snapshot import DAY
from flows import departures
from flows.departures import ALL, survival
from flows.storage import Workspace, open_workspace
from flows.tracking import find_champion, open_tracker
from models.splits import cutoff_microseconds
from models.survival import MONTH_DAYS


@pytest.fixture(scope="module")
def workspace(demo_dir: Path) -> Workspace:
    return open_workspace(demo_dir / "study.yaml")


@pytest.fixture(scope="module")
def contract(demo_dir: Path) -> PanelContract:
    return read_contract(demo_dir / "store")


@pytest.fixture(scope="module")
def found(workspace: Workspace, contract: PanelContract) -> pd.DataFrame:
    return survival(workspace, contract, read_panel(workspace.store.root), _model(workspace, contract))


def _model(workspace: Workspace, contract: PanelContract):
    champion = find_champion(open_tracker(workspace.study, workspace.store), "churn")
    assert champion is not None
    return champion.load(contract.feature_contract_hash)


def test_the_first_month_agrees_with_the_users_own_table(
    workspace: Workspace, contract: PanelContract, found: pd.DataFrame
) -> None:
    panel, churn = read_panel(workspace.store.root), pd.read_parquet(workspace.base / "churn.parquet")
    at, month = cutoff_microseconds(panel), MONTH_DAYS * DAY
    gone = dict(zip(churn["client_no"], pd.DatetimeIndex(churn["contract_end"]).as_unit("us").asi8, strict=True))
    moments = panel["customer_id"].map(gone).fillna(-1).to_numpy(np.int64)
    whole = at + month <= contract.data_end
    leaves = (moments > at) & (moments <= at + month)
    first = found[(found["segment"] == ALL) & (found["month"] == 1)].iloc[0]
    assert (first["at_risk"], first["churned"]) == (whole.sum(), (leaves & whole).sum())
    assert first["survival"] == pytest.approx(1 - leaves[whole].mean())


def test_curves_fall_lie_in_their_intervals_and_are_near_what_the_model_has(found: pd.DataFrame) -> None:
    for _, curve in found.groupby("segment"):
        assert curve["survival"].astype(float).is_monotonic_decreasing
        assert (curve["lo"] <= curve["survival"]).all()
        assert (curve["survival"] <= curve["hi"]).all()
    whole = found[found["segment"] == ALL]
    assert (whole["fitted"] - whole["survival"]).abs().max() < 0.02
    assert found["segment"].str.startswith("region = ").any()
    assert not found["segment"].str.contains("tenure").any()


def test_levels_of_a_covariate_add_up_to_everybody(found: pd.DataFrame) -> None:
    rows = found[found["month"] == 3]
    whole = rows.loc[rows["segment"] == ALL, "at_risk"].iloc[0]
    assert rows.loc[rows["segment"].str.startswith("region = "), "at_risk"].sum() == whole


def test_a_history_too_short_to_see_anybody_leave_is_refused_or_empty(
    workspace: Workspace, contract: PanelContract
) -> None:
    panel = read_panel(workspace.store.root)
    first = int(cutoff_microseconds(panel).min())
    model = _model(workspace, contract)
    assert survival(workspace, contract.model_copy(update={"data_end": first}), panel, model).empty
    young = panel[cutoff_microseconds(panel) == first].head(40)
    with pytest.raises(EmptyResultError, match="departures fall into the months followed"):
        survival(workspace, contract.model_copy(update={"data_end": first + 31 * DAY}), young, model)


def test_a_departure_that_is_dated_as_an_end_as_well_is_still_a_departure(
    workspace: Workspace, contract: PanelContract, found: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, _ = departures._dates(workspace)
    both = gone.groupby("customer_key")["at"].max()
    monkeypatch.setattr(departures, "_dates", lambda _: (gone, both))
    panel = read_panel(workspace.store.root)
    pd.testing.assert_frame_equal(survival(workspace, contract, panel, _model(workspace, contract)), found)
