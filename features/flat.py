"""Flat tables: one row per customer, or per customer and wave, with measures as columns and no event times."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import DataError, EmptyResultError, UnsupportedError
from features.health_codes import Counts, codes_in
from features.manifest import Code, Quarantined
from features.publish import staged
from features.replicas import GROUP, Replicas, Replication, find_replicas
from features.sources import ROW, connected, literal, open_sources, quote
from features.staging import checked, quarantined, write_bad_rows
from features.study import Flat, Study
from features.tables import (
    REASON,
    Column,
    Contract,
    Fitted,
    Rule,
    measure_rules,
    reason_case,
    typed_query,
)

__all__ = ["FlatTable", "read_flat"]

_BAD = f"SELECT {quote(ROW)}, {quote(REASON)} FROM staged WHERE {quote(REASON)} IS NOT NULL"
_YES = ("1", "1.0", "true", "yes", "y", "t")
_NO = ("0", "0.0", "false", "no", "n", "f")


@dataclass(frozen=True, slots=True, eq=False)
class FlatTable:
    """A flat table, checked and typed.

    Parameters
    ----------
    frame : pandas.DataFrame
        Sorted by wave and customer_id: ``customer_id`` (text), ``wave`` (text, empty without waves), the covariates
        (numbers or text), the measures (float, NaN where missing), ``is_churned`` (0.0 or 1.0) and ``revenue`` (float),
        both NaN where the study names none, further outcomes (float, NaN where missing), ``weight`` (float, mean 1),
        ``replica_group`` (the first customer of the group of near copies; the customer itself where there are none).
    waves : tuple of str
        In order: as numbers if all of them are, else as text.
    rows : int
        Rows as read.
    quarantined : tuple of Quarantined
        Rows left out, by reason.
    fingerprint : str
        Hash of the study and of the rows that are left.
    replication : Replication
        Rows that are near copies of rows of other customers.
    codes : tuple of Code
        Values of measures that look like codes.
    """

    frame: pd.DataFrame
    waves: tuple[str, ...]
    rows: int
    quarantined: tuple[Quarantined, ...]
    fingerprint: str
    replication: Replication
    codes: tuple[Code, ...] = ()


def read_flat(study: Study, base: Path, store: Path | None = None) -> FlatTable:
    """Read the flat table of a study.

    Parameters
    ----------
    study : Study
        A flat study.
    base : Path
        Folder of the study file.
    store : Path, optional
        Where ``quarantine/flat.parquet`` is written; by default rows in quarantine are only counted.

    Returns
    -------
    FlatTable
        The same, whatever the order of the user's rows, but for copies that only their distance gives away.

    Raises
    ------
    DataError
        With every column that is missing or cannot serve, or if no rows are left.
    EmptyResultError
        If nobody churned, or everybody.
    UnsupportedError
        For an event study.

    Notes
    -----
    With a known base rate :math:`r` and an observed (weighted) churn rate :math:`p`, churners are weighted by
    :math:`r / p` and stayers by :math:`(1 - r) / (1 - p)`: the weighted churn rate is then :math:`r`.
    """
    if study.flat is None:
        raise UnsupportedError("This study has event tables. A flat table was expected. Use features.layout.")
    with tempfile.TemporaryDirectory() as scratch, connected(store or Path(scratch), study.resources) as con:
        reader = open_sources(con, study, base)
        contract = _contract(study, study.flat)
        fitted, faults = checked(reader, contract)
        if faults:
            raise DataError.collect(faults)
        relation = reader.numbered(contract.table, "flat")
        reader.run(f"CREATE TEMP TABLE staged AS {_staged_query(fitted, relation)}", "flat")
        _mark_doubles(con)
        bad = quarantined(con, _BAD, "flat")
        if store is not None:
            with staged(store / "quarantine") as folder:
                if bad:
                    write_bad_rows(reader, fitted, _BAD, folder / "flat.parquet")
        frame = _good_rows(con, contract)
        codes = _codes(con, study, frame, bad)
        rows = con.execute("SELECT count(*) FROM staged").fetchone()
    _demand(frame, bad)
    return _finished(study, study.flat, fitted, frame, int(rows[0]) if rows else 0, bad, codes)


def _contract(study: Study, flat: Flat) -> Contract:
    """Our columns; wave, churn, weight and revenue are mapped by their own keys."""
    named = {"wave": flat.wave, "is_churned": flat.churned, "weight": flat.weight, "revenue": flat.revenue}
    mapped = {ours: theirs for ours, theirs in named.items() if theirs is not None}
    mapped |= {measure.name: measure.column for measure in study.measures if measure.column is not None}
    mapped |= flat.outcomes
    columns = [Column("customer_id", "key")]
    columns += [Column("is_churned", "key", role="churned")] if flat.churned else []
    columns += [Column("wave", "key", role="wave")] if flat.wave else []
    columns += [Column(name, "number", role=name) for name in ("weight", "revenue") if name in mapped]
    columns += [Column(name, "number", role="outcome") for name in flat.outcomes]
    columns += [Column(name, "covariate", role="covariate") for name in flat.covariates]
    columns += [Column(measure.name, "number", role="measure") for measure in study.measures]
    words = ", ".join(map(literal, _YES + _NO))
    rules = [
        Rule("missing customer_id", "customer_id IS NULL"),
        *(
            [
                Rule("missing churned", "is_churned IS NULL"),
                Rule("churned is neither yes nor no", f"lower(trim(is_churned)) NOT IN ({words})"),
            ]
            if flat.churned
            else []
        ),
        *(Rule(f"infinite {name}", f"isinf({quote(name)})") for name in flat.outcomes),
        *([Rule("missing wave", "wave IS NULL")] if flat.wave else []),
        *([Rule("bad weight", "weight IS NULL OR weight <= 0 OR isinf(weight)")] if flat.weight else []),
        *(
            [Rule("missing revenue", "revenue IS NULL"), Rule("infinite revenue", "isinf(revenue)")]
            if flat.revenue
            else []
        ),
        *(rule for measure in study.measures for rule in measure_rules(measure)),
    ]
    table = flat.model_copy(update={"columns": flat.columns | mapped})
    return Contract("flat", table, tuple(columns), tuple(rules))


def _staged_query(fitted: Fitted, relation: str) -> str:
    return f"SELECT *, {reason_case(fitted.contract.rules)} AS {quote(REASON)} FROM ({typed_query(fitted, relation)})"


def _mark_doubles(con: duckdb.DuckDBPyConnection) -> None:
    """Keep one row of each customer and wave: the first in the order of all values."""
    names = [str(row[0]) for row in con.execute("DESCRIBE staged").fetchall()]
    wave = ", wave" if "wave" in names else ""
    order = ", ".join(quote(name) for name in names if name not in {ROW, REASON})
    place = f"row_number() OVER (PARTITION BY customer_id{wave} ORDER BY {order}, {quote(ROW)}) AS place"
    rows = f"SELECT {quote(ROW)}, {place} FROM staged WHERE {quote(REASON)} IS NULL"
    chosen = f"SELECT {quote(ROW)} FROM ({rows}) WHERE place > 1"
    con.execute(f"UPDATE staged SET {quote(REASON)} = 'duplicate customer' WHERE {quote(ROW)} IN ({chosen})")


def _codes(
    con: duckdb.DuckDBPyConnection, study: Study, frame: pd.DataFrame, bad: tuple[Quarantined, ...]
) -> tuple[Code, ...]:
    counts = {measure.name: Counts() for measure in study.measures}
    for name, count in counts.items():
        count.add(frame[name].dropna().to_numpy(float))
    return codes_in(con, "staged", study.measures, counts, {one.reason for one in bad})


def _good_rows(con: duckdb.DuckDBPyConnection, contract: Contract) -> pd.DataFrame:
    names = ", ".join(quote(name) for name in (*(column.name for column in contract.columns), ROW))
    rows = con.sql(f"SELECT {names} FROM staged WHERE {quote(REASON)} IS NULL ORDER BY customer_id")
    frame: pd.DataFrame = rows.to_arrow_table().to_pandas()
    return frame


def _demand(frame: pd.DataFrame, quarantined: tuple[Quarantined, ...]) -> None:
    if frame.empty:
        causes = ", ".join(f"{item.rows:,} with {item.reason}" for item in quarantined) or "the table is empty"
        raise DataError(f"flat: no rows are left: {causes}. Expected at least one good row. Correct the table.")
    if "is_churned" not in frame:
        return
    churners = int(_is_churned(frame).sum())
    if churners in {0, len(frame)}:
        who = "Nobody" if churners == 0 else f"Each of {len(frame):,} customers"
        message = f"{who} churned. Both churners and stayers were expected."
        raise EmptyResultError(f"{message} Correct 'flat.churned', or bring the other customers as well.")


def _is_churned(frame: pd.DataFrame) -> NDArray[np.float64]:
    return frame["is_churned"].str.strip().str.lower().isin(_YES).to_numpy().astype(np.float64)


def _finished(
    study: Study,
    flat: Flat,
    fitted: Fitted,
    frame: pd.DataFrame,
    rows: int,
    bad: tuple[Quarantined, ...],
    codes: tuple[Code, ...],
) -> FlatTable:
    waves = _ordered(frame["wave"].unique().tolist()) if flat.wave else ("",)
    churned = _is_churned(frame) if flat.churned else np.full(len(frame), np.nan)
    given = frame["weight"].to_numpy(float) if flat.weight else np.ones(len(frame))
    columns: dict[str, object] = {"customer_id": frame["customer_id"], "wave": frame["wave"] if flat.wave else ""}
    for name in flat.covariates:
        columns[name] = frame[name].astype(float) if fitted.is_number(name) else frame[name]
    columns |= {name: frame[name].astype(float) for name in study.measure_names}
    columns["is_churned"] = churned
    columns["revenue"] = frame["revenue"].astype(float) if flat.revenue else np.nan
    columns |= {name: frame[name].astype(float) for name in flat.outcomes}
    columns["weight"] = _weights(given, churned, flat.base_rate)
    finished = pd.DataFrame(columns | {ROW: frame[ROW]}, index=frame.index)
    place = finished["wave"].map({wave: number for number, wave in enumerate(waves)})
    finished = finished.assign(place=place).sort_values(["place", "customer_id"], kind="stable", ignore_index=True)
    replicas = _replicas(study, flat, finished)
    finished = finished.drop(columns=["place", ROW]).assign(**{GROUP: replicas.group})
    return FlatTable(finished, waves, rows, bad, _fingerprint(study, finished), replicas.found, codes)


def _replicas(study: Study, flat: Flat, frame: pd.DataFrame) -> Replicas:
    """Find near copies by what describes a row; what it led to has no part in it."""
    return find_replicas(
        frame[[*flat.covariates, *study.measure_names]],
        frame["customer_id"],
        frame["is_churned"].to_numpy(np.float64),
        frame[ROW].to_numpy(np.int64),
        np.random.default_rng(0),
    )


def _weights(given: NDArray[np.float64], churned: NDArray[np.float64], base_rate: float | None) -> NDArray[np.float64]:
    """Weights of mean 1 whose weighted churn rate is the base rate."""
    weights = given
    if base_rate is not None:
        observed = float(np.average(churned, weights=given))
        weights = given * np.where(churned == 1, base_rate / observed, (1 - base_rate) / (1 - observed))
    return np.asarray(weights / weights.mean(), np.float64)


def _ordered(waves: list[str]) -> tuple[str, ...]:
    try:
        return tuple(sorted(waves, key=lambda wave: (float(wave), wave)))
    except ValueError:
        return tuple(sorted(waves))


def _fingerprint(study: Study, frame: pd.DataFrame) -> str:
    digest = hashlib.sha256(study.fingerprint().encode())
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()
