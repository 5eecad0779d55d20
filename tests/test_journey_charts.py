from typing import Any

import pandas as pd
import pytest

from features.exploration import Exploration, explore
from flows.journey_charts import breaks_chart, follow_ups_chart, paths_chart, waits_chart
from flows.journey_table import journeys_table
from flows.theme import Chart, to_png, to_svg
from tests.journey_tables import laid_out


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Exploration:
    return explore(*laid_out(tmp_path_factory.mktemp("drawn")))


@pytest.fixture(scope="module")
def charts(found: Exploration) -> dict[str, Chart]:
    return {
        "paths": paths_chart(found.paths, "support"),
        "breaks": breaks_chart(found.troubles),
        "follow ups": follow_ups_chart(found.follow_ups, 7),
        "waits": waits_chart(found.waits, "min"),
    }


def _rows(chart: Chart) -> pd.DataFrame:
    """The largest table that a chart draws."""
    content: dict[str, Any] = chart.to_dict()
    return pd.DataFrame(max(content["datasets"].values(), key=lambda rows: len(rows[0])))


@pytest.mark.parametrize("name", ["paths", "breaks", "follow ups", "waits"])
def test_every_chart_is_drawn_with_a_title_and_no_broken_number(charts: dict[str, Chart], name: str) -> None:
    svg = to_svg(charts[name])
    assert "NaN" not in svg
    assert "undefined" not in svg
    assert charts[name].to_dict()["title"]["text"]
    assert to_png(charts[name])[:4] == b"\x89PNG"


def test_paths_are_shares_of_the_journeys_of_their_type_most_frequent_first(charts: dict[str, Chart]) -> None:
    rows = _rows(charts["paths"])
    assert rows["label"].tolist() == ["chat", "call → call", "call → chat"]
    assert rows["value"].tolist() == [0.5, 0.25, 0.25]
    assert rows["note"].tolist() == ["2 · 0\u00a0% went wrong", "1 · 10.0 days · 100\u00a0% went wrong",
                                     "1 · 2.0 days · 100\u00a0% went wrong"]  # fmt: skip
    assert "3 of 3 make 100\u00a0% of 4" in charts["paths"].to_dict()["title"]["text"]


def test_breaks_stand_worst_first_with_interval_n_and_what_was_mended(charts: dict[str, Chart]) -> None:
    rows = _rows(charts["breaks"])
    assert rows["label"].tolist() == ["support · call", "billing · bill", "support · chat"]
    assert rows["value"].tolist() == pytest.approx([1.0, 0.6, 0.0])
    assert rows["note"].tolist()[0] == "of 3; 50\u00a0% mended in the journey"
    assert ((rows["lo"] <= rows["value"]) & (rows["value"] <= rows["hi"])).all()
    assert (rows["hi"] - rows["lo"] > 0.3).all()  # three customers say little


def test_what_follows_shows_both_sides_with_their_n_and_says_association(charts: dict[str, Chart]) -> None:
    tables = [pd.DataFrame(rows) for rows in charts["follow ups"].to_dict()["datasets"].values()]
    rows = next(table for table in tables if "name" in table).set_index("name")
    assert rows.index.tolist() == ["billing, then support", "support, then again"]
    assert rows.loc["billing, then support", ["text", "note"]].tolist() == [
        "50.0\u00a0% against 0.0\u00a0%", "n 2 and 2",
    ]  # fmt: skip
    assert "association" in charts["follow ups"].to_dict()["title"]["text"]


def test_waits_show_the_middle_half_and_the_interval_of_the_median(
    charts: dict[str, Chart], found: Exploration
) -> None:
    rows, waits = _rows(charts["waits"]), found.waits[found.waits["unit"] == "min"]
    assert rows["label"].tolist() == ["support · call: wait", "support · chat: wait"]
    assert rows["lo"].tolist() == waits["low"].tolist()
    assert rows["hi"].tolist() == waits["high"].tolist()
    assert rows["text"].tolist()[0].startswith("6.00 min (4.00 to")


def test_the_table_of_journeys_writes_shares_with_intervals_and_a_dash_where_nothing_can_tell(
    found: Exploration,
) -> None:
    billing, support = journeys_table(found.journeys).rows
    assert billing[:6] == ("billing", "3", "5", "5", "1.00", "–")
    assert support[6].startswith("50.0\u00a0%\n")
    nothing = journeys_table(found.journeys.assign(told=0, troubled=0, mended=0)).rows[0]
    assert nothing[6:] == ("–", "–")
