import numpy as np
import pandas as pd
import pytest

from features.journey_runs import JourneyRuns
from features.sketch import ERROR
from features.study import parse_study
from features.waits import PAUSE, WaitTally, timed_measures
from tests.journey_tables import STUDY

PARSED = parse_study(STUDY, "study.yaml")


def _runs(wait: np.ndarray, customer: np.ndarray) -> JourneyRuns:
    """Journeys of one call each."""
    n = len(wait)
    table = pd.DataFrame(
        {"customer": customer, "at": np.arange(n), "journey": 0, "touchpoint": 0, "trouble": 0.0,
         "pause_days": np.nan, "wait": wait}
    )  # fmt: skip
    return JourneyRuns(table, np.arange(n), np.arange(n), ("support",), ("call",))


def _told(runs: JourneyRuns) -> pd.DataFrame:
    tally = WaitTally(timed_measures(PARSED))
    tally.add(runs)
    return tally.frame()


def test_only_durations_and_gaps_are_waits() -> None:
    assert [measure.name for measure in timed_measures(PARSED)] == ["wait"]


def test_quartiles_are_those_of_the_values_within_the_error_of_the_sketch() -> None:
    wait = np.random.default_rng(1).gamma(2, 3, 2_000)
    row = _told(_runs(wait, np.arange(2_000))).iloc[0]
    for name, share in (("low", 0.25), ("median", 0.5), ("high", 0.75)):
        truth = np.quantile(wait, share, method="inverted_cdf")
        assert truth * (1 - ERROR) <= row[name] <= truth
    assert (row["n"], row["n_effective"]) == (2_000, 2_000)


def test_rows_of_one_customer_count_as_one_in_the_interval_of_the_median() -> None:
    wait = np.random.default_rng(2).gamma(2, 3, 2_000)
    alone = _told(_runs(wait, np.arange(2_000))).iloc[0]
    fewer = _told(_runs(wait, np.arange(2_000) // 20)).iloc[0]
    assert fewer["n_effective"] == 100
    assert fewer["median_hi"] - fewer["median_lo"] > 3 * (alone["median_hi"] - alone["median_lo"])


def test_the_interval_of_the_median_holds_the_truth_nine_times_in_ten() -> None:
    samples, n, truth = 400, 200, float(np.log(2))
    runs = _runs(np.random.default_rng(3).exponential(1, samples * n), np.arange(samples * n))
    names = tuple(f"sample {number}" for number in range(samples))
    table = runs.table.assign(touchpoint=np.repeat(np.arange(samples), n))
    rows = _told(JourneyRuns(table, runs.order, runs.starts, runs.journeys, names))
    held = (rows["median_lo"] <= truth) & (truth <= rows["median_hi"] * (1 + ERROR))
    assert len(rows) == samples
    assert 0.85 <= held.mean() <= 0.95


def test_pauses_are_told_by_what_stands_before_and_after() -> None:
    table = pd.DataFrame(
        {"customer": [0, 0, 1], "at": [0, 1, 2], "journey": 0, "touchpoint": [0, 1, 0], "trouble": 0.0,
         "pause_days": [np.nan, 4.0, np.nan], "wait": [1.0, 2.0, 3.0]}
    )  # fmt: skip
    found = _told(JourneyRuns(table, np.arange(3), np.array([0, 2]), ("support",), ("call", "chat")))
    pause = found[found["measure"] == PAUSE].iloc[0]
    assert (pause["place"], pause["unit"], pause["median"], pause["n"]) == ("call → chat", "days", 4.0, 1)
    assert found["place"].tolist() == ["call → chat", "call", "chat"]


@pytest.mark.parametrize("value", [np.nan])
def test_a_measure_without_values_has_no_row(value: float) -> None:
    assert _told(_runs(np.full(3, value), np.arange(3))).empty
