"""What was found in the data of a study, for people: counts, dates, gaps, and what was assumed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.errors import EmptyResultError
from features.findings import Finding, worst_first
from features.flat import FlatTable
from features.health_rows import journey_findings, lost_findings, quarantine_findings
from features.health_times import clock_findings, cutoff_findings, order_findings, volume_findings
from features.health_values import code_findings, measure_findings, period_findings
from features.inactivity import Inactivity, inactivity
from features.layout import Layout
from features.manifest import JourneyFound, MeasureFound, Periods, Quarantined, RowCount, Stock, Volume
from features.replicas import Replication
from features.sketch import Sketch
from features.snapshot import cutoffs, first_with_history, iso, matured
from features.study import Measure, Study
from features.tally import periods_of

__all__ = ["Health", "describe", "describe_flat"]


@dataclass(frozen=True, slots=True)
class Health:
    """State of the data of a study.

    Parameters
    ----------
    study : str
        Name of the study.
    customers, touchpoints : int
        Laid out; touchpoints is 0 for a flat table.
    first_day, last_day : str
        ``YYYY-MM-DD`` of the first touchpoint and of the last event; empty for a flat table.
    rows : tuple of RowCount
        Rows read and kept, by table.
    quarantined : tuple of Quarantined
        Rows left out, by table and reason.
    journeys, measures, volumes : tuple
        What occurs.
    first_cutoff : str
        First cutoff with a full window of data before it; empty for a flat table.
    cutoffs, matured : int
        Cutoffs that the data allow, and those whose outcomes are known.
    notes : tuple of str
        The findings as sentences, and what else was assumed or looks odd.
    findings : tuple of Finding
        What was found, worst first.
    stock : Stock
        What they rest on: measures by month (or wave), codes, joins, order of events, times of day.
    replication : Replication or None
        Rows of a flat table that are near copies of rows of other customers.
    inactivity : Inactivity or None
        Which silence is a departure, where churn is a rule.
    """

    study: str
    customers: int
    touchpoints: int
    first_day: str
    last_day: str
    rows: tuple[RowCount, ...]
    quarantined: tuple[Quarantined, ...]
    journeys: tuple[JourneyFound, ...]
    measures: tuple[MeasureFound, ...]
    volumes: tuple[Volume, ...]
    first_cutoff: str
    cutoffs: int
    matured: int
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]
    stock: Stock
    replication: Replication | None = None
    inactivity: Inactivity | None = None

    def to_frame(self) -> pd.DataFrame:
        """Give table, read, kept, quarantined: one row per table."""
        columns = ["table", "read", "kept"]
        frame = pd.DataFrame([[row.table, row.read, row.kept] for row in self.rows], columns=columns)
        return frame.assign(quarantined=frame["read"] - frame["kept"])

    def joins_frame(self) -> pd.DataFrame:
        """Give table, read, unknown_customer, customers, share: how many of all customers each table reaches."""
        columns = ["table", "read", "unknown_customer", "customers", "share"]
        everybody, found = self.customers, self.stock.joins
        rows = [[one.table, one.read, one.unknown, one.customers, one.customers / everybody] for one in found]
        return pd.DataFrame(rows, columns=columns)

    def order_frame(self) -> pd.DataFrame:
        """Give table, before_joining, after_churn, after_end: rows at odd times, one row per table of events."""
        columns = ["table", "before_joining", "after_churn", "after_end"]
        rows = [[one.table, one.before_joining, one.after_churn, one.after_end] for one in self.stock.order]
        return pd.DataFrame(rows, columns=columns)

    def late_frame(self) -> pd.DataFrame:
        """Give journey, rows, late, share, median_days, p95_days: what became known after it happened."""
        columns = ["journey", "rows", "late", "share", "median_days", "p95_days"]
        found = self.stock.late
        rows = [[one.journey, one.rows, one.late, one.late / one.rows, one.median_days, one.p95_days] for one in found]
        return pd.DataFrame(rows, columns=columns)

    def quarantine_frame(self) -> pd.DataFrame:
        """Give table, reason, rows: one row per reason."""
        columns = ["table", "reason", "rows"]
        return pd.DataFrame([[item.table, item.reason, item.rows] for item in self.quarantined], columns=columns)

    def findings_frame(self) -> pd.DataFrame:
        """Give severity, topic, what, count, unit, remedy: one row per finding, worst first."""
        columns = ["severity", "topic", "what", "count", "unit", "remedy"]
        rows = [[getattr(finding, name) for name in columns] for finding in self.findings]
        return pd.DataFrame(rows, columns=columns)

    def periods_frame(self) -> pd.DataFrame:
        """Give measure, journey, period, rows, n, missing_share, median: one row per measure, journey and period."""
        columns = ["measure", "journey", "period", "rows", "n", "median"]
        rows = [
            [one.measure, one.journey, *values]
            for one in self.stock.periods
            for values in zip(one.periods, one.rows, one.n, one.median, strict=True)
        ]
        frame = pd.DataFrame(rows, columns=columns).astype({"rows": int, "n": int, "median": float})
        return frame.assign(missing_share=1 - frame["n"] / frame["rows"])

    def journeys_frame(self) -> pd.DataFrame:
        """Give journey, touchpoints, instances: one row per journey that occurs."""
        columns = ["journey", "touchpoints", "instances"]
        return pd.DataFrame([[item.name, item.touchpoints, item.instances] for item in self.journeys], columns=columns)

    def measures_frame(self) -> pd.DataFrame:
        """Give measure, n, missing_share, low, median, mean, high: one row per measure.

        The share is missing among the touchpoints of the journeys in which the measure occurs. The median is up to 1 %
        nearer to zero than that of the values.
        """
        columns = ["n", "missing_share", "low", "median", "mean", "high"]
        rows = [[item.name, *(getattr(item, name) for name in columns)] for item in self.measures]
        return pd.DataFrame(rows, columns=["measure", *columns])

    def volumes_frame(self) -> pd.DataFrame:
        """Give month, journey, touchpoints: one row per month and journey."""
        columns = ["month", "journey", "touchpoints"]
        return pd.DataFrame([[item.month, item.journey, item.touchpoints] for item in self.volumes], columns=columns)


def describe(layout: Layout, study: Study) -> Health:
    """Describe what was laid out.

    Parameters
    ----------
    layout : Layout
        From :func:`features.layout.lay_out`.
    study : Study
        The study it was made from.

    Returns
    -------
    Health
        Read from the manifest, and from the revenue where churn is a rule.
    """
    found, grid = layout.manifest, study.snapshot
    silence = inactivity(layout, study)
    try:
        dates = cutoffs(grid, found.data_start, found.data_end)
    except EmptyResultError:
        dates = ()
    findings = worst_first(
        (
            *cutoff_findings(found, study),
            *period_findings(found.stock.periods, study.measures),
            *code_findings(found.stock.codes, study.measures, found.measures, _read(found.rows, "touchpoints")),
            *quarantine_findings(found.rows, found.quarantined, found.stock.codes),
            *journey_findings(found, study),
            *clock_findings(found),
            *volume_findings(found),
            *measure_findings(found.measures, study.measures),
            *lost_findings(found),
            *order_findings(found),
        )
    )
    return Health(
        study=study.name,
        customers=found.n_customers,
        touchpoints=found.n_touchpoints,
        first_day=iso(found.data_start),
        last_day=iso(found.data_end),
        rows=found.rows,
        quarantined=found.quarantined,
        journeys=found.journeys,
        measures=found.measures,
        volumes=found.volumes,
        first_cutoff=iso(first_with_history(grid, found.data_start)),
        cutoffs=len(dates),
        matured=len(matured(dates, grid, found.data_end)),
        notes=(*(finding.sentence for finding in findings), *(silence.notes() if silence is not None else ())),
        findings=findings,
        stock=found.stock,
        inactivity=silence,
    )


def describe_flat(flat: FlatTable, study: Study) -> Health:
    """Describe a flat table.

    Parameters
    ----------
    flat : FlatTable
        From :func:`features.flat.read_flat`.
    study : Study
        The study it was read for.

    Returns
    -------
    Health
        Without dates, journeys and volumes; waves count as cutoffs, and as periods of the measures.
    """
    measures = tuple(_flat_measure(flat.frame[measure.name], measure) for measure in study.measures)
    periods = tuple(_flat_periods(flat, measure) for measure in study.measures) if len(flat.waves) > 1 else ()
    stock = Stock(periods=periods, codes=flat.codes)
    rows = (RowCount(table="flat", read=flat.rows, kept=len(flat.frame)),)
    base = study.flat.base_rate if study.flat is not None else None
    weighted = "" if base is None else f"; rows are weighted so that it is {base:.1%}"
    rate = flat.frame["is_churned"].mean()
    notes = [] if pd.isna(rate) else [f"The churn rate in the table is {rate:.1%}{weighted}."]
    notes.append("A flat table has no event times: nothing can be simulated from touchpoints.")
    findings = worst_first(
        (
            *period_findings(stock.periods, study.measures),
            *code_findings(stock.codes, study.measures, measures, flat.rows),
            *quarantine_findings(rows, flat.quarantined, stock.codes),
            *measure_findings(measures, study.measures),
        )
    )
    return Health(
        study=study.name,
        customers=int(flat.frame["customer_id"].nunique()),
        touchpoints=0,
        first_day="",
        last_day="",
        rows=rows,
        quarantined=flat.quarantined,
        journeys=(),
        measures=measures,
        volumes=(),
        first_cutoff="",
        cutoffs=len(flat.waves),
        matured=len(flat.waves),
        notes=(*notes, *flat.replication.notes(), *(finding.sentence for finding in findings)),
        findings=findings,
        stock=stock,
        replication=flat.replication,
    )


def _read(rows: Sequence[RowCount], table: str) -> int:
    return next(row.read for row in rows if row.table == table)


def _flat_measure(values: "pd.Series[float]", measure: Measure) -> MeasureFound:
    given = values.dropna()
    low, high, mean, median = (float(number) for number in (given.min(), given.max(), given.mean(), given.median()))
    n, share = len(given), 1 - len(given) / len(values)
    return MeasureFound(
        name=measure.name,
        n=n,
        missing_share=share,
        low=low,
        high=high,
        mean=mean,
        by_journey={} if measure.journey is None else {measure.journey: n},
        median=median,
    )


def _flat_periods(flat: FlatTable, measure: Measure) -> Periods:
    """Describe a measure wave by wave."""
    wave = flat.frame["wave"].map({name: place for place, name in enumerate(flat.waves)}).to_numpy(np.int64)
    values = flat.frame[measure.name].to_numpy(float)
    is_given = ~np.isnan(values)
    sketch = Sketch()
    sketch.add(wave[is_given], values[is_given])
    counts = np.bincount(wave, minlength=len(flat.waves)).tolist()
    rows = dict(zip(flat.waves, counts, strict=True))
    return periods_of(measure.name, measure.journey or "", rows, sketch, range(len(flat.waves)))
