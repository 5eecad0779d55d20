"""What each table of a user must hold: columns, types and rules, as data.

A table that cannot be read at all is a fault of the data; a row that breaks a rule goes to quarantine with the reason.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from features.errors import closest
from features.snapshot import DAY
from features.sources import ROW, literal, quote
from features.study import Measure, Study, Table

__all__ = [
    "BUCKET",
    "HASH",
    "JOURNEY",
    "NAMED",
    "REASON",
    "UNKNOWN",
    "UNKNOWN_CUSTOMER",
    "Column",
    "Contract",
    "Fitted",
    "Rule",
    "contracts",
    "fit",
    "measure_rules",
    "reason_case",
    "text_number_query",
    "typed_query",
    "zone_query",
]

Kind: TypeAlias = Literal["key", "text", "word", "time", "number", "covariate"]

REASON = "@reason"
"""Name of the column that says why a row is in quarantine; missing for good rows."""

HASH = "@hash"
"""Name of the column with a hash of what a row says."""

NAMED = "@named"
"""Name of the column that says whether a touchpoint has an id, by which its duplicates have been found already."""

JOURNEY = "@journey"
"""Name of the column with a hash (63 bits) of a ``journey_id``; -1 without one.

It is only compared within one customer and kind of journey: that two ids of a hundred million customers meet there has
a probability of 1e-9.
"""

BUCKET = "row__bucket"
"""Name of the column with the bucket of a row; -1 for rows in quarantine. It becomes the name of folders."""

UNKNOWN_CUSTOMER = "unknown customer"
"""Reason of rows whose customer is not in the customers table."""

UNKNOWN = "unknown"
"""Touchpoint and channel of a contact for which none is given."""

_EARLIEST_JOINING = -25_567 * DAY  # 1900-01-01
_EARLIEST_EVENT = DAY  # 1970-01-01 is how systems write a time they do not have
_NO_NUMBER = "('', '-', 'na', 'n/a', 'nan', 'null', 'none')"
_NUMERIC = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER|BIGNUM|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|BOOLEAN")
_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER")
_TEXT = re.compile(r"VARCHAR|ENUM\([^\]]*\)|UUID")
_ZONE = r"\d:\d\d.*(Z|z|[+-]\d\d(:?\d\d)?|[A-Za-z]{3,}(/[A-Za-z_]+)?)\s*$"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of ours: its name, what it holds, and whether the user must bring it."""

    name: str
    kind: Kind
    is_required: bool = True
    role: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason for quarantine, and the SQL predicate over our columns that finds it."""

    reason: str
    predicate: str


@dataclass(frozen=True, slots=True)
class Contract:
    """What one table must hold; the first rule that a row breaks is its reason."""

    label: str
    table: Table
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A contract and the user's columns that fill it.

    Parameters
    ----------
    contract : Contract
        What was demanded.
    found : mapping of str to tuple of str
        Our name to (their name, DuckDB type); an optional column that is absent is left out.
    """

    contract: Contract
    found: Mapping[str, tuple[str, str]]

    def is_text(self, name: str) -> bool:
        """Whether the user's column holds text."""
        return name in self.found and _TEXT.fullmatch(self.found[name][1]) is not None

    def is_number(self, name: str) -> bool:
        """Whether the user's column holds numbers by its type."""
        return name in self.found and _NUMERIC.fullmatch(self.found[name][1]) is not None


def contracts(study: Study, now_us: int) -> tuple[Contract, ...]:
    """Give the contracts of an event study: customers first, then the tables that point to them.

    Parameters
    ----------
    study : Study
        A study that is not flat.
    now_us : int
        Microseconds since 1970 in UTC; later events are in the future.

    Returns
    -------
    tuple of Contract
        customers, touchpoints, revenue, churn (unless it is a rule) and ``outcomes.<name>``.
    """
    if study.customers is None or study.touchpoints is None or study.revenue is None or study.churn is None:
        raise ValueError("contracts are for event studies; read a flat table with features.flat")
    found = [
        _customers(study.customers, study.customers.covariates, now_us),
        _touchpoints(study, study.touchpoints, now_us),
        _amounts("revenue", study.revenue, "amount", now_us),
    ]
    if study.churn.inactive_days is None:
        found.append(_churn(study.churn, now_us))
    for outcome in study.outcomes:
        value = "" if outcome.kind == "event" else "value"
        found.append(_amounts(f"outcomes.{outcome.name}", outcome, value, now_us))
    return tuple(found)


def fit(contract: Contract, described: Mapping[str, str]) -> tuple[Fitted, tuple[str, ...]]:
    """Match a contract with the columns of the user's table.

    Parameters
    ----------
    contract : Contract
        What is demanded.
    described : mapping of str to str
        Column to DuckDB type, as found.

    Returns
    -------
    Fitted
        What matched.
    tuple of str
        Faults: columns that are missing, and columns whose type cannot serve.
    """
    folded = {name.casefold(): name for name in described}
    found: dict[str, tuple[str, str]] = {}
    faults: list[str] = []
    for column in contract.columns:
        wanted = contract.table.column(column.name)
        theirs = wanted if wanted in described else folded.get(wanted.casefold())
        if theirs is not None:
            found[column.name] = (theirs, described[theirs])
            faults += _type_faults(contract.label, column, theirs, described[theirs])
        elif column.is_required or column.name in contract.table.columns:
            role = f" ({column.role})" if column.role else ""
            hint = closest(wanted, described)
            message = f"{contract.label}: column '{wanted}'{role} is missing.{hint} Found: {', '.join(described)}."
            faults.append(f"{message} Map it under {contract.label}.columns.")
    return Fitted(contract, found), tuple(faults)


