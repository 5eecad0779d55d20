"""Features and panel rows on Spark: the same engine, run on buckets of whole customers, equal to the last bit.

Spark only brings the rows of a customer together and hands them over as Arrow tables; what is computed from them, and
in which order, is the business of `features.engine` and `features.panel_rows` here as everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa

from features.contract import PanelContract
from features.engine import build
from features.errors import DataError, StoreError, closest
from features.journeys import total_order
from features.layout import Bucket, Layout
from features.measures import Catalogue, Observed, catalogue, features_hash, typed
from features.panel_rows import BucketRows
from features.snapshot import matured
from features.study import Study

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["PLACE", "SparkTables", "features_on_spark", "layout_on_spark", "panel_on_spark"]

Work: TypeAlias = Callable[[pa.Table, pa.Table], pa.Table]

PLACE = "__place"
"""Column that says in which order the touchpoints of a customer stand; no measure can be called so."""

_BUCKET = "__bucket"
_CODE = "bigint"
_WANTED: Mapping[str, Mapping[str, str]] = {
    "touchpoints": {
        "customer_key": _CODE,
        "journey": "string",
        "journey_key": _CODE,
        "touchpoint": "string",
        "channel": "string",
        "occurred_at": _CODE,
        "known_at": _CODE,
    },
    "spine": {"customer_key": _CODE, "cutoff": _CODE},
    "customers": {"customer_key": _CODE, "customer_id": "string", "joined_at": _CODE},
    "revenue": {"customer_key": _CODE, "occurred_at": _CODE, "amount": "double"},
    "churn": {"customer_key": _CODE, "churned_at": _CODE, "returned_at": _CODE},
    "outcomes": {"customer_key": _CODE, "occurred_at": _CODE},
}


@dataclass(frozen=True, slots=True)
class SparkTables:
    """The tables of a study as Spark DataFrames, with the columns of a `features.layout.Layout`.

    Parameters
    ----------
    touchpoints : DataFrame
        ``customer_key``, ``journey``, ``journey_key``, ``touchpoint``, ``channel``, ``occurred_at``, ``known_at``, the
        measures, whatever else features are made of, and `PLACE`.
    customers : DataFrame
        ``customer_key``, ``customer_id``, ``joined_at``, ``ended_at`` (optional) and the covariates.
    revenue : DataFrame
        ``customer_key``, ``occurred_at``, ``amount``.
    churn : DataFrame
        ``customer_key``, ``churned_at``, ``returned_at``.
    outcomes : mapping of str to DataFrame
        For each further outcome ``customer_key``, ``occurred_at``, ``value``.
    """

    touchpoints: DataFrame
    customers: DataFrame
    revenue: DataFrame
    churn: DataFrame
    outcomes: Mapping[str, DataFrame]


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What a worker makes the catalogue from: text and tuples, for the functions of a plan cannot be sent to it."""

    study: str
    observed: tuple[Observed, ...]
    channels: tuple[str, ...]

    def read(self) -> tuple[Study, Catalogue]:
        """Make the study and its features anew."""
        study = Study.model_validate_json(self.study)
        return study, catalogue(study, {"channel": self.channels}, self.observed)


def layout_on_spark(session: SparkSession, layout: Layout) -> SparkTables:
    """Read the tables of a layout, and with each touchpoint its place in the layout.

    Parameters
    ----------
    session : SparkSession
        Its executors see the folder of the layout under the same path.
    layout : Layout
        From `features.layout.lay_out` or `features.layout.open_layout`.

    Returns
    -------
    SparkTables

    Notes
    -----
    The layout's order among touchpoints of the same customer and moment cannot be had from the rows: it was decided by
    the user's ``journey_id``, of which only the number is left. Hence `PLACE`.
    """
    from pyspark.sql import functions as spark  # noqa: PLC0415 - an extra that most installations do without

    def read(label: str) -> DataFrame:
        return session.read.parquet(f"file:{_literally(layout.root)}/bucket-*/{_literally(label)}.parquet")

    prefix = "outcomes."
    labels = sorted({path.stem for path in layout.root.glob(f"bucket-*/{prefix}*.parquet")})
    return SparkTables(
        touchpoints=read("touchpoints").select("*", spark.col("_metadata.row_index").alias(PLACE)),
        customers=read("customers"),
        revenue=read("revenue"),
        churn=read("churn"),
        outcomes={label.removeprefix(prefix): read(label) for label in labels},
    )


