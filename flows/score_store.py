"""Scores on disk: one folder a cutoff with what it was made from, replaced as a whole; earlier revisions beside.

``scores/cutoff_date=D/`` holds the current revision: ``part-0.parquet``, and its key in ``_scores.json``, which readers
of Parquet folders pass over because of the underscore. Before another revision takes its place, the folder is kept as
``scores_superseded/cutoff_date=D/revision=N/``: whoever reads ``scores/`` meets exactly one revision of each cutoff.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import StoreError
from features.publish import recover, staged, store_error
from flows.score_rows import SCORE_SCHEMA
from flows.storage import Store, write_json

__all__ = [
    "How", "Key", "Published", "Written", "kept_revisions", "publish_scores", "published",
    "rows_digest", "write_rows",
]  # fmt: skip

How = Literal["new", "restated", "equal"]
"""What a run did to a cutoff: its first scores, a further revision, or the same bytes as before."""

PART: Final = "part-0.parquet"
RECORD: Final = "_scores.json"
ROW_GROUP: Final = 65_536
TOTALS: Final = ("churn_risk", "expected_revenue", "revenue_at_risk")

_BLOCK: Final = 1 << 20
_REASONS: Final = {
    "data": ("data",),
    "model": ("churn_model_version", "revenue_model_version", "churn_model_sha256", "revenue_model_sha256"),
    "features": ("feature_contract_hash",),
    "horizon": ("outcome_matures_at",),
}


@dataclass(frozen=True, slots=True)
class Key:
    """All that the scores of a cutoff depend on, apart from the program itself.

    Attributes
    ----------
    cutoff : str
        ``YYYY-MM-DD``.
    churn_model_version, revenue_model_version : str or None
        Registered versions; None where the study has no such model.
    feature_contract_hash : str
        What the features mean.
    data : str
        Of the rows: customers and values of the features (:func:`rows_digest`).
    outcome_matures_at : str
        ``YYYY-MM-DD``: a column of the scores, from the horizon in the study.
    churn_model_sha256, revenue_model_sha256 : str or None
        Of the files of the fitted models: a registry gives the number of a withdrawn version again, and another
        registry begins anew. None where the study has no such model, or none was noted.
    """

    cutoff: str
    churn_model_version: str | None
    revenue_model_version: str | None
    feature_contract_hash: str
    data: str
    outcome_matures_at: str
    churn_model_sha256: str | None = None
    revenue_model_sha256: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of it: 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()

    def changed(self, before: "Key") -> tuple[str, ...]:
        """Say what differs from an earlier key: data, model, features, horizon."""
        return tuple(
            why for why, names in _REASONS.items() if any(getattr(self, one) != getattr(before, one) for one in names)
        )

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        """Take it from plain values; digests are missing in records of before."""
        return cls(
            **{one.name: content[one.name] for one in fields(cls) if one.default is MISSING or one.name in content}
        )


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: rows, SHA-256 of the file, sums of its columns of numbers (None where all are missing)."""

    rows: int
    sha256: str
    totals: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Published:
    """One revision of the scores of a cutoff.

    Attributes
    ----------
    folder : Path
        Where it is.
    key : Key
        What it was made from.
    revision : int
        From 1.
    why : tuple of str
        Why it took the place of the one before: ``first``, ``data``, ``model``, ``features``, ``horizon``, ``code``
        (the program came to other bytes), ``repair`` (the record of the one before was damaged).
    stale : mapping of str to str
        Tables that were older than the study allows, and scored all the same, with the day of their newest row.
    written : Written
        What it holds.
    """

    folder: Path
    key: Key
    revision: int
    why: tuple[str, ...]
    stale: Mapping[str, str]
    written: Written

    @property
    def part(self) -> Path:
        """The file of its scores."""
        return self.folder / PART

    def is_whole(self) -> bool:
        """Whether the file still is what was written."""
        try:
            return _sha256(self.part) == self.written.sha256
        except OSError:
            return False