def typed_query(fitted: Fitted, relation: str) -> str:
    """Write the query that gives our columns, typed, of numbered rows; what cannot be read becomes missing.

    Beside each text column that should hold numbers or optional times stands ``bad <name>``: whether something was
    there that could not be read.
    """
    parts = [quote(ROW)]
    for column in fitted.contract.columns:
        parts.append(f"{_typed(fitted, column)} AS {quote(column.name)}")
        if column.kind in {"number", "time"}:
            parts.append(f"{_unreadable(fitted, column)} AS {quote('bad ' + column.name)}")
    return f"SELECT {', '.join(parts)} FROM {relation}"


def reason_case(rules: Iterable[Rule]) -> str:
    """Write the expression that names the first broken rule."""
    cases = "".join(f" WHEN {rule.predicate} THEN {literal(rule.reason)}" for rule in rules)
    return f"CASE{cases} END" if cases else "CAST(NULL AS VARCHAR)"


def zone_query(fitted: Fitted, relation: str) -> str | None:
    """Write the query that tells for each time column held as text whether some value had no zone; None without any."""
    tests = []
    for column in fitted.contract.columns:
        if column.kind == "time" and fitted.is_text(column.name):
            has_zone = f"regexp_matches(CAST({quote(fitted.found[column.name][0])} AS VARCHAR), '{_ZONE}')"
            tests.append(f"coalesce(bool_or(NOT {has_zone}), false) AS {quote(column.name)}")
    return f"SELECT {', '.join(tests)} FROM {relation}" if tests else None


def text_number_query(fitted: Fitted, relation: str) -> str | None:
    """Write the query that counts, for each number column held as text, texts and those that are numbers."""
    parts = []
    for column in fitted.contract.columns:
        if column.kind == "number" and fitted.is_text(column.name):
            theirs = _given_text(fitted.found[column.name][0])
            parts.append(f"count({theirs}) AS {quote(column.name)}")
            parts.append(f"count(TRY_CAST({theirs} AS DOUBLE)) AS {quote('number ' + column.name)}")
    return f"SELECT {', '.join(parts)} FROM {relation}" if parts else None


def _customers(table: Table, covariates: tuple[str, ...], now_us: int) -> Contract:
    columns: tuple[Column, ...] = (
        Column("customer_id", "key"),
        Column("joined_at", "time"),
        Column("ended_at", "time", is_required=False),
    )
    columns += tuple(Column(name, "covariate", role="covariate") for name in covariates)
    rules = (
        Rule("missing customer_id", "customer_id IS NULL"),
        Rule("bad timestamp", f"joined_at IS NULL OR joined_at < {_EARLIEST_JOINING}"),
        Rule("future timestamp", f"joined_at > {now_us}"),
        Rule("bad timestamp", quote("bad ended_at")),
        Rule("end before joining", "ended_at < joined_at"),
    )
    return Contract("customers", table, columns, rules)


def _event_rules(now_us: int, moment: str = "occurred_at") -> tuple[Rule, ...]:
    return (
        Rule("missing customer_id", "customer_id IS NULL"),
        Rule("bad timestamp", f"{moment} IS NULL OR {moment} < {_EARLIEST_EVENT}"),
        Rule("future timestamp", f"{moment} > {now_us}"),
        Rule(UNKNOWN_CUSTOMER, "customer_key IS NULL"),
    )


def _touchpoints(study: Study, table: Table, now_us: int) -> Contract:
    columns: tuple[Column, ...] = (
        Column("customer_id", "key"),
        Column("touchpoint_id", "key", is_required=False),
        Column("journey", "text"),
        Column("journey_id", "key", is_required=False),
        Column("touchpoint", "text", is_required=False),
        Column("channel", "text", is_required=False),
        Column("department", "word", is_required=False),
        Column("cause", "word", is_required=False),
        Column("occurred_at", "time"),
        Column("known_at", "time", is_required=False),
    )
    columns += tuple(Column(measure.name, "number", role="measure") for measure in study.measures)
    declared = ", ".join(literal(name) for name in study.journey_names)
    rules = (
        *_event_rules(now_us),
        Rule("bad timestamp", quote("bad known_at")),
        Rule("missing journey", "journey IS NULL"),
        Rule("unknown journey", f"journey NOT IN ({declared})"),
        *(rule for measure in study.measures for rule in measure_rules(measure)),
    )
    return Contract("touchpoints", table, columns, rules)


