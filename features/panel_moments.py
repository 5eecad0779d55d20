"""Sums of products over rows that stay where they are: the Parquet files of a panel, or any relation of the engine.

DuckDB reads only the columns asked for, twice: once for rough means, levels and numbers of customers, once for the
products, batch by batch. Products are summed by BLAS and not by SQL, which takes twice the time for forty columns
(`benchmarks.driver_moments`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from features.contract import PANEL, PanelContract
from features.customer_groups import GROUPS, CustomerGroups
from features.errors import StoreError
from features.raw_moments import BATCH, Batch, Look, RawMoments, finite_weights, sum_products
from features.sources import connected, first_line, path_literal, quote
from features.study import Engine

__all__ = ["panel_moments", "relation_moments"]


def panel_moments(
    store: Path,
    contract: PanelContract,
    columns: Iterable[str],
    *,
    customer: str = "customer_id",
    engine: Engine | None = None,
    groups: int = GROUPS,
) -> RawMoments:
    """Sum products over the mature rows of a panel, for all its outcomes.

    Parameters
    ----------
    store : Path
        Where the panel was built.
    contract : PanelContract
        Of that panel.
    columns : iterable of str
        Features.
    customer : str
        Column whose rows belong together.
    engine : Engine, optional
        What DuckDB may spend.
    groups : int
        The largest number of groups of customers.

    Returns
    -------
    RawMoments
        See :func:`features.raw_moments.sum_products`.

    Raises
    ------
    StoreError
        The panel cannot be read.
    """
    mature = [one for one in contract.partitions if one.is_mature]
    paths = [str(store / PANEL / one.part(bucket)) for one in mature for bucket in range(len(one.parts))]
    rows = f"(SELECT * FROM read_parquet([{', '.join(map(path_literal, paths))}]) WHERE is_mature)"
    try:
        with connected(store, engine) as con:
            return relation_moments(
                con, rows, columns, contract.outcomes, customer=customer, weight="weight", groups=groups
            )
    except duckdb.Error as fault:
        raise StoreError(
            f"The panel in '{store / PANEL}' cannot be read ({first_line(fault)}). The files of its contract were "
            "expected. Remove that folder, build again."
        ) from fault


def relation_moments(
    con: duckdb.DuckDBPyConnection,
    relation: str,
    columns: Iterable[str],
    outcomes: Sequence[str],
    *,
    customer: str = "customer_id",
    weight: str | None = None,
    groups: int = GROUPS,
) -> RawMoments:
    """Sum products over the rows of a relation.

    Parameters
    ----------
    con : DuckDBPyConnection
        Where the relation can be read.
    relation : str
        What may follow ``FROM``: a quoted name, or a query in brackets. Its rows may come in any order.
    columns : iterable of str
        Numbers and texts.
    outcomes : sequence of str
        Numeric columns; rows of which none is known are left out.
    customer : str
        Column of identifiers.
    weight : str, optional
        Column of weights; rows without a positive one are left out.
    groups : int
        The largest number of groups.

    Returns
    -------
    RawMoments
        As :func:`features.raw_moments.moments_of_frame` of the same rows, but for rounding.

    Notes
    -----
    Memory: a batch, the sums, and what the engine needs to count different customers, which it may spill.

    Examples
    --------
    >>> con = duckdb.connect()
    >>> rows = "(VALUES ('a', 1.0, 0.0), ('b', 3.0, 1.0), ('a', 5.0, 2.0)) AS t(customer_id, x, y)"
    >>> relation_moments(con, rows, ["x"], ["y"]).of("y").sums[0].tolist()
    [[2.0, 0.0, 0.0], [0.0, 8.0, 4.0], [0.0, 4.0, 2.0]]
    """
    targets = tuple(dict.fromkeys(outcomes))
    kinds = _kinds(con, relation)
    named = dict.fromkeys(columns)
    texts = [name for name in named if kinds[name] == "VARCHAR" or kinds[name].startswith("ENUM")]
    numbers = [name for name in named if name not in texts]
    usable = " OR ".join(_is_known(name) for name in targets)
    rows = f"{relation} WHERE ({usable})" + (f" AND {quote(weight)} > 0" if weight is not None else "")
    look = _look(con, rows, numbers, texts, targets, customer, groups)
    return sum_products(_batches(con, rows, look, customer, weight), look)


def _kinds(con: duckdb.DuckDBPyConnection, relation: str) -> Mapping[str, str]:
    """Types of the columns."""
    return {str(row[0]): str(row[1]) for row in con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}


def _is_known(name: str) -> str:
    """Hold for a number that is there and finite; never missing itself."""
    return f"coalesce(isfinite({quote(name)}::DOUBLE), false)"


def _look(
    con: duckdb.DuckDBPyConnection,
    rows: str,
    numbers: Sequence[str],
    texts: Sequence[str],
    outcomes: Sequence[str],
    customer: str,
    groups: int,
) -> Look:
    """Ask for rough means, gaps, levels and customers."""
    asked = ["count(*)"]
    for name in (*numbers, *outcomes):
        asked += [f"count(*) FILTER ({_is_known(name)})", f"avg({quote(name)}::DOUBLE) FILTER ({_is_known(name)})"]
    asked += [f"count(DISTINCT {quote(customer)}) FILTER ({_is_known(name)})" for name in outcomes]
    n, *told = con.execute(f"SELECT {', '.join(asked)} FROM {rows}").fetchall()[0]
    wide = 2 * (len(numbers) + len(outcomes))
    n_known = dict(zip((*numbers, *outcomes), told[0:wide:2], strict=True))
    origins = {name: mean or 0.0 for name, mean in zip((*numbers, *outcomes), told[1:wide:2], strict=True)}
    few = f"SELECT DISTINCT {quote(customer)} AS who FROM {rows} LIMIT {groups + 1}"
    return Look(
        origins={name: origins[name] for name in numbers},
        flagged=frozenset(name for name in numbers if n_known[name] < n),
        levels={name: _levels(con, rows, name) for name in texts},
        outcomes={name: origins[name] for name in outcomes},
        n_rows={name: n_known[name] for name in outcomes},
        n_customers=dict(zip(outcomes, told[wide:], strict=True)),
        groups=CustomerGroups.of(con.sql(few).to_arrow_table()["who"].combine_chunks(), groups),
    )


def _levels(con: duckdb.DuckDBPyConnection, rows: str, name: str) -> tuple[str, ...]:
    """List the levels of a text, sorted by code points as Python sorts."""
    query = f"SELECT DISTINCT {quote(name)}::VARCHAR FROM {rows} AND {quote(name)} IS NOT NULL"
    return tuple(sorted(str(row[0]) for row in con.execute(query).fetchall()))


def _batches(
    con: duckdb.DuckDBPyConnection, rows: str, look: Look, customer: str, weight: str | None
) -> Iterator[Batch]:
    """Read the columns batch by batch."""
    numbers = [*look.origins, *look.outcomes, *([] if weight is None else [weight])]
    chosen = [f"{quote(name)}::DOUBLE AS n{place}" for place, name in enumerate(numbers)]
    chosen += [f"{quote(name)}::VARCHAR AS t{place}" for place, name in enumerate(look.levels)]
    query = f"SELECT {quote(customer)} AS who, {', '.join(chosen)} FROM {rows}"
    for batch in con.sql(query).to_arrow_reader(BATCH):
        found = {name: _floats(batch.column(f"n{place}")) for place, name in enumerate(numbers)}
        yield Batch(
            numbers=found,
            texts={name: batch.column(f"t{place}") for place, name in enumerate(look.levels)},
            customers=batch.column("who"),
            weight=None if weight is None else finite_weights(found[weight], weight),
        )


def _floats(values: pa.Array) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Numbers with NaN where there is none."""
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
