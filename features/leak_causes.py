"""Why features differ between two layouts: the laid out rows themselves, side by side, and what that says in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import duckdb

from features.buckets import OPTIONAL_LABELS
from features.layout import Layout
from features.leak_law import ROUNDING
from features.measures import Feature
from features.queries import Mentions
from features.sources import literal, path_literal, quote
from features.study import Study
from features.truncation import Late

__all__ = ["Cause", "Change", "Evidence", "changes", "explain"]

Kind: TypeAlias = Literal["only later", "otherwise", "not there", "gone", "elsewhere", "known too soon"]

ROWS = ""
"""Column of changes that are about whole rows."""

ANY = "*"
"""Stands for whatever column changes, among those that may be behind a difference."""

JOURNEY_START = "journey start"
"""Column of changes in which journey a touchpoint belongs to."""

_MOST_TIMES = 3
_QUERY_ADVICE = (
    "In {label}.sql use only rows at or before the row itself: no window function over the whole table, no aggregate "
    "over a customer's whole life, no join with later rows."
)
_ROW_ADVICE = (
    "Each row needs known_at: when the row, as it stands, was in the table. Rows that are merged or chosen from "
    "several become known with the last of them."
)


@dataclass(frozen=True, slots=True)
class Change:
    """What differs between the rows known at a cutoff, laid out from the whole extract and from what was known then.

    Attributes
    ----------
    table, column : str
        Where; no column: whole rows.
    kind : str
        ``only later``: a value that was missing; ``otherwise``: another value; ``not there``: rows that had not been
        there; ``gone``: rows that had been there; ``elsewhere``: as many of both, so that they seem to have moved;
        ``known too soon``: rows that were known then, of which the whole extract says that they became known later.
    rows, of : int
        How many rows, of how many known at the cutoff.
    """

    table: str
    column: str
    kind: Kind
    rows: int
    of: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about a cutoff when differences are explained.

    Attributes
    ----------
    changes : tuple of Change
        From `changes`.
    queries : mapping of str to Mentions
        What the user's query for each table mentions.
    late : mapping of str to tuple of Late
        The times after the cutoff in the sources of each table.
    revenue_features : frozenset of str
        Features that are folded from revenue.
    origins : mapping of (str, str) to frozenset of str
        Columns of sources, in small letters, from which a column of a table comes; empty where that is unknown.
    """

    changes: tuple[Change, ...]
    queries: Mapping[str, Mentions]
    late: Mapping[str, tuple[Late, ...]]
    revenue_features: frozenset[str]
    origins: Mapping[tuple[str, str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Cause:
    """A likely cause, in words.

    Attributes
    ----------
    table, column : str
        Where to look; empty where it is not in the tables.
    sentence, advice : str
        What happens, and what to do.
    """

    table: str
    column: str
    sentence: str
    advice: str


@dataclass(frozen=True, slots=True)
class _Side:
    """A table of the layout with the columns that say which row it is, and those that are compared."""

    label: str
    at: str
    is_known: str
    keys: tuple[str, ...]
    values: Mapping[str, str]

    def query(self, layout: Layout, cutoff: int) -> str:
        """Write the query of its rows up to a cutoff, of customers who had joined, those with equal keys numbered."""
        rows = _written(layout, self.label)
        if self.label == "touchpoints":
            rows = f"(SELECT * REPLACE ({', '.join(_spelled(layout))}) FROM {rows})"
        if self.label != "customers":
            joined = (
                f"SELECT customer_key, customer_id FROM {_written(layout, 'customers')} WHERE joined_at <= {cutoff}"
            )
            rows += f" JOIN ({joined}) USING (customer_key)"
        keys = ", ".join(map(quote, self.keys))
        values = "".join(f", {expression} AS {quote(name)}" for name, expression in self.values.items())
        shown = f"SELECT {keys}, {self.is_known} AS is_known{values} FROM {rows} WHERE {self.at} <= {cutoff}"
        order = ", ".join(["NOT is_known", *map(quote, self.values)])
        return f"SELECT *, row_number() OVER (PARTITION BY {keys} ORDER BY {order}) AS nth FROM ({shown})"


def changes(
    con: duckdb.DuckDBPyConnection, study: Study, whole: Layout, then: Layout, cutoff: int
) -> tuple[Change, ...]:
    """Compare the laid out rows known at a cutoff.

    Parameters
    ----------
    con : DuckDBPyConnection
        Any connection.
    study : Study
        An event study.
    whole, then : Layout
        Of the whole extract, and of what was known at the cutoff.
    cutoff : int
        Microseconds.

    Returns
    -------
    tuple of Change
        By table and column.
    """
    found: list[Change] = []
    for ours, theirs in zip(_sides(study, whole, cutoff), _sides(study, then, cutoff), strict=True):
        found += _changes(con, ours, ours.query(whole, cutoff), theirs.query(then, cutoff))
    return tuple(found)


def explain(name: str, feature: Feature | None, evidence: Evidence) -> Cause:
    """Say why a feature differs.

    Parameters
    ----------
    name : str
        The feature.
    feature : Feature or None
        What it is; None for who is at risk.
    evidence : Evidence
        What differs in the rows.
    """
    for table, column in _suspects(name, feature, evidence):
        found = [one for one in evidence.changes if one.table == table and column in {one.column, ANY}]
        if found:
            return _told(max(found, key=lambda one: one.rows), evidence)
    sentence = (
        "the rows known at the cutoff are the same, but the feature is not: its definition asks the clock or chance"
    )
    return Cause("", "", sentence, "Look at its facts and folds in features/facts.py and features/definitions.py.")


def _sides(study: Study, layout: Layout, cutoff: int) -> Iterator[_Side]:
    """List the tables that features and who is at risk depend on."""

    def until(name: str) -> str:
        return f"CASE WHEN {name} <= {cutoff} THEN {name} END"

    columns = layout.bucket(0).touchpoints.column_names
    is_known = f"known_at <= {cutoff}" + (f" AND replaced_at > {cutoff}" if "replaced_at" in columns else "")
    # Journeys without ids are cut anew for every cutoff, so that their numbers in the layout say nothing.
    is_dated = f"{is_known} AND NOT is_session" if "is_session" in columns else is_known
    start = {JOURNEY_START: f"min(CASE WHEN {is_dated} THEN occurred_at END) OVER (PARTITION BY journey_key)"}
    measures = {name: quote(name) for name in study.measure_names}
    covariates = {name: quote(name) for name in (study.customers.covariates if study.customers else ())}
    labels = ("customer_id", "occurred_at", "journey", "touchpoint", "channel")
    optional = {name: quote(name) if name in columns else "CAST(NULL AS VARCHAR)" for name in OPTIONAL_LABELS}
    yield _Side("touchpoints", "occurred_at", is_known, labels, measures | optional | start)
    times = {"joined_at": "joined_at", "ended_at": until("ended_at")}
    yield _Side("customers", "joined_at", "true", ("customer_id",), times | covariates)
    yield _Side("revenue", "occurred_at", "true", ("customer_id", "occurred_at"), {"amount": "amount"})
    back = {"returned_at": until("returned_at")}
    yield _Side("churn", "churned_at", "true", ("customer_id", "churned_at"), back)


def _written(layout: Layout, label: str) -> str:
    files = sorted(layout.root.glob(f"bucket-*/{label}.parquet"))
    return f"read_parquet([{', '.join(map(path_literal, files))}])"


def _spelled(layout: Layout) -> Iterator[str]:
    """Write the texts that the codes of a layout stand for."""
    for name, words in layout.manifest.levels.items():
        listed = ", ".join(map(literal, words))
        yield f"CAST([{listed}] AS VARCHAR[])[{quote(name)} + 1] AS {quote(name)}"


def _changes(con: duckdb.DuckDBPyConnection, side: _Side, whole: str, then: str) -> Iterator[Change]:
    """Compare the rows of one table."""
    ours, theirs = "coalesce(a.is_known, false)", "coalesce(b.is_known, false)"
    tests = [ours, f"{ours} AND NOT {theirs}", f"{theirs} AND NOT {ours} AND a.nth IS NULL"]
    tests.append(f"{theirs} AND NOT {ours} AND a.nth IS NOT NULL")
    for name in map(quote, side.values):
        is_lost = f"a.{name} IS NOT NULL AND b.{name} IS NULL"
        tests.append(f"{ours} AND {theirs} AND {is_lost}")
        a, b = (f"TRY_CAST({x}.{name} AS DOUBLE)" for x in "ab")
        is_rounding = f"coalesce(abs({a} - {b}) <= {ROUNDING} * abs({a}), false)"
        differs = f"a.{name} IS DISTINCT FROM b.{name} AND NOT {is_rounding}"
        tests.append(f"{ours} AND {theirs} AND NOT ({is_lost}) AND {differs}")
    counts = ", ".join(f"count(*) FILTER ({test})" for test in tests)
    on = " AND ".join(f"a.{name} = b.{name}" for name in [*map(quote, side.keys), "nth"])
    found = con.execute(f"SELECT {counts} FROM ({whole}) a FULL JOIN ({then}) b ON {on}").fetchone()
    of, missing, extra, soon, *values = map(int, found or (0, 0, 0, 0))
    moved = min(missing, extra)
    met: list[tuple[str, Kind, int]] = [(ROWS, "elsewhere", moved)]
    met += [(ROWS, "not there", missing - moved), (ROWS, "gone", extra - moved), (ROWS, "known too soon", soon)]
    for name, lost, other in zip(side.values, values[::2], values[1::2], strict=True):
        met += [(name, "only later", lost), (name, "otherwise", other)]
    yield from (Change(side.label, name, kind, rows, of) for name, kind, rows in met if rows)


def _suspects(name: str, feature: Feature | None, evidence: Evidence) -> Iterator[tuple[str, str]]:
    """List where a difference may come from, the likeliest first."""
    if feature is None:
        yield from (("customers", ROWS), ("customers", "joined_at"), ("customers", "ended_at"))
        yield from (("churn", ROWS), ("churn", "returned_at"))
    elif feature.role == "covariate":
        yield "customers", "joined_at" if name == "tenure_days" else name
    elif name in evidence.revenue_features:
        yield from (("revenue", ROWS), ("revenue", "amount"))
    else:
        if feature.measure is not None:
            yield "touchpoints", feature.measure
        yield from (("touchpoints", ROWS), ("touchpoints", JOURNEY_START), ("touchpoints", ANY))


def _told(change: Change, evidence: Evidence) -> Cause:
    """Put a change into words."""
    query = evidence.queries.get(change.table)
    late = _used(change, evidence)
    sentence, advice = _happened(change), _QUERY_ADVICE.format(label=change.table) if query is not None else _ROW_ADVICE
    if query is not None and (query.clocks or query.chance):
        asked = ", ".join((*query.clocks, *query.chance))
        sentence += f"; {change.table}.sql asks {asked}"
        advice = f"First take {asked} out: what a row holds must not depend on when it is read. {advice}"
    elif change.kind == "known too soon":
        advice = "known_at must not be filled in or changed later: leave out rows for which it cannot be told yet."
    elif change.kind == "only later" and late:
        sentence += f", from times after the cutoff ({', '.join(f'{one.place}.{one.column}' for one in late)})"
        advice = _time_advice(change, late[0])
    return Cause(change.table, change.column, sentence, advice)


def _happened(change: Change) -> str:
    """Say what happened to the rows of a table."""
    noun = {"revenue": "payments", "churn": "departures"}.get(change.table, change.table)
    rows = f"{change.rows:,} of {change.of:,} {noun} known at the cutoff"
    if change.column == JOURNEY_START:
        return f"{rows} belong to another journey once later rows are there"
    if change.column == ROWS:
        return {
            "elsewhere": f"{rows} stand at another time, journey, touchpoint or channel once later rows are there",
            "not there": f"{rows} had not been there with the rows known then",
            "gone": f"{change.rows:,} {noun} that were there at the cutoff are gone once later rows are there",
            "known too soon": f"{change.rows:,} {noun} were there at the cutoff, but known_at moved beyond it later",
        }[change.kind]
    if change.kind == "only later":
        return f"'{change.column}' is only known later in {rows}"
    return f"'{change.column}' changes in {rows} once later rows are there"


def _used(change: Change, evidence: Evidence) -> tuple[Late, ...]:
    """Give the times after the cutoff that a column is made of, or, where that is unknown, the most frequent ones."""
    late = sorted(evidence.late.get(change.table, ()), key=lambda one: -one.rows)
    origins = evidence.origins.get((change.table, change.column), frozenset())
    return tuple(one for one in late if one.column.casefold() in origins) or tuple(late[:_MOST_TIMES])


def _time_advice(change: Change, late: Late) -> str:
    """Say what to do with a time that was used too early."""
    advice = "Use only what was known at joining, or leave the column out."
    if change.table == "touchpoints":
        advice = f"Give these rows known_at = {late.column} and leave out those without it, or date them by it."
    return f"{advice} If it was planned ahead: --planned {late.place}.{late.column}"
