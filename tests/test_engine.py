"""The engine against plain Python, and the laws that no feature may break."""

import math
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.engine import build, output_names
from features.folds import (
    CUSTOMER,
    Plan,
    contrast,
    count,
    decayed,
    distinct,
    high,
    last,
    low,
    mean,
    ratio,
    recent,
    since,
    span,
    total,
)
from features.history import NEVER
from features.journeys import in_order
from features.snapshot import DAY
from tests.oracle import features_of

JOURNEYS, TOUCHPOINTS, CHANNELS = ("billing", "support"), ("call", "invoice", "visit"), ("mail", "phone")
LEVELS: dict[Any, Any] = {
    "journey": JOURNEYS,
    "touchpoint": TOUCHPOINTS[:2],
    ("journey", "touchpoint"): [("support", "call"), ("billing", "invoice")],
    "channel": CHANNELS,
}
FACTS = {
    "switched": lambda t: t.channel != t.before.channel,
    "came_back": lambda t: (t.journey_key != t.thread.journey_key) & (t.occurred_at - t.thread.occurred_at <= 7 * DAY),
    "worsened": lambda t: t.wait - t.before.wait,
    "opened": lambda t: t.is_first,
    "worse_twice": lambda t: (t.worsened > 0) & (t.before.worsened > 0),
    "by_phone": lambda t: t.channel == "phone",
    "returned": lambda t: (t.journey_key != t.earlier.journey_key) & (t.journey == t.earlier.journey),
    "asked_again": lambda t: (t.journey_key != t.alike.journey_key) & (t.occurred_at - t.alike.occurred_at <= 7 * DAY),
    "worse_than_alike": lambda t: t.wait - t.alike.before.wait,
}


def _is_late(t: Any) -> Any:
    return t.cutoff - t.occurred_at < 5 * DAY


