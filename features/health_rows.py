"""Findings about rows: those that were set aside, and customers who are lost where tables meet."""

from collections.abc import Iterator, Sequence

from features.errors import closest
from features.findings import Finding, Severity, numbered
from features.manifest import Code, LayoutManifest, Quarantined, RowCount
from features.study import Study

__all__ = ["journey_findings", "lost_findings", "quarantine_findings"]

_MANY = 0.01
_MOST = 0.3

_REMEDIES = {
    "unknown customer": "Compare how customer_id is written in both tables (leading zeros, C12 against 12), and bring "
    "the customers who are missing.",
    "duplicate customer": "Give each customer one row, such as the latest one, in sql.",
    "duplicate touchpoint": "Equal rows count once. If they are different contacts, map what tells them apart.",
    "bad timestamp": "Correct the column, or read it in sql with strptime.",
    "future timestamp": "Correct the dates; is it day and month the wrong way round, or a planned contact?",
    "unknown journey": "Add the journey to the journey map, or rename it in sql.",
    "out of range": "Correct the range of the measure, its unit, or the values.",
    "negative": "If it is a code for 'not known', map it to missing in sql: nullif(column, -1).",
    "not a number": "Convert the texts in sql, or map what means 'not known' to missing.",
    "infinite": "Infinity comes from a division by zero; map it to missing in sql: nullif.",
    "churn before joining": "One of both dates is wrong, or the customer joined more than once.",
    "churn without a return before it": "Bring returned_at, or only the first churn of each customer.",
    "return before churn": "One of both dates is wrong.",
    "end before joining": "One of both dates is wrong.",
}
_OTHERWISE = "Correct the column, or leave such rows out in sql."


def quarantine_findings(
    rows: Sequence[RowCount], bad: Sequence[Quarantined], codes: Sequence[Code]
) -> Iterator[Finding]:
    """Tell each reason for quarantine that takes 1 % of a table (30 %: stop), and the rest together.

    Parameters
    ----------
    rows : sequence of RowCount
        Rows read and kept, by table.
    bad : sequence of Quarantined
        Rows set aside, by table and reason.
    codes : sequence of Code
        What is out of range because of them is told with them.

    Yields
    ------
    Finding
        The largest shares first.
    """
    read = {row.table: row.read for row in rows}
    told = {code.measure for code in codes if code.is_outside}
    shares = sorted(((one.rows / read[one.table], one) for one in bad), key=lambda pair: -pair[0])
    for share, one in shares:
        if share >= _MANY and one.reason.partition(": ")[2] not in told:
            severity: Severity = "stop" if share >= _MOST else "look"
            what = f"{one.table}: {one.rows:,} rows ({share:.0%}) are in quarantine, {one.reason}"
            remedy = next((text for start, text in _REMEDIES.items() if one.reason.startswith(start)), _OTHERWISE)
            yield Finding(severity, one.table, f"{what}: {numbered(one.rows, one.examples)}.", one.rows, "rows", remedy)
    few = [one for share, one in shares if share < _MANY]
    if few:
        total, reasons = sum(one.rows for one in few), len({one.reason for one in few})
        why = few[0].reason if reasons == 1 else f"{reasons} reasons"
        what = f"{total:,} rows are in quarantine for {why}, less than 1 % of their table each."
        yield Finding("fine", "quarantine", what, total, "rows")


def lost_findings(found: LayoutManifest) -> Iterator[Finding]:
    """Tell how many customers have no touchpoints, no revenue, or neither.

    Half of them is a fault of a join (*look*) if rows of the table look in vain for their customer as well.
    """
    stock, everybody = found.stock, found.n_customers
    lost = {join.table: join.unknown >= _MANY * join.read for join in stock.joins}
    for without, name, kept in (
        (everybody - found.with_touchpoints, "touchpoints", "they stay in, with counts of zero"),
        (stock.without_revenue, "revenue", "they stay in"),
    ):
        if without:
            severity: Severity = "look" if without >= everybody / 2 and lost.get(name) else "fine"
            what = f"{without:,} of {everybody:,} customers have no {name}; {kept}."
            remedy = f"Compare how customer_id is written in customers and {name}." if severity == "look" else ""
            yield Finding(severity, name, what, without, "customers", remedy)
    if stock.without_either:
        what = f"{stock.without_either:,} of {everybody:,} customers have neither touchpoints nor revenue."
        remedy = "If they were never customers, leave them out of the table customers."
        yield Finding("fine", "customers", what, stock.without_either, "customers", remedy)


def journey_findings(found: LayoutManifest, study: Study) -> Iterator[Finding]:
    """Tell journeys that only the data or only the study know, and values where no measure is expected."""
    rows = sum(one.rows for one in found.quarantined if one.reason == "unknown journey")
    for name in found.undeclared:
        hint = closest(name, study.journey_names)
        what = f"The journey '{name}' is not in the journey map; its touchpoints are in quarantine.{hint}"
        yield Finding("look", name, what, rows, "rows of such journeys", "Add it to journeys, or rename it in sql.")
    absent = [name for name in study.journey_names if name not in found.levels["journey"]]
    if absent:
        what = f"Declared but without touchpoints: {', '.join(absent)}."
        yield Finding("look", "journeys", what, len(absent), "journeys", "Correct the names, or leave them out.")
    counts = {item.name: item.by_journey for item in found.measures}
    for measure in study.measures:
        wrong = [name for name, n in counts[measure.name].items() if n and name not in measure.journeys]
        if measure.journeys and wrong:
            where, values = ", ".join(wrong), sum(counts[measure.name][name] for name in wrong)
            what = f"The measure '{measure.name}' also has values in {where}, where the study does not expect it."
            yield Finding("look", measure.name, what, values, "values", "Correct its journeys, or the mapping.")
