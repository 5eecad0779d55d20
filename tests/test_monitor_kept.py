from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flows.monitor_kept import Described, forget, keep, kept
from models.counted import Counted, counted

KEY: dict[str, Any] = {
    "format": 1,
    "cutoff": "2025-06-01",
    "rows": ["a", "b"],
    "features": "f",
    "model": ["m", "1", "r"],
}


def described() -> Described:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "wait": pd.Series(rng.lognormal(size=90)).where(rng.random(90) > 0.2),
            "segment": pd.Series(rng.choice(["ä", "b"], 90)),
            "never": pd.Series([None] * 90, dtype=object),
            "empty": pd.Series(np.full(90, np.nan)),
        }
    )
    return Described(counted(frame, list(frame)), Counted.of(pd.Series(rng.random(40))), 40)


def file_of(folder: Path) -> Path:
    return folder / "reference" / "cutoff_date=2025-06-01.bin"


def assert_same(one: Counted, other: Counted) -> None:
    assert one.numbers.tobytes() == other.numbers.tobytes()
    assert one.counts.tobytes() == other.counts.tobytes()
    assert (one.missing, one.levels, repr(one.total)) == (other.missing, other.levels, repr(other.total))


def test_what_is_kept_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    once = described()
    keep(tmp_path, KEY, once)
    again = kept(tmp_path, KEY)
    assert again is not None
    assert list(again.columns) == list(once.columns)
    for name, column in once.columns.items():
        assert_same(again.columns[name], column)
    assert_same(again.scores, once.scores)
    assert again.distinct == 40
    assert [path.name for path in file_of(tmp_path).parent.iterdir()] == [file_of(tmp_path).name]


@pytest.mark.parametrize(
    "change",
    [{"rows": ["a", "c"]}, {"features": "g"}, {"model": ["m", "2", "r"]}, {"model": ["m", "1", "s"]}, {"format": 2}],
)
def test_what_is_kept_of_other_rows_features_models_or_code_is_passed_over(
    change: dict[str, Any], tmp_path: Path
) -> None:
    keep(tmp_path, KEY, described())
    assert kept(tmp_path, {**KEY, **change}) is None


def test_a_file_that_is_cut_off_or_damaged_anywhere_is_passed_over(tmp_path: Path) -> None:
    keep(tmp_path, KEY, described())
    path, content = file_of(tmp_path), file_of(tmp_path).read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        assert kept(tmp_path, KEY) is None
    for place in np.random.default_rng(3).choice(len(content), 150, replace=False).tolist():
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x5A]) + content[place + 1 :])
        assert kept(tmp_path, KEY) is None
    path.write_bytes(content)
    assert kept(tmp_path, KEY) is not None


def test_what_is_needed_no_longer_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for cutoff in ("2025-05-01", "2025-06-01"):
        keep(tmp_path, {**KEY, "cutoff": cutoff}, described())
    other = tmp_path / "reference" / "cutoff_date=notes.bin"
    other.touch()
    forget(tmp_path, {"2025-06-01"})
    assert sorted(path.name for path in other.parent.iterdir()) == ["cutoff_date=2025-06-01.bin", other.name]
