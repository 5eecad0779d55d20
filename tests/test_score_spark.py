"""Scores on Spark are the local ones to the last bit, from the panel's files and from the layout."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.company import simulate_company
from features.company_files import write_company
from features.contract import PanelContract
from features.layout import Layout, lay_out
from features.panel import build_panel, read_panel
from features.panel_batches import panel_batches, panel_sample
from features.spark import layout_on_spark, panel_on_spark
from features.study import Study, parse_study
from flows.score_rows import SCORE_SCHEMA, LoadedModel, Scorer, needed, score_batches
from flows.score_spark import _PLAIN, SparkScorer, panel_on_disk, reference_of, score_on_spark, spark_tables
from flows.sealed_models import TRUSTED_TYPES
from models.churn import fit_churn
from models.revenue import fit_revenue
from tests.sparks import spark_here

pytestmark = [
    pytest.mark.spark,
    # PySpark 4.3 says so of every version from 3 on; what is used here exchanges Arrow tables only.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]


@dataclass(frozen=True, slots=True)
class Scored:
    """A company with two models, and its last cutoff scored on this machine."""

    study: Study
    layout: Layout
    contract: PanelContract
    models: dict[str, LoadedModel]
    local: pa.Table

    @property
    def at(self) -> int:
        return self.contract.cutoffs[-1]

    @property
    def store(self) -> Path:
        return self.layout.root.parent

    @property
    def columns(self) -> list[str]:
        return needed(self.contract, self.models)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    folder = tmp_path_factory.mktemp("company")
    write_company(simulate_company(250, 11, weeks=66), folder)
    study = parse_study((folder / "study.yaml").read_text("utf-8") + "engine: {workers: 1}\n", "study.yaml")
    layout = lay_out(study, folder, folder / "store", buckets=3)
    contract = build_panel(study, layout, folder / "store").contract
    frame, rng = read_panel(folder / "store", contract.matured).iloc[:900], np.random.default_rng(3)
    models = {
        "churn": LoadedModel("3", fit_churn(frame, contract.features, "additive boosting", rng)),
        "revenue": LoadedModel("5", fit_revenue(frame, contract.features, "boosting", rng)),
    }
    store, at, columns = folder / "store", contract.cutoffs[-1], needed(contract, models)
    scorer = Scorer.of(study, contract, models, panel_sample(store, contract, at, columns, is_hashed=True))
    local = pa.concat_tables(score_batches(scorer, panel_batches(store, contract, at, columns), 2))
    return Scored(study, layout, contract, models, local.sort_by("customer_id").combine_chunks())


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with spark_here(tmp_path_factory.mktemp("spark")) as running:
        yield running


def packed(here: Scored, reference: Any) -> SparkScorer:
    return SparkScorer.of(here.study, here.contract, here.models, reference, TRUSTED_TYPES)


def test_a_packed_scorer_scores_like_the_one_that_was_packed(here: Scored) -> None:
    from flows.score_spark import _scorer  # noqa: PLC0415 - what a worker calls

    reference = panel_sample(here.store, here.contract, here.at, here.columns, is_hashed=True)
    frame = next(panel_batches(here.store, here.contract, here.at, here.columns))
    again = _scorer(packed(here, reference)).score(frame)
    assert again.equals(Scorer.of(here.study, here.contract, here.models, reference).score(frame))


def test_scores_of_the_panels_files_are_the_local_ones(session: Any, here: Scored, tmp_path: Path) -> None:
    rows = panel_on_disk(session, here.store, here.contract, here.at).repartition(3)
    scorer = packed(here, panel_sample(here.store, here.contract, here.at, here.columns, is_hashed=True))
    found = pa.concat_tables(spark_tables(score_on_spark(rows, scorer), tmp_path / "scratch"))
    assert found.schema == SCORE_SCHEMA
    assert found.sort_by("customer_id").combine_chunks().equals(here.local)
    assert not (tmp_path / "scratch").exists()


def test_what_a_killed_run_of_the_same_process_id_left_is_written_over(here: Scored, tmp_path: Path) -> None:
    scratch = tmp_path / "spark-scores.tmp-1"
    scratch.mkdir()
    pq.write_table(here.local.slice(0, 5), scratch / "part-left.parquet")

    class Written:
        """What Spark does to write: it refuses a folder that exists."""

        @property
        def write(self) -> "Written":
            return self

        def parquet(self, where: str) -> None:
            folder = Path(where.removeprefix("file:"))
            folder.mkdir()
            pq.write_table(here.local.cast(_PLAIN), folder / "part-0.parquet")

    assert pa.concat_tables(spark_tables(Written(), scratch)).combine_chunks().equals(here.local)  # type: ignore[arg-type]
    assert not scratch.exists()


def test_scores_of_rows_that_spark_makes_from_the_layout_are_the_local_ones(
    session: Any, here: Scored, tmp_path: Path
) -> None:
    tables = layout_on_spark(session, here.layout)
    rows = panel_on_spark(tables, here.study, here.contract, [here.at], buckets=4).persist()
    numbers = {feature.name for feature in here.contract.features if feature.kind == "number"}
    scorer = packed(here, reference_of(rows, here.columns, numbers))
    found = pa.concat_tables(spark_tables(score_on_spark(rows, scorer), tmp_path / "scratch"))
    assert found.sort_by("customer_id").combine_chunks().equals(here.local)


def test_a_model_that_holds_an_untrusted_type_is_not_loaded_in_a_worker(session: Any, here: Scored) -> None:
    reference = panel_sample(here.store, here.contract, here.at, here.columns, is_hashed=True)
    scorer = SparkScorer.of(here.study, here.contract, here.models, reference, ())
    rows = panel_on_disk(session, here.store, here.contract, here.at)
    with pytest.raises(Exception, match="UntrustedTypesFoundException"):
        score_on_spark(rows.limit(3), scorer).toArrow()
