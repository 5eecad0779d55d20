import pytest

from flows.monitor_charts import METRICS, promise_chart, verdict_strip
from flows.theme import to_svg

BATCHES = [
    {"cutoff": "2025-01-01", "verdict": "ok", "outcome_verdict": "act"},
    {"cutoff": "2025-02-01", "verdict": "watch", "outcome_verdict": ""},
]


def outcome(cutoff: str, kept: str, promised: float | None = 0.7) -> dict[str, object]:
    row = {"metric": "auc", "value": 0.66, "lo": 0.64, "hi": 0.68, "promised": promised, "kept": kept}
    return {"cutoff": cutoff, "metrics": [row]}


def test_every_verdict_is_written_and_what_is_not_known_yet_is_a_dash() -> None:
    drawn = to_svg(verdict_strip(BATCHES))
    assert [drawn.count(f">{word}<") for word in ("ok", "watch", "act", "–")] == [1, 1, 1, 1]
    assert ">2025-01-01<" in drawn


def test_the_latest_two_years_of_months_are_shown() -> None:
    many = [{"cutoff": f"20{year}-{month:02d}-01", "verdict": "ok", "outcome_verdict": "ok"}
            for year in (23, 24, 25) for month in range(1, 13)]  # fmt: skip
    drawn = to_svg(verdict_strip(many))
    assert ">2024-01-01<" in drawn
    assert ">2023-12-01<" not in drawn


def test_what_came_true_stands_beside_the_promise_in_words() -> None:
    drawn = to_svg(promise_chart([outcome("2025-01-01", "no"), outcome("2025-02-01", "yes")], "auc"))
    for text in ("0.660 · worse than promised", "0.660 · as promised", "hollow diamond: promised in training"):
        assert text in drawn
    assert METRICS["auc"] in drawn


def test_a_version_that_promised_nothing_says_so() -> None:
    assert "no promise" in to_svg(promise_chart([outcome("2025-01-01", "", promised=None)], "auc"))


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_has_a_chart_also_without_any_row(metric: str) -> None:
    assert METRICS[metric].split(" (")[0] in to_svg(promise_chart([{"cutoff": "2025-01-01", "metrics": []}], metric))
