"""A cutoff in pieces against the panel read as a whole."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.company import simulate_company
from features.company_files import write_company
from features.contract import PanelContract
from features.errors import StoreError
from features.flat import read_flat
from features.layout import lay_out
from features.panel import build_panel, read_panel
from features.panel_batches import panel_batches, panel_sample
from features.snapshot import DAY
from features.study import parse_study

FLAT = """
study: flat
sources: {t: survey.csv}
flat: {from: t, columns: {customer_id: id}, churned: gone, wave: wave}
journeys: [{name: help, stage: use}]
measures: [{name: answer, unit: days, kind: duration, direction: lower, journey: help}]
"""
ANSWER = "help__answer_days__mean"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PanelContract]:
    folder = tmp_path_factory.mktemp("company")
    write_company(simulate_company(300, 5, weeks=60), folder)
    study = parse_study((folder / "study.yaml").read_text("utf-8") + "engine: {workers: 1}\n", "study.yaml")
    layout = lay_out(study, folder, folder / "store", buckets=3)
    return folder / "store", build_panel(study, layout, folder / "store").contract


def names(contract: PanelContract) -> list[str]:
    return [feature.name for feature in contract.features]


def test_pieces_put_together_are_the_panel(built: tuple[Path, PanelContract]) -> None:
    store, contract = built
    at = contract.cutoffs[-1]
    pieces = list(panel_batches(store, contract, at, names(contract), rows=40))
    assert len(pieces) > 5
    assert max(map(len, pieces)) == 40
    found, whole = pd.concat(pieces, ignore_index=True), read_panel(store, (at,))
    assert found["customer_key"].is_monotonic_increasing
    for feature in contract.features:
        one, other = found[feature.name], whole[feature.name]
        if feature.kind == "category":
            assert one.fillna("?").tolist() == other.astype(object).fillna("?").tolist()
        else:
            np.testing.assert_array_equal(one.to_numpy(), other.to_numpy())
            assert one.dtype == np.float64
    assert found["customer_id"].tolist() == whole["customer_id"].tolist()
    assert (found["cutoff"] == whole["cutoff"]).all()


def test_a_sample_is_the_smallest_keys_whatever_the_buckets(built: tuple[Path, PanelContract]) -> None:
    store, contract = built
    at = contract.cutoffs[-1]
    found = panel_sample(store, contract, at, ["tenure_days"], is_hashed=True, rows=50)
    keys = read_panel(store, (at,))["customer_key"]
    assert found["customer_key"].tolist() == sorted(keys)[:50]
    everybody = panel_sample(store, contract, at, ["tenure_days"], is_hashed=True)
    assert len(everybody) == len(keys)


def test_a_sample_of_numbered_customers_is_every_so_manieth_of_their_order(built: tuple[Path, PanelContract]) -> None:
    store, contract = built
    at = contract.cutoffs[-1]
    keys = sorted(read_panel(store, (at,))["customer_key"])
    found = panel_sample(store, contract, at, ["tenure_days"], is_hashed=False, rows=len(keys) // 3)
    assert found["customer_key"].tolist() == keys[:: 4 if len(keys) % 3 else 3]
    assert 0 < len(found) <= len(keys) // 3
    assert len(panel_sample(store, contract, at, [], is_hashed=False)) == len(keys)


def waves(folder: Path, rows: list[tuple[int, int, int]]) -> tuple[Path, PanelContract]:
    """Build a flat table of two waves; a row is customer, wave, answer."""
    folder.mkdir()
    people = pd.DataFrame(rows, columns=["id", "wave", "answer"]).astype({"id": str})
    people.assign(gone=[one % 5 == 0 for one, _, _ in rows]).to_csv(folder / "survey.csv", index=False)
    study = parse_study(FLAT, "study.yaml")
    return folder / "store", build_panel(study, read_flat(study, folder), folder / "store").contract


def test_a_sample_of_a_wave_does_not_depend_on_who_is_in_other_waves(tmp_path: Path) -> None:
    """Every other customer is in the second wave only, so that keys of the first leave no rest, or always one."""
    first = [(one, 2019, one % 7) for one in range(100, 200, 2)]
    store, contract = waves(tmp_path / "both", first[::-1] + [(one, 2020, 0) for one in range(99, 201)])
    alone, only = waves(tmp_path / "alone", [*first, (100, 2020, 0)])
    found = panel_sample(store, contract, contract.cutoffs[0], [ANSWER], is_hashed=False, rows=25)
    assert found["customer_id"].tolist() == [str(one) for one in range(100, 200, 4)]
    assert found[ANSWER].tolist() == [one % 7 for one in range(100, 200, 4)]
    expected = panel_sample(alone, only, only.cutoffs[0], [ANSWER], is_hashed=False, rows=25)
    assert found[ANSWER].tolist() == expected[ANSWER].tolist()


def test_a_cutoff_that_is_not_there_and_a_damaged_part_are_told(
    built: tuple[Path, PanelContract], tmp_path: Path
) -> None:
    store, contract = built
    with pytest.raises(StoreError, match=r"has no rows for .* It holds 20"):
        list(panel_batches(store, contract, contract.cutoffs[-1] + DAY, []))
    part = tmp_path / "panel" / contract.partitions[0].part(0)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"PAR1 torn")
    with pytest.raises(StoreError, match=r"The panel in '.*panel' is damaged .* build again"):
        list(panel_batches(tmp_path, contract, contract.cutoffs[0], []))
