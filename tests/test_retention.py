"""How many stay if nothing is done, against curves whose hazard is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.company import simulate_company
from features.company_files import write_company
from features.layout import lay_out
from features.panel import build_panel
from features.snapshot import DAYS_PER_MONTH
from features.study import parse_study
from flows import retention
from flows.storage import open_workspace
from models.retention import LEAST_AT_RISK, constant_retention, estimated_retention


def curve(hazards: list[float], at_risk: int = 5_000) -> pd.DataFrame:
    """Survival after months of 30 days with these hazards a month of 30 days."""
    survival = np.exp(-np.cumsum(hazards))
    return pd.DataFrame({"month": np.arange(1, len(hazards) + 1), "at_risk": at_risk, "survival": survival})


def test_a_constant_hazard_gives_factors_of_one():
    found = estimated_retention(curve([0.02] * 30), 91, 24)
    assert found.factor == pytest.approx(np.ones(24))
    assert found.observed_months == 24
    assert found.is_estimated


def test_factors_average_to_one_over_the_horizon():
    found = estimated_retention(curve([0.05, 0.03, 0.02] + [0.01] * 27), 91, 24)
    horizon = 91 / DAYS_PER_MONTH
    assert (found.factor[:2].sum() + found.factor[2] * (horizon - 2)) / horizon == pytest.approx(1.0, abs=2e-3)
    assert found.factor[10] < 0.5


def test_beyond_what_was_seen_the_last_quarter_goes_on():
    found = estimated_retention(curve([0.04] * 3 + [0.02] * 6), 91, 24)
    assert found.observed_months == 8
    assert found.factor[9:] == pytest.approx(np.full(15, found.factor[9]))
    assert found.factor[9] == pytest.approx(0.5, rel=0.02)
    assert "8 months" in found.describe()
    assert "last quarter" in found.describe()


def test_months_with_few_rows_do_not_count():
    rows = curve([0.02] * 12)
    rows.loc[6:, "at_risk"] = LEAST_AT_RISK - 1
    rows.loc[6:, "survival"] = 0.1
    assert estimated_retention(rows, 91, 24).factor == pytest.approx(np.ones(24))


@pytest.mark.parametrize("rows", [curve([0.02]), curve([0.0] * 12), curve([0.02] * 12, at_risk=10), curve([])])
def test_where_nothing_can_be_learned_the_hazard_is_constant_and_says_so(rows):
    found = estimated_retention(rows, 91, 24)
    assert (found.factor == 1).all()
    assert not found.is_estimated
    assert "same rate in every month" in found.describe()
    assert constant_retention(24).describe() == found.describe()


def test_of_many_customers_a_random_part_is_followed(tmp_path, monkeypatch):
    write_company(simulate_company(800, 3), tmp_path)
    study = parse_study((tmp_path / "study.yaml").read_text(), "study.yaml")
    layout = lay_out(study, tmp_path, tmp_path / "store")
    contract = build_panel(study, layout, tmp_path / "store").contract
    workspace = open_workspace(tmp_path / "study.yaml")
    whole = retention.retention_of(workspace, contract)
    monkeypatch.setattr(retention, "_MOST_CUSTOMERS", 800)
    assert retention.retention_of(workspace, contract).n == whole.n
    monkeypatch.setattr(retention, "_MOST_CUSTOMERS", 600)
    part = retention.retention_of(workspace, contract)
    assert part.n == pytest.approx(0.75 * whole.n, rel=0.1)
    assert part.is_estimated
    assert 0 < np.abs(part.factor - whole.factor).max() < 0.5
