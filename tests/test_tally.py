from collections.abc import Iterator

import numpy as np
import pytest

from features.snapshot import DAY, parse_date
from features.tally import SLOTS, Tally, clocks, late_bookings, periods

LEVELS = {"journey": ("billing", "support"), "touchpoint": ("bill", "call"), "channel": ("phone",)}
HOUR = DAY // 24


def _bucket(*rows: tuple[int, int, int, int, int, float]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Rows of customer, journey, touchpoint, occurred_at, delay, wait."""
    columns = list(zip(*rows, strict=True))
    customer, journey, touchpoint, moment, delay = (np.array(part, np.int64) for part in columns[:5])
    ints = {"customer_key": customer, "journey": journey, "touchpoint": touchpoint, "occurred_at": moment}
    return ints | {"known_at": moment + delay}, {"wait": np.array(columns[5], float)}


def _tally(*buckets: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]) -> Tally:
    tally = Tally(LEVELS, ("wait",))
    for ints, values in buckets:
        tally.add(ints, ints["journey"], values)
    return tally


JANUARY, MARCH = parse_date("2024-01-31"), parse_date("2024-03-01")
ROWS = (
    (0, 1, 1, JANUARY + HOUR, 0, 4.0),
    (0, 1, 1, JANUARY + HOUR, 0, 8.0),
    (0, 0, 1, JANUARY + HOUR, 0, np.nan),
    (1, 1, 1, MARCH + 5, 3 * DAY, 0.0),
    (1, 1, 1, MARCH + 6, 0, np.nan),
)


def test_volumes_are_counted_by_month_and_journey() -> None:
    assert _tally(_bucket(*ROWS)).months == {("2024-01", 1): 2, ("2024-01", 0): 1, ("2024-03", 1): 2}


def test_a_measure_is_described_month_by_month() -> None:
    (found,) = periods(_tally(_bucket(*ROWS)), "wait", ("support",))
    assert (found.measure, found.journey) == ("wait", "support")
    assert found.periods == ("2024-01", "2024-03")
    assert found.rows == (2, 2)
    assert found.n == (2, 1)
    assert found.median == (4.0, 0.0)
    assert found.nonzero == (2, 0)
    assert found.quartiles == ((4.0, 4.0, 8.0), None)


def test_journeys_without_the_measure_or_where_it_is_not_declared_are_left_out() -> None:
    tally = _tally(_bucket(*ROWS))
    assert [one.journey for one in periods(tally, "wait", ())] == ["support"]
    assert list(periods(tally, "wait", ("billing",))) == []


def test_the_median_is_that_of_all_months_and_nan_without_values() -> None:
    assert _tally(_bucket(*ROWS)).median("wait") == 4.0
    assert np.isnan(_tally().median("wait"))


def test_rows_that_repeat_customer_moment_and_kind_are_counted_once_each() -> None:
    assert _tally(_bucket(*ROWS)).same_moment == 1  # of the three at one moment, one is another journey
    assert _tally(_bucket(*ROWS[:1], *[(0, 1, 1, JANUARY + HOUR, 0, float(w)) for w in range(5)])).same_moment == 5
    assert _tally(_bucket((0, 1, 1, 0, 0, 1.0), (1, 1, 1, 0, 0, 1.0))).same_moment == 0


def test_late_bookings_tell_how_many_and_how_late() -> None:
    (late,) = late_bookings(_tally(_bucket(*ROWS)))
    assert (late.journey, late.rows, late.late, late.median_days, late.p95_days) == ("support", 4, 1, 3.0, 3.0)


def test_full_hours_are_counted_to_the_microsecond() -> None:
    billing, support = clocks(_tally(_bucket(*ROWS)))
    assert (billing.hours[1], sum(billing.hours), billing.others) == (1, 1, 0)
    assert (support.hours[1], sum(support.hours), support.others) == (2, 2, 2)


def test_many_rows_at_one_moment_make_one_slot_large() -> None:
    rows = [(customer, 1, 1, MARCH, 0, 1.0) for customer in range(50)]
    tally = _tally(_bucket(*rows))
    assert tally.slots.max() == 50
    assert int(tally.slots.argmax()) == MARCH % SLOTS


def _halves() -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    yield _bucket(*ROWS[:3])
    yield _bucket(*ROWS[3:])


@pytest.mark.parametrize("name", ["n", "months", "same_moment", "customers", "low", "high"])
def test_buckets_do_not_matter(name: str) -> None:
    whole, parts = _tally(_bucket(*ROWS)), _tally(*_halves())
    assert getattr(whole, name) == getattr(parts, name)
    assert list(periods(whole, "wait", ())) == list(periods(parts, "wait", ()))
    assert whole.hours.tolist() == parts.hours.tolist()
    assert whole.counts["wait"].whole() == parts.counts["wait"].whole() == {0: 1, 4: 1, 8: 1}
