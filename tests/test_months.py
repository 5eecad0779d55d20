import math
import re

import pytest

from flows.months import MonthRow, months_plot
from flows.theme import to_svg


def _texts(svg: str) -> list[str]:
    return re.findall(r"<t(?:ext|span)[^>]*>([^<]+)<", svg)


ROWS = [
    MonthRow("billing", "12 in all", ["2024-01", "2024-02", "2024-04"], [5, 3, 4]),
    MonthRow("a <b>support</b>", "", ["2024-03"], [1]),
]


def test_every_row_has_its_name_and_note_and_only_the_last_one_the_months() -> None:
    shown = _texts(to_svg(months_plot(ROWS, "Volumes", "how to read it")))
    for expected in ("Volumes", "how to read it", "billing", "12 in all", "a &lt;b&gt;support&lt;/b&gt;"):
        assert expected in shown
    assert shown.count("Mar 2024") <= 1


def test_all_rows_share_the_time_axis() -> None:
    drawn = months_plot(ROWS, "Volumes").to_dict()
    domains = [
        layer["encoding"]["x"]["scale"]["domain"]
        for row in drawn["vconcat"]
        for layer in row["layer"]
        if "domain" in layer.get("encoding", {}).get("x", {}).get("scale", {})
    ]
    assert len(domains) == 2
    assert domains[0] == domains[1]


@pytest.mark.parametrize("mark", ["bar", "line"])
def test_months_without_a_value_are_left_open(mark: str) -> None:
    rows = [MonthRow("wait", "min", ["2024-01", "2024-02", "2024-03"], [5.0, math.nan, 4.0])]
    svg = to_svg(months_plot(rows, "Median", mark=mark))  # type: ignore[arg-type]
    assert "NaN" not in svg
    assert "null" not in svg


def test_waves_stand_in_the_order_in_which_they_are_given() -> None:
    rows = [MonthRow("wait", "min", ["wave 2", "wave 10", "wave 1"], [1, 2, 3])]
    shown = [text for text in _texts(to_svg(months_plot(rows, "Median", mark="line"))) if text.startswith("wave")]
    assert shown == ["wave 2", "wave 10", "wave 1"]


def test_a_top_is_the_same_for_all_rows() -> None:
    shown = _texts(to_svg(months_plot(ROWS, "Shares", ticks=".0%", top=1.0)))
    assert shown.count("100%") == 2
