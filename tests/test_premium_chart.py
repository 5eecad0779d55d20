"""The chart of the journey premium, drawn for real: order, units, colours and the line of what matters."""

import re

import pandas as pd
import pytest

from flows.charts import SHOWN
from flows.premium_chart import premium_chart
from flows.theme import BAD, GOOD, NEUTRAL, to_svg
from tests.premium_found import found

RIVALS = pd.DataFrame(
    {
        "model": ["logistic (C = 0.03)", "boosting (40 trees)", "boosting (200 trees)"],
        "gain": [0.001, 0.012, -0.004],
        "lo": [-0.002, 0.008, -0.006],
        "hi": [0.004, 0.016, -0.002],
    }
)


def _drawn(rivals: pd.DataFrame, matters: float = 0.005) -> pd.DataFrame:
    return max((pd.DataFrame(one) for one in premium_chart(rivals, matters).to_dict()["datasets"].values()), key=len)


def test_rows_stand_as_given_in_points_and_only_clear_ones_are_coloured() -> None:
    rows = _drawn(RIVALS)
    assert rows["label"].tolist() == ["logistic (C = 0.03), the best", "boosting (40 trees)", "boosting (200 trees)"]
    assert rows[["lo", "value", "hi"]].to_numpy().tolist() == [
        pytest.approx([-0.2, 0.1, 0.4]),
        pytest.approx([0.8, 1.2, 1.6]),
        pytest.approx([-0.6, -0.4, -0.2]),
    ]
    assert rows["text"].tolist() == ["+0.10 points", "+1.20 points", "−0.40 points"]
    assert rows["note"].tolist() == ["−0.20 to +0.40 points", "+0.80 to +1.60 points", "−0.60 to −0.20 points"]
    assert rows["shade"].tolist() == [NEUTRAL, GOOD, BAD]


def test_the_line_of_what_matters_is_named_and_always_inside_the_plot() -> None:
    near = RIVALS.head(1).assign(gain=0.0, lo=-0.0001, hi=0.0001)
    chart = premium_chart(near, 0.005).to_dict()
    assert chart["title"]["subtitle"].endswith("dashed: a gain that matters (0.5 points)")
    dashed = [layer for layer in chart["layer"] if layer["mark"].get("strokeDash")]
    assert len(dashed) == 1
    domain = next(layer["encoding"]["x"]["scale"]["domain"] for layer in chart["layer"] if _has_domain(layer))
    width = chart["width"]
    place = dashed[0]["encoding"]["x"]["value"]
    assert 0 < place < width
    assert place == pytest.approx(width * (0.5 - domain[0]) / (domain[1] - domain[0]))


def _has_domain(layer: dict) -> bool:
    return "domain" in layer["encoding"].get("x", {}).get("scale", {})


def test_sides_and_unit_are_named() -> None:
    svg = to_svg(premium_chart(found().rivals, 0.005))
    for text in ("← touchpoints predict better", "journeys predict better →", "McFadden's R²", "the best"):
        assert re.search(rf">[^<]*{text}[^<]*<", svg)


def test_a_chart_of_many_models_ends_where_others_do() -> None:
    many = pd.concat([RIVALS] * SHOWN, ignore_index=True)
    assert len(_drawn(many)) == SHOWN
