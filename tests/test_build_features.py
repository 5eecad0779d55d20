import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from flows import cli

Copied = Callable[[bool], Path]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _command(study: Path) -> list[str]:
    return [sys.executable, "-m", "flows.cli", "features", "--study", str(study)]


def test_a_run_killed_in_the_middle_leaves_nothing_half_and_the_next_gives_equal_bytes(
    demo_dir: Path, copied: Copied
) -> None:
    study = copied(False)
    store = study.parent / "store"
    process = subprocess.Popen(_command(study), stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(store.glob("panel.tmp-*/cutoff_date=*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not (store / "panel").exists()
    assert cli.main(["features", "--study", str(study)]) == 0
    assert _contents(store / "panel") == _contents(demo_dir / "store" / "panel")
    assert list(store.glob("*.tmp-*")) == []


def test_a_panel_that_is_up_to_date_is_not_built_again(copied: Copied) -> None:
    study = copied(True)
    panel = study.parent / "store" / "panel"
    assert cli.main(["features", "--study", str(study)]) == 0
    before = {path: path.stat().st_ino for path in panel.rglob("*.parquet")}
    assert cli.main(["features", "--study", str(study)]) == 0
    assert {path: path.stat().st_ino for path in panel.rglob("*.parquet")} == before


def test_a_changed_table_makes_the_panel_stale_and_the_next_command_says_so(
    copied: Copied, capsys: pytest.CaptureFixture[str]
) -> None:
    study = copied(True)
    invoices = pd.read_parquet(study.parent / "invoices.parquet")
    invoices.iloc[:-5].to_parquet(study.parent / "invoices.parquet")
    assert cli.main(["score", "--study", str(study)]) == 0
    assert "The panel is stale, its study or its tables have changed: building it first." in capsys.readouterr().out


def test_a_missing_column_is_exit_3_without_a_traceback(copied: Copied, capsys: pytest.CaptureFixture[str]) -> None:
    study = copied(False)
    touchpoints = pd.read_parquet(study.parent / "touchpoints.parquet")
    touchpoints.rename(columns={"wait_min": "wating"}).to_parquet(study.parent / "touchpoints.parquet")
    assert cli.main(["features", "--study", str(study)]) == 3
    told = capsys.readouterr()
    assert "wait_min" in told.err
    assert "Traceback" not in told.out + told.err
    assert not (study.parent / "store" / "panel").exists()


def test_a_company_whose_customers_all_stay_is_exit_5(copied: Copied, capsys: pytest.CaptureFixture[str]) -> None:
    study = copied(False)
    churn = pd.read_parquet(study.parent / "churn.parquet")
    churn.iloc[:0].to_parquet(study.parent / "churn.parquet")
    assert cli.main(["check", "--study", str(study)]) in {3, 5}
    assert "churn" in capsys.readouterr().err


def test_a_backfill_killed_in_the_middle_goes_on_where_it_was(demo_dir: Path, copied: Copied) -> None:
    study = copied(False)
    panel = study.parent / "store" / "panel"
    first, *_, last = sorted(
        path.name.removeprefix("cutoff_date=") for path in (demo_dir / "store" / "panel").glob("c*")
    )
    command = [*_command(study), "--backfill", first, last]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not panel.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_ino for path in panel.rglob("*.parquet")}
    assert 0 < len(done) < len(list((demo_dir / "store" / "panel").rglob("*.parquet")))
    assert cli.main(command[3:]) == 0
    assert {path: path.stat().st_ino for path in done} == done
    assert _contents(panel) == _contents(demo_dir / "store" / "panel")


@pytest.mark.parametrize(
    ("dates", "code", "told"),
    [
        (("2024-05-01", "2024-01-01"), 2, "first date lies after the last"),
        (("2024-05", "2024-06-01"), 2, "'2024-05' is not a date"),
        (("1999-01-01", "1999-12-01"), 5, "No cutoff of the study lies between 1999-01-01 and 1999-12-01"),
    ],
)
def test_a_backfill_that_cannot_be_says_why(
    copied: Copied, capsys: pytest.CaptureFixture[str], dates: tuple[str, str], code: int, told: str
) -> None:
    study = copied(True)
    before = _contents(study.parent / "store" / "panel")
    assert cli.main(["features", "--study", str(study), "--backfill", *dates]) == code
    assert told in capsys.readouterr().err
    assert _contents(study.parent / "store" / "panel") == before
