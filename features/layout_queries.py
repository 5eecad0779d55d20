"""What is asked of the staged tables: the levels of text columns, and rows in the order of the layout."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from features.buckets import LABELS
from features.journeys import NEVER
from features.sources import ROW, Reader, literal, quote
from features.study import Study
from features.tables import BUCKET, HASH, JOURNEY, NAMED, REASON
from features.tally import Tally

__all__ = ["Combinations", "combinations", "levels", "other_tables", "texts", "touchpoint_query"]

Combinations: TypeAlias = tuple[tuple[str, str, str], ...]


def combinations(reader: Reader) -> Combinations:
    """List which journeys, touchpoints and channels occur together, sorted."""
    rows = f"{quote('staged touchpoints')} WHERE {quote(REASON)} IS NULL"
    found = reader.con.execute(f"SELECT DISTINCT {', '.join(LABELS)} FROM {rows} ORDER BY ALL").fetchall()
    return tuple((str(row[0]), str(row[1]), str(row[2])) for row in found)


def levels(study: Study, combinations: Combinations) -> dict[str, tuple[str, ...]]:
    """Levels that occur: journeys in the order of the map, the others as text."""
    levels = {name: tuple(sorted({row[place] for row in combinations})) for place, name in enumerate(LABELS)}
    return levels | {"journey": tuple(name for name in study.journey_names if name in levels["journey"])}


def texts(reader: Reader, name: str) -> tuple[str, ...]:
    """Give the different texts of an optional column, sorted."""
    rows = f"{quote('staged touchpoints')} WHERE {quote(REASON)} IS NULL AND {quote(name)} IS NOT NULL"
    found = reader.con.execute(f"SELECT DISTINCT {quote(name)} FROM {rows} ORDER BY 1").fetchall()
    return tuple(str(row[0]) for row in found)


def touchpoint_query(study: Study, tally: Tally, *, has_corrections: bool) -> str:
    """Write the query that gives the touchpoints of a bucket (to be filled in) by customer and time."""
    codes = [
        f"coalesce(enum_code(CAST({quote(n)} AS {quote('level of ' + n)})), -1) AS {quote(n)}" for n in tally.levels
    ]
    columns = ["customer_key", *codes, quote(JOURNEY), "occurred_at"]
    columns += ["greatest(occurred_at, coalesce(known_at, occurred_at)) AS known_at"]
    columns += [f"coalesce(replaced_at, {NEVER}) AS replaced_at"] if has_corrections else []
    columns += [*map(quote, study.measure_names), quote(NAMED)]
    columns += [quote(HASH), quote(ROW)]
    rows = f"{quote('staged touchpoints')} WHERE {quote(BUCKET)} = {{bucket}}"
    return f"SELECT {', '.join(columns)} FROM {rows} ORDER BY customer_key, occurred_at"


def other_tables(study: Study) -> Iterator[tuple[str, str]]:
    """Yield the name of each table beside the touchpoints, and the query that gives its rows by customer.

    Columns whose name begins with `features.tables.HASH` hold hashes of what a row says of a moment.
    """
    covariates = tuple(study.customers.covariates if study.customers else ())
    known = ("customer_key", "customer_id", "joined_at", "ended_at", *covariates)
    said = {"joined_at": ("customer_id", *covariates), "ended_at": ("customer_id",)}
    yield "customers", f'SELECT {_hashed(known, said)} FROM "@known" ORDER BY customer_key'
    yield "revenue", _sorted("revenue", ("customer_key", "occurred_at", "amount"))
    yield "churn", _sorted("churn", ("customer_key", "churned_at", "returned_at"))
    for outcome in study.outcomes:
        value = "1.0 AS value" if outcome.kind == "event" else "value"
        name = f"outcomes.{outcome.name}"
        yield name, _sorted(name, ("customer_key", "occurred_at", "value"), value)


def _sorted(label: str, columns: tuple[str, ...], value: str = "") -> str:
    rows = f"{quote('staged ' + label)} WHERE {quote(REASON)} IS NULL"
    rows = f"(SELECT customer_key, occurred_at, {value} FROM {rows})" if value else rows
    dated = [name for name in columns if name.endswith("_at")]
    others = tuple(name for name in columns if name not in dated)
    return f"SELECT {_hashed(columns, dict.fromkeys(dated, others))} FROM {rows} ORDER BY ALL"


def _hashed(columns: Sequence[str], said: Mapping[str, Sequence[str]]) -> str:
    """Select columns, and beside each moment a hash of what the row says of it."""
    hashes = [
        f"hash({literal(name)}, {quote(name)}, {', '.join(map(quote, others))}) AS {quote(HASH + name)}"
        for name, others in said.items()
    ]
    return ", ".join([*map(quote, columns), *hashes])
