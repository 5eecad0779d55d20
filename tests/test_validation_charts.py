import pandas as pd
import pytest

from flows.theme import Chart, to_svg
from flows.validation_charts import by_cutoff_chart, by_segment_chart, versions_chart


def metrics(metric: str = "auc") -> pd.DataFrame:
    values = [("all", 0.65), ("2025-05-01", 0.66), ("2025-01-01", 0.64)]
    rows = [("churn", "x", metric, value, value - 0.02, value + 0.02, 100, fold) for fold, value in values]
    return pd.DataFrame(rows, columns=["outcome", "candidate", "metric", "value", "lo", "hi", "n", "fold"])


def segments(levels: int = 3) -> pd.DataFrame:
    names = ["all", *(f"region = r{number:02d}" for number in range(levels)), "plan = a"]
    values = [1.0, *(1 + 0.1 * number for number in range(levels)), 0.5]
    frame = pd.DataFrame({"segment": names, "value": values, "metric": "mean_calibration", "fold": "all", "n": 50})
    return frame.assign(lo=frame["value"] - 0.05, hi=frame["value"] + 0.05)


def _labels(chart: Chart) -> list[str]:
    tables = [pd.DataFrame(rows) for rows in chart.to_dict()["datasets"].values()]
    return next(table for table in tables if "label" in table)["label"].tolist()


def test_cutoffs_stand_in_time_below_all_together() -> None:
    chart = by_cutoff_chart(metrics(), "auc")
    assert _labels(chart) == ["all cutoffs", "2025-01-01", "2025-05-01"]
    assert "n 100" in to_svg(chart)
    assert "0.5: no better than at random" in to_svg(chart)


def test_segments_stand_furthest_from_the_whole_first() -> None:
    chart = by_segment_chart(segments(), "mean_calibration")
    assert _labels(chart) == ["everybody", "plan = a", "region = r02", "region = r01", "region = r00"]
    assert _labels(by_segment_chart(segments(), "mean_calibration", "plan")) == ["everybody", "plan = a"]


def test_of_many_segments_the_furthest_are_drawn_and_the_rest_is_told() -> None:
    chart = by_segment_chart(segments(30), "mean_calibration")
    assert len(_labels(chart)) == 21
    assert "the 20 of 31 furthest from it" in chart.to_dict()["title"]["text"]


@pytest.mark.parametrize(("value", "side"), [(-0.01, "#1d62ab"), (0.01, "#bb4510")])
def test_a_challenger_that_is_clearly_better_or_worse_has_the_colour_of_it(value: float, side: str) -> None:
    rows = pd.DataFrame({"fold": ["all"], "metric": ["log_loss"], "difference": [value], "n": [9]})
    svg = to_svg(versions_chart(rows.assign(lo=value - 0.005, hi=value + 0.005)))
    assert side in svg
    assert "challenger better" in svg
    assert "n 9" in svg
