"""The catalogue on the engine against the catalogue in plain Python, and the laws of time with all its features."""

import math
import random
from collections.abc import Iterable
from itertools import chain, product
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.engine import build
from features.facts import Recorded
from features.history import NEVER
from features.measures import Observed, catalogue
from features.snapshot import DAY
from features.study import parse_study
from tests.catalogue_oracle import Row, catalogue_features
from tests.feature_specs import CUTOFF, SPECS, STUDY_READ, Spec, touchpoints

STUDY = parse_study(
    """
study: three
sources: {t: t.parquet}
customers: {from: t}
touchpoints: {from: t, repeat_days: 5, session_gap_days: 5}
churn: {from: t}
revenue: {from: t}
snapshot: {window_days: 40}
journeys:
  - {name: billing, stage: pay, leads_to: [support], ends_with: [receipt]}
  - {name: support, stage: help, leads_to: [support, visit]}
  - {name: visit, stage: help, session_gap_days: 10}
measures:
  - {name: wait, unit: min, kind: duration, direction: lower}
  - {name: resolved, unit: share, kind: share, direction: higher, task: true}
  - {name: kept, unit: "%", kind: share, direction: higher, task: true, control: influenced}
  - {name: polite, unit: share, kind: share, direction: higher, missing: not_answered}
  - {name: failed, unit: share, kind: share, direction: lower}
  - {name: late, unit: days, kind: gap, direction: lower}
  - {name: early, unit: days, kind: gap, direction: higher}
  - {name: promised, unit: days, kind: duration, direction: lower}
  - {name: reply, unit: days, kind: duration, direction: lower, promise: promised}
  - {name: grace, unit: days, kind: amount, direction: higher, promise: promised}
  - {name: outage, unit: h/Day, kind: duration, direction: lower, control: none}
  - {name: rating, unit: points, kind: rating, direction: higher, response: voluntary, range: [0, 9]}
  - {name: pain, unit: points, kind: rating, direction: lower, range: [1, 4]}
  - {name: mood, unit: points, kind: rating, direction: higher}
  - {name: refund, unit: EUR, kind: amount, direction: lower, known: after}
""",
    "study.yaml",
)
PLACES = {"billing": ("invoice", "receipt"), "support": ("call", "chat"), "visit": ("shop", "unknown")}
CUSTOMERS = (3, 5, 8)
EVERYWHERE = tuple((journey, touchpoint) for journey, names in PLACES.items() for touchpoint in names)
FOUND = catalogue(
    STUDY,
    Recorded(channels=True, departments=True, causes=True, sessions=True),
    [Observed(*place, name, 1) for place in EVERYWHERE for name in ("", *STUDY.measure_names)],
)
REVENUE = {f"{name}__customer" for name in FOUND.revenue_plan.touch_features["customer"]}
OF_TOUCHPOINTS = [spec for spec in SPECS if "revenue" not in spec.name and "payments" not in spec.name]
COLUMNS = {column: name for column, name in FOUND.columns.items() if column not in REVENUE}

HALF, DAYS, GAPS = (0.0, 0.5, 1.0, 0.4, 0.7), (0.0, 2.0, 5.5), (-2.0, 0.0, 1.5)
VALUES = {
    "wait": DAYS, "resolved": HALF, "kept": HALF, "polite": HALF, "failed": HALF, "late": GAPS, "early": GAPS,
    "promised": DAYS, "reply": DAYS, "grace": GAPS, "outage": DAYS, "rating": (0.0, 3.0, 3.5, 9.0),
    "pain": (1.0, 2.9, 3.0, 4.0), "mood": (0.0, 5.0), "refund": (7.0,),
}  # fmt: skip
"""Values that may matter: at and beside one half, the promise, the worst third."""

SCHEMA = pa.schema(
    [(name, pa.int64()) for name in ("customer_key", "journey_key", "occurred_at", "known_at", "replaced_at")]
    + [(name, pa.string()) for name in ("journey", "touchpoint", "channel", "department", "cause")]
    + [("is_session", pa.bool_())]
    + [(name, pa.float64()) for name in STUDY.measure_names]
)


def profiles(n: int) -> list[Row]:
    """Make up what touchpoints measure: one draw instead of one for every measure; the first measures nothing."""
    luck = random.Random(11)  # noqa: S311 (test data)
    made = [{name: luck.choice((*values, None, None, None)) for name, values in VALUES.items()} for _ in range(n)]
    return [dict.fromkeys(VALUES), *made]


MEASURED = st.sampled_from(profiles(500))
WHO = (3, 3, 3, 3, 3, 5, 8)
DAYS_OF_CONTACTS = (*range(51), *(10 * list(range(0, 51, 5))))
NAMED, UNNAMED = ((1, 1, 1, 2, None), (None, None, None, None, 1))
"""Ids of cases: mostly there, or mostly left to the pauses between touchpoints."""

