"""Scores of a cutoff in pieces: memory and Spark change no bit, and no panel that changes meanwhile is half read."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.company import simulate_company
from features.company_files import write_company
from features.errors import StoreError
from features.layout import lay_out
from features.panel import build_panel, read_panel
from features.panel_batches import panel_batches
from features.study import parse_study
from flows import score_cutoff
from flows.score_cutoff import ScoringRun, score_tables
from flows.score_rows import LoadedModel, Scorer, score_batches
from flows.storage import open_workspace
from models.churn import fit_churn
from models.revenue import fit_revenue
from tests.sparks import spark_here


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ScoringRun:
    """A company with models that stand in no registry."""
    folder = tmp_path_factory.mktemp("company")
    write_company(simulate_company(250, 11, weeks=66), folder)
    study = parse_study((folder / "study.yaml").read_text("utf-8") + "engine: {workers: 1}\n", "study.yaml")
    store = folder / "store"
    contract = build_panel(study, lay_out(study, folder, store, buckets=3), store).contract
    frame, rng = read_panel(store, contract.matured).iloc[:900], np.random.default_rng(3)
    models = {
        "churn": LoadedModel("3", fit_churn(frame, contract.features, "logistic", rng)),
        "revenue": LoadedModel("5", fit_revenue(frame, contract.features, "boosting", rng)),
    }
    return ScoringRun(open_workspace(folder / "study.yaml"), contract, {}, max(contract.cutoffs), _models=models)


def scored(run: ScoringRun, more: str = "") -> pa.Table:
    """Score the last cutoff with a study that says more."""
    text = run.workspace.study_file.read_text("utf-8")
    workspace = replace(run.workspace, study=parse_study(text + more, "study.yaml"))
    tables = score_tables(replace(run, workspace=workspace), run.models, run.contract.cutoffs[-1])
    return pa.concat_tables(tables).combine_chunks()


def test_everybody_is_scored_once_in_the_order_of_ids(run: ScoringRun) -> None:
    ids = scored(run)["customer_id"].to_pylist()
    assert ids == sorted(read_panel(run.workspace.store.root, run.contract.cutoffs[-1:])["customer_id"])
    assert len(ids) == run.contract.partitions[-1].rows


def test_a_limit_of_memory_changes_no_bit(run: ScoringRun) -> None:
    assert scored(run, "scoring: {memory_limit: 700MB}\n").equals(scored(run))


def test_a_limit_of_memory_keeps_pieces_from_being_scored_at_a_time(
    run: ScoringRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    threads: list[int] = []

    def noted(scorer: Scorer, pieces: Iterable[pd.DataFrame], workers: int) -> Iterator[pa.Table]:
        threads.append(workers)
        return score_batches(scorer, pieces, workers)

    monkeypatch.setattr(score_cutoff, "score_batches", noted)
    scored(run)
    scored(run, "scoring: {memory_limit: 700MB}\n")
    assert threads == [8, 1]


def test_a_panel_that_is_built_anew_meanwhile_ends_the_run(run: ScoringRun, monkeypatch: pytest.MonkeyPatch) -> None:
    other = run.contract.model_copy(update={"feature_contract_hash": "0"})

    def and_then_built_anew(*given: object, **named: object) -> Iterator[object]:
        yield from panel_batches(*given, **named)
        monkeypatch.setattr(score_cutoff, "existing_contract", lambda _: other)

    monkeypatch.setattr(score_cutoff, "panel_batches", and_then_built_anew)
    with pytest.raises(StoreError, match=r"built anew while 20.* was read\..* Run the same command again"):
        scored(run)


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
def test_spark_gives_the_bits_of_this_machine(run: ScoringRun, tmp_path: Path) -> None:
    here = scored(run)
    with spark_here(tmp_path):
        assert scored(run, "scoring: {engine: 'local[2]'}\n").equals(here)
    assert not list(run.workspace.store.root.glob("spark-scores*"))
