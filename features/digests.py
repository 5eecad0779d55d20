"""What a bucket knew day by day, as sums of hashes: whether a partition of the panel would come out the same again.

Every row of the laid out tables has a 64-bit hash of what it says, and a day from which on it can matter. The sum of
the hashes up to a day (modulo 2**64) changes when a row up to that day is added, taken away or altered, and does not
depend on the order of the rows. A late row therefore changes the partitions of its bucket from the day on which it was
known, and no others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import StoreError
from features.snapshot import DAY, day_end

__all__ = ["DIGESTS", "BucketDigests", "DayDigests", "digest_days", "read_digests", "write_digests"]

DIGESTS = "digests.parquet"
"""File of the digests inside a layout."""

_BEFORE_CUTOFF = ("customers", "touchpoints")
"""Tables whose rows after the cutoff never matter; of the others the outcome window counts too."""


@dataclass(frozen=True, slots=True)
class DayDigests:
    """Days and digests of one table in one bucket.

    Attributes
    ----------
    table : str
        Its name.
    bucket : int
        Its number.
    days : array of int64, shape (k,)
        Days since 1970, ascending: the first midnight at which the rows were known.
    digests : array of uint64, shape (k,)
        Sum of the hashes of the rows of each day.
    """

    table: str
    bucket: int
    days: NDArray[np.int64]
    digests: NDArray[np.uint64]

    def until(self, moment: int) -> int:
        """Sum up the digests of all days up to a moment (microseconds)."""
        n = int(np.searchsorted(self.days, day_end(moment) // DAY, side="right"))
        return int(np.add.reduce(self.digests[:n], dtype=np.uint64))


class BucketDigests:
    """The digests of all tables of a layout, by bucket.

    Parameters
    ----------
    parts : sequence of DayDigests
        In any order.
    """

    def __init__(self, parts: list[DayDigests]) -> None:
        self._parts: dict[int, list[DayDigests]] = {}
        for part in sorted(parts, key=lambda one: one.table):
            self._parts.setdefault(part.bucket, []).append(part)

    def at(self, bucket: int, cutoff: int, outcomes_until: int) -> str:
        """Give a fingerprint of everything that the rows of a bucket at a cutoff depend on.

        Parameters
        ----------
        bucket : int
            Its number.
        cutoff : int
            Microseconds; touchpoints and customers count as known then.
        outcomes_until : int
            Microseconds; payments, departures and further outcomes count up to then.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        digest = hashlib.sha256()
        for part in self._parts.get(bucket, []):
            until = cutoff if part.table in _BEFORE_CUTOFF else max(cutoff, outcomes_until)
            digest.update(f"{part.table} {part.until(cutoff):x} {part.until(until):x}\n".encode())
        return digest.hexdigest()


def digest_days(table: str, bucket: int, moments: NDArray[np.int64], hashes: NDArray[np.uint64]) -> DayDigests:
    """Sum the hashes of rows by the first midnight at or after which they are known.

    Parameters
    ----------
    table, bucket
        What the rows belong to.
    moments : array of int64, shape (n,)
        Microseconds.
    hashes : array of uint64, shape (n,)
        Of each row.

    Examples
    --------
    >>> found = digest_days("churn", 0, np.array([1, DAY, DAY + 1]), np.array([5, 7, 9], np.uint64))
    >>> found.days.tolist(), found.digests.tolist(), found.until(DAY)
    ([1, 2], [12, 9], 12)
    """
    days, place = np.unique(-(-moments // DAY), return_inverse=True)
    digests = np.zeros(len(days), np.uint64)
    np.add.at(digests, place, hashes)
    return DayDigests(table, bucket, days, digests)


def write_digests(parts: list[DayDigests], root: Path) -> None:
    """Write digests beside the buckets; equal ones give equal bytes."""
    ordered = sorted(parts, key=lambda one: (one.table, one.bucket))
    sizes = [len(one.days) for one in ordered]
    table = pa.table(
        {
            "table": pa.array(np.repeat(np.array([one.table for one in ordered], object), sizes), pa.string()),
            "bucket": np.repeat(np.array([one.bucket for one in ordered], np.int64), sizes),
            "day": np.concatenate([np.zeros(0, np.int64), *(one.days for one in ordered)]),
            "digest": np.concatenate([np.zeros(0, np.uint64), *(one.digests for one in ordered)]),
        }
    )
    pq.write_table(table, root / DIGESTS, compression="lz4")


def read_digests(root: Path) -> BucketDigests:
    """Read what `write_digests` wrote.

    Raises
    ------
    StoreError
        The file is missing or damaged.
    """
    try:
        table = pq.read_table(root / DIGESTS)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"'{root / DIGESTS}' is missing or damaged. Remove '{root}' and run again.") from error
    return BucketDigests(list(_parts(table)))


def _parts(table: pa.Table) -> Iterator[DayDigests]:
    names, buckets = table["table"].to_numpy(zero_copy_only=False), table["bucket"].to_numpy()
    days, digests = table["day"].to_numpy(), table["digest"].to_numpy()
    new = np.ones(len(names), bool)
    new[1:] = (names[1:] != names[:-1]) | (buckets[1:] != buckets[:-1])
    starts = np.flatnonzero(new)
    for start, end in zip(starts, np.append(starts, len(names))[1:], strict=True):
        yield DayDigests(str(names[start]), int(buckets[start]), days[start:end], digests[start:end])
