"""Findings about times: events out of order, days without time of day, bulk loads, stray dates, months without rows."""

from collections.abc import Iterator

import numpy as np

from features.errors import EmptyResultError
from features.findings import Finding, Severity
from features.health_breaks import find_volume_holes
from features.health_jumps import month_number
from features.manifest import Clock, LayoutManifest, Order
from features.snapshot import cutoffs, iso, matured
from features.study import Study

__all__ = ["clock_findings", "cutoff_findings", "order_findings", "volume_findings"]

STRAY_SHARE = 0.001
STRAY_MONTHS = 6
"""Less than this share of the touchpoints, more than so many months before the rest, is a mistake in dates."""

_FEWEST = 100
_NEARLY_ALL = 0.99
_MANY = 0.01
_TOO_EARLY = 0.2
_TIMES_USUAL = 10


def cutoff_findings(found: LayoutManifest, study: Study) -> Iterator[Finding]:
    """Tell why there is no cutoff to learn from (*stop*)."""
    grid = study.snapshot
    try:
        dates = cutoffs(grid, found.data_start, found.data_end)
    except EmptyResultError as error:
        dates = ()
        yield Finding("stop", "snapshot", str(error), 0, "cutoffs")
    if not matured(dates, grid, found.data_end):
        days = grid.window_days + grid.gap_days + grid.horizon_days
        span = f"the data run from {iso(found.data_start)} to {iso(found.data_end)}"
        what = f"No cutoff has known outcomes: {span}, and window, gap and horizon together need {days} days."
        remedy = "Bring more history, or shorten snapshot.window_days or snapshot.horizon_days."
        yield Finding("stop", "snapshot", what, len(dates), "cutoffs", remedy)


def order_findings(found: LayoutManifest) -> Iterator[Finding]:
    """Tell events that are out of order, and what is done with them."""
    if found.zoneless:
        what = f"Timestamps without a zone were read as UTC: {', '.join(found.zoneless)}."
        yield Finding("fine", "times", what, len(found.zoneless), "columns")
    for order in found.stock.order:
        yield from _order_findings(order, next(row.kept for row in found.rows if row.table == order.table))
    yield from _known_findings(found)


def _order_findings(order: Order, rows: int) -> Iterator[Finding]:
    table = order.table
    if order.before_joining:
        name, why = ("touchpoints", ", as adverts do") if table == "touchpoints" else (f"rows of {table}", "")
        what = f"{order.before_joining:,} {name} lie before their customer joined; they stay in{why}."
        remedy = "If customers were there before joined_at, take an earlier event for it."
        yield _ordered(table, what, order.before_joining, rows, _TOO_EARLY, remedy)
    if order.after_churn:
        what = f"{order.after_churn:,} rows of {table} lie more than a day after churn, of {order.churners:,} customers"
        remedy = "If customers go on after churned_at, it may be the day of notice, or returned_at is missing."
        yield _ordered(table, f"{what}; they count only after a return.", order.after_churn, rows, _MANY, remedy)
    if order.after_end:
        what = f"{order.after_end:,} rows of {table} lie more than a day after ended_at; nobody is at risk then."
        remedy = "If customers go on after ended_at, another event is their end."
        yield _ordered(table, what, order.after_end, rows, _MANY, remedy)


def _ordered(topic: str, what: str, count: int, rows: int, most: float, remedy: str) -> Finding:
    severity: Severity = "look" if count >= most * rows else "fine"
    return Finding(severity, topic, what, count, "rows", remedy if severity == "look" else "")


def _known_findings(found: LayoutManifest) -> Iterator[Finding]:
    stock, rows = found.stock, found.n_touchpoints
    if stock.lifted:
        what = f"{stock.lifted:,} touchpoints were known before they happened; they count from when they happen."
        remedy = "Are known_at and occurred_at swapped, or in different time zones?"
        yield _ordered("touchpoints", what, stock.lifted, rows, _MANY, remedy)
    if stock.same_moment:
        what = f"{stock.same_moment:,} touchpoints repeat customer, kind and moment of another one with other values"
        remedy = "If they are corrections, map touchpoint_id and known_at; the later version then replaces the earlier."
        yield _ordered("touchpoints", f"{what}; both count.", stock.same_moment, rows, _MANY, remedy)


