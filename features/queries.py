"""What a query of the user mentions: tables, the clock, chance, files past the sources, origins of its columns.

Read with DuckDB's own parser, so that comments, texts and names of columns are not taken for functions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import duckdb

__all__ = ["Mentions", "Origin", "mentions"]

Node: TypeAlias = Mapping[str, Any]

_CLOCKS = frozenset(
    {
        *("now", "current_timestamp", "get_current_timestamp", "transaction_timestamp", "today", "current_date"),
        *("current_time", "get_current_time", "current_localtime", "current_localtimestamp"),
        *("localtime", "localtimestamp", "clock_timestamp", "statement_timestamp"),
    }
)
_WRITTEN_BARE = frozenset({"current_timestamp", "current_date", "current_time", "localtime", "localtimestamp"})
_DATES_OF_SQLITE = frozenset({"date", "time", "datetime", "julianday", "strftime", "unixepoch", "timediff"})
_CHANCE = frozenset({"random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "setseed", "nextval"})
_MAKES_ROWS = frozenset({"unnest", "range", "generate_series", "repeat", "repeat_row", "json_each", "json_tree"})
_KEEPS_ORDER = frozenset(
    {
        *("+", "greatest", "coalesce", "timezone", "to_timestamp", "make_timestamp", "epoch_ms", "date_trunc"),
        *("strptime", "try_strptime", "last_day", "time_bucket"),
    }
)
_FOREIGN_CLOCK = re.compile(
    r"\b(now\s*\(|current_date|current_time(?:stamp)?|localtime(?:stamp)?|clock_timestamp|random\s*\()|('now')", re.I
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a column of a query comes from.

    Attributes
    ----------
    columns : frozenset of str
        Columns of tables, in small letters.
    is_monotone : bool
        Whether the value is never before any of them: a column itself, the latest of several, a column plus something.
    """

    columns: frozenset[str]
    is_monotone: bool


@dataclass(frozen=True, slots=True)
class Mentions:
    """What a query mentions.

    Attributes
    ----------
    tables : frozenset of str
        Last part of the name of every table, in small letters; names of its own subqueries are among them.
    clocks, chance : tuple of str
        Functions whose value changes from one run to the next, as ``now()``.
    past : tuple of str
        Files and table functions that it reads past the sources.
    is_understood : bool
        False if the parser could not read it.
    """

    tables: frozenset[str] = frozenset()
    clocks: tuple[str, ...] = ()
    chance: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    is_understood: bool = True
    _selects: tuple[Mapping[str, Node], ...] = field(default=(), repr=False)

    def names(self, name: str) -> bool:
        """Tell whether any select of the query calls a column so; ``*`` calls none."""
        return any(name.casefold() in select for select in self._selects)

    def origins(self, name: str, unless_like: str = "") -> tuple[Origin, ...]:
        """Find what is called `name` in any select of the query.

        Parameters
        ----------
        name : str
            A column of the result.
        unless_like : str, optional
            Another; selects in which both are the same expression are left out.

        Returns
        -------
        tuple of Origin
            Distinct ones that hold a column of a table.
        """
        found: dict[Origin, None] = {}
        for select in self._selects:
            node, other = select.get(name.casefold()), select.get(unless_like.casefold())
            if node is not None and not (other is not None and _plain(node) == _plain(other)):
                origin = self._origin(node, frozenset({name.casefold()}))
                if origin.columns:
                    found[origin] = None
        return tuple(found)

    def including(self, other: Mentions) -> Mentions:
        """Join what two queries mention: one that uses a view, and the view."""
        return Mentions(
            tables=self.tables | other.tables,
            clocks=tuple(sorted({*self.clocks, *other.clocks})),
            chance=tuple(sorted({*self.chance, *other.chance})),
            past=tuple(sorted({*self.past, *other.past})),
            is_understood=self.is_understood and other.is_understood,
            _selects=self._selects + other._selects,
        )

    def _origin(self, node: Node, seen: frozenset[str]) -> Origin:
        """Follow names through subqueries to columns of tables."""
        columns: set[str] = set()
        is_monotone = _keeps_order(node)
        for name in _references(node):
            inner = [select[name] for select in self._selects if name in select] if name not in seen else []
            inner = [one for one in inner if _references(one) != {name}]
            columns |= {name} if not inner else set()
            for one in inner:
                origin = self._origin(one, seen | {name})
                columns |= origin.columns
                is_monotone &= origin.is_monotone
        return Origin(frozenset(columns), is_monotone)


