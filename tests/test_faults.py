"""What machines do to a run, end to end: each fault ends in one sentence, and the next run as if it had not been.

Kills are in `test_kills`.
"""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from features.errors import DataError, StoreError
from features.layout import lay_out
from features.panel import PanelInfo, build_panel, read_panel
from features.publish import staged
from features.study import parse_study
from flows import cli
from flows.storage import read_json, write_bytes
from tests.faulty_runs import FAULTS, Job, Runs
from tests.store_state import leftovers, published, registry, unreadable
from tests.tiny import STUDY, write_tiny


def _build(study: Path, store: Path | None = None) -> PanelInfo:
    """Lay out and build, as `journeylift features` does."""
    read = parse_study(study.read_text(encoding="utf-8"), study.name)
    store = store or study.parent / "store"
    return build_panel(read, lay_out(read, study.parent, store), store)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company with its panel; copy it."""
    study = write_tiny(tmp_path_factory.mktemp("built") / "company")
    _build(study)
    return study.parent


@pytest.fixture
def study(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "company")) / "study.yaml"


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount small disks of so many KiB."""
    made: list[Path] = []

    def mount(kib: int) -> Path:
        place = tmp_path / f"disk {kib}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False) if _MAY_MOUNT else None
        if ended is None or ended.returncode:
            pytest.skip("a small disk cannot be mounted here: that needs root on Linux")
        made.append(place)
        return place

    yield mount
    for place in made:
        subprocess.run(["umount", "-l", str(place)], check=False)


_MAY_MOUNT = sys.platform == "linux" and os.geteuid() == 0


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _scrambled_end(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-8:-4] = b"\xff\xff\xff\x7f"
    path.write_bytes(content)


def _error_page(path: Path) -> None:
    path.write_bytes(b"<html>502 Bad Gateway</html>")


# Full disks.


@pytest.mark.parametrize("kib", [16, 48, 120, 260])
def test_on_a_full_disk_nothing_half_written_stays_and_the_next_run_gives_equal_bytes(
    study: Path, mounted: Callable[[int], Path], kib: int
) -> None:
    store = mounted(kib) / "store"
    with pytest.raises(StoreError, match=r"(cannot be written: .*No space left|ran out of room).*[Ff]ree"):
        _build(study, store)
    assert unreadable(store) == []
    assert leftovers(store) == []
    shutil.copytree(store, study.parent / "roomy", dirs_exist_ok=True)
    _build(study, study.parent / "roomy")
    assert published(study.parent / "roomy") == published(study.parent / "store")


def test_a_file_that_does_not_fit_leaves_the_old_one(mounted: Callable[[int], Path]) -> None:
    disk = mounted(64)
    write_bytes(disk / "a.json", b"{}")
    with pytest.raises(StoreError, match="No space left"):
        write_bytes(disk / "a.json", bytes(200_000))
    assert read_json(disk / "a.json") == {}
    assert [path.name for path in disk.iterdir()] == ["a.json"]


def test_whatever_a_staged_block_cannot_write_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"'.*panel' cannot be written: Stale"), staged(tmp_path / "panel"):
        raise OSError(errno.ESTALE, "Stale file handle")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_does_not_answer_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), staged(tmp_path / "panel"):
        raise ConnectionResetError("gone")


# Damaged files.


