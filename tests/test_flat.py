from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.errors import DataError, EmptyResultError, UnsupportedError
from features.flat import FlatTable, read_flat
from features.study import parse_study

STUDY = """\
study: survey
sources: {survey: survey.parquet}
flat:
  from: survey
  columns: {customer_id: Customer ID}
  churned: Left
  covariates: [Contract, Tenure]
journeys: [{name: support, stage: use}]
measures:
  - {name: rating, unit: points, kind: rating, direction: higher, range: [0, 10], journey: support, column: Score}
  - {name: wait, unit: min, kind: duration, direction: lower, journey: support}
"""
TELCO = Path(__file__).parents[2] / "shared" / "data" / "ibm_telco_ext" / "telco_ext_merged.parquet"


def _frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Customer ID": ["d", "a", "b", "c"],
            "Left": [1, 0, 0, 0],
            "Contract": ["month", "year", None, "year"],
            "Tenure": [1, 2, 3, 4],
            "Score": [2.0, np.nan, 9.0, 5.0],
            "wait": [30.0, 1.0, 2.0, np.nan],
            "w": [1.0, 1.0, 2.0, 4.0],
            "wave": [2, 10, 10, 2],
            "Spent": [5.0, 6.0, 7.0, 8.0],
        }
    )


def _read(frame: pd.DataFrame, folder: Path, study: str = STUDY) -> FlatTable:
    folder.mkdir(exist_ok=True)
    frame.to_parquet(folder / "survey.parquet", index=False)
    return read_flat(parse_study(study, "study.yaml"), folder, folder / "store")


def _with(line: str) -> str:
    return STUDY.replace("  churned: Left\n", f"  churned: Left\n  {line}\n")


def test_a_flat_table_comes_typed_and_sorted(tmp_path: Path) -> None:
    flat = _read(_frame(), tmp_path)
    expected = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c", "d"],
            "wave": "",
            "Contract": ["year", None, "year", "month"],
            "Tenure": [2.0, 3.0, 4.0, 1.0],
            "rating": [np.nan, 9.0, 5.0, 2.0],
            "wait": [1.0, 2.0, np.nan, 30.0],
            "is_churned": [0.0, 0.0, 0.0, 1.0],
            "revenue": np.nan,
            "weight": 1.0,
            "replica_group": ["a", "b", "c", "d"],
        }
    )
    pd.testing.assert_frame_equal(flat.frame, expected)
    assert (flat.waves, flat.rows, flat.quarantined) == (("",), 4, ())


def test_the_order_of_the_rows_does_not_matter(tmp_path: Path) -> None:
    frame = pd.concat([_frame(), _frame().assign(Tenure=9)])
    flats = [_read(frame.sample(frac=1, random_state=seed), tmp_path / str(seed)) for seed in range(3)]
    for flat in flats[1:]:
        pd.testing.assert_frame_equal(flat.frame, flats[0].frame)
    assert len({flat.fingerprint for flat in flats}) == 1


def test_the_weighted_churn_rate_is_the_base_rate(tmp_path: Path) -> None:
    frame = _read(_frame(), tmp_path / "a", _with("base_rate: 0.05")).frame
    assert np.average(frame["is_churned"], weights=frame["weight"]) == pytest.approx(0.05)
    assert frame["weight"].mean() == pytest.approx(1)
    sampled = _read(_frame(), tmp_path / "b", _with("base_rate: 0.05\n  weight: w")).frame
    assert np.average(sampled["is_churned"], weights=sampled["weight"]) == pytest.approx(0.05)
    stayers = sampled.set_index("customer_id")["weight"]
    assert stayers["c"] / stayers["a"] == pytest.approx(4)


def test_waves_are_ordered_as_numbers_and_a_customer_may_stand_in_each(tmp_path: Path) -> None:
    frame = pd.concat([_frame(), _frame().iloc[:1].assign(wave=10)])
    flat = _read(frame, tmp_path, _with("wave: wave"))
    assert flat.waves == ("2", "10")
    assert flat.frame["wave"].tolist() == ["2", "2", "10", "10", "10"]
    assert flat.frame["customer_id"].tolist() == ["c", "d", "a", "b", "d"]


def test_further_outcomes_are_columns_and_churn_may_be_unknown(tmp_path: Path) -> None:
    flat = _read(_frame().assign(Overall=[1, 2, None, 4]), tmp_path, _with("outcomes: {satisfaction: Overall}"))
    assert flat.frame["satisfaction"].tolist()[:1] == [2.0]
    assert flat.frame["satisfaction"].isna().sum() == 1
    text = STUDY.replace("  churned: Left\n", "  outcomes: {satisfaction: Spent}\n")
    flat = _read(_frame(), tmp_path, text)
    assert flat.frame["is_churned"].isna().all()
    assert flat.frame["satisfaction"].tolist() == [6.0, 7.0, 8.0, 5.0]


def test_revenue_is_read_where_it_is_named(tmp_path: Path) -> None:
    assert _read(_frame(), tmp_path, _with("revenue: Spent")).frame["revenue"].tolist() == [6.0, 7.0, 8.0, 5.0]


