import math

import numpy as np
import pytest

from models.arrivals import Arrival, arrivals
from models.batch_rules import arrival_reasons


def months(rng: np.random.Generator, n: int = 19) -> list[Arrival]:
    """Ten measures month by month, with trends and seasons, undisturbed."""
    series = []
    for number in range(10):
        at = np.arange(n)
        trend, season = rng.normal(0, 0.01) * at, 0.05 * np.sin(2 * np.pi * at / 12 + number)
        values = 2 + trend + season + rng.normal(0, 0.05, n)
        series.append(Arrival(f"wait in {number}", "size", tuple(values[:-1]), float(values[-1]), 900))
    return series


def with_last(series: list[Arrival], place: int, change: float) -> list[Arrival]:
    one = series[place]
    return [*series[:place], Arrival(one.what, one.aspect, one.past, one.new + change, one.n), *series[place + 1 :]]


def test_undisturbed_months_raise_no_more_alarms_than_stated() -> None:
    rng = np.random.default_rng(11)
    told = sum(bool((arrivals(months(rng), lag=3, alpha=0.05).table["p"] < 0.05).any()) for _ in range(300))
    assert told / 300 <= 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / 300)


def test_minutes_that_become_seconds_are_caught_in_the_first_month_and_named() -> None:
    series = with_last(months(np.random.default_rng(1)), 4, math.log(60))
    found = arrivals(series, lag=3, alpha=0.02)
    reasons, told = arrival_reasons(found, "2025-11", {"wait in 4": "minutes to seconds"})
    assert [(one.kind, one.verdict) for one in reasons] == [("unit", "act")]
    assert "wait in 4: typical size" in reasons[0].text
    assert "Like a change from minutes to seconds" in reasons[0].text
    assert told["value"].iloc[0] == pytest.approx(math.exp(series[4].new))


def test_a_share_that_goes_missing_is_watched_and_one_that_is_gone_needs_action() -> None:
    rng = np.random.default_rng(2)

    def share(what: str, new: float) -> Arrival:
        past = tuple(np.arcsin(np.sqrt(rng.uniform(0.01, 0.03, 18))))
        return Arrival(what, "missing", past, math.asin(math.sqrt(new)), 400)

    series = [share("a", 0.4), share("b", 1.0), *(share(f"as usual {number}", 0.02) for number in range(6))]
    reasons, _ = arrival_reasons(arrivals(series, lag=1, alpha=0.02), "2025-11")
    assert sorted((one.text[:1], one.verdict) for one in reasons) == [("a", "watch"), ("b", "act")]
    assert "missing in 40.0% of the rows of 2025-11, expected" in next(
        one.text for one in reasons if one.text[0] == "a"
    )


def test_a_volume_that_doubles_is_watched_and_one_that_collapses_needs_action() -> None:
    rng = np.random.default_rng(3)
    series = [
        Arrival(name, "volume", tuple(7 + rng.normal(0, 0.03, 20)), 7 + change, 1000)
        for name, change in (("doubled", math.log(2)), ("gone", -7.0), ("billing", 0.0), ("usage", 0.0))
    ]
    reasons, _ = arrival_reasons(arrivals(series, lag=2, alpha=0.02), "2025-11")
    assert {one.text.split(":")[0]: one.verdict for one in reasons} == {"doubled": "watch", "gone": "act"}


def test_a_change_too_small_to_matter_is_not_told_however_sure_it_is() -> None:
    rng = np.random.default_rng(5)
    series = [Arrival(str(n), "size", tuple(rng.normal(0, 0.001, 20)), 0.1 * (n == 0), 9000) for n in range(8)]
    found = arrivals(series, lag=1, alpha=0.05)
    assert found.table["p"].iloc[0] < 1e-6
    assert arrival_reasons(found, "2025-11")[0] == ()


def test_a_thin_month_takes_a_series_out_until_enough_months_have_followed_and_who_is_out_is_said() -> None:
    series = months(np.random.default_rng(7))
    old, late = (
        Arrival(what, "size", (*series[0].past[:at], math.nan, *series[0].past[at + 1 :]), 99.0, 10)
        for what, at in (("old hole", 1), ("late hole", 14))
    )
    thin = Arrival("thin", "size", series[0].past, math.nan, 10)
    found = arrivals([*series, old, late, thin], lag=3, alpha=0.05)
    assert found.left_out == ("late hole (size)", "thin (size)")
    assert found.table["what"].iloc[0] == "old hole"
    assert len(found.table) == len(series) + 1
    assert found.months == 18
    alone = arrivals([Arrival("old hole", "size", old.past[2:], 99.0, 10)], lag=3, alpha=0.05 / 11)
    assert found.table["p"].iloc[0] == pytest.approx(min(1.0, 11 * alone.table["p"].iloc[0]))


def test_few_months_say_nothing() -> None:
    series = months(np.random.default_rng(7))
    short = [Arrival(one.what, one.aspect, one.past[:5], one.new, one.n) for one in series]
    assert arrivals(short, lag=3, alpha=0.05).months == 0
    assert len(arrivals(short, lag=3, alpha=0.05).left_out) == len(series)
    assert arrivals([], lag=3, alpha=0.05).table.empty
