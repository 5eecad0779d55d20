"""Rules between the sections of a study: names that must be declared elsewhere, sections that exclude each other.

They work on the plain document, which may be malformed in other ways, so that one run lists every fault.
"""

from collections.abc import Iterator

from features.errors import closest
from features.marked import Fault, Location
from features.overrules import overrule_faults
from features.scoring_rules import scoring_faults

__all__ = ["TABLE_COLUMNS", "study_faults"]

TABLE_COLUMNS: dict[str, tuple[str, ...]] = {
    "customers": ("customer_id", "joined_at", "ended_at"),
    "touchpoints": (
        "customer_id",
        "touchpoint_id",
        "journey",
        "journey_id",
        "touchpoint",
        "channel",
        "department",
        "cause",
        "occurred_at",
        "known_at",
    ),
    "churn": ("customer_id", "churned_at", "returned_at"),
    "revenue": ("customer_id", "occurred_at", "amount"),
    "outcomes": ("customer_id", "occurred_at", "value"),
    "flat": ("customer_id",),
}
"""Our column names per table; a key of ``columns`` must be one of them (or a covariate, or a measure)."""

_EVENT_TABLES = ("customers", "touchpoints", "churn", "revenue")
_TIMES = {"occurred_at", "known_at", "joined_at", "ended_at", "churned_at", "returned_at", "cutoff"}
_KEYS = {"customer_id", "customer_key", "journey", "journey_id", "journey_key", "touchpoint", "channel"}
_OF_TOUCHPOINTS = {*TABLE_COLUMNS["touchpoints"], "is_session", "replaced_at"}
_RESERVED = _TIMES | _KEYS | {"is_churned", "revenue", "revenue_past", "is_mature", "weight", "tenure_days"}
_RESERVED |= {"replica_group"}


def study_faults(document: object) -> Iterator[Fault]:
    """Find what the sections say against each other.

    Parameters
    ----------
    document : object
        The plain study: mappings, lists and scalars; anything malformed is skipped here.

    Yields
    ------
    Fault
        One for each contradiction, with its place.
    """
    raw = _mapping(document)
    yield from _shape_faults(raw)
    for where, table in _tables(raw):
        yield from _table_faults(raw, where, table)
    yield from _journey_faults(raw)
    yield from _measure_faults(raw)
    yield from _promise_faults(raw)
    yield from overrule_faults(raw)
    yield from _name_faults(raw)
    yield from _date_faults(raw)
    yield from scoring_faults(raw)


def _mapping(value: object) -> dict[object, object]:
    return value if isinstance(value, dict) else {}


def _items(raw: dict[object, object], section: str) -> Iterator[tuple[int, dict[object, object]]]:
    """Positions and mappings of a section that is a list."""
    values = raw.get(section)
    for position, value in enumerate(values if isinstance(values, list) else ()):
        if isinstance(value, dict):
            yield position, value


def _texts(value: object) -> list[tuple[int, str]]:
    return [(i, text) for i, text in enumerate(value if isinstance(value, list) else ()) if isinstance(text, str)]


def _named(raw: dict[object, object], section: str) -> list[str]:
    return [name for _, item in _items(raw, section) if isinstance(name := item.get("name"), str)]


def _tables(raw: dict[object, object]) -> Iterator[tuple[Location, dict[object, object]]]:
    for section in (*_EVENT_TABLES, "flat"):
        if isinstance(table := raw.get(section), dict):
            yield (section,), table
    for position, table in _items(raw, "outcomes"):
        yield ("outcomes", position), table


def _shape_faults(raw: dict[object, object]) -> Iterator[Fault]:
    """Either the four event tables or one flat table."""
    is_flat = raw.get("flat") is not None
    for section in _EVENT_TABLES:
        given = raw.get(section) is not None
        if is_flat and given:
            message = "a flat table has no event tables beside it. Remove this section or 'flat'."
            yield Fault((section,), message, at_key=True)
        elif not is_flat and not given:
            yield Fault((), f"'{section}' is missing. Add the section, or describe a flat table under 'flat'.")
    if is_flat and raw.get("outcomes"):
        message = "further outcomes of a flat table are columns of it. Name them under 'flat.outcomes'."
        yield Fault(("outcomes",), message, at_key=True)
    flat = _mapping(raw.get("flat"))
    if is_flat and not any(flat.get(key) for key in ("churned", "revenue", "outcomes")):
        yield Fault(("flat",), "no outcome is named. Add 'churned: COLUMN' or 'outcomes: {NAME: COLUMN}'.", at_key=True)
    covariates, segment = [text for _, text in _texts(flat.get("covariates"))], flat.get("segment")
    if isinstance(segment, str) and segment not in covariates:
        message = f"no covariate is called '{segment}'.{closest(segment, covariates)} Declared: {_list(covariates)}."
        yield Fault(("flat", "segment"), message)
    if flat.get("base_rate") is not None and flat.get("churned") is None:
        yield Fault(("flat", "base_rate"), "a base rate of churn needs 'churned: COLUMN'. Add it.", at_key=True)


def _table_faults(raw: dict[object, object], where: Location, table: dict[object, object]) -> Iterator[Fault]:
    if where == ("churn",) and table.get("inactive_days") is not None:
        if any(table.get(key) for key in ("from", "table", "sql", "columns")):
            yield Fault(where, "churn is either a table or 'inactive_days'. Remove one of them.", at_key=True)
        return
    yield from _place_faults(raw, where, table)
    known = list(TABLE_COLUMNS[str(where[0])])
    known += [text for _, text in _texts(table.get("covariates"))]
    known += _named(raw, "measures") if where == ("touchpoints",) else []
    for key in _mapping(table.get("columns")):
        if key not in known:
            hint = closest(str(key), known)
            message = f"unknown column name of ours.{hint} Known here: {', '.join(known)}."
            yield Fault((*where, "columns", str(key)), message, at_key=True)


