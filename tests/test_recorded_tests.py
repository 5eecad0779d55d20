"""What a version predicted when it was trained: kept in the store, whole, under the name of its run."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import ModelError, StoreError
from flows.recorded_tests import forget_tests, keep_tests, recorded_tests, row_keys
from flows.tracking import Champion, Tracker

ROWS = pd.DataFrame(
    {
        "customer_id": [7, 8, 7],
        "cutoff": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-02-01"], utc=True),
        "predicted": [0.1, 0.25, 1 / 3],
        "observed": [0.0, 1.0, 0.0],
    }
)


def version(tracker: Tracker, run_id: str) -> Champion:
    return Champion(tracker, "churn", "1", {}, run_id)


def tracker(folder: Path) -> Tracker:
    return Tracker("sqlite://", "any", None, folder)


def test_what_is_kept_comes_back_by_customer_and_cutoff(tmp_path: Path) -> None:
    own = tracker(tmp_path)
    keep_tests(own, "a1", "churn", ROWS)
    found = recorded_tests(version(own, "a1"), "churn")
    assert found is not None
    assert found["customer_id"].tolist() == ["7", "8", "7"]
    assert found["predicted"].tolist() == [0.1, 0.25, 1 / 3]
    assert found["cutoff"].tolist() == [1_704_067_200_000_000] * 2 + [1_706_745_600_000_000]
    assert list(found) == ["customer_id", "cutoff", "predicted"]
    keys = row_keys(ROWS.iloc[::-1].reset_index(drop=True)).assign(row=np.arange(3))
    assert keys.merge(found, on=["customer_id", "cutoff"])["predicted"].tolist() == [1 / 3, 0.25, 0.1]


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    for run in ("a1", "a2"):
        keep_tests(tracker(tmp_path), run, "churn", ROWS)
    one, other = sorted(tmp_path.glob("tested/*/churn.parquet"))
    assert one.read_bytes() == other.read_bytes()


def test_what_was_not_kept_here_is_not_there(tmp_path: Path) -> None:
    own = tracker(tmp_path)
    keep_tests(own, "a1", "churn", ROWS)
    assert recorded_tests(version(own, "a1"), "revenue") is None
    assert recorded_tests(version(own, "other"), "churn") is None
    assert recorded_tests(version(own, ""), "churn") is None


def test_the_tests_of_a_training_that_is_taken_back_go_and_no_others(tmp_path: Path) -> None:
    own = tracker(tmp_path)
    for run in ("a1", "a2"):
        keep_tests(own, run, "churn", ROWS)
    forget_tests(own, "a1")
    forget_tests(own, "a1")
    assert [path.name for path in (tmp_path / "tested").iterdir()] == ["a2"]


def test_a_run_named_like_a_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir()
    for name in ("../scores", "..", "a/b"):
        with pytest.raises(ModelError, match="Letters and digits were expected"):
            forget_tests(tracker(tmp_path), name)
    assert (tmp_path / "scores").is_dir()


def test_a_damaged_file_is_told_with_its_name(tmp_path: Path) -> None:
    own = tracker(tmp_path)
    keep_tests(own, "a1", "churn", ROWS)
    path = tmp_path / "tested" / "a1" / "churn.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match=r"churn\.parquet' cannot be read: .*Bring it back, or remove the file"):
        recorded_tests(version(own, "a1"), "churn")
