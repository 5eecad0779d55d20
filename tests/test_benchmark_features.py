"""The benchmark of the feature engine, small: what is timed there must be right."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import floors, ours, rival_duckdb, rival_pandas
from benchmarks.agreement import compare
from benchmarks.features import main
from benchmarks.figures import Record, Results, report
from benchmarks.measured import Measurement
from benchmarks.task import COLUMNS, Task, feature_columns
from benchmarks.workload import LEVELS, PLAN, cutoffs, write_workload
from features.engine import output_names
from features.snapshot import DAY


def _task(folder: Path, name: str, n_cutoffs: int = 6) -> Task:
    out = folder / name
    out.mkdir()
    return Task(folder, out, cutoffs(n_cutoffs), "1GB")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workload of 2,000 touchpoints, sorted, laid out and built by the engine in ``engine/``."""
    folder = tmp_path_factory.mktemp("benchmark")
    write_workload(folder, 2_000)
    sorting, laying = _task(folder, "sort"), _task(folder, "layout")
    floors.sort(sorting)
    (sorting.out / "sorted.parquet").rename(folder / "sorted.parquet")
    ours.lay(laying)
    (laying.out / "store").rename(folder / "store")
    ours.build(_task(folder, "engine"))
    return folder


def test_engine_and_pandas_compute_the_same_features(built: Path) -> None:
    task = _task(built, "pandas")
    work = rival_pandas.compute(task)
    found = compare(built / "engine", task.out, feature_columns(), sampled_rows=work.rows)
    assert found.faults == ()
    assert (found.rows, found.compared, found.columns) == (work.rows, work.rows, 170)


def test_engine_and_sql_compute_the_same_features(built: Path) -> None:
    mine, other = _task(built, "engine at one cutoff", 1), _task(built, "duckdb", 1)
    rows = ours.build(mine).rows
    assert rival_duckdb.compute(other).rows == rows
    assert compare(mine.out, other.out, feature_columns(), sampled_rows=rows).faults == ()


def test_every_feature_has_values_in_the_engine_s_output(built: Path) -> None:
    table = pq.read_table(built / "engine")
    assert all(np.isfinite(table[name].to_numpy()).any() for name in feature_columns())


def test_a_single_changed_value_is_a_disagreement(built: Path, tmp_path: Path) -> None:
    table = pq.read_table(built / "engine").combine_chunks()
    values = table["wait_mean__support"].to_numpy().copy()
    values[np.flatnonzero(np.isfinite(values))[0]] *= 1.0001
    changed = table.set_column(table.column_names.index("wait_mean__support"), "wait_mean__support", pa.array(values))
    pq.write_table(changed, tmp_path / "changed.parquet")
    faults = compare(built / "engine", tmp_path, feature_columns(), sampled_rows=table.num_rows).faults
    assert faults
    assert all(fault.startswith("wait_mean__support") for fault in faults)


def test_a_missing_value_is_not_the_same_as_zero(built: Path, tmp_path: Path) -> None:
    table = pq.read_table(built / "engine").combine_chunks()
    filled = np.nan_to_num(table["rating_low__advert"].to_numpy())
    changed = table.set_column(table.column_names.index("rating_low__advert"), "rating_low__advert", pa.array(filled))
    pq.write_table(changed, tmp_path / "changed.parquet")
    assert "rating_low__advert" in compare(built / "engine", tmp_path, feature_columns()).faults[0]


def test_the_columns_of_the_plan_are_those_that_rivals_are_asked_for() -> None:
    assert output_names(PLAN, LEVELS) == feature_columns()
    assert len(feature_columns()) == 170


def test_workload_is_the_same_for_the_same_seed_and_has_rows_known_late(tmp_path: Path) -> None:
    first, second, other = (tmp_path / name for name in ("first", "second", "other"))
    write_workload(first, 3_000, seed=5)
    write_workload(second, 3_000, seed=5)
    write_workload(other, 3_000, seed=6)
    tables = [pq.read_table(folder / "touchpoints") for folder in (first, second, other)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])
    assert set(tables[0].column_names) == set(COLUMNS)
    late = np.asarray(tables[0]["known_at"]) > np.asarray(tables[0]["occurred_at"])
    assert 0 < late.mean() < 0.02


def test_touchpoints_of_a_customer_never_share_a_moment(built: Path) -> None:
    rows = pq.read_table(built / "sorted.parquet", columns=["customer_id", "occurred_at"]).to_pandas()
    assert not rows.duplicated().any()


def test_all_cutoffs_have_a_full_window_of_data() -> None:
    found = cutoffs(12)
    assert len(set(found)) == 12
    assert min(found) - 180 * DAY > 1_735_689_600_000_000
    with pytest.raises(ValueError, match="13 cutoffs were asked for"):
        cutoffs(13)


def test_measurements_are_kept_after_every_run_and_not_repeated(tmp_path: Path) -> None:
    arguments = ["--sizes", "2e3", "--only", "scan,engine", "--repeats", "1", "--duckdb-memory", "1GB"]
    arguments += ["--folder", str(tmp_path / "data"), "--json", str(tmp_path / "found.json"), "--resume"]
    assert main(arguments) == 0
    once = json.loads((tmp_path / "found.json").read_text())
    assert [record["form"] for record in once["records"]] == ["scan", "engine, 6 cutoffs"]
    assert all(record["measured"]["peak_bytes"] > 10_000_000 for record in once["records"])
    assert main(arguments) == 0
    assert json.loads((tmp_path / "found.json").read_text()) == once


def test_report_shows_medians_and_ratios_to_the_floors() -> None:
    def record(form: str, repeat: int, seconds: float, rows: int = 0) -> Record:
        measured = Measurement(seconds, seconds, 10**9, rows, 170 if rows else 0, (0.1, 0.2), {})
        return Record(1_000_000, 1_000_000, form, 6, repeat, measured)

    results = Results({"cores": 2}, [record("scan", n, s) for n, s in enumerate((0.1, 0.2, 9.0))])
    results.records += [
        record("group", 0, 0.4),
        record("engine, 6 cutoffs", 0, 2.0, 1000),
        record("duckdb", 0, 8.0, 1000),
    ]
    text = report(results)
    assert "| scan | 3 | 0.20 (0.10 to 9.00) | 0.20 | 1.00 | 1.0 | 0.5 |" in text
    assert "| duckdb | 1 | 8.00 (8.00 to 8.00) | 8.00 | 1.00 | 40.0 | 20.0 | 47058.8 | 47058.8 | 4.0 | 4.0 |" in text