PLAN = Plan(
    facts=FACTS,
    journey={
        "touches": count(),
        "wait": total("wait"),
        "worst": high("wait"),
        "known": total(lambda t: ~np.isnan(t.wait)),
        "closed": last("resolved"),
        "switches": total("switched"),
        "returns": total("came_back"),
        "steps": mean("worsened"),
        "twice": total("worse_twice"),
        "days": span(),
        "age": since(),
        "kinds": distinct("wait"),
        "asked": total("asked_again"),
    },
    features={
        "journey": {
            "n": count(),
            "wait_mean": ratio("wait", "known"),
            "worst": high("worst"),
            "closed_last": last("closed"),
            "open": mean(lambda j: 1 - j.closed),
            "returns": total("returns"),
            "steps": low("steps"),
            "twice": total("twice"),
            "days": mean("days"),
            "age": low("age"),
            "kinds": total("kinds"),
            "ends": distinct("closed"),
            "asked": contrast("asked", "returns"),
        },
        "channel": {"first_n": count()},
        CUSTOMER: {"all_n": count(), "all_last": last("worst"), "all_age": since()},
    },
    touch_features={
        "touchpoint": {
            "t_mean": mean("wait"),
            "t_last": last("wait"),
            "t_opened": total("opened"),
            "t_back": total("returned"),
        },
        ("journey", "touchpoint"): {"p_n": count(), "p_low": low("wait")},
        CUSTOMER: {
            "c_felt": decayed("wait", 30),
            "c_now": recent("wait", 9),
            "c_recent": total(lambda t: t.cutoff - t.occurred_at < 5 * DAY),
            "c_trend": contrast(lambda t: np.where(_is_late(t), t.wait, np.nan), "wait"),
            "c_waits": distinct("wait"),
            "c_alike": mean("worse_than_alike"),
        },
    },
    window_days=20,
    session_gap_days={"billing": 6, "support": 4},
)
SCHEMA = pa.schema(
    [("customer_key", pa.int64()), ("journey", pa.dictionary(pa.int32(), pa.string())), ("journey_key", pa.int64())]
    + [(name, pa.dictionary(pa.int32(), pa.string())) for name in ("touchpoint", "channel", "cause")]
    + [(name, pa.int64()) for name in ("occurred_at", "known_at", "replaced_at")]
    + [("is_session", pa.bool_()), ("wait", pa.float64()), ("resolved", pa.float64())]
)
HALF_DAYS = st.integers(0, 60).map(lambda n: n * DAY // 2)
WHO = list(product([0, 0, 0, 1, 2, 3], [0, 1], [0, 1, 2, 2, 2]))
"""Customer, journey, and which of its cases; the last has no id."""


@st.composite
def touchpoint(draw: st.DrawFn) -> dict[str, Any]:
    """A touchpoint; many are known late, some are replaced, every third has no id; moments often coincide."""
    customer, journey, which = draw(st.sampled_from(WHO))
    at = draw(HALF_DAYS)
    known = at + draw(st.sampled_from([0, 0, 3 * DAY, 15 * DAY]))
    return {
        "customer_key": customer * 5,
        "journey": JOURNEYS[journey],
        "journey_key": customer * 6 + journey * 3 + which,
        "touchpoint": draw(st.sampled_from(TOUCHPOINTS)),
        "channel": draw(st.sampled_from(CHANNELS)),
        "occurred_at": at,
        "known_at": known,
        "replaced_at": draw(st.sampled_from([NEVER, NEVER, NEVER, known + DAY, known + 6 * DAY])),
        "is_session": which == 2,
        "cause": draw(st.sampled_from([None, "bill", "move"])),
        "wait": draw(st.sampled_from([None, 0.0, 2.5, -1.0, 7.0])),
        "resolved": draw(st.sampled_from([0.0, 1.0, None])),
    }


HISTORIES = st.one_of(st.lists(touchpoint(), min_size=15, max_size=25), st.lists(touchpoint(), max_size=15))
CUTOFFS = st.integers(0, 100).map(lambda n: n * DAY // 2)
SPINES = st.lists(st.tuples(st.sampled_from([0, 0, 5, 7, 10, 15]), CUTOFFS), min_size=2, max_size=8)


def numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Number journeys as the layout does: those without ids are cut at pauses between rows, known or not."""
    latest: dict[int, tuple[int, int]] = {}
    found = []
    for one in sorted(rows, key=lambda row: (row["customer_key"], row["occurred_at"])):
        key, at = one["journey_key"], one["occurred_at"]
        part, before = latest.get(key, (0, at))
        part += one.get("is_session", False) and at - before > PLAN.session_gap_days[one["journey"]] * DAY
        latest[key] = part, at
        found.append({"replaced_at": NEVER, "is_session": False} | one | {"journey_key": key * 100 + part})
    return found


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return in_order(pa.Table.from_pylist(numbered(rows), SCHEMA))


def spine_of(pairs: list[tuple[int, int]]) -> pa.Table:
    return pa.table({"customer_key": [key for key, _ in pairs], "cutoff": [cutoff for _, cutoff in pairs]})


def bits(table: pa.Table) -> dict[str, bytes]:
    return {name: table[name].to_numpy().tobytes() for name in table.column_names}


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    return [{k: math.nan if v is None else v for k, v in row.items()} for row in table.to_pylist()]


def row(at: float, **more: Any) -> dict[str, Any]:
    moment = int(at * DAY)
    return {
        "customer_key": 1,
        "journey": "support",
        "journey_key": 1,
        "touchpoint": "call",
        "channel": "phone",
        "occurred_at": moment,
        "known_at": moment,
        "wait": 1.0,
        "resolved": 0.0,
    } | more


BRIDGE = [row(1, is_session=True), row(5, is_session=True, known_at=14 * DAY), row(9, is_session=True)]
"""Two sessions until the touchpoint between them is known."""


@settings(max_examples=60, deadline=None)
@given(HISTORIES, SPINES)
@example(BRIDGE, [(1, 13 * DAY), (1, 14 * DAY)])
def test_the_engine_agrees_with_plain_python(rows: list[dict[str, Any]], pairs: list[tuple[int, int]]) -> None:
    table = table_of(rows)
    got = build(PLAN, table, spine_of(pairs), LEVELS)
    plain = rows_of(table)
    for i, (key, cutoff) in enumerate(pairs):
        wanted = features_of(PLAN, plain, key, cutoff, LEVELS)
        assert set(wanted) == set(got.column_names[2:])
        found = {name: got[name][i].as_py() for name in wanted}
        assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12, nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(HISTORIES, SPINES, HALF_DAYS)
def test_features_do_not_change_when_rows_become_known_later(
    rows: list[dict[str, Any]], pairs: list[tuple[int, int]], cutoff: int
) -> None:
    spine = spine_of([(key, cutoff) for key, _ in pairs])
    known = [row for row in rows if row["known_at"] <= cutoff]
    known = [row | {"replaced_at": NEVER if row["replaced_at"] > cutoff else row["replaced_at"]} for row in known]
    assert bits(build(PLAN, table_of(rows), spine, LEVELS)) == bits(build(PLAN, table_of(known), spine, LEVELS))


@settings(max_examples=50, deadline=None)
@given(HISTORIES, SPINES, st.randoms(use_true_random=False))
def test_features_do_not_depend_on_the_order_of_rows(
    rows: list[dict[str, Any]], pairs: list[tuple[int, int]], luck: Any
) -> None:
    apart = numbered([row | {"occurred_at": row["occurred_at"] + i} for i, row in enumerate(rows)])
    ordered = pa.Table.from_pylist(apart, SCHEMA)
    shuffled = pa.Table.from_pylist(luck.sample(apart, len(apart)), SCHEMA)
    assert bits(build(PLAN, ordered, spine_of(pairs), LEVELS)) == bits(build(PLAN, shuffled, spine_of(pairs), LEVELS))


@settings(max_examples=25, deadline=None)
@given(HISTORIES, SPINES)
def test_a_row_does_not_depend_on_the_other_rows_of_the_spine(
    rows: list[dict[str, Any]], pairs: list[tuple[int, int]]
) -> None:
    table = table_of(rows)
    together = build(PLAN, table, spine_of(pairs), LEVELS)
    for i, pair in enumerate(pairs):
        assert bits(build(PLAN, table, spine_of([pair]), LEVELS)) == bits(together.slice(i, 1))


@settings(max_examples=25, deadline=None)
@given(HISTORIES, SPINES)
def test_customers_may_be_split_over_machines(rows: list[dict[str, Any]], pairs: list[tuple[int, int]]) -> None:
    table, spine = table_of(rows), spine_of(pairs)
    whole = build(PLAN, table, spine, LEVELS)
    for key in {key for key, _ in pairs}:
        mine = build(
            PLAN,
            table.filter(pc.equal(table["customer_key"], key)),
            spine.filter(pc.equal(spine["customer_key"], key)),
            LEVELS,
        )
        assert bits(mine) == bits(whole.filter(pc.equal(whole["customer_key"], key)))


def test_a_customer_without_touchpoints_has_counts_of_zero_and_nothing_else() -> None:
    got = build(PLAN, table_of([]), spine_of([(1, DAY)]), LEVELS).to_pylist()[0]
    assert (got["n__billing"], got["c_felt__customer"], got["returns__support"]) == (0.0, 0.0, 0.0)
    assert all(
        math.isnan(got[name])
        for name in ("wait_mean__billing", "worst__support", "t_last__call", "p_low__support__call")
    )


def test_an_empty_spine_gives_an_empty_table_with_all_columns() -> None:
    got = build(
        PLAN,
        table_of([]),
        pa.table({"customer_key": pa.array([], pa.int64()), "cutoff": pa.array([], pa.int64())}),
        LEVELS,
    )
    assert got.num_rows == 0
    assert got.column_names[2:] == list(output_names(PLAN, LEVELS))


def feature(plan_part: dict[str, Any], rows: list[dict[str, Any]], cutoff: float, level: str = "call") -> float:
    plan = Plan(FACTS, {}, {}, {"touchpoint": plan_part}, 20)
    got = build(plan, table_of(rows), spine_of([(1, int(cutoff * DAY))]), LEVELS)
    return float(got[f"{next(iter(plan_part))}__{level}"][0].as_py())


def test_the_window_is_open_on_the_left_and_closed_on_the_right() -> None:
    assert feature({"n": count()}, [row(10), row(30)], 30) == 1
    assert feature({"n": count()}, [row(10), row(30)], 29.999) == 1
    assert feature({"n": count()}, [row(10.001), row(30)], 30) == 2


def test_a_touchpoint_known_late_counts_only_from_then_on() -> None:
    late = [row(10, known_at=15 * DAY)]
    assert (feature({"n": count()}, late, 14), feature({"n": count()}, late, 15)) == (0, 1)


def test_the_predecessor_is_the_last_touchpoint_known_at_the_cutoff() -> None:
    rows = [row(1, channel="mail"), row(2, channel="phone", known_at=9 * DAY), row(3, channel="mail")]
    assert (feature({"s": total("switched")}, rows, 5), feature({"s": total("switched")}, rows, 9)) == (0, 2)


def test_a_predecessor_before_the_window_is_seen() -> None:
    rows = [row(1, wait=1.0), row(25, wait=5.0)]
    assert feature({"w": last("worsened")}, rows, 30) == 4


def sessions(rows: list[dict[str, Any]], cutoff: float) -> float:
    """Count the journeys of rows that have no ids."""
    plan = Plan(features={"journey": {"n": count()}}, window_days=20, session_gap_days=PLAN.session_gap_days)
    table = table_of([one | {"is_session": True} for one in rows])
    return float(build(plan, table, spine_of([(1, int(cutoff * DAY))]), LEVELS)["n__support"][0].as_py())


def test_a_corrected_row_counts_until_its_correction_is_known() -> None:
    first = row(10, wait=3.0, replaced_at=12 * DAY)
    corrected = row(9, wait=5.0, known_at=12 * DAY)
    assert [feature({"w": total("wait")}, [first, corrected], day) for day in (11, 11.999, 12, 15)] == [3, 3, 5, 5]


def test_a_corrected_row_is_no_predecessor() -> None:
    rows = [row(1, wait=1.0), row(2, wait=4.0, replaced_at=5 * DAY), row(3, wait=9.0)]
    assert [feature({"w": last("worsened")}, rows, day) for day in (4, 5)] == [5, 8]


def test_only_a_pause_longer_than_the_gap_ends_a_session() -> None:
    assert sessions([row(1), row(5), row(9)], 12) == 1
    assert sessions([row(1), row(5), row(9.001)], 12) == 2


def test_a_touchpoint_that_is_not_known_joins_no_sessions() -> None:
    late, corrected = row(5, known_at=14 * DAY), row(5, replaced_at=13 * DAY)
    assert [sessions([row(1), late, row(9)], day) for day in (13, 14)] == [2, 1]
    assert [sessions([row(1), corrected, row(9)], day) for day in (12, 13)] == [1, 2]


def test_the_first_touchpoint_of_a_session_is_the_first_that_is_known_after_a_pause() -> None:
    plan = Plan(FACTS, {}, {}, {"touchpoint": {"n": total("opened")}}, 20, session_gap_days=PLAN.session_gap_days)
    got = build(plan, table_of(BRIDGE), spine_of([(1, 13 * DAY), (1, 14 * DAY)]), LEVELS)
    assert got["n__call"].to_pylist() == [2, 1]


def test_decayed_halves_with_each_half_life() -> None:
    assert feature({"d": decayed("wait", 5)}, [row(10, wait=8.0), row(15, wait=8.0)], 20) == 8 / 4 + 8 / 2


def test_what_stands_last_in_the_table_is_last_among_equals() -> None:
    rows = [row(1, wait=3.0), row(1, wait=9.0), row(1, wait=None)]
    assert feature({"w": last("wait")}, rows, 2) == 9


def test_only_wanted_columns_are_built() -> None:
    plan = Plan(
        FACTS, PLAN.journey, PLAN.features, PLAN.touch_features, 20, frozenset({"n__billing", "p_n__support__call"})
    )
    assert output_names(plan, LEVELS) == ("n__billing", "p_n__support__call")
    whole = build(PLAN, table_of([row(1), row(2)]), spine_of([(1, 3 * DAY)]), LEVELS)
    part = build(plan, table_of([row(1), row(2)]), spine_of([(1, 3 * DAY)]), LEVELS)
    assert bits(part) == {name: value for name, value in bits(whole).items() if name in part.column_names}


def test_two_features_of_one_name_are_refused() -> None:
    plan = Plan(features={"journey": {"n": count()}}, touch_features={"journey": {"n": count()}})
    with pytest.raises(ValueError, match="two features of the plan are called 'n__billing'"):
        build(plan, table_of([]), spine_of([(1, 1)]), LEVELS)


def test_a_fold_that_looks_back_is_refused_with_what_to_do() -> None:
    with pytest.raises(AttributeError, match="'before' a fact of the plan"):
        feature({"w": total(lambda t: t.before.wait)}, [row(1)], 2)


@pytest.mark.parametrize("part", [{"of": total("wiat")}, {"of": total(lambda t: t.wiat)}])
def test_an_unknown_column_is_named(part: dict[str, Any]) -> None:
    with pytest.raises(AttributeError, match=r"no column 'wiat'; there are .*wait"):
        feature(part, [row(1)], 2)


def test_slicing_by_numbers_is_refused() -> None:
    with pytest.raises(TypeError, match="slice 'wait' holds numbers"):
        build(
            Plan(touch_features={"wait": {"n": count()}}),
            table_of([row(1)]),
            spine_of([(1, 2 * DAY)]),
            {"wait": ("1",)},
        )
