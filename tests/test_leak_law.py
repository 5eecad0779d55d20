"""Two builds compared: every feature, who is at risk, and no way for code to ask the clock unnoticed."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from features.layout import Layout, lay_out
from features.leak_law import AT_RISK, Compared, Deviation, compare, pinned_catalogue
from features.snapshot import parse_date
from features.study import Study, parse_study

ROOT = Path(__file__).parents[1]
STUDY = """
study: tiny
sources: {customers: c.csv, touches: t.csv, left: x.csv, paid: r.csv}
customers: {from: customers, covariates: [region, age]}
touchpoints: {from: touches}
churn: {from: left}
revenue: {from: paid}
journeys: [{name: support, stage: help}]
measures: [{name: wait, unit: min, kind: duration, direction: lower}]
"""
CUTOFF = parse_date("2024-03-01")
TABLES = {
    "c": "customer_id,joined_at,region,age\n" + "".join(f"c{n},2024-01-0{n},north,{30 + n}\n" for n in range(1, 7)),
    "t": "customer_id,journey,occurred_at,wait\n" + "".join(f"c{n},support,2024-02-0{n},{n}.5\n" for n in range(1, 6)),
    "x": "customer_id,churned_at\nc6,2024-02-01\n",
    "r": "customer_id,occurred_at,amount\nc1,2024-02-01,5\n",
}


def laid_out(folder: Path, buckets: int, *changes: tuple[str, str, str]) -> tuple[Study, Layout]:
    tables = dict(TABLES)
    for name, old, new in changes:
        assert old in tables[name]
        tables[name] = tables[name].replace(old, new)
    folder.mkdir(parents=True)
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    study = parse_study(STUDY, "study.yaml")
    return study, lay_out(study, folder, folder / "store", buckets=buckets)


def compared(tmp_path: Path, *changes: tuple[str, str, str]) -> Compared:
    """Compare the tables with changed ones that are cut into other buckets."""
    study, whole = laid_out(tmp_path / "whole", 3)
    _, then = laid_out(tmp_path / "then", 2, *changes)
    found = compare(study, pinned_catalogue(study, whole), whole, then, CUTOFF)
    assert found.rows >= 5
    return found


def deviations(tmp_path: Path, *changes: tuple[str, str, str]) -> dict[str, Deviation]:
    return {one.name: one for one in compared(tmp_path, *changes).deviations}


def test_equal_tables_do_not_differ_however_they_are_cut_into_buckets(tmp_path: Path) -> None:
    found = compared(tmp_path)
    assert (found.deviations, found.rounded) == ((), ())


def test_the_rows_that_differ_are_counted_with_the_largest_difference(tmp_path: Path) -> None:
    found = deviations(tmp_path, ("t", "02-02,2.5", "02-02,4.5"), ("t", "02-04,4.5", "02-04,5"))
    assert found["support__wait_min__mean"] == Deviation("support__wait_min__mean", 2, 5, 2.0)
    assert {name.rpartition("__")[0] for name in found} == {"support__wait_min"}


@pytest.mark.parametrize(
    ("table", "old", "rounded", "other", "feature"),
    [
        ("r", ",5", ",5.000000000000001", ",5.000001", "revenue_past"),
        ("t", ",2.5", ",2.5000002", ",2.50001", "support__wait_min__mean"),
    ],
)
def test_rounding_is_told_apart(tmp_path: Path, table: str, old: str, rounded: str, other: str, feature: str) -> None:
    found = compared(tmp_path, (table, old, rounded))
    assert (found.deviations, feature in found.rounded) == ((), True)
    found = compared(tmp_path / "more", (table, old, other))
    assert (found.rounded, feature in {one.name for one in found.deviations}) == ((), True)


def test_a_value_against_none_has_no_size(tmp_path: Path) -> None:
    found = deviations(tmp_path, ("t", ",2.5", ","))["support__wait_min__last"]
    assert (found.rows, np.isnan(found.largest)) == (1, True)


def test_covariates_count_as_text_and_as_numbers(tmp_path: Path) -> None:
    found = deviations(tmp_path, ("c", "02,north", "02,south"), ("c", "03,north,33", "03,,33"), ("c", "34", "44"))
    assert (found["region"].rows, found["age"]) == (2, Deviation("age", 1, 5, 10.0))


@pytest.mark.parametrize(
    ("change", "rows", "of"),
    [
        (("c", "c2,", "a,"), 2, 6),
        (("c", "c5,", "d,"), 2, 6),
        (("x", "c6", "c3"), 2, 6),
        (("c", "c4,2024-01", "c4,2024-04"), 1, 5),
    ],
)
def test_customers_on_one_side_only_are_counted_apart(
    tmp_path: Path, change: tuple[str, str, str], rows: int, of: int
) -> None:
    found = deviations(tmp_path, change)
    assert (found[AT_RISK].rows, found[AT_RISK].of) == (rows, of)


def test_without_a_second_layout_all_are_on_one_side(tmp_path: Path) -> None:
    study, whole = laid_out(tmp_path / "whole", 3)
    found = compare(study, pinned_catalogue(study, whole), whole, None, CUTOFF)
    assert [(one.name, one.rows, one.of) for one in found.deviations] == [(AT_RISK, 5, 5)]


def asked(source: str) -> Iterator[str]:
    """Find where code asks a clock or chance through libraries that it may import for other reasons."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in {"random", "now", "today", "utcnow"}:
            yield node.attr
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("datetime64"):
            yield from (
                one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and one.value in {"now", "today"}
            )


def test_what_features_are_made_of_asks_no_clock_and_no_chance_of_numpy_either() -> None:
    planted = 'x = np.datetime64("now")\ny = np.random.default_rng()\nz = pd.Timestamp.today()'
    assert sorted(asked(planted)) == ["now", "random", "today"]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    modules = next(one["source_modules"] for one in contracts if "no clock" in one["name"])
    assert {"features.definitions", "features.folds", "features.engine", "features.history"} <= set(modules)
    for module in modules:
        path = ROOT / f"{module.replace('.', '/')}.py"
        assert list(asked(path.read_text(encoding="utf-8"))) == [], path