@pytest.mark.parametrize("damage", [_half, _empty, _scrambled_end, _error_page])
def test_a_damaged_source_is_exit_3_with_its_name_and_the_store_stays(
    study: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before = published(study.parent / "store")
    damage(study.parent / "touches.parquet")
    assert cli.main(["check", "--study", str(study)]) == 3
    told = capsys.readouterr().err
    assert "touches" in told
    assert "Traceback" not in told
    assert published(study.parent / "store") == before
    assert leftovers(study.parent / "store") == []


@pytest.mark.parametrize("damage", [_half, _empty, _scrambled_end, _error_page, Path.unlink])
def test_a_damaged_part_of_the_panel_is_refused_and_built_again_alone(
    study: Path, damage: Callable[[Path], None]
) -> None:
    store = study.parent / "store"
    before = published(store)
    damage(sorted(store.glob("panel/*/*.parquet"))[2])
    with pytest.raises(StoreError, match=r"panel' is damaged .* Remove that folder, build again\."):
        read_panel(store)
    assert _build(study).parts_built == 1
    assert published(store) == before


@pytest.mark.parametrize("name", ["bucket-000/touchpoints.parquet", "bucket-000/customers.parquet", "digests.parquet"])
def test_a_damaged_layout_says_which_folder_to_remove_and_that_helps(study: Path, name: str) -> None:
    store = study.parent / "store"
    before = published(store)
    _half(store / "layout" / name)
    shutil.rmtree(store / "panel")
    with pytest.raises(StoreError, match=r"damaged.* Remove '.*store/layout' and run again\."):
        _build(study)
    shutil.rmtree(store / "layout")
    _build(study)
    assert published(store) == before


@pytest.mark.parametrize("name", ["layout/manifest.json", "panel/panel.json"])
def test_a_damaged_contract_is_made_again(study: Path, name: str) -> None:
    store = study.parent / "store"
    before = published(store)
    _half(store / name)
    _build(study)
    assert published(store) == before


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe", b"[1]"])
def test_a_damaged_result_says_what_to_delete(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "train.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"train\.json' is not readable as JSON.* Delete it and run again\."):
        read_json(tmp_path / "train.json")


# Databases that others hold.


def _with_source(study: Path, kind: str) -> None:
    text = STUDY.replace("touches: touches.parquet", f"touches: {{{kind}: touches.{kind}}}")
    study.write_text(text.replace("touchpoints: {from: touches,", "touchpoints: {from: touches, table: touches,"))
    rows = pd.read_parquet(study.parent / "touches.parquet")
    if kind == "duckdb":
        with duckdb.connect(study.parent / "touches.duckdb") as con:
            con.sql(f"CREATE TABLE touches AS SELECT * FROM '{study.parent}/touches.parquet'")
    else:
        with closing(sqlite3.connect(study.parent / "touches.sqlite")) as con:
            rows.assign(at=rows["at"].astype(str)).to_sql("touches", con, index=False)


_HOLDS = {
    "duckdb": "import duckdb, sys\ncon = duckdb.connect(sys.argv[1])\ncon.execute('CREATE TABLE other (a INT)')\n",
    "sqlite": "import sqlite3, sys\ncon = sqlite3.connect(sys.argv[1])\ncon.execute('BEGIN EXCLUSIVE')\n",
}


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_source_that_another_program_writes_to_is_exit_3_and_is_read_when_it_is_free(
    study: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _with_source(study, kind)
    code = f"{_HOLDS[kind]}print('held', flush=True)\nsys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(study.parent / f"touches.{kind}")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert cli.main(["check", "--study", str(study)]) == 3
        told = capsys.readouterr().err
        assert holder.stdin is not None
        holder.stdin.close()
    assert "touch" in told
    assert "lock" in told
    assert "Traceback" not in told
    assert _build(study).rows > 0


# Clocks.


def _set_clock(monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    moment = int(pd.Timestamp(date, tz="UTC").timestamp() * 1e9)
    monkeypatch.setattr(time, "time_ns", lambda: moment)
    monkeypatch.setattr(time, "time", lambda: moment / 1e9)


def test_a_clock_behind_the_tables_is_refused_before_it_puts_events_aside(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(study.parent / "store")
    _set_clock(monkeypatch, "2024-08-01")
    with pytest.raises(DataError, match=r"stands at 2024-08-01, but '.*parquet' was written on 20.* Set the clock"):
        _build(study)
    assert not (study.parent / "store" / "layout").exists()


def test_newer_tables_are_noticed_though_the_clock_moved_back_between_them(study: Path) -> None:
    before = _build(study)
    assert before.parts_built == 0
    table = pd.read_parquet(study.parent / "touches.parquet")
    table.assign(wait=table["wait"] * 2).to_parquet(study.parent / "touches.parquet", index=False)
    os.utime(study.parent / "touches.parquet", (1, 1))
    assert _build(study).parts_built == before.parts_reused


# Memory.


def test_too_little_memory_for_a_table_is_one_sentence_and_nothing_stays(study: Path) -> None:
    shutil.rmtree(study.parent / "store")
    text = study.read_text(encoding="utf-8")
    study.write_text(text.replace("engine: {", "engine: {memory_limit: 1MB, "), encoding="utf-8")
    with pytest.raises(StoreError, match=r"DuckDB ran out of room: .* raise engine\.memory_limit"):
        _build(study)
    assert leftovers(study.parent / "store") == []


# Commands, with a fault at a step of what they write.


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with Runs(tmp_path_factory.mktemp("runs")) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("share", [0.15, 0.5, 0.9])
def test_a_disk_that_fails_in_the_middle_is_exit_6_and_the_next_run_ends_as_if_it_had_not(
    study: Path, runs: Runs, fault: str, share: float
) -> None:
    shutil.rmtree(study.parent / "store")
    job = Job(("features", "--study", str(study)), str(study.parent / "store"))
    whole = runs.run(job)
    assert whole.code == 0, whole.said
    wanted = published(study.parent / "store")
    shutil.rmtree(study.parent / "store")
    step = max(int(share * len(whole.steps)), 2)
    ended = runs.run(Job(job.arguments, job.root, fault=fault, step=step))
    assert ended.code == 6, ended.said
    assert "Traceback" not in ended.said
    assert unreadable(study.parent / "store") == []
    again = runs.run(job)
    assert again.code == 0, again.said
    assert published(study.parent / "store") == wanted
    assert leftovers(study.parent / "store") == []


@pytest.mark.slow
def test_a_locked_database_of_runs_is_exit_7_and_scores_are_written_when_it_is_free(study: Path, runs: Runs) -> None:
    store = study.parent / "store"
    ended = runs.run(Job(("train", "--budget", "0", "--study", str(study)), str(store)))
    assert ended.code == 0, ended.said
    known = registry(store)
    score = Job(("score", "--study", str(study)), str(store))
    with closing(sqlite3.connect(store / "mlflow" / "mlflow.db", isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        ended = runs.run(score)
    assert ended.code == 7, ended.said
    assert "locked" in ended.said
    assert "Traceback" not in ended.said
    assert unreadable(store) == []
    assert registry(store) == known
    assert runs.run(score).code == 0
    assert [path.name for path in store.glob("scores/*")] == ["cutoff_date=2024-10-01"]


@pytest.mark.slow
def test_too_little_memory_is_exit_6_and_the_next_run_ends_as_if_there_had_been_enough(study: Path, runs: Runs) -> None:
    store = study.parent / "store"
    wanted = published(store)
    command = ("features", "--study", str(study))
    codes = []
    for more in (40, 220, 250, 280, 310):
        shutil.rmtree(store)
        ended = runs.run(Job(command, str(store), memory=more << 20))
        codes.append(ended.code)
        # Libraries that find no memory for a thread of their own crash: nobody is left to say so.
        assert ended.code in {0, 6} or ended.code < 0, ended.said
        assert unreadable(store) == []
        assert runs.run(Job(command, str(store))).code == 0
        assert {name: one for name, one in published(store).items() if name in wanted} == wanted
        assert leftovers(store) == []
    assert 6 in codes, codes