def clock_findings(found: LayoutManifest) -> Iterator[Finding]:
    """Tell journeys whose times are days only, rows at midnight among others, and moments that hold a bulk load."""
    whole = [one for one in found.stock.clocks if _days_only(one)]
    if whole:
        names, rows = ", ".join(one.journey for one in whole), sum(_rows(one) for one in whole)
        what = f"Times have no time of day in {names} ({rows:,} touchpoints)."
        yield _by_day(names, what, rows, found)
    for one in found.stock.clocks:
        midnight, others = one.hours[0], float(np.median(one.hours[1:]))
        usual = max(others, _rows(one) / 1_440)
        if one not in whole and midnight >= max(_FEWEST, _MANY * _rows(one), _TIMES_USUAL * usual):
            what = f"{midnight:,} touchpoints of {one.journey} ({midnight / _rows(one):.0%}) lie at exactly 00:00 UTC"
            yield _by_day(one.journey, f"{what}, far more than at other hours.", midnight, found)
    for moment in found.stock.instants:
        at = str(np.datetime64(moment.at, "us").astype("datetime64[s]")).replace("T", " ")
        what = f"{moment.rows:,} touchpoints of {moment.journey}, {moment.touchpoint}, lie at one moment, {at} UTC"
        remedy = "A bulk load carries the time of loading: bring the time when it happened, or leave the rows out."
        usually = f"its moments usually hold {moment.usually:.1f}"
        yield Finding("look", moment.journey, f"{what}; {usually}.", moment.rows, "rows", remedy)


def _by_day(topic: str, what: str, rows: int, found: LayoutManifest) -> Finding:
    """Warn of what is known by day only, unless known_at says when it really was known."""
    if found.stock.has_known_at:
        return Finding("fine", topic, f"{what} When they became known is told by known_at.", rows, "rows")
    remedy = "A cutoff at that midnight sees the day to come. Count what is known by day from its end, occurred_at + "
    remedy += "interval 1 day in touchpoints.sql, or say in known_at when it was known."
    return Finding("look", topic, what, rows, "rows", remedy)


def _rows(clock: Clock) -> int:
    return sum(clock.hours) + clock.others


def _days_only(clock: Clock) -> bool:
    """Whether nearly all rows lie at one hour, or at two in a row, as midnight elsewhere does in summer and winter."""
    pairs = [clock.hours[hour] + clock.hours[hour - 1] for hour in range(24)]
    return _rows(clock) >= _FEWEST and max(pairs) >= _NEARLY_ALL * _rows(clock)


def volume_findings(found: LayoutManifest) -> Iterator[Finding]:
    """Tell months without touchpoints, and the few touchpoints long before all others."""
    for hole in find_volume_holes(found.volumes):
        span = hole.first if hole.first == hole.last else f"{hole.first} to {hole.last}"
        what = f"{hole.journey}: no touchpoints in {span}, though at least {hole.rows:,} in the months beside."
        remedy = "Bring them; where nothing is recorded, customers look untouched."
        yield Finding("look", hole.journey, what, 0, "rows", remedy)
    yield from _stray(found)


def _stray(found: LayoutManifest) -> Iterator[Finding]:
    """Tell the few touchpoints long before all others: cutoffs begin with the first of them."""
    months: dict[str, int] = {}
    for volume in found.volumes:
        months[volume.month] = months.get(volume.month, 0) + volume.touchpoints
    names = sorted(months)
    before = np.cumsum([months[name] for name in names])
    place = int(np.searchsorted(before, STRAY_SHARE * before[-1], side="right"))
    if place and _months_between(names[0], names[place]) > STRAY_MONTHS:
        stray = int(before[place - 1])
        what = (
            f"{stray:,} of {int(before[-1]):,} touchpoints, from {names[0]} on, lie long before the others, which "
            f"begin in {names[place]}; cutoffs begin with them."
        )
        yield Finding("look", "touchpoints", what, stray, "rows", "Correct their dates, or set snapshot.first.")


def _months_between(first: str, last: str) -> int:
    return (month_number(last) or 0) - (month_number(first) or 0)
