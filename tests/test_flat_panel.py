"""Flat tables as panels: waves instead of cutoffs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.contract import read_contract
from features.flat import read_flat
from features.flat_panel import wave_dates
from features.panel import build_panel, read_panel
from features.snapshot import iso
from features.study import parse_study

FLAT = """
study: flat
sources: {t: flat.csv}
flat: {from: t, columns: {customer_id: id}, churned: left, revenue: paid, covariates: [region, age]%s}
journeys: [{name: hotel, stage: use}]
measures:
  - {name: price, unit: eur, kind: amount, direction: lower, journey: hotel}
  - {name: lead, unit: days, kind: duration, direction: higher, journey: hotel, touchpoint: booking, column: lead_time}
"""
ROWS = pd.DataFrame(
    {
        "id": ["b", "a", "c", "a"],
        "wave": [2019, 2019, 2020, 2020],
        "left": ["no", "yes", "no", "no"],
        "paid": [1.0, 2.0, 3.0, 4.0],
        "region": ["x", "y", None, "x"],
        "age": [30, 40, 50, 60],
        "price": [9.0, np.nan, 7.0, 6.0],
        "lead_time": [1.0, 2.0, 3.0, 4.0],
    }
)


def flat_panel(folder: Path, rows: pd.DataFrame, more: str = "") -> pd.DataFrame:
    rows.to_csv(folder / "flat.csv", index=False)
    study = parse_study(FLAT % more, "study.yaml")
    build_panel(study, read_flat(study, folder), folder)
    return read_panel(folder)


def test_the_waves_of_a_flat_table_take_the_place_of_cutoffs(tmp_path: Path) -> None:
    found = flat_panel(tmp_path, ROWS, ", wave: wave")
    assert found["cutoff"].dt.year.tolist() == [2019, 2019, 2020, 2020]
    assert found["customer_id"].tolist() == ["a", "b", "a", "c"]
    assert found["customer_key"].tolist() == [0, 1, 0, 2]
    assert found["is_churned"].tolist() == [1, 0, 0, 0]
    assert found["revenue"].tolist() == [2, 1, 4, 3]
    np.testing.assert_array_equal(found["hotel__price_eur__mean"], [np.nan, 9, 6, 7])
    assert found["hotel__booking__lead_days__mean"].tolist() == [2, 1, 4, 3]
    assert found["region"].astype(object).where(found["region"].notna(), None).tolist() == ["y", "x", "x", None]
    assert found["is_mature"].all()
    assert {f.name: f.kind for f in read_contract(tmp_path).features}["region"] == "category"


def test_groups_of_copies_are_a_column_of_the_panel_and_no_feature(tmp_path: Path) -> None:
    found = flat_panel(tmp_path, ROWS, ", wave: wave")
    assert found["replica_group"].tolist() == found["customer_id"].tolist()
    contract = read_contract(tmp_path)
    assert "replica_group" not in {feature.name for feature in contract.features}
    assert contract.notes == ()


def test_a_flat_table_without_waves_is_one_partition(tmp_path: Path) -> None:
    found = flat_panel(tmp_path, ROWS.iloc[:3], ", base_rate: 0.1")
    assert len(set(found["cutoff"])) == 1
    assert np.average(found["is_churned"], weights=found["weight"]) == pytest.approx(0.1)


def test_a_flat_panel_is_built_once(tmp_path: Path) -> None:
    flat_panel(tmp_path, ROWS, ", wave: wave")
    study = parse_study(FLAT % ", wave: wave", "study.yaml")
    assert build_panel(study, read_flat(study, tmp_path), tmp_path).built == ()


@pytest.mark.parametrize(
    ("waves", "dates"),
    [
        (("2019", "2020"), ["2019-01-01", "2020-01-01"]),
        (("2019-05-01", "2019-08-01"), ["2019-05-01", "2019-08-01"]),
        (("autumn", "winter"), ["2000-01-01", "2000-02-01"]),
        (("",), ["2000-01-01"]),
    ],
)
def test_waves_get_dates(waves: tuple[str, ...], dates: list[str]) -> None:
    found = wave_dates(waves)
    assert [iso(moment) for moment in found] == dates
    assert tuple(found.values()) == waves
