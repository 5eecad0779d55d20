"""The command scores in pieces: memory and Spark change no byte, and no panel that changes meanwhile is half read."""

import hashlib
from pathlib import Path

import pytest

from features.contract import read_contract
from features.errors import StoreError
from features.panel_batches import panel_batches
from flows import cli, score_cutoff
from flows.score_cutoff import ScoringRun, publish, read_key
from flows.storage import open_workspace
from flows.tracking import find_champion
from tests.scored_company import make_company, tracker_of
from tests.sparks import spark_here


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_company(tmp_path_factory.mktemp("company"))


@pytest.fixture
def run(company: Path) -> ScoringRun:
    workspace = open_workspace(company)
    tracker = tracker_of(workspace)
    champions = {name: one for name in ("churn", "revenue") if (one := find_champion(tracker, name))}
    return ScoringRun(workspace, read_contract(workspace.store.root), champions)


def scored(company: Path, more: str = "") -> str:
    """Score again with a study that says more; the hash of what came out."""
    plain = company.read_text("utf-8")
    company.write_text(plain + more, "utf-8")
    try:
        assert cli.main(["score", "--study", str(company), "--again"]) == 0
    finally:
        company.write_text(plain, "utf-8")
    (part,) = (company.parent / "store" / "scores").glob("cutoff_date=*/part-0.parquet")
    return hashlib.sha256(part.read_bytes()).hexdigest()


def test_a_limit_of_memory_changes_no_byte(company: Path) -> None:
    assert scored(company, "scoring: {memory_limit: 900MB}\n") == scored(company)


def test_a_panel_that_changes_while_it_is_scored_leaves_the_old_scores(
    company: Path, run: ScoringRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, at = scored(company), run.contract.cutoffs[-1]
    key = read_key(run, at)

    def and_then_built_anew(*given, **named):
        yield from panel_batches(*given, **named)
        other = run.contract.model_copy(update={"feature_contract_hash": "0"})
        monkeypatch.setattr(score_cutoff, "existing_contract", lambda _: other)

    monkeypatch.setattr(score_cutoff, "panel_batches", and_then_built_anew)
    with pytest.raises(StoreError, match=r"built anew while 20.* was read\..* Run the same command again"):
        publish(run, at, key)
    (part,) = (company.parent / "store" / "scores").glob("cutoff_date=*/part-0.parquet")
    assert hashlib.sha256(part.read_bytes()).hexdigest() == before


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
def test_spark_writes_the_bytes_of_this_machine(company: Path, tmp_path: Path) -> None:
    here = scored(company)
    with spark_here(tmp_path):
        assert scored(company, "scoring: {engine: 'local[2]'}\n") == here
    assert not list((company.parent / "store").glob("spark-scores*"))
