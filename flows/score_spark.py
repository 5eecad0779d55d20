"""Scores on Spark: the registered models and the same function, on rows that Spark brings.

Models travel as bytes of skops, are loaded once in each worker process with the types that are trusted here, and score
pieces as everywhere. What a row gets does not depend on who its neighbours are, so the division of the work changes
nothing.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.contract import PANEL, PanelContract
from features.errors import StudyError
from features.panel_batches import BATCH_ROWS, IDENTITY, REFERENCE_ROWS, as_frame
from features.publish import sweep
from features.study import Study
from flows.score_rows import SCORE_SCHEMA, LoadedModel, Scorer, needed
from models.evaluation import one_thread
from models.preparation import STORED_TYPES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from flows.storage import Workspace

__all__ = [
    "SparkScorer",
    "panel_on_disk",
    "reference_of",
    "score_on_spark",
    "scored_by_spark",
    "spark_session",
    "spark_tables",
]

_SCRATCH: Final = "spark-scores"
_PLAIN: Final = pa.schema(
    [(one.name, pa.int64() if pa.types.is_timestamp(one.type) else one.type) for one in SCORE_SCHEMA]
)
"""Times as numbers: Spark would write them in a form and a zone of its own."""

_TYPES: Final = {pa.int64(): "bigint", pa.float64(): "double", pa.string(): "string"}


@dataclass(frozen=True, slots=True)
class SparkScorer:
    """What a worker makes its scorer from: text and bytes.

    Attributes
    ----------
    study, contract : str
        As JSON.
    models : tuple of (str, str, bytes)
        Outcome, version, and the model as skops writes it.
    trusted : tuple of str
        Types beside scikit-learn's public ones that a model may hold.
    reference : bytes
        The rows that say what is typical, as an Arrow file.
    columns : tuple of str
        Columns of the panel that scoring needs.
    """

    study: str
    contract: str
    models: tuple[tuple[str, str, bytes], ...]
    trusted: tuple[str, ...]
    reference: bytes
    columns: tuple[str, ...]

    @classmethod
    def of(
        cls,
        study: Study,
        contract: PanelContract,
        models: Mapping[str, LoadedModel],
        reference: pd.DataFrame,
        trusted: Sequence[str],
    ) -> SparkScorer:
        """Pack what scoring needs.

        Parameters
        ----------
        study, contract, models
            As for `flows.score_rows.Scorer`.
        reference : DataFrame
            From `features.panel_batches.panel_sample`, or from `reference_of`.
        trusted : sequence of str
            `flows.sealed_models.TRUSTED_TYPES`.
        """
        import skops.io  # noqa: PLC0415 - takes a second, and most runs do without Spark

        packed = tuple((name, one.version, skops.io.dumps(one.estimator)) for name, one in models.items())
        sink = io.BytesIO()
        reference.to_feather(sink)
        return cls(
            study.model_dump_json(by_alias=True),
            contract.model_dump_json(),
            packed,
            tuple(trusted),
            sink.getvalue(),
            (*IDENTITY, *needed(contract, models)),
        )


def scored_by_spark(
    engine: str,
    workspace: Workspace,
    contract: PanelContract,
    cutoff: int,
    models: Mapping[str, LoadedModel],
    reference: pd.DataFrame,
) -> Iterator[pa.Table]:
    """Score the panel's rows of a cutoff on Spark, for `journeylift score`.

    Parameters
    ----------
    engine : str
        ``scoring.engine`` of the study.
    workspace : Workspace
        The study; its store is on a disk that the workers see under the same path.
    contract, cutoff, models, reference
        As for `SparkScorer.of` and `panel_on_disk`.

    Yields
    ------
    pyarrow.Table
        See `spark_tables`.
    """
    root = workspace.store.root
    scorer = SparkScorer.of(workspace.study, contract, models, reference, STORED_TYPES)
    rows = panel_on_disk(spark_session(engine), root, contract, cutoff)
    sweep(root / _SCRATCH)
    yield from spark_tables(score_on_spark(rows, scorer), root / f"{_SCRATCH}.tmp-{os.getpid()}")


def spark_session(engine: str) -> SparkSession:
    """Start Spark, or use the session that there is.

    Parameters
    ----------
    engine : str
        ``scoring.engine`` of the study: ``spark://host:7077``, or ``local[2]`` for two cores of this machine.

    Raises
    ------
    StudyError
        pyspark is not installed.
    """
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra that most installations do without
    except ImportError as error:
        raise StudyError(
            f"scoring.engine is '{engine}', and pyspark is not installed. Install it as docs/how-to/spark.md says, or "
            "take the key out: one machine scores a million customers within a minute."
        ) from error
    builder = SparkSession.builder.master(engine).appName("journeylift score").config("spark.ui.enabled", "false")
    if engine.startswith("local"):
        builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    return builder.getOrCreate()


def panel_on_disk(session: SparkSession, store: Path, contract: PanelContract, cutoff: int) -> DataFrame:
    """Read the rows of a cutoff from the panel's files; the workers see the store under the same path."""
    partition = contract.by_cutoff[cutoff]
    files = [f"file:{store.absolute() / PANEL / partition.part(bucket)}" for bucket in range(len(partition.parts))]
    return session.read.parquet(*files)


