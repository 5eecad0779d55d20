import numpy as np
import pandas as pd
import pytest

from features.journey_runs import JourneyRuns, effective_counts
from tests.journey_tables import laid_out


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> JourneyRuns:
    layout, study = laid_out(tmp_path_factory.mktemp("runs"))
    levels = layout.manifest.levels
    (bucket,) = layout.all_buckets()
    return JourneyRuns.of(study, bucket.touchpoints, tuple(levels["journey"]), tuple(levels["touchpoint"]))


def test_touchpoints_of_a_journey_follow_each_other_in_time(runs: JourneyRuns) -> None:
    rows = runs.table.iloc[runs.order]
    number = np.repeat(np.arange(len(runs.starts)), runs.ends - runs.starts + 1)
    assert len(runs.starts) == 9
    assert rows.groupby(number)["at"].apply(lambda at: at.is_monotonic_increasing).all()
    assert len(rows.assign(number=number)[["number", "customer", "journey"]].drop_duplicates()) == 9
    assert runs.is_first.sum() == 9


def test_trouble_is_what_the_study_says_is_bad_and_missing_where_nothing_can_tell(runs: JourneyRuns) -> None:
    calls = runs.table[runs.table["touchpoint"] == runs.touchpoints.index("call")]
    bills = runs.table[runs.table["touchpoint"] == runs.touchpoints.index("bill")]
    assert calls["trouble"].tolist() == [1.0, 1.0, 1.0]
    assert sorted(bills["trouble"]) == [0.0, 0.0, 1.0, 1.0, 1.0]


def test_pauses_are_days_since_the_touchpoint_before_in_the_same_journey(runs: JourneyRuns) -> None:
    assert sorted(runs.table["pause_days"].dropna()) == [2.0, 10.0]


def test_effective_counts_are_rows_when_every_customer_has_one() -> None:
    rows = pd.DataFrame({"cell": [0, 0, 0, 1, 1], "customer": [1, 2, 3, 1, 1]})
    found = effective_counts(rows, "cell")
    assert (found["n"] ** 2 / found["squares"]).tolist() == [3.0, 1.0]
