"""The user's tables laid out once: clean, bucketed by customer, sorted by time, with a manifest of what was found."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from features.buckets import LABELS, cut, lay_touchpoints, read_table, write_table
from features.errors import DataError, StoreError, UnsupportedError
from features.manifest import FORMAT, JourneyFound, LayoutManifest, MeasureFound, Quarantined, RowCount, Volume
from features.publish import recover, staged
from features.snapshot import DAY
from features.sources import Reader, connected, first_line, open_sources, quote, stamps
from features.staging import Staged, stage, write_quarantine
from features.stocktaking import take_stock
from features.study import Measure, Study
from features.tables import REASON, ROW
from features.tally import Tally

__all__ = [
    "Bucket",
    "JourneyFound",
    "Layout",
    "LayoutManifest",
    "MeasureFound",
    "Quarantined",
    "RowCount",
    "lay_out",
    "open_layout",
]

_BUCKET_ROWS = 2_000_000
_MOST_LEVELS = 2_000

_Combinations: TypeAlias = tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Bucket:
    """Whole customers with all their rows, each table sorted by customer and time."""

    touchpoints: pa.Table
    customers: pa.Table
    revenue: pa.Table
    churn: pa.Table
    outcomes: dict[str, pa.Table]


@dataclass(frozen=True, slots=True)
class Layout:
    """A folder with the laid out tables.

    Parameters
    ----------
    root : Path
        ``<store>/layout``.
    manifest : LayoutManifest
        What it holds.
    """

    root: Path
    manifest: LayoutManifest

    def bucket(self, number: int) -> Bucket:
        """Read one bucket.

        Parameters
        ----------
        number : int
            From 0 to ``manifest.buckets - 1``.

        Raises
        ------
        StoreError
            If its files are missing or damaged.
        """
        if not 0 <= number < self.manifest.buckets:
            raise IndexError(f"bucket {number} of {self.manifest.buckets}")
        folder = self.root / _folder(number)
        read = partial(read_table, levels=self.manifest.levels)
        try:
            tables = {path.stem: read(path) for path in sorted(folder.glob("*.parquet"))}
            outcomes = {name.removeprefix("outcomes."): tables[name] for name in tables if name.startswith("outcomes.")}
            return Bucket(tables["touchpoints"], tables["customers"], tables["revenue"], tables["churn"], outcomes)
        except (KeyError, OSError, pa.ArrowException) as error:
            raise StoreError(
                f"'{folder}' is damaged: {first_line(error)} Remove '{self.root}' and run again."
            ) from error

    def all_buckets(self) -> Iterator[Bucket]:
        """Read the buckets one after the other."""
        return (self.bucket(number) for number in range(self.manifest.buckets))


def lay_out(
    study: Study,
    base: Path,
    store: Path,
    *,
    now_us: int | None = None,
    buckets: int | None = None,
    memory_limit: str = "4GB",
    tick: Callable[[str], None] = lambda _: None,
) -> Layout:
    """Read, check and lay out the tables of a study, or use again what was laid out from the same files.

    Parameters
    ----------
    study : Study
        An event study.
    base : Path
        Folder of the study file; paths of sources are relative to it.
    store : Path
        Folder for everything written: ``layout/`` and ``quarantine/`` appear in it, each at once.
    now_us : int, optional
        Microseconds; later events are in the future. By default the clock.
    buckets : int, optional
        Number of buckets; by default one for two million touchpoints.
    memory_limit : str
        What DuckDB may use before it spills to disk.
    tick : callable
        Told what is being done.

    Returns
    -------
    Layout
        The same tables, byte for byte, whatever the order of the user's rows.

    Raises
    ------
    DataError
        If the tables make the study meaningless; with every fault.
    EmptyResultError
        If nobody churned, or everybody.
    StoreError
        If the store cannot be written.
    UnsupportedError
        For a flat study.

    Notes
    -----
    Studies with a database among their sources are always read again. Memory: about three times a bucket, and DuckDB's
    limit; time: about 2 s for a million touchpoints.
    """
    if study.is_flat:
        raise UnsupportedError("A flat table has no events to lay out. Event tables were expected. Use features.flat.")
    inputs = _inputs(study, base, buckets)
    if all(source.kind == "files" for source in study.sources.values()):
        existing = _existing(store)
        if existing is not None and existing.manifest.inputs == inputs:
            tick("the layout is up to date")
            return existing
    now_us = time.time_ns() // 1000 if now_us is None else now_us
    with connected(store, memory_limit) as con:
        reader = open_sources(con, study, base)
        found = stage(reader, study, now_us, tick)
        with staged(store / "layout") as root, staged(store / "quarantine") as quarantine:
            manifest = _write(reader, study, found, root, quarantine, inputs, buckets, tick)
            (root / "manifest.json").write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    return Layout(store / "layout", manifest)


def open_layout(store: Path) -> Layout:
    """Open what was laid out before.

    Raises
    ------
    StoreError
        If there is no layout, or it was made by another version.
    """
    existing = _existing(store)
    if existing is None:
        raise StoreError(f"'{store}' holds no layout of this version. Run 'journeylift features' first.")
    return existing


def _existing(store: Path) -> Layout | None:
    root = store / "layout"
    recover(root)
    try:
        manifest = LayoutManifest.model_validate_json((root / "manifest.json").read_bytes())
    except (OSError, ValidationError):
        return None
    return Layout(root, manifest) if manifest.format == FORMAT else None


def _inputs(study: Study, base: Path, buckets: int | None) -> str:
    state = [(stamp.source, stamp.name, stamp.size, stamp.mtime_ns) for stamp in stamps(study, base)]
    return hashlib.sha256(json.dumps([FORMAT, study.fingerprint(), buckets, state]).encode()).hexdigest()


def _folder(number: int) -> str:
    return f"bucket-{number:03d}"


def _write(
    reader: Reader,
    study: Study,
    found: Staged,
    root: Path,
    quarantine: Path,
    inputs: str,
    buckets: int | None,
    tick: Callable[[str], None],
) -> LayoutManifest:
    wanted = buckets or -(-found.touchpoints // _BUCKET_ROWS)
    each = -(-found.customers // max(1, min(wanted, found.customers)))
    count = -(-found.customers // each)
    for number in range(count):
        (root / _folder(number)).mkdir()
    tick(f"sorting {found.touchpoints:,} touchpoints")
    combinations = _combinations(reader)
    tally = _lay_touchpoints(reader, study, combinations, root, each, count)
    for label, query in _other_tables(study):
        for number, rows in enumerate(cut(reader.con.sql(query).to_arrow_reader(), each, count)):
            write_table(rows.combine_chunks(), root / _folder(number) / f"{label}.parquet")
    quarantined = write_quarantine(reader, found.fitted, tally.duplicates, quarantine)
    rows = _row_counts(reader, found, quarantined)
    customers = next(one for one in found.fitted if one.contract.label == "customers")
    covariates = study.customers.covariates if study.customers is not None else ()
    return LayoutManifest(
        format=FORMAT,
        fingerprint=_content(study, root),
        inputs=inputs,
        data_start=found.data_start,
        data_end=found.data_end,
        buckets=count,
        n_customers=found.customers,
        rows=rows,
        quarantined=quarantined,
        measures=_measures_found(study, tally),
        journeys=_journeys_found(tally),
        levels=dict(tally.levels),
        pairs=tuple(dict.fromkeys((journey, touchpoint) for journey, touchpoint, _ in combinations)),
        covariates={name: "number" if customers.is_number(name) else "text" for name in covariates},
        zoneless=found.zoneless,
        undeclared=found.undeclared,
        volumes=_volumes(tally),
        with_touchpoints=tally.customers,
        before_joining=found.before_joining,
        stock=take_stock(reader, study, found, tally, rows, quarantined),
    )


def _lay_touchpoints(
    reader: Reader, study: Study, combinations: _Combinations, root: Path, each: int, count: int
) -> Tally:
    levels = _levels(study, combinations)
    for name in LABELS:
        reader.con.register("@levels", pa.table({"level": pa.array(levels[name], pa.string())}))
        reader.con.execute(f'CREATE TEMP TYPE {quote("level of " + name)} AS ENUM (SELECT level FROM "@levels")')
        reader.con.unregister("@levels")
    tally = Tally(levels, study.measure_names)
    gap = round((study.touchpoints.session_gap_days if study.touchpoints is not None else 0) * DAY)
    rows = reader.con.sql(_touchpoint_query(study)).to_arrow_reader()
    for number, part in enumerate(cut(rows, each, count)):
        write_table(lay_touchpoints(part, tally, gap), root / _folder(number) / "touchpoints.parquet")
    return tally


def _combinations(reader: Reader) -> _Combinations:
    rows = f"{quote('staged touchpoints')} WHERE {quote(REASON)} IS NULL"
    found = reader.con.execute(f"SELECT DISTINCT {', '.join(LABELS)} FROM {rows} ORDER BY ALL").fetchall()
    return tuple((str(row[0]), str(row[1]), str(row[2])) for row in found)


def _levels(study: Study, combinations: _Combinations) -> dict[str, tuple[str, ...]]:
    """Levels that occur: journeys in the order of the map, the others as text."""
    levels = {name: tuple(sorted({row[place] for row in combinations})) for place, name in enumerate(LABELS)}
    for name, found in levels.items():
        if len(found) > _MOST_LEVELS:
            message = f"touchpoints: column '{name}' holds {len(found):,} different values. Expected kinds of contact,"
            raise DataError(f"{message} at most {_MOST_LEVELS:,}. Group them in touchpoints.sql.")
    return levels | {"journey": tuple(name for name in study.journey_names if name in levels["journey"])}


def _touchpoint_query(study: Study) -> str:
    codes = {name: f"enum_code(CAST({quote(name)} AS {quote('level of ' + name)}))" for name in LABELS}
    measures = [quote(name) for name in study.measure_names]
    columns = ["customer_key", *(f"{code} AS {quote(name)}" for name, code in codes.items()), "journey_id"]
    columns += ["occurred_at", "greatest(occurred_at, coalesce(known_at, occurred_at)) AS known_at", *measures]
    order = ["customer_key", "occurred_at", "touchpoint", "channel", *measures, "journey", "journey_id"]
    order += ["known_at", quote(ROW)]
    rows = f"SELECT {', '.join(columns)}, {quote(ROW)} FROM {quote('staged touchpoints')} WHERE {quote(REASON)} IS NULL"
    return f"SELECT * FROM ({rows}) ORDER BY {', '.join(f'{name} NULLS FIRST' for name in order)}"


def _other_tables(study: Study) -> Iterator[tuple[str, str]]:
    covariates = "".join(f", {quote(name)}" for name in (study.customers.covariates if study.customers else ()))
    people = f"customer_key, customer_id, joined_at, ended_at{covariates}"
    yield "customers", f'SELECT {people} FROM "@known" ORDER BY customer_key'
    yield "revenue", _sorted("revenue", ("customer_key", "occurred_at", "amount"))
    yield "churn", _sorted("churn", ("customer_key", "churned_at", "returned_at"))
    for outcome in study.outcomes:
        value = "1.0 AS value" if outcome.kind == "event" else "value"
        yield f"outcomes.{outcome.name}", _sorted(f"outcomes.{outcome.name}", ("customer_key", "occurred_at", value))


def _sorted(label: str, columns: tuple[str, ...]) -> str:
    rows = f"{quote('staged ' + label)} WHERE {quote(REASON)} IS NULL"
    return f"SELECT {', '.join(columns)} FROM {rows} ORDER BY ALL"


def _content(study: Study, root: Path) -> str:
    digest = hashlib.sha256(study.fingerprint().encode())
    for path in sorted(root.rglob("*.parquet")):
        digest.update(str(path.relative_to(root)).encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _row_counts(reader: Reader, found: Staged, quarantined: tuple[Quarantined, ...]) -> tuple[RowCount, ...]:
    counts = []
    for label in (one.contract.label for one in found.fitted):
        row = reader.con.execute(f"SELECT count(*) FROM {quote('staged ' + label)}").fetchone()
        read = int(row[0]) if row else 0
        bad = sum(item.rows for item in quarantined if item.table == label)
        counts.append(RowCount(table=label, read=read, kept=read - bad))
    return tuple(counts)


def _measures_found(study: Study, tally: Tally) -> tuple[MeasureFound, ...]:
    return tuple(_measure_found(measure, tally) for measure in study.measures)


def _measure_found(measure: Measure, tally: Tally) -> MeasureFound:
    name, nothing = measure.name, float("nan")
    n, counts = tally.n[name], tally.by_journey[name]
    declared = np.array([journey in measure.journeys for journey in tally.levels["journey"]], bool)
    where = declared if measure.journeys else counts > 0
    touchpoints = int(tally.touchpoints[where].sum())
    return MeasureFound(
        name=name,
        n=n,
        missing_share=1 - int(counts[where].sum()) / touchpoints if touchpoints else 1.0,
        low=tally.low[name] if n else nothing,
        high=tally.high[name] if n else nothing,
        mean=tally.total[name] / n if n else nothing,
        by_journey=dict(zip(tally.levels["journey"], counts.tolist(), strict=True)),
        median=tally.median(name),
    )


def _journeys_found(tally: Tally) -> tuple[JourneyFound, ...]:
    counts = zip(tally.levels["journey"], tally.touchpoints.tolist(), tally.journeys.tolist(), strict=True)
    return tuple(JourneyFound(name=name, touchpoints=rows, instances=instances) for name, rows, instances in counts)


def _volumes(tally: Tally) -> tuple[Volume, ...]:
    journeys = tally.levels["journey"]
    cells = sorted(tally.months.items())
    return tuple(Volume(month=month, journey=journeys[code], touchpoints=rows) for (month, code), rows in cells)
