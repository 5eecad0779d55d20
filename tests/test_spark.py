"""Spark gives the very numbers of the local engine: a small company, shuffled, on a local Spark."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features.company import simulate_company
from features.company_files import write_company
from features.contract import PanelContract
from features.engine import build
from features.errors import DataError, StoreError
from features.journeys import in_order, total_order
from features.layout import Layout, lay_out
from features.measures import catalogue
from features.panel import build_panel
from features.snapshot import DAY
from features.spark import PLACE, SparkTables, features_on_spark, layout_on_spark, panel_on_spark
from features.study import Study, parse_study
from tests.sparks import spark_here

pytestmark = [
    pytest.mark.spark,
    # PySpark 4.3 says so of every version from 3 on; what is used here exchanges Arrow tables only.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

WEEK = 7 * DAY
OUTCOMES = """
outcomes:
  - {name: score, kind: mean, sql: "select client_no as customer_id, event_time as occurred_at, score as value
    from contacts where score is not null"}
  - {name: complained, kind: event, direction: lower,
    sql: "select client_no as customer_id, event_time as occurred_at from contacts where process = 'complaint'"}
"""


@dataclass(frozen=True, slots=True)
class Built:
    """A company whose panel has been built on this machine."""

    study: Study
    layout: Layout
    contract: PanelContract
    panel: pa.Table

    def touchpoints(self) -> pa.Table:
        return pa.concat_tables([bucket.touchpoints for bucket in self.layout.all_buckets()]).unify_dictionaries()

    def spine(self) -> pa.Table:
        """Every second row of the panel, in no order, and a customer who is not there."""
        chosen = np.random.default_rng(3).permutation(self.panel.num_rows)[::2]
        rows = self.panel.select(["customer_key", "cutoff"]).take(pa.array(chosen))
        keys = np.append(rows["customer_key"].to_numpy(), 999_983)
        cutoffs = np.append(rows["cutoff"].cast(pa.int64()).to_numpy(), self.contract.cutoffs[0])
        return pa.table({"customer_key": keys, "cutoff": cutoffs, "note": [f"row {n}" for n in range(len(keys))]})

    def locally(self, touchpoints: pa.Table, spine: pa.Table) -> pa.Table:
        found = catalogue(self.study, self.contract.recorded, self.contract.observed)
        table = build(found.plan, touchpoints, spine, found.levels)
        return table.rename_columns([found.columns.get(name, name) for name in table.column_names])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A company whose clock strikes weeks, so that many touchpoints coincide; one in eight is known late."""
    folder = tmp_path_factory.mktemp("a {company}") / "of [one] *"
    write_company(simulate_company(250, 11, weeks=70), folder)
    contacts = pq.read_table(folder / "touchpoints.parquet")
    weeks = contacts["event_time"].cast(pa.int64()).to_numpy() // WEEK * WEEK
    late = weeks + np.where(np.arange(len(weeks)) % 8 == 0, 9 * DAY, 0)
    for name, values in (("event_time", weeks), ("booked_time", late)):
        times = pa.array(values).cast(pa.timestamp("us", "UTC"))
        contacts = contacts.set_column(contacts.column_names.index(name), name, times)
    pq.write_table(contacts, folder / "touchpoints.parquet")
    study = parse_study((folder / "study.yaml").read_text() + OUTCOMES, "study.yaml")
    layout = lay_out(study, folder, folder / "store", buckets=3)
    contract = build_panel(study, layout, folder / "store").contract
    parts = sorted((folder / "store" / "panel").rglob("part-*.parquet"))
    return Built(study, layout, contract, pa.concat_tables([pq.read_table(part, partitioning=None) for part in parts]))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with spark_here(tmp_path_factory.mktemp("spark")) as running:
        yield running


@pytest.fixture(scope="module")
def tables(session: Any, built: Built) -> SparkTables:
    """The layout on Spark, its rows thrown about."""
    from pyspark.sql import functions  # noqa: PLC0415 - only where pyspark is

    def shuffled(table: Any) -> Any:
        return table.repartition(3, functions.rand(5))

    found = layout_on_spark(session, built.layout)
    return SparkTables(
        touchpoints=shuffled(found.touchpoints),
        customers=shuffled(found.customers),
        revenue=shuffled(found.revenue),
        churn=shuffled(found.churn),
        outcomes={name: shuffled(table) for name, table in found.outcomes.items()},
    )


def assert_same_bits(found: pa.Table, wanted: pa.Table, keys: list[str]) -> None:
    """Compare types and values, missing ones and NaN included, after both have been ordered by their keys."""
    assert found.schema.names == wanted.schema.names
    order = [(name, "ascending") for name in keys]
    found, wanted = found.sort_by(order), wanted.sort_by(order)
    for name in wanted.column_names:
        one, other = (table[name].combine_chunks() for table in (found, wanted))
        if pa.types.is_timestamp(other.type):
            one, other = one.cast(pa.int64()), other.cast(pa.int64())
        assert one.type == other.type, name
        if pa.types.is_floating(other.type) and not other.null_count:
            assert one.null_count == 0, name
            assert one.to_numpy().tobytes() == other.to_numpy().tobytes(), name
        assert one.equals(other) or pa.types.is_floating(other.type), name


def test_the_order_of_a_layout_cannot_be_had_from_its_rows(built: Built) -> None:
    touchpoints, spine = built.touchpoints(), built.spine()
    order = total_order(touchpoints)
    assert (np.sort(order) == np.arange(touchpoints.num_rows)).all()
    assert (order != np.arange(touchpoints.num_rows)).any()
    local, otherwise = (built.locally(rows, spine) for rows in (touchpoints, touchpoints.take(pa.array(order))))
    assert local["support__switches_count__mean"] != otherwise["support__switches_count__mean"]


@pytest.mark.parametrize("buckets", [1, 5])
def test_features_on_spark_equal_those_of_the_engine_to_the_last_bit(
    session: Any, tables: SparkTables, built: Built, buckets: int
) -> None:
    spine = built.spine()
    found = features_on_spark(tables.touchpoints, session.createDataFrame(spine), built.study, built.contract, buckets)
    local = built.locally(built.touchpoints(), spine)
    assert_same_bits(found.toArrow().select(local.column_names), local, ["note"])


def test_touchpoints_without_a_place_are_put_in_order(session: Any, tables: SparkTables, built: Built) -> None:
    spine = built.spine()
    touchpoints = built.touchpoints()
    mixed = touchpoints.take(pa.array(np.random.default_rng(1).permutation(touchpoints.num_rows)))
    found = features_on_spark(
        tables.touchpoints.drop(PLACE), session.createDataFrame(spine), built.study, built.contract, 5
    )
    local = built.locally(in_order(mixed), spine)
    assert_same_bits(found.toArrow().select(local.column_names), local, ["note"])


def test_panel_rows_on_spark_equal_those_of_the_panel_to_the_last_bit(tables: SparkTables, built: Built) -> None:
    found = panel_on_spark(tables, built.study, built.contract, built.contract.cutoffs, 4)
    assert [field.name for field in found.schema] == built.panel.column_names
    assert_same_bits(found.toArrow(), built.panel, ["cutoff", "customer_key"])
    assert pc.any(built.panel["is_mature"]).as_py()
    assert not pc.all(built.panel["is_mature"]).as_py()


def test_a_table_that_cannot_serve_is_a_fault_of_the_data(session: Any, tables: SparkTables, built: Built) -> None:
    spine = session.createDataFrame(built.panel.select(["customer_key", "cutoff"]))
    touchpoints = tables.touchpoints.withColumnRenamed("known_at", "known").drop("wait")
    with pytest.raises(DataError, match=r"touchpoints: column 'known_at' is missing\. Did you mean 'known'") as caught:
        features_on_spark(touchpoints, spine, built.study, built.contract, 2)
    assert any("column 'wait' is missing" in fault for fault in caught.value.faults)
    assert any("spine: column 'cutoff' is timestamp. Expected bigint" in fault for fault in caught.value.faults)
    with pytest.raises(DataError, match=r"outcomes: no table for 'score'\. Found: none"):
        panel_on_spark(replace(tables, outcomes={}), built.study, built.contract, built.contract.cutoffs, 2)


def test_a_contract_of_another_study_is_refused(tables: SparkTables, built: Built) -> None:
    other = built.contract.model_copy(update={"feature_contract_hash": "0"})
    with pytest.raises(StoreError, match="lists other features than study 'northline' has"):
        panel_on_spark(tables, built.study, other, other.cutoffs, 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"buckets": 0}, "0 buckets were asked for"), ({"cutoffs": ()}, "no cutoff is given")],
)
def test_nothing_to_do_is_a_mistake(
    tables: SparkTables, built: Built, changed: Mapping[str, Any], message: str
) -> None:
    asked: dict[str, Any] = {"cutoffs": built.contract.cutoffs, "buckets": 2} | dict(changed)
    with pytest.raises(ValueError, match=message):
        panel_on_spark(tables, built.study, built.contract, **asked)
