import re

import numpy as np
import pandas as pd
import pytest

from features.snapshot import parse_date
from flows import model_charts
from flows.theme import Chart, to_png, to_svg
from models.splits import CustomerFold, Fold

MONTHS = tuple(parse_date(f"2024-{month:02d}-01") for month in range(1, 10))
FOLDS = (Fold(MONTHS[:3], MONTHS[6]), Fold(MONTHS[:6], MONTHS[8]))


def gains() -> pd.DataFrame:
    share = np.linspace(0, 1, 6)
    rows = [
        pd.DataFrame({"candidate": name, "share": share, "captured": share**power})
        for name, power in (("boosting", 0.4), ("prevalence", 1.0))
    ]
    return pd.concat(rows).assign(lo=lambda one: one["captured"] - 0.02, hi=lambda one: one["captured"] + 0.02)


def effects() -> pd.DataFrame:
    names = ["support__wait_min__mean", "tenure_days"]
    parts = [
        pd.DataFrame({"feature": name, "value": np.arange(5) * scale, "predicted": 0.05 + 0.01 * np.arange(5)})
        for name, scale in zip(names, (1, 300), strict=True)
    ]
    return pd.concat(parts).assign(spread=0.04)


def coefficients() -> pd.DataFrame:
    values = np.linspace(-1, 1, 21)
    columns = [f"column {number}" for number in range(20)] + ["wait, mean"]
    return pd.DataFrame({"column": columns, "coefficient": values, "lo": values - 0.1, "hi": values + 0.1})


def survival() -> pd.DataFrame:
    parts = []
    for segment, monthly in (("all", 0.98), ("region = north", 0.981), ("region = south", 0.98), ("plan = b", 0.97)):
        stays = monthly ** np.arange(1, 7)
        part = pd.DataFrame({"segment": segment, "month": np.arange(1, 7), "survival": stays, "fitted": stays})
        parts.append(part.assign(lo=stays - 0.01, hi=stays + 0.01))
    return pd.concat(parts, ignore_index=True)


CHARTS: dict[str, Chart] = {
    "folds": model_charts.fold_chart(FOLDS, MONTHS),
    "gains": model_charts.gains_chart(gains(), "boosting"),
    "partial risk": model_charts.partial_chart(effects(), "churn", "EUR"),
    "partial revenue": model_charts.partial_chart(effects(), "revenue", "EUR"),
    "survival": model_charts.survival_chart(survival()),
    "coefficients": model_charts.coefficient_chart(coefficients()),
}


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_drawn_with_a_title_and_no_broken_number(name: str) -> None:
    svg = to_svg(CHARTS[name])
    assert svg.startswith("<svg")
    assert "NaN" not in svg
    assert "undefined" not in svg
    assert to_png(CHARTS[name])[:4] == b"\x89PNG"


def test_the_fold_map_shows_each_cutoff_up_to_its_test_with_its_role() -> None:
    rows = CHARTS["folds"].to_dict()["datasets"]
    (table,) = rows.values()
    found = pd.DataFrame(table)
    first = found[found["fold"] == "tested on 2024-07-01"]
    assert first["role"].tolist() == ["trains"] * 3 + ["embargo"] * 3 + ["tests"]
    assert len(found) == 7 + 9
    assert found["cutoff"].max() == "2024-09-01"


def test_a_split_by_customer_has_no_map() -> None:
    rows = model_charts.fold_chart((CustomerFold("part 1 of 3", frozenset()),), ()).to_dict()
    assert all(not one for one in rows.get("datasets", {}).values())


def test_only_the_fifteen_largest_coefficients_are_drawn_from_worst_to_best() -> None:
    svg = to_svg(CHARTS["coefficients"])
    names = re.findall(r">(wait, mean|column \d+)<", svg)
    assert names[0] == "wait, mean"
    assert len(names) == 15
    assert "column 10" not in names


def test_the_winner_stands_out_and_is_named() -> None:
    text = str(CHARTS["gains"].to_dict())
    assert "90 % interval of boosting" in text


def test_names_of_lines_that_end_together_do_not_cover_each_other() -> None:
    (table,) = CHARTS["survival"].to_dict()["datasets"].values()
    rows = pd.DataFrame(table)
    named = rows[(rows["label"] != "") & (rows["panel"] == "region")].set_index("label")["label_at"]
    assert set(named.index) == {"north", "south"}
    assert named["north"] - named["south"] >= 0.999
    assert set(rows["panel"]) == {"everybody", "region", "plan"}


def test_a_study_without_segments_shows_everybody() -> None:
    (table,) = model_charts.survival_chart(survival().query("segment == 'all'")).to_dict()["datasets"].values()
    assert set(pd.DataFrame(table)["panel"]) == {"everybody"}
