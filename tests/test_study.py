import json
from datetime import date

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import StudyError
from features.study import Study, parse_study

EVENTS = """\
study: northline
currency: EUR
sources:
  customers: data/customers.parquet
  touches: data/touches/*.parquet
  wh: {duckdb: data/wh.duckdb}
  shop: {postgres: SHOP_URL}
customers:
  from: customers
  columns: {customer_id: id, joined_at: joined}
  covariates: [segment, region]
touchpoints:
  sql: select * from touches
  session_gap_days: 7
churn: {inactive_days: 45}
revenue: {from: wh, table: main.invoices, columns: {amount: eur}}
outcomes:
  - {name: review, kind: mean, from: shop, table: reviews, columns: {value: score}}
journeys:
  - {name: onboarding, stage: join, leads_to: [support]}
  - {name: support, stage: use}
measures:
  - {name: wait, unit: min, kind: duration, direction: lower}
  - {name: rating, unit: points, kind: rating, direction: higher, response: voluntary, range: [0, 10]}
  - {name: outage, unit: h, kind: duration, direction: lower, control: none}
snapshot: {every: month, window_days: 180, horizon_days: 91, first: 2024-01-01}
money: {margin: 0.6, discount_rate: 0.08, months: 24}
"""

FLAT = """\
study: telco
sources: {telco: telco.parquet}
flat:
  from: telco
  columns: {customer_id: Customer ID}
  churned: Churn Value
  base_rate: 0.05
  covariates: [Contract]
journeys: [{name: support, stage: use}]
measures:
  - {name: satisfaction, unit: points, kind: rating, direction: higher, journey: support, column: Satisfaction Score}
"""


def _study(old: str = "", new: str = "", text: str = EVENTS) -> Study:
    assert old in text
    return parse_study(text.replace(old, new, 1) if old else text, "study.yaml")


def _faults(old: str, new: str, text: str = EVENTS) -> tuple[str, ...]:
    with pytest.raises(StudyError, match=r"^study\.yaml:\d+: ") as caught:
        _study(old, new, text)
    return caught.value.faults


def test_a_study_holds_what_the_file_says() -> None:
    study = _study()
    assert (study.name, study.currency, study.store, study.is_flat) == ("northline", "EUR", "store", False)
    assert study.sources["wh"].kind == "duckdb"
    assert study.sources["touches"].where == "data/touches/*.parquet"
    assert study.journey_names == ("onboarding", "support")
    assert study.measure_names == ("wait", "rating", "outage")
    assert study.snapshot.first == date(2024, 1, 1)
    assert study.revenue is not None
    assert study.revenue.column("amount") == "eur"
    assert study.revenue.column("customer_id") == "customer_id"


def test_a_flat_study_needs_no_event_tables() -> None:
    study = _study(text=FLAT)
    assert study.flat is not None
    assert (study.is_flat, study.flat.base_rate, study.measures[0].column) == (True, 0.05, "Satisfaction Score")


def test_only_what_the_company_moves_and_knows_in_time_is_controllable() -> None:
    wait, rating, outage = _study().measures
    assert [wait.is_controllable, rating.is_controllable, outage.is_controllable] == [True, False, False]
    assert not _study("direction: lower}", "direction: lower, known: after}").measures[0].is_controllable


def test_a_missing_voluntary_answer_is_not_answered_and_anything_else_not_applicable() -> None:
    wait, rating, _ = _study().measures
    assert (wait.missing, rating.missing) == ("not_applicable", "not_answered")
    stated = _study("response: voluntary", "response: voluntary, missing: not_applicable").measures[1]
    assert stated.missing == "not_applicable"


@pytest.mark.parametrize(
    ("kind", "bounds"),
    [("duration", (0, float("inf"))), ("share", (0, 1)), ("gap", (float("-inf"), float("inf")))],
)
def test_the_kind_of_a_measure_bounds_its_values(kind: str, bounds: tuple[float, float]) -> None:
    assert _study("kind: duration", f"kind: {kind}").measures[0].bounds == bounds


def test_a_study_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        _study().currency = "USD"  # type: ignore[misc]