@pytest.mark.parametrize("words", [(True, False), ("Yes", "No"), ("1", "0"), (1.0, 0.0), (" y ", "N")])
def test_churn_is_told_in_many_words(tmp_path: Path, words: tuple[object, object]) -> None:
    frame = _frame()
    frame["Left"] = [words[0], words[1], words[1], words[1]]
    assert _read(frame, tmp_path).frame["is_churned"].tolist() == [0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Customer ID": None}, "missing customer_id"),
        ({}, "duplicate customer"),
        ({"Customer ID": "e", "Left": None}, "missing churned"),
        ({"Customer ID": "e", "Left": 2}, "churned is neither yes nor no"),
        ({"Customer ID": "e", "wait": np.inf}, "infinite measure: wait"),
        ({"Customer ID": "e", "wait": -1.0}, "negative duration: wait"),
        ({"Customer ID": "e", "Score": 11.0}, "out of range: rating"),
    ],
)
def test_a_row_that_breaks_a_rule_goes_to_quarantine(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    bad = _frame().iloc[[0]].assign(**{"Tenure": 99, **{name: [value] for name, value in changes.items()}})
    flat = _read(pd.concat([_frame(), bad], ignore_index=True), tmp_path)
    assert [(item.table, item.reason, item.rows) for item in flat.quarantined] == [("flat", reason, 1)]
    pd.testing.assert_frame_equal(flat.frame, _read(_frame(), tmp_path / "clean").frame)
    written = pq.read_table(tmp_path / "store" / "quarantine" / "flat.parquet").to_pandas()
    assert written[["quarantine_row", "quarantine_reason", "Tenure"]].to_numpy().tolist() == [[5, reason, 99]]


def test_all_columns_that_cannot_serve_are_told_at_once(tmp_path: Path) -> None:
    frame = _frame().rename(columns={"Left": "Left?"}).drop(columns="Contract").assign(wait="long")
    with pytest.raises(DataError, match="is missing") as caught:
        _read(frame, tmp_path)
    assert len(caught.value.faults) == 2
    assert "flat: column 'Left' (churned) is missing. Did you mean 'Left?'?" in caught.value.faults[0]
    with pytest.raises(DataError, match="flat: column 'wait' holds text in all 4 rows"):
        _read(_frame().assign(wait="long"), tmp_path)


@pytest.mark.parametrize(("left", "message"), [(0, "Nobody churned"), (1, "Each of 4 customers churned")])
def test_one_class_is_an_empty_result(tmp_path: Path, left: int, message: str) -> None:
    with pytest.raises(EmptyResultError, match=message):
        _read(_frame().assign(Left=left), tmp_path)


def test_a_table_without_rows_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="flat: no rows are left: the table is empty"):
        _read(_frame().iloc[:0], tmp_path)
    with pytest.raises(DataError, match="flat: no rows are left: 4 with missing customer_id"):
        _read(_frame().assign(**{"Customer ID": None}), tmp_path)


def _copied(times: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 200
    frame = pd.DataFrame(
        {
            "Left": (np.arange(n) % 4 == 0).astype(int),
            "Contract": rng.choice(["month", "year", "two years"], n),
            "Tenure": rng.integers(0, 72, n),
            "Score": rng.normal(5, 1, n).clip(0, 10),
            "wait": rng.gamma(2, 10, n),
        }
    )
    again = pd.concat([frame] * times, ignore_index=True)
    again["wait"] += rng.normal(0, 0.1, len(again)).clip(0)
    return again.assign(**{"Customer ID": [f"c{k:04d}" for k in rng.permutation(len(again))]})


def test_rows_that_repeat_at_a_distance_in_the_users_table_are_one_group(tmp_path: Path) -> None:
    rows = _copied(4)
    flat = _read(rows, tmp_path)
    assert set(flat.replication.lags) == {200, 400, 600}
    assert (flat.replication.rows, flat.replication.groups, flat.replication.largest) == (800, 200, 4)
    truth = pd.Series(np.arange(800) % 200, index=rows["Customer ID"]).loc[flat.frame["customer_id"]].to_numpy()
    assert pd.Series(truth).groupby(flat.frame["replica_group"].to_numpy()).nunique().max() == 1
    first = flat.frame.groupby("replica_group")["customer_id"].min()
    assert (first.index == first).all()


def test_the_order_of_copies_changes_their_groups_at_most(tmp_path: Path) -> None:
    rows = _copied(4)
    flat, mixed = (
        _read(rows, tmp_path / "a"),
        _read(rows.sample(frac=1, random_state=1), tmp_path / "b"),
    )
    pd.testing.assert_frame_equal(flat.frame.drop(columns="replica_group"), mixed.frame.drop(columns="replica_group"))
    assert _read(rows, tmp_path / "c").fingerprint == flat.fingerprint


def test_event_tables_are_not_read_here(tmp_path: Path) -> None:
    study = parse_study(STUDY, "study.yaml").model_copy(update={"flat": None})
    with pytest.raises(UnsupportedError, match="has event tables"):
        read_flat(study, tmp_path)


def test_the_telco_table_is_read_as_published(tmp_path: Path) -> None:
    if not TELCO.exists():
        pytest.skip("the IBM telco table is not beside the repository")
    study = STUDY.replace("survey.parquet", str(TELCO)).replace("churned: Left", "churned: Churn Value")
    study = study.replace("[Contract, Tenure]", "[Contract, Tenure in Months]").replace("Score}", "Satisfaction Score}")
    study = study[: study.index("  - {name: wait")]
    flat = read_flat(parse_study(study, "study.yaml"), tmp_path)
    assert (flat.rows, len(flat.frame), int(flat.frame["is_churned"].sum())) == (7043, 7043, 1869)
