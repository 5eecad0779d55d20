"""The user's tables laid out once: clean, bucketed by customer, sorted by time, with a manifest of what was found."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from features.buckets import OPTIONAL_LABELS, Laid, cut, lay_touchpoints, read_table, write_table
from features.digests import DIGESTS, BucketDigests, DayDigests, digest_days, read_digests, write_digests
from features.errors import DataError, StoreError, UnsupportedError
from features.journeys import NEVER
from features.layout_queries import Combinations, combinations, levels, other_tables, texts, touchpoint_query
from features.manifest import FORMAT, JourneyFound, LayoutManifest, MeasureFound, Quarantined, RowCount, Volume
from features.pipeline import in_turn
from features.publish import recover, staged
from features.snapshot import DAY, iso
from features.sources import Lens, Reader, connected, first_line, open_sources, quote, stamps
from features.staging import Staged, stage, write_quarantine
from features.stocktaking import take_stock
from features.study import Measure, Study
from features.tables import HASH, JOURNEY, REASON
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

_MOST_LEVELS = 2_000
_ALWAYS = -(1 << 62)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Whole customers with all their rows, each table sorted by customer and time."""

    touchpoints: pa.Table
    customers: pa.Table
    revenue: pa.Table
    churn: pa.Table
    outcomes: dict[str, pa.Table]

    def in_the_end(self) -> "Bucket":
        """Leave out the touchpoints that a correction has replaced."""
        if "replaced_at" not in self.touchpoints.column_names:
            return self
        rows = self.touchpoints.filter(pc.equal(self.touchpoints["replaced_at"], NEVER))
        return replace(self, touchpoints=rows.drop_columns("replaced_at").combine_chunks())


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
        folder = self._place(number)
        read = partial(read_table, levels=self.manifest.levels)
        try:
            tables = {path.stem: read(path) for path in sorted(folder.glob("*.parquet"))}
            outcomes = {name.removeprefix("outcomes."): tables[name] for name in tables if name.startswith("outcomes.")}
            return Bucket(tables["touchpoints"], tables["customers"], tables["revenue"], tables["churn"], outcomes)
        except (KeyError, OSError, pa.ArrowException) as error:
            raise self._damaged(folder, error) from error

    def table(self, number: int, name: str) -> pa.Table:
        """Read one table of a bucket: touchpoints, the largest, are often not needed.

        Parameters
        ----------
        number : int
            As for `bucket`.
        name : str
            Of the table in `Bucket`.

        Raises
        ------
        StoreError
            If its file is missing or damaged.
        """
        folder = self._place(number)
        try:
            return read_table(folder / f"{name}.parquet", levels=self.manifest.levels)
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(folder, error) from error

    def _place(self, number: int) -> Path:
        if not 0 <= number < self.manifest.buckets:
            raise IndexError(f"bucket {number} of {self.manifest.buckets}")
        return self.root / _folder(number)

    def _damaged(self, folder: Path, error: Exception) -> StoreError:
        return StoreError(f"'{folder}' is damaged: {first_line(error)} Remove '{self.root}' and run again.")

    def all_buckets(self) -> Iterator[Bucket]:
        """Read the buckets one after the other, as they stand in the end: without rows that were corrected."""
        return (self.bucket(number).in_the_end() for number in range(self.manifest.buckets))

    def digests(self) -> BucketDigests:
        """Read what each bucket knew day by day."""
        return read_digests(self.root)


def lay_out(
    study: Study,
    base: Path,
    store: Path,
    *,
    now_us: int | None = None,
    buckets: int | None = None,
    lens: Lens | None = None,
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
        Number of buckets; by default a power of two with at most two million touchpoints in each.
    lens : Lens, optional
        Shows the sources as they stood earlier; the store must then be an empty one.
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
    now_us = _now(study, base) if now_us is None else now_us
    with connected(store, study.resources) as con:
        reader = open_sources(con, study, base, lens)
        found = stage(reader, study, now_us, tick, buckets=buckets)
        with staged(store / "layout") as root, staged(store / "quarantine") as quarantine:
            manifest = _write(reader, study, found, root, quarantine, inputs, tick)
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


def _now(study: Study, base: Path) -> int:
    """Ask the clock; one that is behind its own files would put the latest events aside as future ones."""
    now_us = time.time_ns() // 1000
    late = max(stamps(study, base), key=lambda one: one.mtime_ns, default=None)
    if late is not None and late.mtime_ns // 1000 > now_us + DAY:
        raise DataError(
            f"The clock of this machine stands at {iso(now_us)}, but '{late.name}' was written on "
            f"{iso(late.mtime_ns // 1000)}. A clock that is not behind the tables was expected. Set the clock, or the "
            "time of the file (touch)."
        )
    return now_us


def _folder(number: int) -> str:
    return f"bucket-{number:03d}"


def _write(
    reader: Reader,
    study: Study,
    found: Staged,
    root: Path,
    quarantine: Path,
    inputs: str,
    tick: Callable[[str], None],
) -> LayoutManifest:
    for number in range(found.buckets):
        (root / _folder(number)).mkdir()
    occurring = combinations(reader)
    tally = _new_tally(reader, study, found, occurring)
    digests = _lay_touchpoints(reader, study, found, tally, root, tick)
    for label, query in other_tables(study):
        for number, part in enumerate(cut(reader.con.sql(query).to_arrow_reader(), found.bucket_width, found.buckets)):
            digests.append(_other_digests(label, number, part))
            kept = [name for name in part.column_names if not name.startswith(HASH)]
            write_table(part.select(kept).combine_chunks(), root / _folder(number) / f"{label}.parquet")
    write_digests(digests, root)
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
        buckets=found.buckets,
        n_customers=found.customers,
        rows=rows,
        quarantined=quarantined,
        measures=_measures_found(study, tally),
        journeys=_journeys_found(tally),
        levels=dict(tally.levels),
        has_sessions=tally.has_sessions,
        corrected=found.corrected,
        pairs=tuple(dict.fromkeys((journey, touchpoint) for journey, touchpoint, _ in occurring)),
        covariates={name: "number" if customers.is_number(name) else "text" for name in covariates},
        zoneless=found.zoneless,
        undeclared=found.undeclared,
        volumes=_volumes(tally),
        with_touchpoints=tally.customers,
        before_joining=found.before_joining,
        stock=take_stock(reader, study, found, tally, rows, quarantined),
    )