HOW = st.sampled_from(list(product(["mail", "phone"], [None, "back", "front"], [None, "bill", "move"])))
WHEN = st.sampled_from(list(product(DAYS_OF_CONTACTS, [*(10 * [0]), 1, -1, DAY // 2])))
DELAYS = st.sampled_from([0, 0, 0, 5 * DAY, 20 * DAY, 20 * DAY])
CORRECTIONS = st.sampled_from([None] * 16 + list(product([1, 5 * DAY, 20 * DAY], [0, -DAY])))
CUTOFF_DAYS = st.sampled_from(range(20, 70, 5)).map(lambda day: day * DAY)
CUTOFFS = st.lists(CUTOFF_DAYS, min_size=2, max_size=2, unique=True)
"""Days and lengths are mostly multiples of five, so that many differences lie exactly at a threshold."""


@st.composite
def versions(draw: st.DrawFn, places: st.SearchStrategy[Any]) -> list[Row]:
    """A touchpoint, known at once or late, and now and then its correction."""
    (journey, touchpoint), customer, case = draw(places)
    channel, department, cause = draw(HOW)
    day, moment = draw(WHEN)
    at = day * DAY + moment
    named = {"customer_key": customer, "journey": journey, "id": case, "touchpoint": touchpoint, "channel": channel}
    first = named | {"department": department, "cause": cause, "occurred_at": at, "known_at": at + draw(DELAYS)}
    first |= {"replaced_at": None} | draw(MEASURED)
    correction = draw(CORRECTIONS)
    if correction is None:
        return [first]
    first["replaced_at"] = first["known_at"] + correction[0]
    corrected = first | {"known_at": first["replaced_at"], "replaced_at": None, "occurred_at": at + correction[1]}
    channel, department, cause = draw(HOW)
    return [first, corrected | {"department": department, "cause": cause} | draw(MEASURED)]


def histories(least: int, most: int) -> st.SearchStrategy[list[Row]]:
    places = [st.sampled_from(list(product(EVERYWHERE, WHO, ids))) for ids in (NAMED, UNNAMED)]
    each = [st.lists(versions(where), min_size=least, max_size=most) for where in places]
    return st.one_of(each).map(lambda touched: list(chain.from_iterable(touched)))


def plain_row(journey: str, day: int, **more: object) -> Row:
    nothing = dict.fromkeys(("id", "department", "cause", "replaced_at", *STUDY.measure_names))
    named = {"customer_key": 3, "journey": journey, "touchpoint": "any", "channel": "mail"}
    return nothing | named | {"occurred_at": day * DAY, "known_at": day * DAY} | more


STRANGER = plain_row("visit", 0, id=1, customer_key=99, journey_key=999, is_session=False)
THREE_IN_A_ROW = [plain_row(name, day) for day, name in ((4, "billing"), (5, "visit"), (6, "support"))]
AT_THE_EDGES = [
    plain_row("visit", 20),
    plain_row("visit", 30, known_at=45 * DAY, replaced_at=50 * DAY),
    plain_row("visit", 40),
]
"""What is not known at day 40, and replaced from day 50 on, is all that joins two visits."""


def laid(rows: Iterable[Row]) -> list[Row]:
    """Put rows into the order of a table, and number their journeys as the layout does."""
    ordered = sorted(rows, key=lambda row: (row["customer_key"], row["occurred_at"]))
    numbers: dict[object, int] = {}
    sessions: dict[object, tuple[int, int]] = {}
    found = []
    for row in ordered:
        named: tuple[object, ...] = (row["customer_key"], row["journey"], row["id"])
        if row["id"] is None:
            number, latest = sessions.get(named, (0, row["occurred_at"]))
            number += row["occurred_at"] - latest > STUDY.session_gap_days(row["journey"]) * DAY
            sessions[named] = number, row["occurred_at"]
            named = (*named, number)
        found.append(row | {"journey_key": numbers.setdefault(named, len(numbers)), "is_session": row["id"] is None})
    return found


def table_of(rows: Iterable[Row]) -> pa.Table:
    return pa.Table.from_pylist(
        [row | {"replaced_at": NEVER if row["replaced_at"] is None else row["replaced_at"]} for row in rows], SCHEMA
    )


def known_at(rows: Iterable[Row], cutoff: int) -> list[Row]:
    """Keep what was known by then; of replacements only those that had come."""
    return [
        row | {"replaced_at": row["replaced_at"] if (row["replaced_at"] or NEVER) <= cutoff else None}
        for row in rows
        if row["known_at"] <= cutoff
    ]


def features_at(
    table: pa.Table, cutoffs: Iterable[int], customers: Iterable[int] = CUSTOMERS
) -> dict[tuple[int, int], Row]:
    """Compute the catalogue with the engine, for customers and cutoffs."""
    pairs = [(customer, cutoff) for cutoff in cutoffs for customer in customers]
    spine = pa.table({"customer_key": [key for key, _ in pairs], "cutoff": [cutoff for _, cutoff in pairs]})
    built = build(FOUND.plan, table, spine, FOUND.levels)
    rows = zip(*(built[column].to_pylist() for column in COLUMNS), strict=True)
    return {pair: dict(zip(COLUMNS.values(), row, strict=True)) for pair, row in zip(pairs, rows, strict=True)}


def changed(one: Row, other: Row) -> dict[str, tuple[float, float]]:
    """Find the features that do not agree to the last bit."""
    return {name: (value, other[name]) for name, value in one.items() if value.hex() != other[name].hex()}


def is_same(one: float, other: float) -> bool:
    """Whether two values are equal but for rounding, which stays below 1e-11 where parts of size 10 cancel."""
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-11)


@pytest.fixture(scope="module")
def by_hand() -> Row:
    rows = touchpoints().to_pylist()
    places = sorted({(row["journey"], row["touchpoint"]) for row in rows})
    return catalogue_features(STUDY_READ, rows, CUTOFF * DAY, places)


@pytest.mark.parametrize("spec", OF_TOUCHPOINTS, ids=lambda spec: spec.name)
def test_the_oracle_gives_the_values_computed_by_hand(by_hand: Row, spec: Spec) -> None:
    assert is_same(by_hand[spec.name], spec.value), by_hand[spec.name]


def test_the_oracle_knows_every_feature_of_the_catalogue_and_no_other() -> None:
    assert set(catalogue_features(STUDY, [], DAY, EVERYWHERE)) == set(COLUMNS.values())


@settings(max_examples=40, deadline=None)
@given(histories(10, 25), CUTOFFS)
@example(AT_THE_EDGES, [40 * DAY, 45 * DAY, 50 * DAY])
def test_every_feature_is_what_plain_python_makes_of_it(rows: list[Row], cutoffs: list[int]) -> None:
    table = laid(rows)
    for (customer, cutoff), found in features_at(table_of(table), cutoffs).items():
        mine = [row for row in table if row["customer_key"] == customer]
        wanted = catalogue_features(STUDY, mine, cutoff, EVERYWHERE)
        wrong = {name: (found[name], wanted[name]) for name in found if not is_same(found[name], wanted[name])}
        assert not wrong, f"customer {customer} at day {cutoff / DAY:g}, engine and oracle: {wrong}"


@settings(max_examples=40, deadline=None)
@given(histories(6, 15), CUTOFF_DAYS)
def test_what_becomes_known_after_the_cutoff_changes_no_bit(rows: list[Row], cutoff: int) -> None:
    """Journeys are numbered anew, as they would be if nothing else had ever been brought."""
    found = features_at(table_of(laid(rows)), [cutoff])
    again = features_at(table_of(laid(known_at(rows, cutoff))), [cutoff])
    for pair, values in found.items():
        assert not changed(values, again[pair]), pair


@settings(max_examples=40, deadline=None)
@given(histories(6, 15), CUTOFF_DAYS, st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_the_names_of_customers_change_a_bit(
    rows: list[Row], cutoff: int, luck: random.Random
) -> None:
    """The first row belongs to the last customer, so that no table is in order and trusted to be."""
    table = laid(rows)
    found = features_at(table_of([STRANGER, *table]), [cutoff])
    others = [{3: 3, 5: 5, 8: 8}, {3: 13, 5: 15, 8: 18}, {3: 71, 5: 1, 8: 33}]
    crowd = [row | {"customer_key": names[row["customer_key"]]} for names in others for row in table]
    again = features_at(
        table_of([STRANGER, *luck.sample(crowd, len(crowd))]),
        [cutoff],
        [key for names in others for key in names.values()],
    )
    for (customer, _), values in found.items():
        for names in others:
            assert not changed(values, again[names[customer], cutoff]), names[customer]


def test_a_journey_follows_another_though_a_third_comes_in_between() -> None:
    found = features_at(table_of(laid(THREE_IN_A_ROW)), [9 * DAY])[3, 9 * DAY]
    assert found["support__after_billing_count__total"] == 1.0


def test_the_oracle_sees_a_journey_follow_another_though_a_third_comes_in_between() -> None:
    found = catalogue_features(STUDY, laid(THREE_IN_A_ROW), 9 * DAY)
    assert found["support__after_billing_count__total"] == 1.0