def test_the_fingerprint_ignores_layout_and_comments_and_sees_every_value() -> None:
    assert _study().fingerprint() == _study("currency: EUR\n", "# a comment\n\ncurrency:   'EUR'\n").fingerprint()
    assert _study().fingerprint() != _study("months: 24", "months: 25").fingerprint()
    assert len(_study().fingerprint()) == 64


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("currency:", "curency:", "study.yaml:2: curency: unknown key. Did you mean 'currency'? Known keys: study,"),
        ("stage: use", "stge: use", "study.yaml:21: journeys[1].stge: unknown key. Did you mean 'stage'?"),
        ("margin:", "marge:", "study.yaml:27: money.marge: unknown key. Did you mean 'margin'?"),
        (
            "kind: duration",
            "kind: duratoin",
            "study.yaml:23: measures[0].kind: 'duratoin' is not one of duration, share,",
        ),
        ("kind: duration", "kind: duratoin", "Did you mean 'duration'?"),
        ("unit: min, ", "", "study.yaml:23: measures[0]: 'unit' is missing. Add it."),
        ("every: month", "every: fortnight", "study.yaml:26: snapshot.every: 'fortnight' is not a step of cutoffs."),
        ("every: month", "every: 0", "study.yaml:26: snapshot.every: 0 is not a step of cutoffs."),
        (
            "window_days: 180",
            "window_days: yes",
            "study.yaml:26: snapshot.window_days: true does not fit: expected a whole",
        ),
        ("margin: 0.6", "margin: '0.6'", "study.yaml:27: money.margin: '0.6' does not fit: expected a number."),
        ("margin: 0.6", "margin: .nan", "study.yaml:27: money.margin: nan does not fit"),
        ("first: 2024-01-01", "first: soon", "study.yaml:26: snapshot.first: 'soon' does not fit"),
        ("first: 2024-01-01", "first: 2024-02-30", "study.yaml:26: a date or number that does not exist."),
        ("first: 2024-01-01", "first: 2024-01-01, last: 2023-01-01", "snapshot.last: 2023-01-01 is before first"),
        ("range: [0, 10]", "range: [10, 0]", "study.yaml:24: measures[1]: range [10.0, 0.0] is empty."),
        ("study: northline", "study: North Line", "study.yaml:1: study: 'North Line' cannot name a study."),
        ("name: wait", "name: wait__x", "study.yaml:23: measures[0].name: 'wait__x' holds '__'"),
        ("name: wait", "name: channel", "study.yaml:23: measures[0].name: 'channel' is a name of ours."),
        ("name: wait", "name: Rating", "study.yaml:24: measures[1].name: 'rating' is given twice"),
        ("name: review", "name: re/view", "study.yaml:18: outcomes[0].name: 're/view' cannot be part of a file name."),
        ("name: support", "name: 7", "journeys[1].name: 7 does not fit: expected text"),
        (
            "leads_to: [support]",
            "leads_to: [suport]",
            "journeys[0].leads_to[0]: no journey is called 'suport'. Did you mean",
        ),
        (
            "control: none",
            "journeys: [suport]",
            "study.yaml:25: measures[2].journeys[0]: no journey is called 'suport'.",
        ),
        ("control: none", "journey: support", "study.yaml:25: measures[2].journey: 'journey' is for flat tables."),
        (
            "from: customers",
            "from: custmers",
            "study.yaml:9: customers.from: no source is called 'custmers'. Did you mean",
        ),
        (
            "joined_at: joined",
            "joind_at: joined",
            "study.yaml:10: customers.columns.joind_at: unknown column name of ours.",
        ),
        ("sql: select * from touches", "columns: {}", "study.yaml:12: touchpoints: no rows are named."),
        ("table: main.invoices, ", "", "study.yaml:16: revenue.from: 'wh' is a database. Add 'table: NAME'"),
        ("from: customers", "from: customers\n  table: x", "study.yaml:10: customers.table: 'customers' is a file"),
        ("table: reviews", "table: reviews, sql: select 1", "outcomes[0].table: 'table' and 'sql' exclude each other."),
        ("inactive_days: 45", "inactive_days: 45, from: customers", "study.yaml:15: churn: churn is either a table or"),
        ("wh: {duckdb:", "wh: {duckbd:", "study.yaml:6: sources.wh: this is not a source."),
        ("wh: {duckdb:", "main: {duckdb:", "'main' cannot name a source."),
        (
            "money:",
            "store: ../elsewhere\nmoney:",
            "study.yaml:27: store: '../elsewhere' leaves the folder of the study.",
        ),
        ("money:", "store: /tmp/x\nmoney:", "study.yaml:27: store: '/tmp/x' leaves the folder of the study."),
        ("money:", "store: c:\\x\nmoney:", "study.yaml:27: store: 'c:\\\\x' leaves the folder of the study."),
        ("money:", "currency: USD\nmoney:", "currency: the key is given twice (lines 2 and 27). Keep one."),
        ("money: {", "money: {margin: 1, ", "money.margin: the key is given twice (lines 27 and 27). Keep one."),
        ("study: northline", "study: [", "this is not YAML"),
        ("study: northline", "study: !!python/name:os.system x", "study.yaml:1: this is not YAML"),
        ("study: northline", "study: \x07", "study.yaml:1: a character that YAML does not allow."),
        (
            "revenue: {from: wh, table: main.invoices, columns: {amount: eur}}\n",
            "",
            "study.yaml:1: 'revenue' is missing.",
        ),
        ("currency: EUR", 'currency: "\\ud800"', "an escape such as \\ud800 is half a character."),
        ("study: northline", "on: x", "a key must be text; put quotes around it."),
    ],
)
def test_a_fault_of_the_file_is_told_with_its_line_and_what_to_do(old: str, new: str, fault: str) -> None:
    assert fault in "\n".join(_faults(old, new))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("journey: support, ", "", "study.yaml:11: measures[0]: a measure of a flat table needs 'journey: NAME'."),
        ("journey: support, ", "journey: suport, ", "measures[0].journey: no journey is called 'suport'."),
        ("flat:", "churn: {inactive_days: 9}\nflat:", "study.yaml:3: churn: a flat table has no event tables"),
        ("base_rate: 0.05", "base_rate: 1.5", "study.yaml:7: flat.base_rate: 1.5 does not fit"),
        ("  churned: Churn Value\n", "", "study.yaml:3: flat: no outcome is named. Add 'churned: COLUMN' or"),
        ("  churned: Churn Value\n", "", "study.yaml:6: flat.base_rate: a base rate of churn needs 'churned: COLUMN'"),
        ("  churned:", "  outcomes: {revenue: x}\n  churned:", "flat.outcomes.revenue: 'revenue' is a name of ours."),
        ("flat:", "outcomes: [{name: x, kind: mean, from: t}]\nflat:", "study.yaml:3: outcomes: further outcomes of a"),
    ],
)
def test_a_fault_of_a_flat_study_is_told_with_its_line(old: str, new: str, fault: str) -> None:
    assert fault in "\n".join(_faults(old, new, FLAT))


