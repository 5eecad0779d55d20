"""The user's touchpoints, typed, with their reasons and corrections, in Parquet files by bucket of customers."""

from collections.abc import Sequence
from pathlib import Path

from features.sources import ROW, Reader, literal, path_literal, quote
from features.tables import BUCKET, HASH, JOURNEY, NAMED, REASON, UNKNOWN_CUSTOMER, Fitted, reason_case, typed_query

__all__ = ["KEYS", "buckets_for", "joined_query", "stage_touchpoints"]

KEYS = 1 << 63
"""How many customer keys there are."""

_BUCKET_ROWS = 2_000_000


def buckets_for(reader: Reader, fitted: Fitted) -> int:
    """Choose how many buckets: a power of two so that each has at most two million rows, all being spread evenly."""
    rows = int(
        reader.run(
            f"SELECT count(*) FROM {reader.relation(fitted.contract.table, fitted.contract.label)}",
            fitted.contract.label,
        )[0][0]
    )
    return 1 << max(0, (rows - 1).bit_length() - (_BUCKET_ROWS - 1).bit_length())


def stage_touchpoints(reader: Reader, fitted: Fitted, width: int) -> None:
    """Write touchpoints by bucket; those with a reason into a bucket of their own, -1.

    A table of all touchpoints would have to be sorted as a whole, which takes several times as long once it does not
    fit into memory; a bucket always fits.
    """
    known = "greatest(occurred_at, coalesce(known_at, occurred_at))"
    said = [quote(column.name) for column in fitted.contract.columns if column.name != "known_at"]
    hashed = f"hash({known}, {', '.join(said)}) AS {quote(HASH)}"
    query = f"SELECT *, {hashed} FROM ({joined_query(reader, fitted, without=frozenset())})"
    if "touchpoint_id" in fitted.found:
        query = _corrections_query(query, known, [name for name in said if name != quote("customer_id")])
    else:
        query = f"SELECT *, CAST(NULL AS BIGINT) AS replaced_at FROM ({query})"
    bucket = f"CASE WHEN {quote(REASON)} IS NULL THEN customer_key // {width} ELSE -1 END AS {quote(BUCKET)}"
    spill = reader.con.execute("SELECT current_setting('temp_directory')").fetchall()
    folder = f"{spill[0][0]}/touchpoints"
    options = f"FORMAT parquet, COMPRESSION lz4_raw, PARTITION_BY ({quote(BUCKET)})"
    journey = f"CASE WHEN journey_id IS NULL THEN -1 ELSE CAST(hash(journey_id) >> 1 AS BIGINT) END AS {quote(JOURNEY)}"
    named = f"touchpoint_id IS NOT NULL AS {quote(NAMED)}"
    query = f"SELECT * EXCLUDE (customer_id, touchpoint_id, journey_id), {named}, {journey}, {bucket} FROM ({query})"
    reader.run(f"COPY ({query}) TO {literal(folder)} ({options})", fitted.contract.label)
    name, files = quote("staged touchpoints"), sorted(Path(folder).glob("*/*.parquet"))
    if files:
        listed = ", ".join(map(path_literal, files))
        query = f"SELECT * FROM read_parquet([{listed}], hive_partitioning = true)"
    reader.run(f"CREATE TEMP {'VIEW' if files else 'TABLE'} {name} AS {query}", fitted.contract.label)


def _corrections_query(query: str, known: str, said: Sequence[str]) -> str:
    """Add from when on each row is replaced by a later version of the same ``touchpoint_id``.

    Of versions known at the same moment one counts, by what they say: neither the order of the rows nor the name of
    the customer decides, unless two customers are told the very same; the others are set aside. A version for a
    customer who is not in the customers table replaces as any other: later on they may have joined.
    """
    is_version = f"coalesce({quote(REASON)}, {literal(UNKNOWN_CUSTOMER)}) = {literal(UNKNOWN_CUSTOMER)}"
    named = f"coalesce(touchpoint_id, CAST({quote(ROW)} AS VARCHAR)), touchpoint_id IS NULL, {is_version}"
    window = f"OVER (PARTITION BY {named} ORDER BY {known}, hash({', '.join(said)}), customer_id, {quote(ROW)})"
    following = f"SELECT *, lead({known}) {window} AS following, lead({quote(HASH)}) {window} AS again FROM ({query})"
    why = f"CASE WHEN again = {quote(HASH)} THEN 'duplicate touchpoint' ELSE 'corrected at the same moment' END"
    reason = f"CASE WHEN {quote(REASON)} IS NULL AND following = {known} THEN {why} ELSE {quote(REASON)} END"
    return (
        f"SELECT * EXCLUDE (following, again) REPLACE ({reason} AS {quote(REASON)}), following AS replaced_at "
        f"FROM ({following})"
    )


def joined_query(reader: Reader, fitted: Fitted, *, without: frozenset[str] = frozenset({"customer_id"})) -> str:
    """Write the query that gives typed rows with the key of their customer and their reason."""
    contract = fitted.contract
    typed = typed_query(fitted, reader.numbered(contract.table, contract.label))
    names = [quote(ROW), *(quote(column.name) for column in contract.columns if column.name not in without)]
    columns = ", ".join(f"t.{name}" for name in names)
    reason = f"{reason_case(contract.rules)} AS {quote(REASON)}"
    known = '(SELECT customer_id, customer_key, joined_at FROM "@known") k'
    return f"SELECT {columns}, customer_key, {reason} FROM ({typed}) t LEFT JOIN {known} USING (customer_id)"