def features_on_spark(
    touchpoints: DataFrame, spine: DataFrame, study: Study, contract: PanelContract, buckets: int
) -> DataFrame:
    """Compute the features of customers at cutoffs that come from touchpoints.

    Parameters
    ----------
    touchpoints : DataFrame
        See `SparkTables`. Without the column `PLACE` they are put into the order of `features.journeys.in_order`.
    spine : DataFrame
        ``customer_key`` and ``cutoff`` (int64 microseconds), one row for each row wanted; further columns are kept.
    study : Study
        An event study.
    contract : PanelContract
        Of a panel of this study, perhaps built from some of its customers: which features there are.
    buckets : int
        Into how many groups of whole customers the rows are divided. A worker holds one at a time, with its rows at
        all cutoffs: about a million touchpoints each are a good size (1 GB).

    Returns
    -------
    DataFrame
        The columns of the spine, then a float64 column for each feature, in the order of the contract. Features of
        revenue, tenure, season and covariates are not made from touchpoints: see `panel_on_spark`. No order of rows.

    Raises
    ------
    DataError
        A column is missing or of another type.
    StoreError
        The contract belongs to another study or version.

    Notes
    -----
    Equal to the last bit to `features.engine.build` on the same touchpoints in the same order, however the customers
    are divided (processors of one kind and equal versions of NumPy presumed).
    """
    recipe = _recipe(study, contract)
    _demand({"touchpoints": touchpoints, "spine": spine}, {"touchpoints": _measures(study, contract)})
    return _by_bucket(touchpoints, spine, buckets, partial(_features, recipe))


def panel_on_spark(
    tables: SparkTables, study: Study, contract: PanelContract, cutoffs: Sequence[int], buckets: int
) -> DataFrame:
    """Make whole panel rows: features, outcomes, maturity and weight of the customers at risk at each cutoff.

    Parameters
    ----------
    tables : SparkTables
        From `layout_on_spark`, or made by the user on Spark.
    study, contract, buckets
        See `features_on_spark`. Whether a cutoff is mature is decided by ``contract.data_end``.
    cutoffs : sequence of int
        Microseconds.

    Returns
    -------
    DataFrame
        The rows of `features.panel_rows.BucketRows`, to the last bit, in no order.

    Raises
    ------
    DataError
        A table or column is missing, or of another type.
    StoreError
        The contract belongs to another study or version.
    """
    if not cutoffs:
        raise ValueError("no cutoff is given; at least one was expected")
    recipe = _recipe(study, contract)
    others = _others(tables, study)
    further = {"touchpoints": _measures(study, contract)}
    further["customers"] = study.customers.covariates if study.customers else ()
    further |= {f"outcomes.{outcome.name}": ("value",) for outcome in study.outcomes if outcome.kind != "event"}
    _demand({"touchpoints": tables.touchpoints} | others, further)
    mature = frozenset(matured(cutoffs, study.snapshot, contract.data_end))
    work = partial(_panel, recipe, tuple(others), tuple((cutoff, cutoff in mature) for cutoff in cutoffs))
    return _by_bucket(tables.touchpoints, _stacked(list(others.values())), buckets, work)


def _literally(path: Path | str) -> str:
    """Write a path so that Hadoop reads no pattern into it."""
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", str(path))


def _recipe(study: Study, contract: PanelContract) -> _Recipe:
    """Derive the features as they were derived for a panel."""
    recipe = _Recipe(study.model_dump_json(by_alias=True), contract.observed, contract.channels)
    found = recipe.read()[1]
    features = typed(found.features, contract.categories)
    if features_hash(features, study.snapshot.window_days) != contract.feature_contract_hash:
        raise StoreError(
            f"The panel's contract lists other features than study '{study.name}' has. A panel built from this study, "
            "by this version, was expected. Build it anew with 'journeylift features'."
        )
    return recipe


def _measures(study: Study, contract: PanelContract) -> tuple[str, ...]:
    """Name the measures from which features are made."""
    observed = {row.measure for row in contract.observed if row.rows}
    return tuple(measure.name for measure in study.measures if measure.known == "before" and measure.name in observed)


def _others(tables: SparkTables, study: Study) -> dict[str, DataFrame]:
    """Name the tables beside the touchpoints as a layout names them."""
    absent = [outcome.name for outcome in study.outcomes if outcome.name not in tables.outcomes]
    if absent:
        there = ", ".join(tables.outcomes) or "none"
        raise DataError(f"outcomes: no table for '{absent[0]}'. Found: {there}. Bring one for each outcome.")
    named = {"customers": tables.customers, "revenue": tables.revenue, "churn": tables.churn}
    return named | {f"outcomes.{outcome.name}": tables.outcomes[outcome.name] for outcome in study.outcomes}


def _demand(tables: Mapping[str, DataFrame], further: Mapping[str, Sequence[str]]) -> None:
    """Refuse tables that lack a column, or whose keys and times are not whole numbers."""
    faults: list[str] = []
    for label, table in tables.items():
        wanted = {**_WANTED[label.split(".")[0]], **dict.fromkeys(further.get(label, ()), "")}
        faults += _faults(label, dict(table.dtypes), wanted)
    if faults:
        raise DataError.collect(faults)