def reference_of(
    rows: DataFrame, columns: Sequence[str], numbers: set[str], count: int = REFERENCE_ROWS
) -> pd.DataFrame:
    """Draw from rows on Spark the sample that `features.panel_batches.panel_sample` draws from a panel of events."""
    found = rows.select(*IDENTITY, *columns).orderBy("customer_key").limit(count).toArrow()
    return as_frame(found, numbers).sort_values("customer_key", kind="stable", ignore_index=True)


def score_on_spark(rows: DataFrame, scorer: SparkScorer) -> DataFrame:
    """Score rows of the panel.

    Parameters
    ----------
    rows : DataFrame
        From `panel_on_disk`, or from `features.spark.panel_on_spark` where there is no panel yet.
    scorer : SparkScorer

    Returns
    -------
    DataFrame
        The columns of `flows.score_rows.SCORE_SCHEMA`, times as microseconds (bigint). No order of rows.

    Notes
    -----
    A row's numbers are those of `flows.score_rows.Scorer`, to the last bit for the forms that are taken apart (logistic
    and additive boosting, boosting of up to eight leaves; revenue by boosting and ridge) on processors of one kind.
    """
    schema = ", ".join(f"{one.name} {_TYPES[one.type]}" for one in _PLAIN)

    def scored(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        ready = _scorer(scorer)
        numbers = {feature.name for feature in ready.contract.features if feature.kind == "number"}
        with one_thread():  # Spark runs as many workers as there are cores
            for batch in batches:
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    piece = pa.Table.from_batches([batch.slice(start, BATCH_ROWS)])
                    yield from ready.score(as_frame(piece, numbers)).cast(_PLAIN).to_batches()

    return rows.select(*scorer.columns).mapInArrow(scored, schema)


def spark_tables(scores: DataFrame, scratch: Path) -> Iterator[pa.Table]:
    """Bring scores from Spark by way of files, so that this process never holds them all.

    Parameters
    ----------
    scores : DataFrame
        From `score_on_spark`.
    scratch : Path
        A folder that the workers see under the same path. What is in it was left by a process that was killed, and
        is removed first; the folder is removed at the end.

    Yields
    ------
    pyarrow.Table
        With `SCORE_SCHEMA`, in no order: `features.sorted_rows.in_order_of` puts them in one.
    """
    # In a container every run has the same process id, and Spark writes into no folder that exists.
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scores.write.parquet(f"file:{scratch.absolute()}")
        for part in sorted(scratch.glob("part-*.parquet")):
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches():
                    yield pa.Table.from_batches([batch]).cast(_PLAIN).cast(SCORE_SCHEMA)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@lru_cache(maxsize=2)
def _scorer(packed: SparkScorer) -> Scorer:
    """Load the models, once in each process."""
    import skops.io  # noqa: PLC0415 - as above

    models = {
        outcome: LoadedModel(version, skops.io.loads(content, trusted=list(packed.trusted)))
        for outcome, version, content in packed.models
    }
    study, contract = Study.model_validate_json(packed.study), PanelContract.model_validate_json(packed.contract)
    return Scorer.of(study, contract, models, pd.read_feather(io.BytesIO(packed.reference)))