def measure_rules(measure: Measure) -> Iterator[Rule]:
    """Give the rules for the values of a measure; a missing value breaks none."""
    column = quote(measure.name)
    low, high = measure.bounds
    yield Rule(f"not a number: {measure.name}", quote(f"bad {measure.name}"))
    yield Rule(f"infinite measure: {measure.name}", f"isinf({column})")
    if measure.kind in {"duration", "count"} and low >= 0:
        yield Rule(f"negative {measure.kind}: {measure.name}", f"{column} < 0")
    outside = [f"{column} {sign} {bound!r}" for sign, bound in (("<", low), (">", high)) if abs(bound) != float("inf")]
    if outside:
        yield Rule(f"out of range: {measure.name}", " OR ".join(outside))


def _amounts(label: str, table: Table, amount: str, now_us: int) -> Contract:
    columns: tuple[Column, ...] = (Column("customer_id", "key"), Column("occurred_at", "time"))
    rules = _event_rules(now_us)
    if amount:
        columns += (Column(amount, "number"),)
        rules += (
            Rule(f"missing {amount}", f"{amount} IS NULL"),
            Rule(f"infinite {amount}", f"isinf({amount})"),
        )
    return Contract(label, table, columns, rules)


def _churn(table: Table, now_us: int) -> Contract:
    columns = (
        Column("customer_id", "key"),
        Column("churned_at", "time"),
        Column("returned_at", "time", is_required=False),
    )
    rules = (
        *_event_rules(now_us, "churned_at"),
        Rule("bad timestamp", quote("bad returned_at")),
        Rule("churn before joining", "churned_at < joined_at"),
        Rule("return before churn", "returned_at < churned_at"),
    )
    return Contract("churn", table, columns, rules)


def _type_faults(label: str, column: Column, theirs: str, kind: str) -> Iterator[str]:
    is_number = _NUMERIC.fullmatch(kind) is not None
    is_text = _TEXT.fullmatch(kind) is not None
    is_time = kind == "DATE" or kind.startswith("TIMESTAMP")
    if column.kind == "number" and not (is_number or is_text):
        yield f"{label}: column '{theirs}' holds {kind}. Expected numbers. Convert it in {label}.sql."
    if column.kind == "time" and not (is_time or is_text):
        wanted = "Expected timestamps or dates, as such or as text like 2025-01-31T08:15:00Z"
        yield f"{label}: column '{theirs}' holds {kind}. {wanted}. Convert it in {label}.sql."


def _given_text(theirs: str) -> str:
    """Text of a column; missing where it only says that nothing is there."""
    text = f"CAST({quote(theirs)} AS VARCHAR)"
    return f"CASE WHEN lower(trim({text})) NOT IN {_NO_NUMBER} THEN {text} END"


def _typed(fitted: Fitted, column: Column) -> str:
    if column.name not in fitted.found:
        return {"text": literal(UNKNOWN), "time": "CAST(NULL AS BIGINT)"}.get(column.kind, "CAST(NULL AS VARCHAR)")
    theirs, kind = fitted.found[column.name]
    if column.kind == "key":
        return _key(quote(theirs), kind)
    if column.kind in {"text", "word"}:
        return _word(theirs, or_unknown=column.kind == "text" and column.name != "journey")
    if column.kind == "time":
        moment = f"TRY_CAST({quote(theirs)} AS TIMESTAMPTZ)" if fitted.is_text(column.name) else quote(theirs)
        return f"epoch_us({moment})"
    if column.kind == "covariate" and not fitted.is_number(column.name):
        return _word(theirs, or_unknown=False)
    text = _given_text(theirs) if fitted.is_text(column.name) else quote(theirs)
    number = quote(theirs) if kind == "DOUBLE" else f"TRY_CAST({text} AS DOUBLE)"
    return f"CASE WHEN NOT isnan({number}) THEN {number} + 0.0 END"  # -0.0 becomes 0.0


def _unreadable(fitted: Fitted, column: Column) -> str:
    if not fitted.is_text(column.name):
        return "false"
    theirs = _given_text(fitted.found[column.name][0])
    wanted = "DOUBLE" if column.kind == "number" else "TIMESTAMPTZ"
    return f"({theirs} IS NOT NULL AND TRY_CAST({theirs} AS {wanted}) IS NULL)"


def _word(theirs: str, *, or_unknown: bool) -> str:
    text = f"nullif(trim(CAST({quote(theirs)} AS VARCHAR)), '')"
    return f"coalesce({text}, {literal(UNKNOWN)})" if or_unknown else text


def _key(theirs: str, kind: str) -> str:
    """Write identifiers as text; 12.0 is the customer 12, for a column with gaps often comes as decimals."""
    if _WHOLE.fullmatch(kind):
        return f"CAST({theirs} AS VARCHAR)"
    text = f"CASE WHEN trim(CAST({theirs} AS VARCHAR)) <> '' THEN CAST({theirs} AS VARCHAR) END"
    if kind in {"FLOAT", "DOUBLE"}:
        whole = f"{theirs} = trunc({theirs}) AND abs({theirs}) < 9e15"
        return (
            f"CASE WHEN {whole} THEN CAST(CAST({theirs} AS BIGINT) AS VARCHAR) WHEN NOT isnan({theirs}) THEN {text} END"
        )
    return text
