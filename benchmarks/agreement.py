"""Whether two forms have computed the same features: sums of every column, and rows beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

__all__ = ["Agreement", "compare"]

Floats: TypeAlias = NDArray[np.float64]

_TOLERANCE = 2e-6
"""Values are written in single precision (2**-24 = 6e-8); what is computed in another order may round the other way."""

_SAMPLED_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was compared, and what differs.

    Attributes
    ----------
    rows, columns, compared : int
        Rows and feature columns of the engine, rows that were held beside each other value by value.
    largest : float
        Largest difference, relative to the larger value or to 1.
    faults : tuple of str
        One for each column that differs.
    """

    rows: int
    columns: int
    compared: int
    largest: float
    faults: tuple[str, ...]


def compare(ours: Path, theirs: Path, features: Sequence[str], sampled_rows: int = _SAMPLED_ROWS) -> Agreement:
    """Hold the Parquet files of one folder against those of another.

    Parameters
    ----------
    ours, theirs : Path
        Folders with ``**/*.parquet``: ``customer_id``, ``cutoff`` and the features. NaN and null are the same: missing.
    features : sequence of str
        Columns to compare.
    sampled_rows : int
        About how many rows to compare value by value; sums run over all rows.
    """
    share = max(1, _n_rows(ours) // sampled_rows)
    mine, other = (_digest(folder, features, share) for folder in (ours, theirs))
    rows = mine.rows
    faults = [] if rows == other.rows else [f"{rows:,} rows, but {other.rows:,}"]
    faults += _differing(mine, other, features)
    samples = mine.sample, other.sample
    if samples[0].shape != samples[1].shape:
        return Agreement(rows, len(features), 0, float("nan"), (*faults, "the samples hold different rows"))
    distance = _distance(*samples)
    worst = distance.max(axis=0, initial=0.0)
    names = ("customer_id", "cutoff", *features)
    faults += [
        f"{name}: a value differs by {size:.2g}" for name, size in zip(names, worst, strict=True) if size > _TOLERANCE
    ]
    return Agreement(rows, len(features), len(samples[0]), float(worst.max(initial=0.0)), tuple(faults))


@dataclass(frozen=True, slots=True)
class _Digest:
    """Rows; known values and their sum in each column; some rows, ordered by customer and cutoff, identity first."""

    rows: int
    known: NDArray[np.int64]
    total: Floats
    sample: Floats


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def _n_rows(folder: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in _files(folder))


def _digest(folder: Path, features: Sequence[str], share: int) -> _Digest:
    """Read the files batch by batch; keep the rows of one customer in ``share``."""
    rows, known, total = 0, np.zeros(len(features), np.int64), np.zeros(len(features))
    kept = [np.zeros((0, len(features) + 2))]
    for path in _files(folder):
        for batch in pq.ParquetFile(path).iter_batches(columns=["customer_id", "cutoff", *features]):
            values = _values(batch, features)
            rows += len(values)
            known += np.count_nonzero(~np.isnan(values), axis=0)
            total += np.nansum(values, axis=0)
            identity = np.column_stack([batch["customer_id"].cast(pa.int64()), batch["cutoff"].cast(pa.int64())])
            chosen = identity[:, 0] % share == 0
            kept.append(np.column_stack([identity[chosen], values[chosen]]))
    sample = np.concatenate(kept)
    return _Digest(rows, known, total, sample[np.lexsort((sample[:, 1], sample[:, 0]))])


def _values(batch: pa.RecordBatch, features: Sequence[str]) -> Floats:
    columns = [batch[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in features]
    return np.column_stack(columns).astype(np.float64)


def _differing(ours: _Digest, theirs: _Digest, features: Sequence[str]) -> list[str]:
    differs = (ours.known != theirs.known) | (_distance(ours.total, theirs.total) > _TOLERANCE)
    return [
        f"{features[at]}: {ours.known[at]:,} values with sum {float(ours.total[at])!r}, "
        f"but {theirs.known[at]:,} with {float(theirs.total[at])!r}"
        for at in np.flatnonzero(differs).tolist()
    ]


def _distance(ours: Floats, theirs: Floats) -> Floats:
    """Measure differences relative to the larger value or to 1; missing against known is infinite."""
    size = np.maximum(np.maximum(np.abs(ours), np.abs(theirs)), 1.0)
    distance = np.abs(ours - theirs) / size
    is_missing = np.isnan(ours), np.isnan(theirs)
    return np.where(is_missing[0] & is_missing[1], 0.0, np.where(is_missing[0] ^ is_missing[1], np.inf, distance))
