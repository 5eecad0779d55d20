import duckdb
import pytest

from features.sources import quote
from features.study import Measure, Study, parse_study
from features.tables import Contract, Fitted, contracts, fit, measure_rules, reason_case, typed_query

STUDY = """\
study: shop
sources: {t: t.csv}
customers: {from: t, covariates: [region]}
touchpoints: {from: t, columns: {wait: Wait}}
churn: {from: t}
revenue: {from: t}
outcomes: [{name: review, kind: mean, from: t}, {name: referral, kind: event, from: t}]
journeys: [{name: "it's", stage: use}]
measures: [{name: wait, unit: min, kind: duration, direction: lower}]
"""


def _study() -> Study:
    return parse_study(STUDY, "study.yaml")


def _contract(label: str) -> Contract:
    return next(contract for contract in contracts(_study(), 10) if contract.label == label)


def _touch_types(**types: str) -> dict[str, str]:
    return {"customer_id": "VARCHAR", "journey": "VARCHAR", "occurred_at": "TIMESTAMP", "Wait": "DOUBLE"} | types


def _typed(values: str, types: dict[str, str]) -> list[tuple[object, ...]]:
    """Wait, bad wait, occurred_at and customer_id of the rows of a VALUES list, typed by the touchpoint contract."""
    fitted, faults = fit(_contract("touchpoints"), types)
    assert faults == ()
    columns = ", ".join(f"CAST({quote(name)} AS {kind}) AS {quote(name)}" for name, kind in types.items())
    names = ", ".join(quote(name) for name in types)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f'CREATE TABLE t AS SELECT 1 AS "@row", {columns} FROM (VALUES {values}) AS v({names})')
        return con.execute(
            f'SELECT wait, "bad wait", occurred_at, customer_id FROM ({typed_query(fitted, "t")})'
        ).fetchall()


def test_each_table_of_a_study_has_a_contract_and_customers_come_first() -> None:
    labels = [contract.label for contract in contracts(_study(), 10)]
    assert labels == ["customers", "touchpoints", "revenue", "churn", "outcomes.review", "outcomes.referral"]
    assert [column.name for column in _contract("outcomes.referral").columns] == ["customer_id", "occurred_at"]


def test_churn_by_rule_needs_no_table() -> None:
    study = parse_study(STUDY.replace("churn: {from: t}", "churn: {inactive_days: 9}"), "study.yaml")
    assert "churn" not in [contract.label for contract in contracts(study, 10)]


def test_a_flat_study_has_no_contracts() -> None:
    with pytest.raises(ValueError, match="contracts are for event studies"):
        contracts(_study().model_copy(update={"touchpoints": None}), 10)


def test_columns_match_by_their_mapping_and_whatever_their_capitals() -> None:
    fitted, faults = fit(_contract("touchpoints"), _touch_types() | {"Channel": "VARCHAR"})
    assert faults == ()
    assert fitted.found["wait"] == ("Wait", "DOUBLE")
    assert fitted.found["channel"] == ("Channel", "VARCHAR")
    assert "known_at" not in fitted.found


def test_a_missing_column_is_told_with_the_nearest_one_and_all_that_were_found() -> None:
    types = _touch_types()
    types["Waits"] = types.pop("Wait")
    _, faults = fit(_contract("touchpoints"), types)
    assert faults == (
        "touchpoints: column 'Wait' (measure) is missing. Did you mean 'Waits'? "
        "Found: customer_id, journey, occurred_at, Waits. Map it under touchpoints.columns.",
    )


def test_an_optional_column_that_was_mapped_must_exist() -> None:
    study = parse_study(STUDY.replace("{wait: Wait}", "{wait: Wait, channel: via}"), "study.yaml")
    touchpoints = next(contract for contract in contracts(study, 10) if contract.label == "touchpoints")
    _, faults = fit(touchpoints, _touch_types())
    assert faults[0].startswith("touchpoints: column 'via' is missing.")