def mentions(sql: str) -> Mentions:
    """Read a query.

    Parameters
    ----------
    sql : str
        A single select, in the dialect of DuckDB or another.

    Returns
    -------
    Mentions
        Of a query that DuckDB cannot parse only the clock and chance, found by their names.

    Examples
    --------
    >>> found = mentions("select id, now() as known_at from contacts -- today()")
    >>> found.clocks, sorted(found.tables)
    (('now()',), ['contacts'])
    """
    tree = _parse(sql)
    if tree is None:
        named = {re.sub(r"\s*\($", "()", match[0].lower()) for match in _FOREIGN_CLOCK.finditer(sql)}
        return Mentions(clocks=tuple(sorted(named)), is_understood=False)
    nodes = list(_nodes(tree))
    tables = [node for node in nodes if node.get("type") == "BASE_TABLE"]
    return Mentions(
        tables=frozenset(str(node["table_name"]).casefold() for node in tables),
        clocks=tuple(sorted({name for node in nodes for name in _clock(node)})),
        chance=tuple(sorted({name for node in nodes for name in _luck(node)})),
        past=tuple(sorted({name for node in nodes for name in _past(node)})),
        _selects=tuple(_named(node) for node in nodes if "select_list" in node),
    )


def _parse(sql: str) -> Node | None:
    with duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}) as con:
        try:
            row = con.execute("SELECT json_serialize_sql(?)", [sql.strip().rstrip(";")]).fetchone()
        except duckdb.Error:
            return None
    tree: Node = json.loads(row[0]) if row else {"error": True}
    return None if tree["error"] else tree


def _nodes(tree: Any) -> Iterator[Node]:
    """Yield every mapping of a tree, the outer ones first."""
    if isinstance(tree, dict):
        yield tree
    if isinstance(tree, dict | list):
        for inner in tree.values() if isinstance(tree, dict) else tree:
            yield from _nodes(inner)


def _function(node: Node) -> str:
    return str(node.get("function_name", "")).casefold() if node.get("class") == "FUNCTION" else ""


def _arguments(node: Node) -> list[Any]:
    """Arguments of a function; DuckDB calls them ``children`` up to version 1."""
    found = node.get("arguments", node.get("children", []))
    return found if isinstance(found, list) else []


def _clock(node: Node) -> Iterator[str]:
    name = _function(node)
    if name in _CLOCKS:
        yield f"{name}()"
    elif name == "age" and len(_arguments(node)) == 1:
        yield "age() with one argument"
    elif name in _DATES_OF_SQLITE and any("'now'" in repr(one).lower() for one in _arguments(node)):
        yield f"{name}('now')"
    elif node.get("type") == "COLUMN_REF" and len(node["column_names"]) == 1:
        written = str(node["column_names"][0]).casefold()
        if written in _WRITTEN_BARE:
            yield written


def _luck(node: Node) -> Iterator[str]:
    if _function(node) in _CHANCE:
        yield f"{_function(node)}()"
    if isinstance(node.get("sample"), dict) and node["sample"].get("seed", -1) in {-1, None}:
        yield "a random sample"


def _past(node: Node) -> Iterator[str]:
    if node.get("type") == "TABLE_FUNCTION" and _function(node["function"]) not in _MAKES_ROWS:
        yield f"{_function(node['function'])}()"
    if node.get("type") == "BASE_TABLE" and re.search(r"[./\\]", str(node["table_name"])):
        yield f"'{node['table_name']}'"


def _named(select: Node) -> dict[str, Node]:
    """Expressions of a select by the name of their column, in small letters; of ``*`` what it replaces or renames."""
    named: dict[str, Node] = {}
    for node in select["select_list"]:
        own = node["column_names"][-1] if node.get("type") == "COLUMN_REF" else ""
        named[str(node.get("alias") or own)] = node
        for one in node.get("replace_list", []) if isinstance(node.get("replace_list"), list) else []:
            named[str(one["key"])] = one["value"]
        for one in node.get("rename_list", []) if isinstance(node.get("rename_list"), list) else []:
            named[str(one["value"])] = {"type": "COLUMN_REF", "column_names": [one["key"]["column"]]}
    return {name.casefold(): node for name, node in named.items() if name}


def _references(node: Node) -> set[str]:
    return {str(one["column_names"][-1]).casefold() for one in _nodes(node) if one.get("type") == "COLUMN_REF"}


def _keeps_order(node: Node) -> bool:
    """Whether an expression is never before a column in it; what holds no column is a constant."""
    if not _references(node) or node.get("type") == "COLUMN_REF":
        return True
    is_known = node.get("type") in {"OPERATOR_COALESCE", "OPERATOR_CAST", "CAST"} or _function(node) in _KEEPS_ORDER
    inner = [*_arguments(node), *([node["child"]] if "child" in node else [])]
    return is_known and all(_keeps_order(one.get("expression", one)) for one in inner)


def _plain(node: Any) -> Any:
    """Give an expression without its name and its place in the text."""
    if isinstance(node, dict):
        left_out = {"alias", "query_location", "query_location_length"}
        return {key: _plain(value) for key, value in node.items() if key not in left_out}
    return [_plain(one) for one in node] if isinstance(node, list) else node
