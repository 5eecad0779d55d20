"""The data check as one HTML page that opens from disk, needs no network and no mouse, and prints."""

from __future__ import annotations

import pandas as pd

from features.findings import SEVERITIES
from features.health import Health
from features.study import Study
from flows import check_charts as charts
from flows import check_tables as tables
from flows.charts import volume_chart
from flows.console import count
from flows.report_page import Block, Entry, Section, figure, page_template
from flows.wording import label, percent, whole

__all__ = ["headline", "render_check"]

_STEP = "A sudden step or gap is more often a change in recording than in customers."
_MEDIAN = "Medians are at most 1 % too near to zero. Where the unit of a measure changes, its line jumps and stays."
_METHODS = (
    "Code: a value a step beyond the scale of a rating, or ten times as frequent as all values near it, or one of few "
    "values that make up what is out of range. A declared range settles what belongs to the scale.",
    "Change of unit: the typical size of a measure in a journey jumps by a factor of two or more, at all its "
    "quartiles, from one month to the next, far more than months differ otherwise, and stays; or by nearly 60, 100, "
    "1,000 and the like. A jump that happened a year before as well is a season.",
    "Break in recording: the missing share jumps by 20 points or more in the same way, or is 100 % for a time.",
    "Full hours: where nearly all times of a journey lie at one full hour, only days are known.",
    "One moment: 100 touchpoints or more, half a percent of all, and 20 times what its kind usually has.",
    "Every rule, its error and its false alarms: docs/how-to/data-health.md.",
)


def render_check(health: Health, study: Study) -> str:
    """Render the page as text.

    Parameters
    ----------
    health : Health
        What was found.
    study : Study
        The study it was found for: units and kinds of measures.

    Returns
    -------
    str
        HTML without scripts and without anything to load; names of the user are escaped.
    """
    found = (
        _findings_section(health),
        _rows_section(health),
        _measures_section(health, study),
        _volumes_section(health),
        _times_section(health),
        _methods_section(),
    )
    parts = tuple(part for part in found if part is not None)
    told = tuple(part for part in parts if part.anchor != "methods")
    return page_template("check.html.j2").render(study=health.study, facts=_facts(health), sections=parts, told=told)


def headline(health: Health) -> str:
    """Say in a sentence how bad it is.

    Parameters
    ----------
    health : Health
        What was found.

    Returns
    -------
    str
        Such as ``'1 finding to stop for, 2 to look at, 5 to know.'``
    """
    stop, look, fine = (sum(one.severity == severity for one in health.findings) for severity in SEVERITIES)
    if not stop and not look:
        return "Nothing was found that needs a look."
    told = [(stop, "to stop for"), (look, "to look at"), (fine, "to know")]
    first, *others = [(number, what) for number, what in told if number]
    return f"{count(first[0], 'finding')} {first[1]}{''.join(f', {number} {what}' for number, what in others)}."


def _facts(health: Health) -> tuple[Entry, ...]:
    read, kept = sum(row.read for row in health.rows), sum(row.kept for row in health.rows)
    is_flat = not health.first_day
    facts = (
        Entry("Customers", whole(health.customers)),
        Entry("Touchpoints", "" if is_flat else whole(health.touchpoints)),
        Entry("Data", "" if is_flat else f"{health.first_day} to {health.last_day}"),
        Entry("Rows read", whole(read)),
        Entry("In quarantine", f"{whole(read - kept)} ({percent((read - kept) / max(read, 1), 2)})"),
        Entry("First cutoff with a full window", "" if is_flat else health.first_cutoff),
        Entry("Waves" if is_flat else "Cutoffs", whole(health.cutoffs)),
        Entry("Cutoffs with known outcomes", "" if is_flat else whole(health.matured)),
    )
    return tuple(fact for fact in facts if fact.meaning)


def _findings_section(health: Health) -> Section:
    told = {finding.sentence for finding in health.findings}
    notes = tuple(note for note in health.notes if note not in told)
    blocks = [Block(table=tables.finding_table(health))] if health.findings else []
    if notes:
        blocks.append(Block("Also worth knowing", items=notes))
    return Section("findings", "What needs a look?", headline(health), tuple(blocks))


