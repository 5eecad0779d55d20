from typing import Any

import pytest

from features.findings import Finding
from features.health_rows import journey_findings, lost_findings, quarantine_findings
from features.manifest import Code, Join, LayoutManifest, MeasureFound, Quarantined, RowCount, Stock
from features.study import parse_study

STUDY = parse_study(
    """\
study: shop
sources: {customers: c.csv, touches: t.csv, churn: l.csv, invoices: i.csv}
customers: {from: customers}
touchpoints: {from: touches}
churn: {from: churn}
revenue: {from: invoices}
journeys: [{name: billing, stage: use}, {name: support, stage: use}]
measures: [{name: wait, unit: min, kind: duration, direction: lower, journeys: [support]}]
""",
    "study.yaml",
)
ROWS = (RowCount(table="touchpoints", read=1_000, kept=900), RowCount(table="churn", read=100, kept=100))


def _bad(reason: str, rows: int, table: str = "touchpoints") -> Quarantined:
    return Quarantined(table=table, reason=reason, rows=rows, examples=tuple(range(3, 3 + min(rows, 5))))


def _told(*bad: Quarantined, codes: tuple[Code, ...] = ()) -> list[Finding]:
    return list(quarantine_findings(ROWS, bad, codes))


def _manifest(**changes: Any) -> LayoutManifest:
    wait = MeasureFound(name="wait", n=5, missing_share=0, low=0, high=9, mean=3, by_journey={"support": 5}, median=3)
    plain: dict[str, Any] = {
        "format": 3, "fingerprint": "", "inputs": "", "data_start": 0, "data_end": 0, "buckets": 1,
        "n_customers": 100, "rows": ROWS, "quarantined": (), "measures": (wait,), "journeys": (),
        "levels": {"journey": ("billing", "support")}, "pairs": (), "covariates": {}, "zoneless": (),
        "undeclared": (), "volumes": (), "with_touchpoints": 100, "before_joining": 0,
    }  # fmt: skip
    return LayoutManifest(**(plain | changes))


@pytest.mark.parametrize(("rows", "severity"), [(10, "look"), (299, "look"), (300, "stop"), (1_000, "stop")])
def test_the_share_of_the_table_decides_how_bad_a_reason_is(rows: int, severity: str) -> None:
    (finding,) = _told(_bad("unknown customer", rows))
    assert (finding.severity, finding.count) == (severity, rows)


def test_a_reason_is_told_with_row_numbers_and_what_to_do() -> None:
    (finding,) = _told(_bad("unknown customer", 40))
    assert finding.what == (
        "touchpoints: 40 rows (4%) are in quarantine, unknown customer: rows 3, 4, 5, 6, 7 and 35 more."
    )
    assert "leading zeros" in finding.remedy


def test_small_reasons_are_told_together_and_last() -> None:
    found = _told(_bad("unknown customer", 9), _bad("bad timestamp", 3), _bad("churn before joining", 5, "churn"))
    assert [finding.severity for finding in found] == ["look", "fine"]
    assert found[1].what == "12 rows are in quarantine for 2 reasons, less than 1 % of their table each."


def test_a_reason_that_a_code_explains_is_told_with_the_code() -> None:
    code = Code(measure="wait", value=-1, rows=40, is_outside=True, low=0, high=9)
    assert _told(_bad("negative duration: wait", 40), codes=(code,)) == []
    assert len(_told(_bad("negative duration: talk", 40), codes=(code,))) == 1


def test_nothing_in_quarantine_is_not_told() -> None:
    assert _told() == []


def test_customers_without_rows_are_good_to_know() -> None:
    found = list(lost_findings(_manifest(with_touchpoints=97, stock=Stock(without_revenue=5, without_either=2))))
    assert {finding.severity for finding in found} == {"fine"}
    assert [finding.what for finding in found] == [
        "3 of 100 customers have no touchpoints; they stay in, with counts of zero.",
        "5 of 100 customers have no revenue; they stay in.",
        "2 of 100 customers have neither touchpoints nor revenue.",
    ]


def test_half_the_customers_lost_beside_unknown_ones_is_a_broken_join() -> None:
    joins = (Join(table="touchpoints", read=1_000, unknown=400, customers=50),)
    (finding,) = lost_findings(_manifest(with_touchpoints=50, stock=Stock(joins=joins)))
    assert finding.severity == "look"
    assert "Compare how customer_id is written in customers and touchpoints." in finding.remedy


def test_journeys_that_only_one_side_knows_are_told() -> None:
    found = _manifest(
        undeclared=("suport",), levels={"journey": ("billing",)}, quarantined=(_bad("unknown journey", 7),)
    )
    unknown, absent = journey_findings(found, STUDY)
    assert "The journey 'suport' is not in the journey map" in unknown.what
    assert "Did you mean 'support'?" in unknown.what
    assert unknown.count == 7
    assert absent.what == "Declared but without touchpoints: support."


def test_values_where_no_measure_is_expected_are_told() -> None:
    wait = _manifest().measures[0].model_copy(update={"by_journey": {"support": 5, "billing": 3}})
    (finding,) = journey_findings(_manifest(measures=(wait,)), STUDY)
    assert (finding.topic, finding.count) == ("wait", 3)
    assert "also has values in billing" in finding.what
