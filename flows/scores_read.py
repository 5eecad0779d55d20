"""The scores as they are published: which cutoffs there are, and their rows."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import StoreError
from features.publish import recover
from flows.storage import Store, cutoffs_in

__all__ = ["read_scores", "scored_cutoffs"]


def scored_cutoffs(store: Store) -> tuple[str, ...]:
    """List the cutoffs with published scores (``YYYY-MM-DD``), ascending."""
    return tuple(cutoff for cutoff in cutoffs_in(store.scores) if _parts(store.score_partition(cutoff)))


def read_scores(store: Store, cutoff: str) -> pd.DataFrame:
    """Read the scores of a cutoff, the revision that is published now.

    Parameters
    ----------
    store : Store
        Where they were written.
    cutoff : str
        ``YYYY-MM-DD``.

    Returns
    -------
    DataFrame
        Columns of `flows.score_rows.SCORE_SCHEMA`, ordered by customer.

    Raises
    ------
    StoreError
        There are none, or they cannot be read.
    """
    partition = store.score_partition(cutoff)
    recover(partition, workshop=store.unfinished_scores)
    parts = sorted(_parts(partition))
    if not parts:
        raise StoreError(
            f"There are no scores of {cutoff} in '{store.scores}'. A folder of Parquet files was expected. Run: "
            f"journeylift score --cutoff {cutoff}"
        )
    try:
        frame = pa.concat_tables([pq.read_table(part, partitioning=None) for part in parts]).to_pandas()
    except (OSError, pa.ArrowException) as fault:
        raise StoreError(
            f"The scores in '{partition}' cannot be read: {str(fault).splitlines()[0][:200]}. Parquet files as written "
            f"by journeylift score were expected. Delete the folder and run: journeylift score --cutoff {cutoff}"
        ) from fault
    ordered: pd.DataFrame = frame.sort_values("customer_id", kind="stable", ignore_index=True)
    return ordered


def _parts(partition: Path) -> list[Path]:
    return list(partition.glob("part-*.parquet"))