@pytest.mark.parametrize(
    ("types", "fault"),
    [
        ({"Wait": "INTERVAL"}, "column 'Wait' holds INTERVAL. Expected numbers."),
        ({"Wait": "DOUBLE[]"}, "column 'Wait' holds DOUBLE[]. Expected numbers."),
        ({"occurred_at": "BIGINT"}, "column 'occurred_at' holds BIGINT. Expected timestamps or dates"),
        ({"occurred_at": "TIME"}, "column 'occurred_at' holds TIME. Expected timestamps or dates"),
    ],
)
def test_a_type_that_cannot_serve_is_a_fault(types: dict[str, str], fault: str) -> None:
    _, faults = fit(_contract("touchpoints"), _touch_types(**types))
    assert len(faults) == 1
    assert fault in faults[0]


def test_numbers_are_typed_from_text_and_minus_zero_is_zero() -> None:
    rows = _typed(
        "('a', 'x', '1970-01-01', ' 2.5 '), ('a', 'x', '1970-01-01', 'N/A'), ('a', 'x', '1970-01-01', 'long'), "
        "('a', 'x', '1970-01-01', '-0.0'), ('a', 'x', '1970-01-01', 'inf')",
        _touch_types(Wait="VARCHAR"),
    )
    assert [row[:2] for row in rows] == [(2.5, False), (None, False), (None, True), (0.0, False), (float("inf"), False)]
    assert str(rows[3][0]) == "0.0"


def test_nan_is_missing_and_times_are_microseconds() -> None:
    rows = _typed("('a', 'x', '1970-01-01 00:00:01', 'nan'), ('a', 'x', 'infinity', '-0.0')", _touch_types())
    assert rows[0][:3] == (None, False, 1_000_000)
    assert rows[1][2] is None
    assert str(rows[1][0]) == "0.0"


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("DOUBLE", "12.0", "12"),
        ("DOUBLE", "12.5", "12.5"),
        ("BIGINT", "12", "12"),
        ("VARCHAR", "' 012'", " 012"),
        ("VARCHAR", "'  '", None),
        ("DOUBLE", "'nan'", None),
    ],
)
def test_identifiers_become_text_without_false_decimals(kind: str, value: str, text: str | None) -> None:
    rows = _typed(f"({value}, 'x', '1970-01-01', 1)", _touch_types(customer_id=kind))
    assert rows[0][3] == text


@pytest.mark.parametrize(
    ("kind", "limits", "value", "reason"),
    [
        ("duration", "", "-1", "negative duration: m"),
        ("count", "", "-1", "negative count: m"),
        ("duration", "", "'inf'", "infinite measure: m"),
        ("duration", "", "0", None),
        ("gap", "", "-1", None),
        ("amount", "", "-1", None),
        ("share", "", "1.5", "out of range: m"),
        ("share", "", "1", None),
        ("rating", "range: [0, 10]", "10.5", "out of range: m"),
        ("rating", "range: [0, 10]", "10", None),
        ("duration", "range: [-5, 5]", "-1", None),
        ("rating", "range: [0, 10]", "NULL", None),
    ],
)
def test_the_kind_and_range_of_a_measure_decide_what_breaks_a_rule(
    kind: str, limits: str, value: str, reason: str | None
) -> None:
    declared = f"name: m, unit: u, kind: {kind}, direction: lower, {limits}".rstrip(", ")
    measure = parse_study(STUDY.replace("name: wait, unit: min, kind: duration, direction: lower", declared).replace(
        ", columns: {wait: Wait}", ""), "study.yaml").measures[0]  # fmt: skip
    assert _reason(measure, value) == reason


def _reason(measure: Measure, value: str) -> str | None:
    case = reason_case(measure_rules(measure))
    with duckdb.connect() as con:
        row = con.execute(f'SELECT {case} FROM (SELECT CAST({value} AS DOUBLE) AS m, false AS "bad m")').fetchone()
    assert row is not None
    return row[0] if row[0] is None else str(row[0])


def test_the_first_broken_rule_is_the_reason() -> None:
    contract = _contract("touchpoints")
    reasons = [rule.reason for rule in contract.rules]
    assert reasons[:4] == ["missing customer_id", "bad timestamp", "future timestamp", "unknown customer"]
    assert reason_case(()) == "CAST(NULL AS VARCHAR)"


def test_names_with_quotes_do_no_harm() -> None:
    rules = {rule.reason: rule.predicate for rule in _contract("touchpoints").rules}
    assert rules["unknown journey"] == "journey NOT IN ('it''s')"
    odd = Fitted(_contract("touchpoints"), {"journey": ('a "b"', "VARCHAR")})
    assert '"a ""b"""' in typed_query(odd, "t")