def _new_tally(reader: Reader, study: Study, found: Staged, occurring: Combinations) -> Tally:
    """Find the levels of each text column, and whether some journey has no id."""
    touchpoints = next(one for one in found.fitted if one.contract.label == "touchpoints")
    optional = [name for name in OPTIONAL_LABELS if name in touchpoints.found]
    found_levels = levels(study, occurring) | {name: texts(reader, name) for name in optional}
    for name, known in found_levels.items():
        if len(known) > _MOST_LEVELS:
            message = f"touchpoints: column '{name}' holds {len(known):,} different values. Expected kinds of contact,"
            raise DataError(f"{message} at most {_MOST_LEVELS:,}. Group them in touchpoints.sql.")
        reader.con.register("@levels", pa.table({"level": pa.array(known, pa.string())}))
        reader.con.execute(f'CREATE TEMP TYPE {quote("level of " + name)} AS ENUM (SELECT level FROM "@levels")')
        reader.con.unregister("@levels")
    rows = f"{quote('staged touchpoints')} WHERE {quote(REASON)} IS NULL AND {quote(JOURNEY)} < 0"
    without = reader.con.execute(f"SELECT 1 FROM {rows} LIMIT 1").fetchall()
    return Tally(found_levels, study.measure_names, has_sessions=bool(without))


def _lay_touchpoints(
    reader: Reader, study: Study, found: Staged, tally: Tally, root: Path, tick: Callable[[str], None]
) -> list[DayDigests]:
    """Sort, number and write bucket after bucket, side by side: one is written, one numbered and one sorted."""
    gaps = {name: study.session_gap_days(name) for name in tally.levels["journey"]}
    query = touchpoint_query(study, tally, has_corrections=found.corrected > 0)

    def sorted_rows(number: int) -> tuple[int, pa.Table]:
        tick(f"sorting touchpoints, part {number + 1} of {found.buckets}")
        return number, reader.con.sql(query.format(bucket=number)).to_arrow_table()

    def laid_rows(part: tuple[int, pa.Table]) -> tuple[int, Laid]:
        number, rows = part
        return number, lay_touchpoints(rows, tally, gaps)

    def written(part: tuple[int, Laid]) -> DayDigests:
        number, laid = part
        write_table(laid.table, root / _folder(number) / "touchpoints.parquet")
        return digest_days("touchpoints", number, laid.table["known_at"].to_numpy(), laid.hashes)

    return list(in_turn(written, in_turn(laid_rows, map(sorted_rows, range(found.buckets)))))


def _other_digests(label: str, number: int, rows: pa.Table) -> DayDigests:
    """Digest every dated statement of a row on its own: that somebody left, and that they came back."""
    moments, hashes = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    for name in rows.column_names:
        if name.startswith(HASH):
            said = name.removeprefix(HASH)
            dated = rows[said].combine_chunks()
            is_said = np.ones(len(dated), bool) if said == "joined_at" else np.asarray(dated.is_valid())
            moments.append(np.asarray(dated.fill_null(_ALWAYS), np.int64)[is_said])
            hashes.append(rows[name].to_numpy().astype(np.uint64)[is_said])
    return digest_days(label, number, np.concatenate(moments), np.concatenate(hashes))


def _content(study: Study, root: Path) -> str:
    """Give a fingerprint of the study and of everything that the rows say, whatever their order."""
    digest = hashlib.sha256(study.fingerprint().encode())
    digest.update((root / DIGESTS).read_bytes())
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
