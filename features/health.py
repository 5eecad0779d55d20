"""What was found in the data of a study, for people: counts, dates, gaps, and what was assumed."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from features.errors import EmptyResultError, closest
from features.flat import FlatTable
from features.inactivity import Inactivity, inactivity
from features.layout import Layout
from features.manifest import JourneyFound, LayoutManifest, MeasureFound, Quarantined, RowCount, Volume
from features.replicas import Replication
from features.snapshot import cutoffs, first_with_history, iso, matured
from features.study import Study

__all__ = ["Health", "describe", "describe_flat"]


STRAY_SHARE = 0.001
STRAY_MONTHS = 6
"""Less than this share of the touchpoints, more than so many months before the rest, is a mistake in dates."""


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
        Sentences about what was assumed and what looks odd.
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
    replication: Replication | None = None
    inactivity: Inactivity | None = None

    def to_frame(self) -> pd.DataFrame:
        """Give table, read, kept, quarantined: one row per table."""
        columns = ["table", "read", "kept"]
        frame = pd.DataFrame([[row.table, row.read, row.kept] for row in self.rows], columns=columns)
        return frame.assign(quarantined=frame["read"] - frame["kept"])

    def quarantine_frame(self) -> pd.DataFrame:
        """Give table, reason, rows: one row per reason."""
        columns = ["table", "reason", "rows"]
        return pd.DataFrame([[item.table, item.reason, item.rows] for item in self.quarantined], columns=columns)

    def journeys_frame(self) -> pd.DataFrame:
        """Give journey, touchpoints, instances: one row per journey that occurs."""
        columns = ["journey", "touchpoints", "instances"]
        return pd.DataFrame([[item.name, item.touchpoints, item.instances] for item in self.journeys], columns=columns)

    def measures_frame(self) -> pd.DataFrame:
        """Give measure, n, missing_share, low, mean, high: one row per measure.

        The share is missing among the touchpoints of the journeys in which the measure occurs.
        """
        columns = ["measure", "n", "missing_share", "low", "mean", "high"]
        rows = [[item.name, item.n, item.missing_share, item.low, item.mean, item.high] for item in self.measures]
        return pd.DataFrame(rows, columns=columns)

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
    notes, silence = list(_notes(found, study)), inactivity(layout, study)
    notes += silence.notes() if silence is not None else ()
    try:
        dates = cutoffs(grid, found.data_start, found.data_end)
    except EmptyResultError as error:
        dates = ()
        notes.append(str(error))
    mature = matured(dates, grid, found.data_end)
    first = iso(first_with_history(grid, found.data_start))
    if not mature:
        days = grid.window_days + grid.gap_days + grid.horizon_days
        span = f"the data run from {iso(found.data_start)} to {iso(found.data_end)}"
        notes.append(f"No cutoff has known outcomes: {span}, and window, gap and horizon together need {days} days.")
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
        first_cutoff=first,
        cutoffs=len(dates),
        matured=len(mature),
        notes=tuple(notes),
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
        Without dates, journeys and volumes; waves count as cutoffs.
    """
    measures = tuple(
        _flat_measure(flat.frame[measure.name], measure.name, measure.journey) for measure in study.measures
    )
    rate = f"The churn rate in the table is {flat.frame['is_churned'].mean():.1%}"
    base = study.flat.base_rate if study.flat is not None else None
    weighted = "" if base is None else f"; rows are weighted so that it is {base:.1%}"
    notes = [f"{rate}{weighted}.", "A flat table has no event times: nothing can be simulated from touchpoints."]
    return Health(
        study=study.name,
        customers=int(flat.frame["customer_id"].nunique()),
        touchpoints=0,
        first_day="",
        last_day="",
        rows=(RowCount(table="flat", read=flat.rows, kept=len(flat.frame)),),
        quarantined=flat.quarantined,
        journeys=(),
        measures=measures,
        volumes=(),
        first_cutoff="",
        cutoffs=len(flat.waves),
        matured=len(flat.waves),
        notes=(*notes, *flat.replication.notes(), *_measure_notes(measures)),
        replication=flat.replication,
    )


def _flat_measure(values: "pd.Series[float]", name: str, journey: str | None) -> MeasureFound:
    given = values.dropna()
    low, high, mean = (float(number) for number in (given.min(), given.max(), given.mean()))
    n, share = len(given), 1 - len(given) / len(values)
    by_journey = {} if journey is None else {journey: n}
    return MeasureFound(name=name, n=n, missing_share=share, low=low, high=high, mean=mean, by_journey=by_journey)


def _notes(found: LayoutManifest, study: Study) -> Iterator[str]:
    if found.zoneless:
        yield f"Timestamps without a zone were read as UTC: {', '.join(found.zoneless)}."
    for name in found.undeclared:
        hint = closest(name, study.journey_names)
        yield f"The journey '{name}' is not in the journey map; its touchpoints are in quarantine.{hint}"
    absent = [name for name in study.journey_names if name not in found.levels["journey"]]
    if absent:
        yield f"Declared but without touchpoints: {', '.join(absent)}."
    silent = found.n_customers - found.with_touchpoints
    if silent:
        yield f"{silent:,} of {found.n_customers:,} customers have no touchpoints; they stay in, with counts of zero."
    if found.before_joining:
        yield f"{found.before_joining:,} touchpoints lie before their customer joined; they stay in, as adverts do."
    yield from _stray(found)
    yield from _measure_notes(found.measures)
    yield from _misplaced(found, study)


def _stray(found: LayoutManifest) -> Iterator[str]:
    """Note the few touchpoints long before all others: cutoffs begin with the first of them."""
    months: dict[str, int] = {}
    for volume in found.volumes:
        months[volume.month] = months.get(volume.month, 0) + volume.touchpoints
    before, most = 0, STRAY_SHARE * sum(months.values())
    for month in sorted(months):
        if before + months[month] > most:
            break
        before += months[month]
    else:
        return
    first = min(months)
    if before and _months_between(first, month) > STRAY_MONTHS:
        yield (
            f"{before:,} of {sum(months.values()):,} touchpoints, from {first} on, lie long before the others, which "
            f"begin in {month}; cutoffs begin with them. Correct their dates, or set snapshot.first."
        )


def _months_between(first: str, last: str) -> int:
    """Count the months from one ``YYYY-MM`` to another."""
    (year, month), (other_year, other_month) = (map(int, text.split("-")) for text in (first, last))
    return 12 * (other_year - year) + other_month - month


def _measure_notes(measures: tuple[MeasureFound, ...]) -> Iterator[str]:
    for item in measures:
        if item.n == 0:
            yield f"The measure '{item.name}' is always missing."
        elif item.low == item.high:
            yield f"The measure '{item.name}' is constant ({item.low:g}): nothing can be learned from it."


def _misplaced(found: LayoutManifest, study: Study) -> Iterator[str]:
    """Values in journeys for which the study does not declare the measure."""
    counts = {item.name: item.by_journey for item in found.measures}
    for measure in study.measures:
        wrong = [name for name, n in counts[measure.name].items() if n and name not in measure.journeys]
        if measure.journeys and wrong:
            where = ", ".join(wrong)
            yield f"The measure '{measure.name}' also has values in {where}, where the study does not expect it."