def test_all_faults_are_listed_at_once_in_the_order_of_the_file() -> None:
    text = EVENTS.replace("currency:", "curency:").replace("leads_to: [support]", "leads_to: [x]")
    text = text.replace("kind: duration", "kind: tme", 1).replace("months: 24", "months: 0")
    faults = _faults("", "", text)
    assert [int(fault.split(":")[1]) for fault in faults] == [2, 20, 23, 27]


@pytest.mark.parametrize(("text", "holds"), [("", "nothing"), ("- a", "a list"), ("&a [*a]", "a list"), ("x", "'x'")])
def test_a_file_without_keys_says_what_it_holds(text: str, holds: str) -> None:
    with pytest.raises(StudyError, match=rf"^study\.yaml:1: the file holds {holds}\."):
        parse_study(text, "study.yaml")


def test_names_of_any_script_are_welcome() -> None:
    study = _study("name: wait", "name: Wartezeit_größe_待ち時間")
    assert study.measures[0].name == "Wartezeit_größe_待ち時間"


_SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=4)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None)  # the machine may be busy
@given(section=st.sampled_from(sorted(Study.model_json_schema()["properties"])), value=_VALUES)
def test_whatever_stands_in_a_section_is_read_or_refused_with_a_study_error(section: str, value: object) -> None:
    document = yaml.safe_load(EVENTS) | {section: value}
    try:
        parse_study(json.dumps(document, default=str), "study.yaml")
    except StudyError as error:
        assert error.faults  # noqa: PT017 - either outcome is fine
