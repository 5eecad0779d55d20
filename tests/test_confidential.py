"""What belongs to one customer stays where customers are kept: layout, panel, quarantine and scores of the store."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.company import simulate_company
from features.company_files import write_company
from flows import cli

MARKER = "SECRET-MARKER"

# Folders of the store that hold customers, and only them: docs/explanation/security.md.
OURS = ("layout", "panel", "quarantine", "scores", "tested")


def marked_company(folder: Path) -> Path:
    """A company in which everything that names a customer, and everything that is wrong, holds the marker."""
    plain = folder / "plain"
    write_company(simulate_company(200, 11, weeks=60), plain)
    company = folder / "company"
    company.mkdir()
    for file in plain.glob("*.parquet"):
        rows = pd.read_parquet(file)
        rows["client_no"] = MARKER + rows["client_no"]
        if file.stem == "customers":
            rows["contact_name"] = f"{MARKER}-name-" + rows["client_no"].str[-5:]
            rows = pd.concat([rows, rows.iloc[:2], rows.iloc[:1].assign(client_no=None)])
        if file.stem == "touchpoints":
            rows["case_no"] = f"{MARKER}-case-" + rows["case_no"].astype(str)
            rows["note"] = f"{MARKER}-note"
            for name in ("event_time", "wait_min", "score"):
                rows[name] = rows[name].astype(object)
            rows.iloc[3, rows.columns.get_loc("event_time")] = f"{MARKER}-time"
            rows.iloc[4:7, rows.columns.get_loc("wait_min")] = f"{MARKER}-wait"
            rows.iloc[7:9, rows.columns.get_loc("score")] = f"{MARKER}-score"
        rows.to_csv(company / f"{file.stem}.csv", index=False)
    said = (plain / "study.yaml").read_text(encoding="utf-8").replace(".parquet", ".csv")
    assert "monthly_fee]" in said
    (company / "study.yaml").write_text(said.replace("monthly_fee]", "monthly_fee, contact_name]"), encoding="utf-8")
    return company / "study.yaml"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The company after check, features, train, score and report, and all that a person saw meanwhile."""
    study = marked_company(tmp_path_factory.mktemp("confidential"))
    before = os.environ.get("JOURNEYLIFT_TRAINING_ROWS")
    os.environ["JOURNEYLIFT_TRAINING_ROWS"] = "1000"
    said = io.StringIO()
    try:
        for command in ("check", "features", "train", "score", "report"):
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                hurried = ["--budget", "4"] if command == "train" else []
                code = cli.main([command, "--study", str(study), *hurried])
            assert code == 0, said.getvalue()
        yield study, said.getvalue()
    finally:
        os.environ.pop("JOURNEYLIFT_TRAINING_ROWS")
        if before is not None:
            os.environ["JOURNEYLIFT_TRAINING_ROWS"] = before


def holds_marker(path: Path) -> bool:
    """Look into a file, through the compression of Parquet."""
    if path.suffix == ".parquet":
        return any(MARKER in str(column.unique()) for column in pq.read_table(path).columns)
    return MARKER.encode() in path.read_bytes()


def files(folder: Path) -> list[Path]:
    return [one for one in sorted(folder.rglob("*")) if one.is_file()]


def test_no_customer_is_in_logs_mlflow_results_or_reports(study: tuple[Path, str]) -> None:
    path, said = study
    store = path.parent / "store"
    assert MARKER not in said
    elsewhere = [one for one in files(store) if one.relative_to(store).parts[0] not in OURS]
    assert {"check.html", "report.html", "train.json", "score.json", "mlflow.db"} <= {one.name for one in elsewhere}
    assert [str(one) for one in elsewhere if holds_marker(one)] == []
    assert [str(one) for one in files(Path(os.environ["PREFECT_HOME"])) if holds_marker(one)] == []


def test_the_marker_would_have_been_found(study: tuple[Path, str]) -> None:
    store = study[0].parent / "store"
    for folder in OURS:
        assert any(holds_marker(one) for one in files(store / folder)), folder


def test_a_column_that_names_customers_is_left_out_and_said_so(study: tuple[Path, str]) -> None:
    said = " ".join(study[1].split())
    assert re.search(r"left out: contact_name\. (\d+) of \1 customers have a value of their own: it names", said)
    assert "not a number: wait" in said


def test_a_query_that_fails_on_a_value_does_not_show_it(
    study: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = study[0].read_text(encoding="utf-8").replace("store: store", "store: other")
    assert "from: contacts" in text
    changed = study[0].with_name("changed.yaml")
    query = "select * replace (cast(wait_min as double) as wait_min) from contacts"
    changed.write_text(text.replace("from: contacts", f"sql: {query}"), encoding="utf-8")
    assert cli.main(["check", "--study", str(changed)]) == 3
    told = capsys.readouterr()
    assert "touchpoints.sql: Conversion Error: CSV Error on Line: 6." in told.err
    assert MARKER not in told.out + told.err