def _faults(label: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    for name, kind in wanted.items():
        if name not in found:
            yield f"{label}: column '{name}' is missing.{closest(name, found)} Found: {', '.join(found)}. Add it."
        elif kind and found[name] != kind:
            advice = "Times are microseconds since 1970 in UTC: unix_micros() makes them." if kind == _CODE else ""
            yield f"{label}: column '{name}' is {found[name]}. Expected {kind}. {advice or 'Cast it.'}"


def _by_bucket(left: DataFrame, right: DataFrame, buckets: int, work: Work) -> DataFrame:
    """Bring the rows of the same customers together and let a function work on each bucket of them."""
    if buckets < 1:
        raise ValueError(f"{buckets} buckets were asked for; at least one was expected")
    left, right = (_divided(table, buckets) for table in (left, right))
    empty = work(left.limit(0).toArrow(), right.limit(0).toArrow())
    schema = left.sparkSession.createDataFrame(empty).schema
    return left.groupBy(_BUCKET).cogroup(right.groupBy(_BUCKET)).applyInArrow(work, schema)


def _divided(table: DataFrame, buckets: int) -> DataFrame:
    from pyspark.sql import functions as spark  # noqa: PLC0415 - as above

    return table.withColumn(_BUCKET, spark.pmod("customer_key", spark.lit(buckets)))


def _stacked(tables: Sequence[DataFrame]) -> DataFrame:
    """Put tables under each other, each as structs in a column of its own, for only two can be grouped together."""
    from pyspark.sql import functions as spark  # noqa: PLC0415 - as above

    parts = [
        table.select("customer_key", spark.struct("*").alias(f"table {number}")) for number, table in enumerate(tables)
    ]
    return reduce(lambda above, below: above.unionByName(below, allowMissingColumns=True), parts)


def _apart(stacked: pa.Table, names: Sequence[str]) -> dict[str, pa.Table]:
    """Undo `_stacked`; rows of one customer and moment are ordered by the numbers that they hold, as in a layout."""
    return {
        name: _by_numbers(pa.Table.from_struct_array(stacked[f"table {number}"].drop_null()))
        for number, name in enumerate(names)
    }


def _by_numbers(rows: pa.Table) -> pa.Table:
    numbers = [
        field.name for field in rows.schema if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    ]
    keys = ["customer_key", *(name for name in numbers if name != "customer_key")]
    return rows.sort_by([(key, "ascending") for key in keys])


def _features(recipe: _Recipe, touchpoints: pa.Table, spine: pa.Table) -> pa.Table:
    """Do in a worker what `build` does, and call features what the panel calls them."""
    _, found = recipe.read()
    spine = spine.drop_columns([_BUCKET])
    built = build(found.plan, _ordered(touchpoints), spine, found.levels)
    made = {found.columns[name]: built[name] for name in built.column_names[spine.num_columns :]}
    features = {feature.name: made[feature.name] for feature in found.features if feature.name in made}
    return pa.table(dict(zip(spine.column_names, spine.columns, strict=True)) | features)


def _panel(
    recipe: _Recipe,
    names: Sequence[str],
    cutoffs: Sequence[tuple[int, bool]],
    touchpoints: pa.Table,
    others: pa.Table,
) -> pa.Table:
    """Make the panel rows of a bucket in a worker, at each cutoff with whether it is mature."""
    study, found = recipe.read()
    tables = _apart(others, names)
    outcomes = {outcome.name: tables[f"outcomes.{outcome.name}"] for outcome in study.outcomes}
    bucket = Bucket(_ordered(touchpoints), tables["customers"], tables["revenue"], tables["churn"], outcomes)
    rows = BucketRows(study, found, bucket)
    return pa.concat_tables([rows.at(cutoff, is_mature=is_mature) for cutoff, is_mature in cutoffs])


def _ordered(touchpoints: pa.Table) -> pa.Table:
    """Give touchpoints the order that they had before they were shuffled, or one that depends on nothing else."""
    rows = _encoded(touchpoints.drop_columns([_BUCKET]))
    if PLACE not in rows.column_names:
        return rows.take(pa.array(total_order(rows)))
    order = np.lexsort((rows[PLACE].to_numpy(), rows["customer_key"].to_numpy()))
    return rows.drop_columns([PLACE]).take(pa.array(order))


def _encoded(rows: pa.Table) -> pa.Table:
    """Turn text into dictionaries: four bytes a row."""
    for number, field in enumerate(rows.schema):
        if pa.types.is_string(field.type):
            rows = rows.set_column(number, field.name, rows[field.name].dictionary_encode())
    return rows.unify_dictionaries()
