import os
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.health_codes import Counts, codes_in
from features.manifest import Code
from features.study import Measure
from features.tables import REASON, measure_rules, reason_case

DATA = Path(os.environ.get("JOURNEYLIFT_DATA", str(Path(__file__).parents[2] / "shared" / "data")))
SFO = DATA / "sfo_survey" / "sfo_harmonised_2010_2016.parquet"


def _measure(name: str = "x", kind: str = "rating", **more: Any) -> Measure:
    return Measure(name=name, unit="points", kind=kind, direction="higher", **more)


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for all tests, each with a cursor of its own: opening one takes longer than what is asked of it."""
    return duckdb.connect()


def _codes(frame: pd.DataFrame, *measures: Measure) -> tuple[Code, ...]:
    """Stage a frame as the contracts do, and look for codes."""
    rules = [rule for measure in measures for rule in measure_rules(measure)]
    flags = ", ".join(f'false AS "bad {measure.name}"' for measure in measures)
    with _database().cursor() as con:
        con.register("frame", frame)
        names = ", ".join(
            f'CASE WHEN NOT isnan("{one.name}") THEN "{one.name}" END AS "{one.name}"' for one in measures
        )
        typed = f"SELECT {names}, {flags} FROM frame"
        con.execute(f'CREATE TEMP TABLE staged AS SELECT *, {reason_case(rules)} AS "{REASON}" FROM ({typed})')
        good = con.execute(f'SELECT * FROM staged WHERE "{REASON}" IS NULL').df()
        reasons = {row[0] for row in con.execute(f'SELECT DISTINCT "{REASON}" FROM staged').fetchall()} - {None}
        counts = {measure.name: Counts() for measure in measures}
        for name, count in counts.items():
            count.add(good[name].dropna().to_numpy(float))
        return codes_in(con, "staged", measures, counts, reasons)


def _found(values: np.ndarray, measure: Measure) -> list[tuple[float, int, bool]]:
    codes = _codes(pd.DataFrame({"x": np.asarray(values, float)}), measure)
    return [(code.value, code.rows, code.is_outside) for code in codes]


def _with(values: np.ndarray, *codes: float, each: int = 60) -> np.ndarray:
    return np.concatenate([np.asarray(values, float), *(np.full(each, code) for code in codes)])


RNG = np.random.default_rng(1)
NPS = RNG.choice(11, 2_000, p=np.array([6, 1, 1, 2, 2, 6, 6, 14, 24, 16, 22]) / 100)
STARS = RNG.choice([1, 2, 3, 4, 5], 2_000, p=[0.08, 0.04, 0.1, 0.28, 0.5])
WAIT = RNG.exponential(30, 5_000)


@pytest.mark.parametrize(
    ("values", "measure", "codes"),
    [
        (_with(NPS, 99), _measure(), [99]),
        (_with(NPS, 98, 99), _measure(), [98, 99]),
        (_with(NPS, 99), _measure(range=(0, 100)), [99]),
        (_with(STARS, 0, 6, each=200), _measure(), [0, 6]),
        (_with(STARS, 9), _measure(), [9]),
        (_with(STARS, 9), _measure(range=(0, 10)), [9]),
        (_with(STARS, -1, each=5), _measure(), [-1]),
        (_with(WAIT, 999), _measure(kind="duration"), [999]),
        (_with(np.rint(WAIT), 999, 99, each=900), _measure(kind="duration"), [99, 999]),
        (_with(RNG.poisson(3, 2_000), 88), _measure(kind="count"), [88]),
        (_with(WAIT, -999), _measure(kind="amount"), [-999]),
        (_with(WAIT, 99999), _measure(kind="amount"), [99999]),
        (_with(STARS + 0.25, 99), _measure(), [99]),
    ],
)
def test_a_code_that_is_used_as_a_value_is_found(values: np.ndarray, measure: Measure, codes: list[int]) -> None:
    assert [code for code, _, _ in _found(values, measure)] == codes
    assert not any(is_outside for _, _, is_outside in _found(values, measure))


def test_a_code_carries_its_rows_and_the_bounds_of_the_others() -> None:
    (code,) = _codes(pd.DataFrame({"x": _with(NPS, 99)}), _measure())
    assert (code.measure, code.value, code.rows, code.low, code.high) == ("x", 99, 60, 0, 10)


@pytest.mark.parametrize(
    ("values", "measure", "codes"),
    [
        (_with(NPS, 99), _measure(range=(0, 10)), [99]),
        (_with(STARS, 0, 6), _measure(range=(1, 5)), [0, 6]),
        (_with(WAIT, -1), _measure(kind="duration"), [-1]),
        (_with(RNG.integers(0, 2, 500), 9), _measure(kind="share"), [9]),
    ],
)
def test_a_code_out_of_range_is_found_in_quarantine(values: np.ndarray, measure: Measure, codes: list[int]) -> None:
    assert _found(values, measure) == [(code, 60, True) for code in codes]


@pytest.mark.parametrize(
    ("values", "measure"),
    [
        (NPS, _measure()),
        (STARS, _measure()),
        (_with(STARS, 6, each=300), _measure(range=(1, 6))),  # the user says that 6 belongs to the scale
        (RNG.integers(0, 101, 300), _measure()),
        (RNG.integers(0, 2, 300), _measure()),
        (np.array([5, 5, 4, 0, 0, 0, 0, 0, 6, 6, 6, 6, 6]), _measure()),  # too few to say
        (WAIT, _measure(kind="duration")),
        (np.rint(WAIT), _measure(kind="duration")),
        (5 * np.rint(WAIT / 5), _measure(kind="duration")),
        (_with(np.zeros(3_000), *WAIT[:9], each=1), _measure(kind="duration")),
        (np.repeat([9.99, 19.0, 49.0, 99.0, 149.0], 100), _measure(kind="amount")),  # prices
        (np.repeat([0.0, 100.0, 50.0], 100), _measure(kind="share")),  # per cent
        (RNG.integers(11, 500, 400), _measure(range=(0, 10))),  # another scale altogether
        (np.rint(RNG.normal(0, 1, 3_000)), _measure(kind="gap")),
        (np.full(500, 3.0), _measure()),
        (np.zeros(0), _measure()),
        (np.full(50, 99.0), _measure(kind="duration")),  # nothing else to stand out from
    ],
)
def test_ordinary_values_are_no_codes(values: np.ndarray, measure: Measure) -> None:
    assert _found(values, measure) == []


def test_what_is_rare_in_one_question_is_known_from_another_of_the_same_unit() -> None:
    rare = _with(np.repeat(STARS, 5), 0, 6, each=20)
    often = _with(np.repeat(STARS, 5), 0, 6, each=2_000)[: len(rare)]
    often[: len(rare) // 5] = RNG.choice([0, 6], len(rare) // 5)
    frame = pd.DataFrame({"rare": rare, "often": often})
    assert _codes(frame[["rare"]], _measure("rare")) == ()
    both = _codes(frame, _measure("rare"), _measure("often"))
    assert [(code.measure, code.value) for code in both] == [("rare", 0), ("rare", 6), ("often", 0), ("often", 6)]


@pytest.mark.skipif(not SFO.exists(), reason="the survey is not here")
def test_blank_and_never_used_are_found_in_the_airport_survey() -> None:
    frame = pd.read_parquet(SFO)
    names = ["ART", "FOOD", "SAFE", "ALL", "LTPARKING", "WIFI"]
    ratings = frame[names].astype(float)
    blank = np.where(frame["respnum"] % 7 == 0, 0.0, 6.0)  # the file maps both to missing: put them back
    codes = _codes(ratings.apply(lambda column: column.fillna(pd.Series(blank, column.index))), *map(_measure, names))
    assert [(code.measure, code.value) for code in codes] == [(name, value) for name in names for value in (0, 6)]
    assert _codes(ratings, *map(_measure, names)) == ()


def test_false_alarms_are_rare_on_ordinary_ratings_and_waits() -> None:
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(150):
        n = int(np.exp(rng.uniform(np.log(30), np.log(20_000))))
        low, high = [(1, 5), (0, 10), (1, 10), (1, 7), (0, 100)][rng.integers(5)]
        steps = high - low
        bell = np.clip(np.rint(rng.normal(rng.uniform(low, high), rng.uniform(0.15, 0.6) * steps, n)), low, high)
        skewed = low + rng.binomial(steps, rng.beta(*np.exp(rng.uniform(-0.7, 2, 2)), n))
        scale = np.exp(rng.uniform(np.log(0.2), np.log(400)))
        waits = np.rint(rng.exponential(scale, n)) if rng.random() < 0.5 else rng.exponential(scale, n)
        counts = rng.poisson(rng.gamma(rng.uniform(0.2, 3), np.exp(rng.uniform(-1, 4.5)), n))
        kinds = [(bell, "rating"), (skewed, "rating"), (waits, "duration"), (counts, "count")]
        alarms += sum(bool(_found(values, _measure(kind=kind))) for values, kind in kinds)
    # 60,000 such series had 2 alarms, both ratings of arbitrary shape: of 600, two have a chance of 2 in 10,000.
    assert alarms <= 1
