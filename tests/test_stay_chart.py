from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.measures import Feature
from flows.stay_chart import experience_name, stay_chart
from flows.theme import BAD, GOOD, INK, NEUTRAL, to_png, to_svg
from models.experience import NOTHING

NAMES = ["best third: 1 to 2 min", "middle third: 3 min", "worst third: 4 to 9 min", NOTHING]


def curves(names: list[str] = NAMES, months: int = 6) -> pd.DataFrame:
    parts = []
    for place, name in enumerate(names):
        stays = (0.99 - 0.001 * place) ** np.arange(1, months + 1)
        at_risk = 1_000 - 10 * np.arange(months)
        part = pd.DataFrame({"segment": name, "month": np.arange(1, months + 1), "at_risk": at_risk})
        parts.append(part.assign(churned=5, hazard=0.01, survival=stays, lo=stays - 0.01, hi=stays + 0.005))
    return pd.concat(parts, ignore_index=True)


def _tables(names: list[str] = NAMES) -> list[pd.DataFrame]:
    content: dict[str, Any] = stay_chart(curves(names), "support: wait").to_dict()
    return [pd.DataFrame(rows) for rows in content["datasets"].values()]


def _with(column: str, names: list[str] = NAMES) -> pd.DataFrame:
    return next(table for table in _tables(names) if column in table)


def test_it_is_drawn_and_says_association() -> None:
    chart = stay_chart(curves(), "support: wait")
    assert chart.to_dict()["title"]["text"] == "Association of staying with support: wait"
    svg = to_svg(chart)
    assert "NaN" not in svg
    assert to_png(chart)[:4] == b"\x89PNG"


def test_every_curve_begins_at_everybody_and_has_its_band() -> None:
    rows = next(table for table in _tables() if {"lo", "is_dashed"} <= set(table))
    assert (rows.loc[rows["month"] == 0, ["survival", "lo", "hi"]] == 100).all(axis=None)
    assert rows.groupby("segment").size().tolist() == [7] * 4
    assert rows.loc[rows["is_dashed"], "segment"].unique().tolist() == [NOTHING]


@pytest.mark.parametrize(
    ("names", "shades"),
    [
        (NAMES, [GOOD, NEUTRAL, BAD, INK]),
        (["none", "some: 5 %"], [GOOD, BAD]),
        (["any: 2 min", NOTHING], [NEUTRAL, INK]),
    ],
)
def test_colours_go_from_best_to_worst(names: list[str], shades: list[str]) -> None:
    assert _with("name", names)["shade"].tolist() == shades


def test_names_stand_at_the_ends_without_covering_each_other() -> None:
    ends = next(table for table in _tables() if "at" in table)
    assert ends["text"].str.contains(r"best third: 94\.1").any()
    assert np.diff(np.sort(ends["at"])).min() > 0.5


@pytest.mark.parametrize(
    ("measure", "unit", "name"),
    [
        ("reply_days", "days", "support: reply days, mean (days)"),
        (None, "share", "support: how often something went wrong"),
    ],
)
def test_an_experience_is_named_for_titles(measure: str | None, unit: str, name: str) -> None:
    feature = Feature("any", "Any.", unit, "lower", "journey", "support", measure, "experience")
    assert experience_name(feature) == name


def test_rows_at_risk_stand_below_every_third_month() -> None:
    rows = next(table for table in _tables() if {"rank", "month"} <= set(table))
    assert rows.groupby("rank")["text"].apply(list).tolist() == [["1,000", "970"]] * 4
    assert sorted(rows["month"].unique()) == [0, 3]