def _rows_section(health: Health) -> Section:
    read, kept = sum(row.read for row in health.rows), sum(row.kept for row in health.rows)
    lead = f"{read:,} rows were read and {kept:,} are used; {read - kept:,} are in quarantine, each with its reason."
    blocks = [Block("Tables", table=tables.row_table(health))]
    if health.quarantined:
        blocks.append(Block("Quarantine", table=tables.quarantine_table(health)))
    if health.stock.joins:
        blocks.append(Block("Customers lost at each join", table=tables.join_table(health)))
    return Section("rows", "Which rows are used?", lead, tuple(blocks))


def _measures_section(health: Health, study: Study) -> Section | None:
    if not health.measures:
        return None
    most = max(health.measures, key=lambda item: item.missing_share)
    lead = f"{count(len(health.measures), 'measure')}; most often missing is {label(most.name)}, in "
    lead += f"{percent(most.missing_share, 1)} of the rows where it is expected."
    blocks = [Block("Values", table=tables.measure_table(health, study))]
    if health.stock.codes:
        blocks.append(Block("Codes", table=tables.code_table(health)))
    if health.stock.periods:
        blocks += _period_blocks(health, study)
    return Section("measures", "What do the measures hold?", lead, tuple(blocks))


def _period_blocks(health: Health, study: Study) -> list[Block]:
    """Show what is missing, and how large values are, month by month."""
    word, periods = ("month" if health.first_day else "wave"), health.periods_frame()
    return [*_missing_blocks(periods, word), *_median_block(periods, study, word)]


def _missing_blocks(periods: pd.DataFrame, word: str) -> list[Block]:
    n = periods.groupby("measure", sort=False)[["rows", "n"]].sum()
    complete = [label(str(measure)) for measure in n.index[n["rows"] == n["n"]]]
    said = (f"Never missing: {', '.join(complete)}.",) if complete else ()
    if len(complete) == len(n):
        return [Block(f"Missing by {word}", said)]
    missing = charts.missing_by_period_chart(periods, word)
    drawn = figure(missing, "missing-periods", f"Share without a value by measure and {word}; numbers in the table.")
    first, *others = tables.missing_tables(periods, word)
    blocks = [Block(f"Missing by {word}", (_STEP, *said), figure=drawn, table=first)]
    return [*blocks, *(Block(table=other) for other in others)]


def _median_block(periods: pd.DataFrame, study: Study, word: str) -> list[Block]:
    shares = [measure.name for measure in study.measures if measure.kind == "share"]
    drawn = periods[~periods["measure"].isin(shares)]
    if drawn.empty:
        return []
    levels = figure(
        charts.median_chart(drawn, study, word), "medians", f"Median of each measure and journey by {word}."
    )
    left = drawn.groupby(["measure", "journey"]).ngroups - charts.DRAWN
    more = (f"{left} further rows are not drawn; store/results/check.json holds them.",) if left > 0 else ()
    none = ("Shares are not drawn: the median of yes and no says little.",) if shares else ()
    return [Block(f"Median by {word}", (_MEDIAN, *none, *more), figure=levels)]


def _volumes_section(health: Health) -> Section | None:
    if not health.volumes:
        return None
    totals = ", ".join(f"{label(one.name)} {one.touchpoints:,}" for one in health.journeys)
    drawn = figure(volume_chart(health.volumes_frame()), "volumes", f"Touchpoints per month by journey. {totals}.")
    months = len({volume.month for volume in health.volumes})
    lead = f"{health.touchpoints:,} touchpoints in {count(len(health.journeys), 'journey')} over {months} months."
    block = Block("By month", (_STEP,), figure=drawn, table=tables.volume_table(health))
    return Section("volumes", "How much happens, and when?", lead, (block,))


def _times_section(health: Health) -> Section | None:
    stock = health.stock
    if not stock.order:
        return None
    late = sum(one.late for one in stock.late)
    lead = f"{percent(late / max(health.touchpoints, 1), 2)} of the touchpoints became known after they happened; "
    lead += f"{stock.lifted:,} were known before, and count from when they happen." if stock.lifted else "none before."
    blocks = [Block("Order of events", table=tables.order_table(health))]
    if stock.late:
        blocks.append(Block("Booked late", table=tables.late_table(health)))
    blocks.append(Block("Times of day", table=tables.clock_table(health)))
    if stock.instants:
        blocks.append(Block("One moment", table=tables.instant_table(health)))
    return Section("times", "Are times in order?", lead, tuple(blocks))


def _methods_section() -> Section:
    lead = "Everything was counted in one pass while the rows were laid out."
    return Section("methods", "How was this worked out?", lead, (Block(items=_METHODS),))
