"""Findings about values: codes among them, units that change, recording that breaks off, measures that say nothing."""

import math
from collections.abc import Iterator, Sequence

from features.findings import Finding, Severity
from features.health_breaks import Break, Hole, find_breaks, find_silence
from features.health_jumps import month_number
from features.health_units import Shift, find_shifts
from features.manifest import Code, MeasureFound, Periods
from features.study import Measure

__all__ = ["code_findings", "measure_findings", "period_findings"]

_HARMFUL = 0.01
_RUINOUS = 0.3


def code_findings(
    codes: Sequence[Code], measures: Sequence[Measure], found: Sequence[MeasureFound], read: int
) -> Iterator[Finding]:
    """Tell values that look like codes: those in use first, for they move every mean.

    Parameters
    ----------
    codes : sequence of Code
        From :func:`features.health_codes.find_codes`.
    measures : sequence of Measure
        As declared.
    found : sequence of MeasureFound
        As found; codes of 1 % of the values are told as *stop*.
    read : int
        Rows of the table; codes that put 30 % of them into quarantine are told as *stop*.

    Yields
    ------
    Finding
        One for each measure, with what to write into the study.
    """
    for is_outside in (False, True):
        for measure, item in zip(measures, found, strict=True):
            mine = [code for code in codes if code.measure == measure.name and code.is_outside == is_outside]
            if mine:
                yield _code_finding(mine, measure, read if is_outside else item.n)


def _code_finding(codes: Sequence[Code], measure: Measure, n: int) -> Finding:
    """Tell the codes of one measure, among n rows or values."""
    rows, low, high = sum(code.rows for code in codes), codes[0].low, codes[0].high
    listed = " and ".join(f"{code.value:g} ({code.rows:,} rows)" for code in codes)
    beside = f"beside values from {low:g} to {high:g}" if math.isfinite(low) else "and nothing else"
    what = f"{measure.name} holds {listed} {beside}: like a code for what is not known"
    values = ", ".join(f"{code.value:g}" for code in codes)
    kept = f"case when {measure.name} not in ({values}) then {measure.name} end"
    remedy = f"Map it to missing in sql, {kept}"
    severity: Severity
    if codes[0].is_outside:
        severity = "stop" if rows >= _RUINOUS * n else "look"
        remedy += "; then only the value is lost, not the row."
        return Finding(severity, measure.name, f"{what}; its rows are in quarantine.", rows, "rows", remedy)
    severity = "stop" if rows >= _HARMFUL * n else "look"
    remedy += "; or, if it is a value, declare the range of the measure."
    return Finding(severity, measure.name, f"{what}; it is used as a value.", rows, "values", remedy)


def measure_findings(found: Sequence[MeasureFound], measures: Sequence[Measure]) -> Iterator[Finding]:
    """Tell measures from which nothing can be learned, and ratings whose scale nobody has declared."""
    for item in found:
        if item.n == 0:
            what = f"The measure '{item.name}' is always missing."
            yield Finding("look", item.name, what, 0, "values", "Correct its mapping, or leave it out.")
        elif item.low == item.high:
            what = f"The measure '{item.name}' is constant ({item.low:g}): nothing can be learned from it."
            yield Finding("look", item.name, what, item.n, "values", "Correct its mapping, or leave it out.")
    pairs = zip(found, measures, strict=True)
    open_ended = [item for item, measure in pairs if measure.is_rating and measure.range is None and item.n]
    if open_ended:
        listed = ", ".join(f"{item.name} ({item.low:g} to {item.high:g})" for item in open_ended)
        remedy = "Write range: [lowest, highest] of the question, so that what lies beyond it is noticed."
        yield Finding("fine", "ratings", f"No range is declared for {listed}.", len(open_ended), "ratings", remedy)


def period_findings(periods: Sequence[Periods], measures: Sequence[Measure]) -> Iterator[Finding]:
    """Tell changes of unit (*stop*), other lasting jumps, breaks and silence of measures (*look*)."""
    declared = {one.name: one for one in measures}
    shifts = [shift for one in periods for shift in find_shifts(one, declared[one.measure].kind)]
    for shift in sorted(shifts, key=lambda one: not one.unit):
        yield _shift_finding(shift, declared[shift.measure].unit)
    for one in periods:
        yield from map(_break_finding, find_breaks(one))
        yield from map(_silence_finding, find_silence(one))


def _shift_finding(shift: Shift, unit: str) -> Finding:
    levels = f"from {shift.before:.3g} (until {shift.last_before}) to {shift.after:.3g} {unit}"
    times = f"{shift.factor:.2g}" if shift.factor >= 1 else f"1/{1 / shift.factor:.2g}"
    what = f"{shift.measure} in {shift.journey}: the typical size goes {levels}, about {times} times"
    told = f"{what} ({shift.rows:,} values from {shift.first_after} on)"
    if not shift.unit:
        remedy = "Ask what changed then: recording, a new system, or the service itself."
        return Finding("look", shift.measure, f"{told}.", shift.rows, "values", remedy)
    is_month = month_number(shift.first_after) is not None
    when = f"occurred_at >= '{shift.first_after}-01'" if is_month else f"wave >= '{shift.first_after}'"
    sign = "/" if shift.factor > 1 else "*"
    scaled = f"case when {when} then {shift.measure} {sign} {shift.rate} else {shift.measure} end"
    remedy = f"Convert the later values in sql, {scaled}; or the earlier ones."
    return Finding("stop", shift.measure, f"{told}, like a change from {shift.unit}.", shift.rows, "values", remedy)


def _break_finding(found: Break) -> Finding:
    where = f"{found.measure} in {found.journey}"
    levels = f"missing in {found.before:.0%} of rows until {found.last_before}, in {found.after:.0%}"
    what = f"{where}: {levels} from {found.first_after} on ({found.rows:,} rows without a value)."
    remedy = "Ask what changed in recording; models will take it for a change in customers."
    return Finding("look", found.measure, what, found.rows, "rows", remedy)


def _silence_finding(hole: Hole) -> Finding:
    span = hole.first if hole.first == hole.last else f"{hole.first} to {hole.last}"
    what = f"{hole.name} in {hole.journey}: no value at all in {span} ({hole.rows:,} rows), though before and after."
    return Finding("look", hole.name, what, hole.rows, "rows", "Bring the values of that time, or leave it out.")