def _place_faults(raw: dict[object, object], where: Location, table: dict[object, object]) -> Iterator[Fault]:
    """``from`` (+ ``table``) or ``sql``: exactly one way to the rows."""
    source, sql, inner = table.get("from"), table.get("sql"), table.get("table")
    if source is None and sql is None:
        yield Fault(where, "no rows are named. Add 'from: SOURCE' or 'sql: select ...'.", at_key=True)
    if sql is not None and inner is not None:
        yield Fault((*where, "table"), "'table' and 'sql' exclude each other. Remove one of them.", at_key=True)
    if not isinstance(source, str):
        if source is None and inner is not None and sql is None:
            yield Fault((*where, "table"), "'table' needs 'from: SOURCE' beside it.", at_key=True)
        return
    sources = _mapping(raw.get("sources"))
    if source not in sources:
        known = [str(name) for name in sources]
        yield Fault(
            (*where, "from"), f"no source is called '{source}'.{closest(source, known)} Declared: {_list(known)}."
        )
        return
    is_database = isinstance(sources[source], dict) and "files" not in _mapping(sources[source])
    if is_database and sql is None and inner is None:
        yield Fault((*where, "from"), f"'{source}' is a database. Add 'table: NAME' or 'sql: select ...'.")
    if not is_database and inner is not None:
        yield Fault((*where, "table"), f"'{source}' is a file and has no tables inside. Remove 'table'.", at_key=True)


def _journey_faults(raw: dict[object, object]) -> Iterator[Fault]:
    journeys = _named(raw, "journeys")
    for position, journey in _items(raw, "journeys"):
        for index, target in _texts(journey.get("leads_to")):
            if target not in journeys:
                yield Fault(("journeys", position, "leads_to", index), _unknown_journey(target, journeys))


def _unknown_journey(name: str, journeys: list[str]) -> str:
    return f"no journey is called '{name}'.{closest(name, journeys)} Declared: {_list(journeys)}."


def _promise_faults(raw: dict[object, object]) -> Iterator[Fault]:
    measures = {item["name"]: item for _, item in _items(raw, "measures") if isinstance(item.get("name"), str)}
    for position, measure in _items(raw, "measures"):
        promise, where = measure.get("promise"), ("measures", position, "promise")
        if not isinstance(promise, str):
            continue
        known = [str(name) for name in measures if name != measure.get("name")]
        if promise not in known:
            message = f"no other measure is called '{promise}'.{closest(promise, known)} Declared: {_list(known)}."
            yield Fault(where, message)
        elif measures[promise].get("unit") != measure.get("unit"):
            yield Fault(where, f"'{promise}' has another unit than what it promises. Expected the same unit.")


def _measure_faults(raw: dict[object, object]) -> Iterator[Fault]:
    journeys = _named(raw, "journeys")
    is_flat = raw.get("flat") is not None
    for position, measure in _items(raw, "measures"):
        where = ("measures", position)
        for index, name in _texts(measure.get("journeys")):
            if name not in journeys:
                yield Fault((*where, "journeys", index), _unknown_journey(name, journeys))
        journey = measure.get("journey")
        if is_flat and journey is None:
            yield Fault(where, "a measure of a flat table needs 'journey: NAME'. Add it.")
        elif is_flat and isinstance(journey, str) and journey not in journeys:
            yield Fault((*where, "journey"), _unknown_journey(journey, journeys))
        for key in () if is_flat else ("journey", "touchpoint", "column"):
            if measure.get(key) is not None:
                instead = "touchpoints.columns" if key == "column" else "journeys: [NAME]"
                yield Fault((*where, key), f"'{key}' is for flat tables. Use {instead} instead.", at_key=True)


def _name_faults(raw: dict[object, object]) -> Iterator[Fault]:
    """Names given twice, or used by the product itself."""
    groups: list[list[tuple[Location, str]]] = [
        [((section, i, "name"), name) for i, item in _items(raw, section) if isinstance(name := item.get("name"), str)]
        for section in ("journeys", "measures", "outcomes")
    ]
    for section in ("customers", "flat"):
        covariates = _mapping(raw.get(section)).get("covariates")
        groups.append([((section, "covariates", i), name) for i, name in _texts(covariates)])
    further = _mapping(_mapping(raw.get("flat")).get("outcomes"))
    groups.append([(("flat", "outcomes", str(name)), str(name)) for name in further])
    for group in groups:
        seen: set[str] = set()
        for where, name in group:
            if name.casefold() in seen:
                yield Fault(where, f"'{name}' is given twice (capitals do not distinguish). Keep one.")
            elif name.casefold() in _reserved(str(where[0])):
                yield Fault(where, f"'{name}' is a name of ours. Choose another and map it under 'columns'.")
            seen.add(name.casefold())


def _reserved(section: str) -> set[str]:
    """Names that nothing in a section may take; those of touchpoint columns are free for covariates and outcomes."""
    if section == "journeys":
        return set()
    return _RESERVED | _OF_TOUCHPOINTS if section == "measures" else _RESERVED


def _date_faults(raw: dict[object, object]) -> Iterator[Fault]:
    grid = _mapping(raw.get("snapshot"))
    first, last = grid.get("first"), grid.get("last")
    if first is not None and type(first) is type(last) and str(first) > str(last):
        yield Fault(("snapshot", "last"), f"{last} is before first ({first}). Expected a later date.")


def _list(names: list[str]) -> str:
    return ", ".join(names) if names else "none"
