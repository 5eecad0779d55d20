import numpy as np
import pytest

from features.health_units import UNITS, find_shifts
from features.manifest import Periods
from features.sketch import Sketch
from features.tally import periods_of


def _periods(parts: list[np.ndarray], first: int = 2022 * 12) -> Periods:
    """Describe months of values."""
    sketch, rows = Sketch(), {}
    for place, values in enumerate(parts):
        year, month = divmod(first + place, 12)
        rows[f"{year}-{month + 1:02d}"] = len(values)
        sketch.add(np.full(len(values), place), values)
    return periods_of("wait", "support", rows, sketch, range(len(parts)))


def _waits(months: int, n: int = 200, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.exponential(8, n) for _ in range(months)]


def _scaled(parts: list[np.ndarray], factor: float, start: int, stop: int | None = None) -> list[np.ndarray]:
    stop = len(parts) if stop is None else stop
    return [part * factor if start <= place < stop else part for place, part in enumerate(parts)]


@pytest.mark.parametrize(
    ("kind", "factor", "unit"),
    [
        ("duration", 60, "minutes to seconds"),
        ("duration", 1 / 60, "seconds to minutes"),
        ("duration", 24, "days to hours"),
        ("gap", 7, "weeks to days"),
        ("amount", 100, "euros to cents"),
        ("amount", 0.01, "cents to euros"),
        ("rating", 20, "a scale of 5 to one of 100"),
    ],
)
def test_a_change_of_unit_is_found_and_named(kind: str, factor: float, unit: str) -> None:
    (shift,) = find_shifts(_periods(_scaled(_waits(18), factor, 10)), kind)
    assert (shift.measure, shift.journey) == ("wait", "support")
    assert (shift.last_before, shift.first_after) == ("2022-10", "2022-11")
    assert shift.factor == pytest.approx(factor, rel=0.2)
    assert shift.unit == unit
    assert shift.rate == round(max(factor, 1 / factor))
    assert shift.rows == 8 * 200


def test_without_a_change_nothing_is_found() -> None:
    assert find_shifts(_periods(_waits(24)), "duration") == ()


def test_a_lasting_jump_without_a_unit_is_told_without_one() -> None:
    (shift,) = find_shifts(_periods(_scaled(_waits(18, n=2_000), 3, 10)), "duration")
    assert (shift.unit, shift.rate) == ("", 1)
    assert shift.factor == pytest.approx(3, rel=0.1)


def test_in_the_middle_of_a_month_the_month_belongs_to_neither() -> None:
    parts = _waits(18)
    parts = _scaled(parts, 60, 10)
    parts[9] = np.concatenate([parts[9][:100], 60 * parts[9][100:]])
    (shift,) = find_shifts(_periods(parts), "duration")
    assert shift.first_after in {"2022-10", "2022-11"}
    assert shift.unit == "minutes to seconds"


def test_a_unit_that_changes_back_is_found_twice() -> None:
    found = find_shifts(_periods(_scaled(_waits(18), 60, 8, 12)), "duration")
    assert [(shift.first_after, shift.unit) for shift in found] == [
        ("2022-09", "minutes to seconds"),
        ("2023-01", "seconds to minutes"),
    ]
    assert found[0].rows == 4 * 200


def test_a_unit_that_changes_in_the_last_month_is_found() -> None:
    (shift,) = find_shifts(_periods(_scaled(_waits(12), 60, 11)), "duration")
    assert shift.first_after == "2022-12"


def test_zeros_do_not_hide_a_change_of_unit() -> None:
    rng = np.random.default_rng(1)
    parts = [part * (rng.random(len(part)) < 0.3) for part in _waits(18, n=500)]
    (shift,) = find_shifts(_periods(_scaled(parts, 60, 10)), "duration")
    assert shift.unit == "minutes to seconds"


def test_waves_have_no_season_and_need_no_dates() -> None:
    parts = _scaled(_waits(8), 20, 4)
    found = _periods(parts).model_copy(update={"periods": tuple(f"wave {place}" for place in range(8))})
    (shift,) = find_shifts(found, "rating")
    assert (shift.last_before, shift.first_after) == ("wave 3", "wave 4")


def test_a_median_that_hops_between_whole_numbers_is_no_change_of_unit() -> None:
    rng = np.random.default_rng(2)
    parts = [rng.poisson(1.4 if place < 9 else 1.9, 3_000).astype(float) for place in range(18)]
    assert find_shifts(_periods(parts), "count") == ()


def test_a_share_has_no_unit() -> None:
    rng = np.random.default_rng(3)
    parts = [(rng.random(400) < (0.2 if place < 9 else 0.8)).astype(float) for place in range(18)]
    assert find_shifts(_periods(parts), "share") == ()


@pytest.mark.parametrize("season", [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]])
def test_a_season_that_comes_back_is_no_change_of_unit(season: list[int]) -> None:
    parts = [part * (3 if place % 12 in season else 1) for place, part in enumerate(_waits(36, n=1_000))]
    assert find_shifts(_periods(parts), "duration") == ()


def test_periods_with_few_values_are_passed_over() -> None:
    parts = _waits(18)
    parts[5] = np.full(20, 480.0)
    assert find_shifts(_periods(parts), "duration") == ()
    assert find_shifts(_periods([part[:29] for part in _scaled(_waits(18), 60, 9)]), "duration") == ()
    assert find_shifts(_periods(_waits(1)), "duration") == ()


def _drawn(kind: str, mean: float, n: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "duration":
        return rng.exponential(8 * mean, n)
    if kind == "count":
        return rng.poisson(3 * mean, n).astype(float)
    return np.clip(np.rint(rng.normal(5 + 2 * np.log(mean), 2, n)), 0, 10)


def test_false_alarms_are_rare_under_seasons_trends_and_chance() -> None:
    rng = np.random.default_rng(7)
    alarms = 0
    for number in range(150):
        months, n = int(rng.integers(6, 49)), int(np.exp(rng.uniform(np.log(30), np.log(2_000))))
        at = np.arange(months)
        yearly = rng.uniform(0, 0.5) * np.sin(2 * np.pi * (at + rng.integers(12)) / 12)
        level = np.exp(yearly + rng.uniform(-0.02, 0.02) * at + rng.normal(0, rng.uniform(0, 0.2), months))
        kind = ("duration", "count", "rating")[number % 3]
        parts = [_drawn(kind, mean, n, rng) for mean in level]
        alarms += bool(find_shifts(_periods(parts), kind))
    assert alarms <= 1  # see the docstring: far less than one in a thousand


def test_every_kind_of_measure_says_which_units_it_may_have() -> None:
    from typing import get_args  # noqa: PLC0415

    from features.study import Measure  # noqa: PLC0415

    assert set(UNITS) == set(get_args(Measure.model_fields["kind"].annotation))
