"""Value against certainty: every initiative where it stands, labels that do not lie on each other."""

from __future__ import annotations

import itertools

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from flows.certainty_chart import certainty_chart, spaced
from flows.theme import GOOD, to_svg


def initiatives() -> pd.DataFrame:
    rows = [
        ("a", "Bills", 27_000, 2_000, 55_000, 0.96, "worth it", 21),
        ("b", "First", -11_000, -30_000, 10_000, 0.19, "undecided", None),
        *((f"c{i}", f"Chat {i}", -80_000 - i, -90_000, -70_000, 0.0, "not worth it", None) for i in range(4)),
        ("d", "Refused", None, None, None, None, "refused", None),
    ]
    columns = ["name", "title", "npv", "npv_lo", "npv_hi", "p_npv_positive", "verdict", "payback_months"]
    numbers = [name for name in columns if name not in {"name", "title", "verdict"}]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, float))


def drawn(found: pd.DataFrame) -> pd.DataFrame:
    chart = certainty_chart(found, "EUR", 24).to_dict()
    return pd.DataFrame(next(rows for rows in chart["datasets"].values() if "label" in rows[0]))


def test_points_stand_at_chance_and_value_and_say_when_they_pay_back() -> None:
    rows = drawn(initiatives()).set_index("label")
    assert "Refused" not in rows.index
    bills = rows.loc["Bills"]
    assert (bills["chance"], bills["npv"], bills["shade"], bills["side"]) == (96, 27_000, GOOD, "left")
    assert bills["note"] == "€27k · earned back after 21 months"
    assert rows.loc["First", "note"] == "−€11k · cost not earned back"


def test_labels_of_points_on_one_spot_are_apart_and_keep_their_order() -> None:
    rows = drawn(initiatives())
    of = rows[rows["side"] == "right"].sort_values("npv")
    assert of["label_y"].is_monotonic_increasing
    low = (rows["lo"].min(), rows["hi"].max())
    pixel = 1.12 * (low[1] - low[0]) / 460
    assert (of["label_y"].diff().dropna() > 29 * pixel).all()


def test_the_order_of_rows_changes_nothing_and_the_picture_is_drawn() -> None:
    found = initiatives()
    assert drawn(found).equals(drawn(found.sample(frac=1, random_state=1)))
    assert "Value against certainty" in to_svg(certainty_chart(found, "EUR", 24))


@given(st.lists(st.floats(0, 100), max_size=8))
def test_places_keep_their_order_their_room_and_their_bounds(wanted: list[float]) -> None:
    places = spaced(sorted(wanted), 10, 0, 100)
    assert all(second - first >= 10 - 1e-9 for first, second in itertools.pairwise(places))
    assert all(-1e-9 <= one <= 100 for one in places)


@given(st.lists(st.integers(0, 20), max_size=10, unique=True))
def test_places_that_have_room_stay(wanted: list[int]) -> None:
    places = [10.0 * one for one in sorted(wanted)]
    assert spaced(places, 10, 0, 200) == places


def test_a_label_does_not_run_through_the_interval_of_another() -> None:
    found = initiatives().iloc[:2].copy()
    found.loc[2] = ["e", "Complaints answered", -17_000.0, -27_000.0, -5_000.0, 0.01, "not worth it", float("nan")]
    rows = drawn(found).set_index("label")
    # It stands at 1 %, at the height of the one at 19 %, and begins beyond it.
    assert rows.loc["Complaints answered", "label_x"] > rows.loc["First", "chance"]
