from typing import Any

import pytest

from features.findings import Finding
from features.health_times import clock_findings, cutoff_findings, order_findings, volume_findings
from features.manifest import Clock, Instant, LayoutManifest, Order, RowCount, Stock, Volume
from features.snapshot import parse_date
from features.study import parse_study

STUDY = """\
study: shop
sources: {customers: c.csv, touches: t.csv, churn: l.csv, invoices: i.csv}
customers: {from: customers}
touchpoints: {from: touches}
churn: {from: churn}
revenue: {from: invoices}
journeys: [{name: billing, stage: use}]
snapshot: {window_days: 60, horizon_days: 30}
"""


def _manifest(stock: Stock | None = None, **changes: Any) -> LayoutManifest:
    plain: dict[str, Any] = {
        "format": 3, "fingerprint": "", "inputs": "", "data_start": parse_date("2024-01-01"),
        "data_end": parse_date("2024-12-31"), "buckets": 1, "n_customers": 100,
        "rows": (RowCount(table="touchpoints", read=1_000, kept=1_000),), "quarantined": (), "measures": (),
        "journeys": (), "levels": {}, "pairs": (), "covariates": {}, "zoneless": (), "undeclared": (),
        "volumes": (), "with_touchpoints": 100, "before_joining": 0, "stock": stock or Stock(),
    }  # fmt: skip
    return LayoutManifest(**(plain | changes))


def _order(**counts: int) -> Stock:
    plain = {"before_joining": 0, "after_churn": 0, "churners": 0, "after_end": 0}
    return Stock(order=(Order(table="touchpoints", **(plain | counts)),))


@pytest.mark.parametrize(
    ("counts", "severity", "text"),
    [
        ({"before_joining": 199}, "fine", "199 touchpoints lie before their customer joined; they stay in"),
        ({"before_joining": 200}, "look", "200 touchpoints lie before their customer joined"),
        ({"after_churn": 9, "churners": 3}, "fine", "9 rows of touchpoints lie more than a day after churn, of 3 cust"),
        ({"after_churn": 10, "churners": 3}, "look", "10 rows of touchpoints lie more than a day after churn"),
        ({"after_end": 9}, "fine", "9 rows of touchpoints lie more than a day after ended_at"),
        ({"after_end": 10}, "look", "10 rows of touchpoints lie more than a day after ended_at"),
    ],
)
def test_events_out_of_order_are_told_and_many_ask_for_a_look(counts: dict[str, int], severity: str, text: str) -> None:
    (finding,) = order_findings(_manifest(_order(**counts)))
    assert finding.severity == severity
    assert finding.what.startswith(text)
    assert bool(finding.remedy) == (severity == "look")


@pytest.mark.parametrize(("name", "text"), [("lifted", "known before they happened"), ("same_moment", "both count")])
def test_what_was_known_early_and_what_repeats_a_moment_is_told(name: str, text: str) -> None:
    for rows, severity in ((9, "fine"), (10, "look")):
        (finding,) = order_findings(_manifest(Stock(**{name: rows})))
        assert (finding.severity, finding.count) == (severity, rows)
        assert text in finding.what


def test_times_read_as_utc_are_told() -> None:
    (finding,) = order_findings(_manifest(zoneless=("revenue.occurred_at",)))
    assert finding.what == "Timestamps without a zone were read as UTC: revenue.occurred_at."


def _clock(hours: dict[int, int], others: int = 0) -> Clock:
    return Clock(journey="billing", hours=tuple(hours.get(hour, 0) for hour in range(24)), others=others)


def _clocks(clock: Clock, *, has_known_at: bool = False) -> list[Finding]:
    return list(clock_findings(_manifest(Stock(clocks=(clock,), has_known_at=has_known_at))))


@pytest.mark.parametrize("hours", [{0: 500}, {22: 200, 23: 300}, {23: 100, 0: 400}])
def test_times_at_midnight_of_any_zone_are_days_only(hours: dict[int, int]) -> None:
    (finding,) = _clocks(_clock(hours, others=5))
    assert finding.severity == "look"
    assert finding.what == "Times have no time of day in billing (505 touchpoints)."
    assert "interval 1 day" in finding.remedy


def test_with_known_at_days_are_good_to_know() -> None:
    (finding,) = _clocks(_clock({0: 500}), has_known_at=True)
    assert (finding.severity, finding.remedy) == ("fine", "")


def test_rows_at_midnight_among_others_are_told() -> None:
    (finding,) = _clocks(_clock({0: 150}, others=850))
    assert finding.what.startswith("150 touchpoints of billing (15%) lie at exactly 00:00 UTC")


@pytest.mark.parametrize(
    "clock",
    [
        _clock({}, others=1_000),
        _clock(dict.fromkeys(range(24), 40)),  # recorded by the hour
        _clock({0: 99}),  # too few to say
        _clock({9: 200, 13: 200}, others=600),  # appointments
        _clock({}),
    ],
)
def test_ordinary_times_of_day_are_not_told(clock: Clock) -> None:
    assert _clocks(clock) == []


def test_a_bulk_load_is_told_with_its_moment() -> None:
    moment = Instant(at=parse_date("2024-03-15"), journey="support", touchpoint="call", rows=900, usually=1.05)
    (finding,) = clock_findings(_manifest(Stock(instants=(moment,))))
    assert finding.severity == "look"
    assert "900 touchpoints of support, call, lie at one moment, 2024-03-15 00:00:00 UTC" in finding.what


def test_too_little_history_stops() -> None:
    study = parse_study(STUDY, "study.yaml")
    assert list(cutoff_findings(_manifest(), study)) == []
    (finding,) = cutoff_findings(_manifest(data_end=parse_date("2024-03-01")), study)
    assert finding.severity == "stop"
    assert "together need 90 days" in finding.what
    first = parse_study(STUDY.replace("{window_days", "{first: 2020-01-01, window_days"), "study.yaml")
    impossible, unknown = cutoff_findings(_manifest(), first)
    assert "snapshot.first is 2020-01-01" in impossible.what
    assert unknown.severity == "stop"


def _volumes(**counts: int) -> tuple[Volume, ...]:
    return tuple(Volume(month=name[1:].replace("_", "-"), journey="a", touchpoints=n) for name, n in counts.items())


def test_months_without_touchpoints_are_told() -> None:
    (finding,) = volume_findings(_manifest(volumes=_volumes(m2024_01=50, m2024_03=40)))
    assert finding.what == "a: no touchpoints in 2024-02, though at least 40 in the months beside."


def test_a_few_rows_long_before_the_others_are_told() -> None:
    (finding,) = volume_findings(_manifest(volumes=_volumes(m2005_03=2, m2024_01=3_000, m2024_02=2_000)))
    assert finding.what == (
        "2 of 5,002 touchpoints, from 2005-03 on, lie long before the others, which begin in 2024-01; "
        "cutoffs begin with them."
    )
    assert "set snapshot.first" in finding.remedy
    assert list(volume_findings(_manifest(volumes=_volumes(m2023_12=2, m2024_01=3_000, m2024_02=2_000)))) == []
