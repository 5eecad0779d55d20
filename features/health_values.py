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


def code_findings(
    codes: Sequence[Code], measures: Sequence[Measure], found: Sequence[MeasureFound]
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

    Yields
    ------
    Finding
        With what to write into the study.
    """
    n = {one.name: one.n for one in found}
    units = {one.name: one.unit for one in measures}
    for code in sorted(codes, key=lambda one: one.is_outside):
        value, name = f"{code.value:g}", code.measure
        beside = f"beside values from {code.low:g} to {code.high:g}" if math.isfinite(code.low) else "and nothing else"
        if code.is_outside:
            what = f"{name}: {value} in {code.rows:,} rows that are in quarantine as out of range, {beside}"
            remedy = f"Map it to missing in sql, nullif({name}, {value}): then only the value is lost, not the row."
            yield Finding("look", name, f"{what}: it looks like a code.", code.rows, "rows", remedy)
        else:
            severity: Severity = "stop" if code.rows >= _HARMFUL * n[name] else "look"
            what = f"{name}: {value} {units[name]} in {code.rows:,} rows, {beside}: it looks like a code and is used."
            remedy = (
                f"Map it to missing in sql, nullif({name}, {value}), or, if it is a value, give the measure its range."
            )
            yield Finding(severity, name, what, code.rows, "values", remedy)


def measure_findings(found: Sequence[MeasureFound], measures: Sequence[Measure]) -> Iterator[Finding]:
    """Tell measures from which nothing can be learned, and ratings whose scale nobody has declared."""
    for item in found:
        if item.n == 0:
            what = f"The measure '{item.name}' is always missing."
            yield Finding("look", item.name, what, 0, "values", "Correct its mapping, or leave it out.")
        elif item.low == item.high:
            what = f"The measure '{item.name}' is constant ({item.low:g}): nothing can be learned from it."
            yield Finding("look", item.name, what, item.n, "values", "Correct its mapping, or leave it out.")
    for item, measure in zip(found, measures, strict=True):
        if measure.is_rating and measure.range is None and item.n:
            what = f"The rating '{item.name}' has no declared range; its values run from {item.low:g} to {item.high:g}."
            remedy = "Write range: [lowest, highest] of the question, so that codes beyond it are noticed."
            yield Finding("fine", item.name, what, item.n, "values", remedy)


def period_findings(periods: Sequence[Periods], measures: Sequence[Measure]) -> Iterator[Finding]:
    """Tell changes of unit (*stop*), other lasting jumps, breaks and silence of measures (*look*)."""
    units = {one.name: one.unit for one in measures}
    shifts = [shift for one in periods for shift in find_shifts(one)]
    for shift in sorted(shifts, key=lambda one: not one.unit):
        yield _shift_finding(shift, units[shift.measure])
    for one in periods:
        yield from map(_break_finding, find_breaks(one))
        yield from map(_silence_finding, find_silence(one))


def _shift_finding(shift: Shift, unit: str) -> Finding:
    where, values = f"{shift.measure} in {shift.journey}", f"{shift.rows:,} values"
    levels = f"the typical size goes from {shift.before:.3g} (until {shift.last_before}) to {shift.after:.3g} {unit}"
    since = f"from {shift.first_after} on, {values}"
    times = f"{shift.factor:.3g}" if shift.factor >= 1 else f"1/{1 / shift.factor:.3g}"
    if shift.unit:
        what = f"{where}: {levels} ({since}), {times} times: like a change from {shift.unit}."
        is_month = month_number(shift.first_after) is not None
        when = (
            f"case when occurred_at >= '{shift.first_after}-01'" if is_month else f"for {shift.first_after} and later"
        )
        remedy = f"Convert the later or the earlier values in sql: {when}."
        return Finding("stop", shift.measure, what, shift.rows, "values", remedy)
    remedy = "Ask what changed then: recording, a new system, or the service itself."
    return Finding("look", shift.measure, f"{where}: {levels} ({since}), {times} times.", shift.rows, "values", remedy)


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
