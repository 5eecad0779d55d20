"""The user's tables inside DuckDB: checked against their contracts, typed, every row with its reason or none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import DataError, EmptyResultError
from features.inactivity import propose_inactivity, spells_of
from features.manifest import Quarantined
from features.snapshot import DAY, day_end
from features.sources import ROW, Reader, literal, quote
from features.staged_touchpoints import KEYS, buckets_for, joined_query, stage_touchpoints
from features.study import Study
from features.tables import (
    REASON,
    Contract,
    Fitted,
    contracts,
    fit,
    reason_case,
    text_number_query,
    typed_query,
    zone_query,
)

__all__ = ["Staged", "checked", "quarantined", "stage", "write_bad_rows", "write_quarantine"]

_EXAMPLES = 5
_EMPTY = "{label}: no rows are left: {why}. Expected at least one good row. Correct the table or its mapping."


@dataclass(frozen=True, slots=True)
class Staged:
    """Tables named ``staged <label>`` in DuckDB, and what was met while they were made.

    Parameters
    ----------
    fitted : tuple of Fitted
        The contracts with the user's columns.
    zoneless : tuple of str
        ``table.column`` of the timestamps that had no zone and were read as UTC.
    data_start, data_end : int
        First touchpoint; last touchpoint, revenue or churn; microseconds.
    customers, touchpoints : int
        Good rows, duplicate touchpoints still among them.
    before_joining : int
        Touchpoints before their customer joined; they are good rows, for adverts come before.
    undeclared : tuple of str
        A few of the journeys that are not in the map.
    corrected : int
        Touchpoints that a later version of the same ``touchpoint_id`` replaced.
    buckets, bucket_width : int
        How many buckets there are, and how many customer keys each spans.
    """

    fitted: tuple[Fitted, ...]
    zoneless: tuple[str, ...]
    data_start: int
    data_end: int
    customers: int
    touchpoints: int
    before_joining: int
    undeclared: tuple[str, ...]
    corrected: int
    buckets: int
    bucket_width: int


def stage(
    reader: Reader, study: Study, now_us: int, tick: Callable[[str], None], *, buckets: int | None = None
) -> Staged:
    """Read every table, check it, and type its rows.

    Touchpoints go to Parquet files beside the spilled memory of DuckDB, by bucket; the other tables stay in DuckDB.

    Parameters
    ----------
    reader : Reader
        The sources.
    study : Study
        An event study.
    now_us : int
        Microseconds; later events are in the future.
    tick : callable
        Told what is being read.
    buckets : int, optional
        Number of buckets; by default a power of two so that each has at most two million touchpoints, which stays the
        same while the data grow by less than half.

    Returns
    -------
    Staged
        What was met; the rows stay where they are, the good ones with ``customer_key``.

    Raises
    ------
    DataError
        With every column that is missing or cannot serve, and every table without rows.
    EmptyResultError
        If nobody churned, or everybody.
    """
    fitted, faults, zoneless = [], list[str](), list[str]()
    for contract in contracts(study, now_us):
        tick(f"checking {contract.label}")
        try:
            one, found = checked(reader, contract)
        except DataError as error:
            faults += error.faults
            continue
        faults += found
        fitted.append(one)
        zoneless += _zoneless(reader, one) if not found else []
    if faults:
        raise DataError.collect(faults)
    width = KEYS
    for one in fitted:
        tick(f"reading {one.contract.label}")
        if one.contract.label == "touchpoints":
            buckets = min(buckets or buckets_for(reader, one), max(1, _count(reader, 'SELECT count(*) FROM "@known"')))
            width = -(-KEYS // buckets)
            stage_touchpoints(reader, one, width)
        else:
            _stage(reader, one)
    _demand_rows(reader, fitted)
    start, end = _span(reader, has_churn=study.churn is not None and study.churn.inactive_days is None)
    if reader.lens is not None:
        end = max(end, reader.lens.data_end)
    if study.churn is not None and study.churn.inactive_days is not None:
        # Data are complete up to the midnight after the last event: who is silent until then is away at that midnight.
        _stage_inactivity(reader, study.churn.inactive_days * DAY, day_end(end))
    if reader.lens is None:
        _demand_both_classes(reader, study, end)
    counts = [_count(reader, f"SELECT count(*) FROM {_good(label)}") for label in ("customers", "touchpoints")]
    early = f'SELECT count(*) FROM (SELECT * FROM {_good("touchpoints")}) JOIN "@known" USING (customer_key)'
    before = _count(reader, f"{early} WHERE occurred_at < joined_at")
    corrected = _count(reader, f"SELECT count(replaced_at) FROM {_good('touchpoints')}")
    return Staged(
        fitted=tuple(fitted),
        zoneless=tuple(zoneless),
        data_start=start,
        data_end=end,
        customers=counts[0],
        touchpoints=counts[1],
        before_joining=before,
        undeclared=_undeclared(reader),
        corrected=corrected,
        buckets=buckets or 1,
        bucket_width=width,
    )


def write_quarantine(
    reader: Reader, fitted: Sequence[Fitted], duplicates: Sequence[NDArray[np.int64]], folder: Path
) -> tuple[Quarantined, ...]:
    """Write the rows that broke a rule, as the user brought them, one file per table.

    Parameters
    ----------
    reader : Reader
        The connection that holds the staged tables.
    fitted : sequence of Fitted
        The tables.
    duplicates : sequence of array of int
        Row numbers of the touchpoints that stood there before.
    folder : Path
        Where ``<table>.parquet`` is written; tables without bad rows get no file.

    Returns
    -------
    tuple of Quarantined
        Sorted by table in the order of the study, then by reason.
    """
    doubles = pa.table({ROW: np.concatenate([np.zeros(0, np.int64), *duplicates])})
    reader.con.register("@doubles", doubles)
    found: list[Quarantined] = []
    for one in fitted:
        label = one.contract.label
        bad = f"SELECT {quote(ROW)}, {quote(REASON)} FROM {_staged(label)} WHERE {quote(REASON)} IS NOT NULL"
        if label == "touchpoints":
            bad += f" UNION ALL SELECT {quote(ROW)}, 'duplicate touchpoint' FROM \"@doubles\""
        counts = quarantined(reader.con, bad, label)
        if counts:
            write_bad_rows(reader, one, bad, folder / f"{label}.parquet")
            found += counts
    reader.con.unregister("@doubles")
    return tuple(found)


def quarantined(con: duckdb.DuckDBPyConnection, bad: str, label: str) -> tuple[Quarantined, ...]:
    """Count the rows that a query gives with their reasons, by reason, and name the first few."""
    counts = f"SELECT {quote(REASON)}, count(*), min({quote(ROW)}, {_EXAMPLES}) FROM ({bad}) GROUP BY 1 ORDER BY 1"
    return tuple(
        Quarantined(table=label, reason=reason, rows=rows, examples=tuple(examples))
        for reason, rows, examples in con.execute(counts).fetchall()
    )


def _staged(label: str) -> str:
    return quote(f"staged {label}")


def _good(label: str) -> str:
    return f"{_staged(label)} WHERE {quote(REASON)} IS NULL"


def _count(reader: Reader, query: str) -> int:
    row = reader.con.execute(query).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def _undeclared(reader: Reader) -> tuple[str, ...]:
    rows = f"{_staged('touchpoints')} WHERE {quote(REASON)} = 'unknown journey'"
    found = reader.con.execute(f"SELECT DISTINCT journey FROM {rows} ORDER BY 1 LIMIT 5").fetchall()
    return tuple(str(row[0]) for row in found)


def checked(reader: Reader, contract: Contract) -> tuple[Fitted, tuple[str, ...]]:
    """Match a contract with the user's columns, and refuse text where numbers are needed.

    Returns
    -------
    Fitted
        What matched.
    tuple of str
        Faults; empty if the table can be used.
    """
    relation = reader.relation(contract.table, contract.label)
    described = {str(row[0]): str(row[1]) for row in reader.run(f"DESCRIBE {relation}", contract.label)}
    fitted, faults = fit(contract, described)
    query = None if faults else text_number_query(fitted, relation)
    if query is None:
        return fitted, faults
    counts = reader.run(query, contract.label)[0]
    names = [column.name for column in contract.columns if column.kind == "number" and fitted.is_text(column.name)]
    for name, given, numbers in zip(names, counts[::2], counts[1::2], strict=True):
        if given and not numbers:
            column = f"column '{fitted.found[name][0]}'"
            message = (
                f"{contract.label}: {column} holds text in all {given:,} rows that are not empty. Expected numbers."
            )
            faults += (f"{message} Map another column to '{name}', or convert it in {contract.label}.sql.",)
    return fitted, faults


def _zoneless(reader: Reader, fitted: Fitted) -> list[str]:
    """Time columns without a zone: by their type, or by some of their texts."""
    label = fitted.contract.label
    columns = fitted.contract.columns
    times = [column.name for column in columns if column.kind == "time" and column.name in fitted.found]
    query = zone_query(fitted, reader.relation(fitted.contract.table, label))
    flags = iter(reader.run(query, label)[0] if query is not None else ())
    is_zoneless = {
        name: next(flags) if fitted.is_text(name) else "TIME ZONE" not in fitted.found[name][1] for name in times
    }
    return [f"{label}.{name}" for name in times if is_zoneless[name]]


def _stage(reader: Reader, fitted: Fitted) -> None:
    contract = fitted.contract
    if contract.label == "customers":
        typed = typed_query(fitted, reader.numbered(contract.table, contract.label))
        query = f"SELECT *, {reason_case(contract.rules)} AS {quote(REASON)} FROM ({typed})"
    else:
        query = joined_query(reader, fitted)
    reader.run(f"CREATE TEMP TABLE {_staged(contract.label)} AS {query}", contract.label)
    if contract.label == "customers":
        _number_customers(reader, [column.name for column in contract.columns])
    if contract.label == "churn":
        _refuse_second_churn(reader)


def _mark(reader: Reader, label: str, reason: str, numbered: str, predicate: str) -> None:
    """Give a reason to good rows, by what stands in the good rows around them."""
    chosen = f"SELECT {quote(ROW)} FROM (SELECT {quote(ROW)}, {numbered} FROM {_good(label)}) WHERE {predicate}"
    reader.con.execute(
        f"UPDATE {_staged(label)} SET {quote(REASON)} = {literal(reason)} WHERE {quote(ROW)} IN ({chosen})"
    )


def _number_customers(reader: Reader, columns: Sequence[str]) -> None:
    order = ", ".join(quote(name) for name in (*columns[1:], ROW))
    place = f"row_number() OVER (PARTITION BY customer_id ORDER BY {order}) AS place"
    _mark(reader, "customers", "duplicate customer", place, "place > 1")
    # A hash, so that a customer keeps key and bucket whoever else joins. 63 bits: two of a million customers share one
    # with a probability of 5e-8.
    key = "CAST(md5_number_lower(customer_id) >> 1 AS BIGINT) AS customer_key"
    reader.con.execute(f'CREATE TEMP TABLE "@known" AS SELECT *, {key} FROM {_good("customers")}')
    _mark_shared_keys(reader)


def _mark_shared_keys(reader: Reader) -> None:
    shared = reader.con.execute('SELECT customer_key FROM "@known" GROUP BY 1 HAVING count(*) > 1 LIMIT 1').fetchall()
    if shared:
        raise DataError(
            "customers: two customer_ids have the same hash, which happens once in ten million tables of a million "
            "customers. Every customer needs a key of its own. Add a letter to all customer_ids and run again."
        )


def _refuse_second_churn(reader: Reader) -> None:
    """Refuse to let somebody churn who has not returned since the last time."""
    window = f"OVER (PARTITION BY customer_key ORDER BY churned_at, returned_at NULLS LAST, {quote(ROW)})"
    numbered = f"churned_at, row_number() {window} AS place, lag(returned_at) {window} AS back"
    _mark(
        reader,
        "churn",
        "churn without a return before it",
        numbered,
        "place > 1 AND (back IS NULL OR back > churned_at)",
    )


def _demand_rows(reader: Reader, fitted: Sequence[Fitted]) -> None:
    faults = []
    labels = [one.contract.label for one in fitted if one.contract.label != "churn"]
    for label in labels if reader.lens is None else ("customers", "touchpoints"):
        if _count(reader, f"SELECT count(*) FROM {_good(label)}") == 0:
            query = f"SELECT {quote(REASON)}, count(*) FROM {_staged(label)} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 3"
            causes = ", ".join(f"{rows:,} with {reason}" for reason, rows in reader.con.execute(query).fetchall())
            faults.append(_EMPTY.format(label=label, why=causes or "the table is empty"))
    if faults:
        raise DataError.collect(faults)


def _span(reader: Reader, *, has_churn: bool) -> tuple[int, int]:
    start = _count(reader, f"SELECT min(occurred_at) FROM {_good('touchpoints')}")
    ends = [_count(reader, f"SELECT max(occurred_at) FROM {_good(label)}") for label in ("touchpoints", "revenue")]
    if has_churn:
        ends.append(_count(reader, f"SELECT max(churned_at) FROM {_good('churn')}"))
    return start, max(ends)


def _stage_inactivity(reader: Reader, pause: int, end: int) -> None:
    """Turn pauses in revenue into churn; a pause that the data end cuts short is not yet one."""
    following = "lead(occurred_at) OVER (PARTITION BY customer_key ORDER BY occurred_at)"
    paid = f"SELECT customer_key, occurred_at, {following} AS following FROM {_good('revenue')} AND amount > 0"
    columns = f"customer_key, occurred_at + {pause} AS churned_at, following AS returned_at"
    reader.con.execute(
        f"CREATE TEMP TABLE {_staged('churn')} AS SELECT {columns}, CAST(NULL AS VARCHAR) AS {quote(REASON)} "
        f"FROM ({paid}) WHERE coalesce(following, {end}) - occurred_at >= {pause}"
    )


def _demand_both_classes(reader: Reader, study: Study, end: int) -> None:
    churned = _count(reader, f"SELECT count(DISTINCT customer_key) FROM {_good('churn')}")
    gone = _count(reader, f"SELECT count(DISTINCT customer_key) FROM {_good('churn')} AND returned_at IS NULL")
    customers = _count(reader, f"SELECT count(*) FROM {_good('customers')}")
    days = study.churn.inactive_days if study.churn is not None else None
    where = f"no customer was without revenue for {days} days" if days else "no good row is in the churn table"
    if churned == 0:
        message = f"Nobody churned: {where}. Both churners and stayers were expected. Correct 'churn'."
        raise EmptyResultError(f"{message} {_silence(reader, end)}".strip())
    if gone == customers:
        message = f"All {customers:,} customers churned. Both churners and stayers were expected."
        raise EmptyResultError(f"{message} Bring the customers who stayed as well, or correct 'churn'.")


def _silence(reader: Reader, end: int) -> str:
    """Say which silence without revenue could count as churn."""
    query = f"SELECT customer_key, occurred_at, amount FROM {_good('revenue')}"
    found = spells_of(pa.table(reader.con.execute(query).fetchnumpy()), end)
    return propose_inactivity(lambda: [found]).advice()


def write_bad_rows(reader: Reader, fitted: Fitted, bad: str, path: Path) -> None:
    """Write the user's own values of some rows, beside ``quarantine_row`` (from 1) and ``quarantine_reason``.

    Parameters
    ----------
    reader : Reader
        The sources.
    fitted : Fitted
        The table.
    bad : str
        Query that gives row numbers and reasons.
    path : Path
        Parquet file to write.
    """
    label = fitted.contract.label
    rows = reader.numbered(fitted.contract.table, label)
    columns = f"b.{quote(ROW)} AS quarantine_row, b.{quote(REASON)} AS quarantine_reason, r.* EXCLUDE ({quote(ROW)})"
    query = f"SELECT {columns} FROM {rows} r JOIN ({bad}) b ON r.{quote(ROW)} = b.{quote(ROW)} ORDER BY ALL"
    reader.run(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet)", label)
