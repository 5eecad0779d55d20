from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from features.courses import LONGEST, journey_counts, path_counts, trouble_counts
from features.journey_runs import JourneyRuns
from features.snapshot import DAY
from features.study import parse_study
from tests.journey_tables import STUDY, laid_out


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> JourneyRuns:
    layout, study = laid_out(tmp_path_factory.mktemp("courses"))
    levels = layout.manifest.levels
    (bucket,) = layout.all_buckets()
    return JourneyRuns.of(study, bucket.touchpoints, tuple(levels["journey"]), tuple(levels["touchpoint"]))


def test_paths_are_counted_with_what_went_wrong_and_how_long_they_took(runs: JourneyRuns) -> None:
    rows = path_counts(runs).set_index("path").drop(columns="journey")
    assert rows.loc["bill"].tolist() == [5, 5, 3, 0, 0.0]
    assert rows.loc["call → chat"].tolist() == [1, 1, 1, 1, 2.0]
    assert rows.loc["call → call"].tolist() == [1, 1, 1, 0, 10.0]
    assert rows.loc["chat"].tolist() == [2, 2, 0, 0, 0.0]
    assert len(rows) == 4


def test_a_trouble_counts_where_it_happened_and_is_mended_when_the_journey_ends_well(runs: JourneyRuns) -> None:
    rows = trouble_counts(runs).set_index("touchpoint")
    columns = ["told", "troubled", "began", "mended"]
    assert rows.loc["bill", columns].tolist() == [5, 3, 3, 0]
    assert rows.loc["call", columns].tolist() == [3, 3, 2, 1]
    assert rows.loc["chat", columns].tolist() == [3, 0, 0, 0]
    assert rows.loc["call", "squares"] == 1 + 4  # one call of a, two of b


def test_counts_of_paths_add_up_to_the_journeys(runs: JourneyRuns) -> None:
    columns = ["journeys", "told", "troubled", "mended"]
    sums = path_counts(runs).groupby("journey")[columns].sum()
    pd.testing.assert_frame_equal(sums, journey_counts(runs).set_index("journey")[columns])


def _long(touches: int) -> JourneyRuns:
    table = pa.table(
        {
            "customer_key": [1] * touches,
            "journey": ["support"] * touches,
            "journey_key": [7] * touches,
            "touchpoint": ["call"] * touches,
            "occurred_at": [day * DAY for day in range(touches)],
            "known_at": [day * DAY for day in range(touches)],
            "solved": [0.0] * touches,
            "wrong": [float("nan")] * touches,
            "wait": [1.0] * touches,
        }
    )
    return JourneyRuns.of(parse_study(STUDY, "study.yaml"), table, ("billing", "support"), ("bill", "call"))


@pytest.mark.parametrize(("touches", "tail"), [(LONGEST, "call"), (LONGEST + 1, "more"), (LONGEST + 9, "more")])
def test_a_long_path_ends_in_more(touches: int, tail: str) -> None:
    (path,) = path_counts(_long(touches))["path"]
    assert path.split(" → ") == ["call"] * LONGEST + (["more"] if tail == "more" else [])


def test_rows_without_anything_that_can_tell_break_nowhere() -> None:
    study = parse_study(STUDY.split("measures:")[0], "study.yaml")
    table = pa.table({"customer_key": [1], "journey": ["support"], "journey_key": [1], "touchpoint": ["call"],
                      "occurred_at": [DAY], "known_at": [DAY]})  # fmt: skip
    runs = JourneyRuns.of(study, table, ("support",), ("call",))
    assert trouble_counts(runs).empty
    assert journey_counts(runs)[["told", "troubled", "mended"]].to_numpy().tolist() == [[0, 0, 0]]


def test_a_study_of_the_test_is_read_from_its_tables(tmp_path: Path) -> None:
    layout, _ = laid_out(tmp_path)
    assert layout.manifest.n_touchpoints == 11
