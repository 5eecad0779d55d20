from typing import Any

import numpy as np
import pytest

from features.health_values import code_findings, measure_findings, period_findings
from features.manifest import Code, MeasureFound, Periods
from features.sketch import Sketch
from features.study import Measure
from features.tally import periods_of


def _measure(kind: str = "duration", **more: Any) -> Measure:
    return Measure(name="wait", unit="min", kind=kind, direction="lower", **more)


def _found(n: int = 1_000, **more: Any) -> MeasureFound:
    plain = {"name": "wait", "n": n, "missing_share": 0, "low": 0, "high": 9, "mean": 3, "by_journey": {}, "median": 3}
    return MeasureFound(**(plain | more))


def _code(value: float, rows: int, *, is_outside: bool = False) -> Code:
    return Code(measure="wait", value=value, rows=rows, is_outside=is_outside, low=1, high=5)


def _periods(parts: list[np.ndarray], rows: int | None = None) -> Periods:
    sketch, counts = Sketch(), {}
    for place, values in enumerate(parts):
        counts[f"2024-{place + 1:02d}"] = rows or len(values)
        sketch.add(np.full(len(values), place), values)
    return periods_of("wait", "support", counts, sketch, range(len(parts)))


@pytest.mark.parametrize(("rows", "severity"), [(9, "look"), (10, "stop")])
def test_a_code_in_use_stops_from_one_per_cent_of_the_values_on(rows: int, severity: str) -> None:
    (finding,) = code_findings([_code(99, rows)], [_measure()], [_found()], 5_000)
    assert (finding.severity, finding.count) == (severity, rows)


@pytest.mark.parametrize(("rows", "severity"), [(1_499, "look"), (1_500, "stop")])
def test_a_code_in_quarantine_stops_from_thirty_per_cent_of_the_rows_on(rows: int, severity: str) -> None:
    (finding,) = code_findings([_code(99, rows, is_outside=True)], [_measure()], [_found()], 5_000)
    assert (finding.severity, finding.count) == (severity, rows)
    assert "its rows are in quarantine" in finding.what


def test_the_codes_of_a_measure_are_one_finding_with_the_sql_that_mends_them() -> None:
    (finding,) = code_findings([_code(0, 20), _code(6, 1_100)], [_measure("rating")], [_found()], 5_000)
    assert finding.what.startswith("wait holds 0 (20 rows) and 6 (1,100 rows) beside values from 1 to 5")
    assert "case when wait not in (0, 6) then wait end" in finding.remedy
    assert finding.count == 1_120


def test_measures_from_which_nothing_can_be_learned_are_told() -> None:
    nan = float("nan")
    (silent,) = measure_findings([_found(0, low=nan, high=nan, mean=nan)], [_measure()])
    (constant,) = measure_findings([_found(low=4, high=4)], [_measure()])
    assert silent.what == "The measure 'wait' is always missing."
    assert constant.what == "The measure 'wait' is constant (4): nothing can be learned from it."
    assert (silent.severity, constant.severity) == ("look", "look")


def test_ratings_without_a_range_are_told_together() -> None:
    (finding,) = measure_findings([_found(), _found(high=7)], [_measure("rating"), _measure("rating")])
    assert (finding.severity, finding.count) == ("fine", 2)
    assert finding.what == "No range is declared for wait (0 to 9), wait (0 to 7)."
    assert list(measure_findings([_found()], [_measure("rating", range=(0, 10))])) == []


def test_a_change_of_unit_stops_and_gives_the_sql() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.exponential(8, 400) * (60 if place > 6 else 1) for place in range(12)]
    (finding,) = period_findings([_periods(parts)], [_measure()])
    assert finding.severity == "stop"
    assert "like a change from minutes to seconds" in finding.what
    assert "case when occurred_at >= '2024-08-01' then wait / 60 else wait end" in finding.remedy
    assert finding.count == 5 * 400
    (back,) = period_findings([_periods(parts[::-1])], [_measure()])
    assert "case when occurred_at >= '2024-06-01' then wait * 60 else wait end" in back.remedy


def test_another_lasting_jump_asks_for_a_look() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.exponential(8, 2_000) * (3 if place > 6 else 1) for place in range(12)]
    (finding,) = period_findings([_periods(parts)], [_measure()])
    assert finding.severity == "look"
    assert "about 3 times" in finding.what


def test_a_break_and_a_silence_ask_for_a_look() -> None:
    rng = np.random.default_rng(0)
    half = [rng.exponential(8, 200 if place < 7 else 80) for place in range(12)]
    (broken,) = period_findings([_periods(half, rows=250)], [_measure()])
    assert "missing in 20% of rows until 2024-07, in 68% from 2024-08 on" in broken.what
    silent = [rng.exponential(8, 0 if place == 5 else 200) for place in range(12)]
    (hole,) = period_findings([_periods(silent, rows=200)], [_measure()])
    assert hole.what == "wait in support: no value at all in 2024-06 (200 rows), though before and after."
    assert (broken.severity, hole.severity) == ("look", "look")


def test_steady_measures_are_not_told() -> None:
    rng = np.random.default_rng(0)
    assert list(period_findings([_periods([rng.exponential(8, 200) for _ in range(12)])], [_measure()])) == []
