"""What data health needs to know, counted: from the touchpoints as they went by, and by SQL over the staged tables."""

from collections.abc import Sequence

import numpy as np

from features.health_codes import codes_in
from features.manifest import Instant, Join, Order, Quarantined, RowCount, Stock
from features.snapshot import DAY
from features.sources import Reader, quote
from features.staging import Staged
from features.study import Study
from features.tables import REASON
from features.tally import SLOTS, Tally, clocks, late_bookings, periods

__all__ = ["take_stock"]

_MANY = 0.005
_FEWEST = 100
_TIMES_USUAL = 20
_MOST_INSTANTS = 20


def take_stock(
    reader: Reader, study: Study, found: Staged, tally: Tally, rows: Sequence[RowCount], bad: Sequence[Quarantined]
) -> Stock:
    """Count what data health needs, while the staged tables are still there.

    Parameters
    ----------
    reader : Reader
        The connection that holds the staged tables.
    study : Study
        An event study.
    found : Staged
        What was met when they were made.
    tally : Tally
        What was counted while the touchpoints were laid out.
    rows : sequence of RowCount
        Rows of each table.
    bad : sequence of Quarantined
        Rows in quarantine.

    Returns
    -------
    Stock
        The same for the same rows, in any order.

    Notes
    -----
    One scan of each measure and a handful of joins on whole numbers; everything else was counted before.
    """
    reasons = {one.reason for one in bad if one.table == "touchpoints"}
    unpaid, unpaid_met = _unpaid(reader)
    events = next(one for one in found.fitted if one.contract.label == "touchpoints")
    unmet = found.customers - tally.customers
    return Stock(
        periods=tuple(one for m in study.measures for one in periods(tally, m.name, m.journeys)),
        codes=codes_in(reader.con, quote("staged touchpoints"), study.measures, tally.counts, reasons),
        joins=tuple(_join(reader, row, bad, tally) for row in rows if row.table != "customers"),
        order=_order(reader, study, found),
        late=late_bookings(tally),
        clocks=clocks(tally),
        instants=_instants(reader, tally),
        without_touchpoints=unmet,
        without_revenue=unpaid,
        without_either=unpaid - unpaid_met,
        same_moment=tally.same_moment,
        lifted=_one(reader, f"SELECT count(*) FROM {_good('touchpoints')} AND known_at < occurred_at"),
        has_known_at="known_at" in events.found,
    )


def _good(label: str) -> str:
    return f"{quote(f'staged {label}')} WHERE {quote(REASON)} IS NULL"


def _numbers(reader: Reader, query: str) -> tuple[int, ...]:
    row = reader.con.execute(query).fetchone()
    return tuple(int(number) for number in row or ())


def _one(reader: Reader, query: str) -> int:
    return _numbers(reader, query)[0]


def _join(reader: Reader, row: RowCount, bad: Sequence[Quarantined], tally: Tally) -> Join:
    unknown = sum(one.rows for one in bad if one.table == row.table and one.reason == "unknown customer")
    query = f"SELECT count(DISTINCT customer_key) FROM {_good(row.table)}"
    customers = tally.customers if row.table == "touchpoints" else _one(reader, query)
    return Join(table=row.table, read=row.read, unknown=unknown, customers=customers)


def _unpaid(reader: Reader) -> tuple[int, ...]:
    """Count customers without revenue, and those of them that have touchpoints."""
    unpaid = f'SELECT customer_key FROM "@known" ANTI JOIN (FROM {_good("revenue")}) USING (customer_key)'
    met = f"SELECT count(DISTINCT customer_key) FROM {_good('touchpoints')} AND customer_key IN ({unpaid})"
    return _numbers(reader, f"SELECT (SELECT count(*) FROM ({unpaid})), ({met})")


def _order(reader: Reader, study: Study, found: Staged) -> tuple[Order, ...]:
    """Rows before joining, after churn and after the end, for each table of events."""
    has_churn = study.churn is not None and study.churn.inactive_days is None
    fitted = {one.contract.label: one for one in found.fitted}
    has_end = "ended_at" in fitted["customers"].found
    labels = [label for label in fitted if label not in {"customers", "churn"}]
    return tuple(
        Order(
            table=label,
            before_joining=found.before_joining if label == "touchpoints" else _early(reader, label),
            after_churn=gone[0],
            churners=gone[1],
            after_end=_ended(reader, label) if has_end else 0,
        )
        for label in labels
        for gone in ([_gone(reader, label)] if has_churn else [(0, 0)])
    )


def _events(label: str) -> str:
    return f"(SELECT customer_key, occurred_at FROM {_good(label)})"


def _early(reader: Reader, label: str) -> int:
    people = '(SELECT customer_key, joined_at FROM "@known")'
    joined = f"{_events(label)} JOIN {people} USING (customer_key)"
    return _one(reader, f"SELECT count(*) FROM {joined} WHERE occurred_at < joined_at")


def _ended(reader: Reader, label: str) -> int:
    ends = '(SELECT customer_key, ended_at FROM "@known" WHERE ended_at IS NOT NULL)'
    joined = f"{_events(label)} JOIN {ends} USING (customer_key)"
    return _one(reader, f"SELECT count(*) FROM {joined} WHERE occurred_at > ended_at + {DAY}")


def _gone(reader: Reader, label: str) -> tuple[int, ...]:
    """Rows after churn and before any return, and their customers."""
    churn = f"(SELECT customer_key, churned_at, returned_at FROM {_good('churn')})"
    joined = f"{_events(label)} JOIN {churn} USING (customer_key)"
    after = f"occurred_at > churned_at + {DAY} AND (returned_at IS NULL OR occurred_at < returned_at)"
    return _numbers(reader, f"SELECT count(*), count(DISTINCT customer_key) FROM {joined} WHERE {after}")


def _instants(reader: Reader, tally: Tally) -> tuple[Instant, ...]:
    """Moments with far more rows of a kind than its moments usually have; looked up only where a slot is that large."""
    fewest = max(_FEWEST, int(_MANY * tally.rows))
    slots = np.flatnonzero(tally.slots >= max(fewest, _TIMES_USUAL * tally.rows / SLOTS))
    if not len(slots):
        return ()
    kinds = "journey, touchpoint"
    near = f"{_good('touchpoints')} AND occurred_at % {SLOTS} IN ({', '.join(map(str, slots.tolist()))})"
    large = f"SELECT occurred_at, {kinds}, count(*) AS n FROM {near} GROUP BY ALL HAVING n >= {fewest}"
    usual = f"SELECT {kinds}, count(*) / count(DISTINCT occurred_at) AS usual FROM {_good('touchpoints')} GROUP BY ALL"
    query = f"SELECT occurred_at, {kinds}, n, usual FROM ({large}) JOIN ({usual}) USING ({kinds})"
    ordered = f"{query} WHERE n >= {_TIMES_USUAL} * usual ORDER BY n DESC, occurred_at, {kinds} LIMIT {_MOST_INSTANTS}"
    return tuple(
        Instant(at=at, journey=journey, touchpoint=touchpoint, rows=rows, usually=usually)
        for at, journey, touchpoint, rows, usually in reader.con.execute(ordered).fetchall()
    )