def rows_digest(frames: Iterable[pd.DataFrame], columns: Sequence[str]) -> str:
    """Give a fingerprint of rows, whatever their order and however they are cut into frames.

    Parameters
    ----------
    frames : iterable of DataFrame
        Rows of the panel.
    columns : sequence of str
        The columns that count: outcomes, which become known later, shall not.

    Returns
    -------
    str
        The sum of a 64-bit hash of each row (modulo 2**64) in hexadecimal digits, and how many rows there are.

    Examples
    --------
    >>> frame = pd.DataFrame({"id": ["a", "b"], "x": [1.0, None], "outcome": [0, 1]})
    >>> whole = rows_digest([frame], ["id", "x"])
    >>> whole == rows_digest([frame[1:], frame[:1].assign(outcome=1)], ["id", "x"])
    True
    >>> whole == rows_digest([frame.assign(x=[1.0, 2.0])], ["id", "x"])
    False
    """
    total, rows = 0, 0
    for frame in frames:
        hashes = pd.util.hash_pandas_object(frame[list(columns)], index=False)
        total = (total + int(np.add.reduce(hashes.to_numpy(), dtype=np.uint64))) % 2**64
        rows += len(frame)
    return f"{total:016x}-{rows}"


def write_rows(path: Path, tables: Iterable[pa.Table]) -> Written:
    """Write scores as they come.

    Parameters
    ----------
    path : Path
        The Parquet file.
    tables : iterable of pyarrow.Table
        With `SCORE_SCHEMA`, of any lengths; one is asked for when those before are written but for a row group.

    Returns
    -------
    Written

    Notes
    -----
    Row groups are of equal length whatever the lengths of the tables: the same rows give the same bytes. Sums are taken
    by row group, likewise.
    """
    rows, sums, known = 0, dict.fromkeys(TOTALS, 0.0), dict.fromkeys(TOTALS, 0)
    with pq.ParquetWriter(path, SCORE_SCHEMA, compression="zstd") as writer:
        for group in _groups(tables):
            writer.write_table(group, row_group_size=ROW_GROUP)
            rows += group.num_rows
            for name in TOTALS:
                present = group[name].drop_null().to_numpy()
                sums[name] += float(present.sum())
                known[name] += len(present)
    return Written(rows, _sha256(path), {name: sums[name] if known[name] else None for name in TOTALS})


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Cut tables anew, into row groups."""
    waiting: list[pa.Table] = []
    held = 0
    for table in tables:
        waiting.append(table)
        held += table.num_rows
        if held < ROW_GROUP:
            continue
        joined = pa.concat_tables(waiting)
        whole = held - held % ROW_GROUP
        for start in range(0, whole, ROW_GROUP):
            yield joined.slice(start, ROW_GROUP).combine_chunks()
        waiting, held = [joined.slice(whole)], held - whole
    if held:
        yield pa.concat_tables(waiting).combine_chunks()


def published(store: Store, cutoff: str) -> Published | None:
    """Read what the current revision of a cutoff was made from.

    Parameters
    ----------
    store : Store
        The study's store.
    cutoff : str
        ``YYYY-MM-DD``.

    Returns
    -------
    Published or None
        None when there is none, or its record is damaged: it is then made again.
    """
    folder = store.score_partition(cutoff)
    recover(folder, workshop=store.unfinished_scores)
    return _read(folder)


def publish_scores(
    store: Store, key: Key, tables: Iterable[pa.Table], *, stale: Mapping[str, str] | None = None
) -> tuple[Published, How]:
    """Write the scores of a cutoff beside those that are there, and put them in their place.

    Parameters
    ----------
    store : Store
        The study's store.
    key : Key
        What they are made from.
    tables : iterable of pyarrow.Table
        As :func:`write_rows` takes them.
    stale : mapping, optional
        See :class:`Published`.

    Returns
    -------
    Published
        The current revision.
    str
        ``new``, ``restated``, or ``equal``: the same bytes came out, in the same revision.

    Raises
    ------
    StoreError
        The store cannot be written. The revision that was there is there.
    """
    partition = store.score_partition(key.cutoff)
    before = published(store, key.cutoff)
    try:
        # Not beside: whoever reads scores/ as a whole would read what is half written.
        with staged(partition, workshop=store.unfinished_scores) as folder:
            written = write_rows(folder / PART, tables)
            now, how = _next(store, partition, key, written, stale or {}, before)
            write_json(folder / RECORD, _record(now))
            if how == "restated" and before is not None and before.is_whole():
                _keep(store, partition, key.cutoff, before.revision)
            elif before is None and (partition / PART).exists():
                _keep(store, partition, key.cutoff, now.revision - 1)
    except OSError as error:
        raise store_error(partition, error) from error
    return now, how


def _next(
    store: Store, folder: Path, key: Key, written: Written, stale: Mapping[str, str], before: Published | None
) -> tuple[Published, How]:
    """Give the number of what was written, and why it is another one."""
    if before is not None and (before.key, before.written.sha256) == (key, written.sha256):
        return replace(before, stale=stale or before.stale), "equal"
    if before is not None:
        why = key.changed(before.key) or ("code",)
        return Published(folder, key, before.revision + 1, why, stale, written), "restated"
    last = max(_kept_numbers(store, key.cutoff), default=0)
    if folder.exists():
        # The number of the scores whose record is damaged was at least the next one: it is not given again.
        return Published(folder, key, last + 2, ("repair",), stale, written), "restated"
    return Published(folder, key, last + 1, ("repair",) if last else ("first",), stale, written), "new"


def _kept_numbers(store: Store, cutoff: str) -> list[int]:
    """List the numbers that earlier revisions have taken, whether their records can be read or not."""
    names = (path.name.removeprefix("revision=") for path in store.superseded_scores(cutoff).glob("revision=*"))
    return [int(name) for name in names if name.isdecimal()]


def _keep(store: Store, folder: Path, cutoff: str, number: int) -> None:
    """Keep scores that are about to be replaced: files get a second name, a copy where that cannot be."""
    with staged(store.superseded_scores(cutoff) / f"revision={number}") as kept:
        for path in filter(Path.exists, (folder / PART, folder / RECORD)):
            try:
                os.link(path, kept / path.name)
            except OSError:
                shutil.copy2(path, kept / path.name)


def kept_revisions(store: Store, cutoff: str) -> tuple[Published, ...]:
    """List the earlier revisions of a cutoff that are kept, oldest first.

    Parameters
    ----------
    store : Store
        The study's store.
    cutoff : str
        ``YYYY-MM-DD``.

    Returns
    -------
    tuple of Published
        Without the current one, which a run that was killed before it replaced it has left among them.
    """
    current, kept = published(store, cutoff), store.superseded_scores(cutoff)
    found = (_read(kept / f"revision={number}") for number in sorted(_kept_numbers(store, cutoff)))
    return tuple(one for one in found if one and (current is None or one.revision < current.revision))


def _record(one: Published) -> dict[str, Any]:
    return {
        "format": 1,
        "key": asdict(one.key),
        "revision": one.revision,
        "why": list(one.why),
        "stale_anyway": dict(one.stale),
        "rows": one.written.rows,
        "sha256": one.written.sha256,
        "totals": dict(one.written.totals),
    }


def _read(folder: Path) -> Published | None:
    try:
        content = (folder / RECORD).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        # The disk may answer again: what cannot be read for the moment is not damaged, and is not made anew.
        raise StoreError(
            f"'{folder / RECORD}' cannot be read: {error.strerror}. What the scores were made from was expected. Make "
            "it readable and run the same command again."
        ) from error
    try:
        record = json.loads(content)
        written = Written(record["rows"], record["sha256"], record["totals"])
        key = Key.read(record["key"])
        return Published(folder, key, record["revision"], tuple(record["why"]), record["stale_anyway"], written)
    except (ValueError, KeyError, TypeError):
        return None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
