"""The contract of a panel: what it says, and that it survives being written."""

from pathlib import Path

import pytest

from features.contract import PANEL, PanelContract, Partition, existing_contract, read_contract
from features.errors import StoreError
from features.facts import Recorded
from features.measures import Feature, Observed
from features.snapshot import parse_date

MARCH, APRIL = parse_date("2024-03-01"), parse_date("2024-04-01")
CONTRACT = PanelContract(
    study="tiny",
    layout_fingerprint="a",
    feature_contract_hash="b",
    features=(Feature("wait", "Wait.", "min", "lower", "journey", "support", "wait", "experience"),),
    outcomes=("is_churned", "revenue"),
    data_end=APRIL + 5,
    partitions=(
        Partition(cutoff=MARCH, rows=3, is_mature=True, parts=("c",)),
        Partition(cutoff=APRIL, rows=4, is_mature=False, parts=("d", "e")),
    ),
    observed=(Observed("support", "call", "wait", 7),),
    recorded=Recorded(channels=True),
)


def write(store: Path) -> Path:
    (store / PANEL).mkdir(parents=True)
    CONTRACT.write(store / PANEL)
    return store / PANEL / "panel.json"


def test_a_contract_read_is_the_contract_written(tmp_path: Path) -> None:
    write(tmp_path)
    assert read_contract(tmp_path) == CONTRACT
    assert isinstance(read_contract(tmp_path).features[0], Feature)
    assert isinstance(read_contract(tmp_path).observed[0], Observed)


def test_a_contract_sums_its_partitions_up() -> None:
    assert (CONTRACT.cutoffs, CONTRACT.matured, CONTRACT.rows) == ((MARCH, APRIL), (MARCH,), 7)
    assert CONTRACT.partitions[0].folder == "cutoff_date=2024-03-01"
    assert CONTRACT.partitions[1].part(1) == "cutoff_date=2024-04-01/part-1.parquet"


def test_a_contract_replaces_the_one_that_is_there(tmp_path: Path) -> None:
    write(tmp_path)
    later = CONTRACT.model_copy(update={"data_end": APRIL + 9})
    later.replace_in(tmp_path)
    assert read_contract(tmp_path) == later
    assert [path.name for path in (tmp_path / PANEL).iterdir()] == ["panel.json"]


def test_no_panel_is_said_with_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"holds no panel.*journeylift features"):
        read_contract(tmp_path)


@pytest.mark.parametrize("text", ["{", "{}", '{"format": 0}'])
def test_what_is_no_contract_counts_as_none(tmp_path: Path, text: str) -> None:
    write(tmp_path).write_text(text)
    assert existing_contract(tmp_path) is None


def test_a_contract_of_a_later_format_counts_as_none(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text().replace(f'"format": {CONTRACT.format}', f'"format": {CONTRACT.format + 1}'))
    assert existing_contract(tmp_path) is None
