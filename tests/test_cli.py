import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows import cli

COMMANDS = (
    "app", "check", "company", "demo", "explain", "features", "init", "premium", "report", "retrain", "score", "serve",
    "simulate", "train",
)  # fmt: skip
STUDY = """
study: tiny
sources: {t: t.csv}
journeys: [{name: use, stage: use}]
measures: [{name: wait, unit: min, kind: tme, direction: lower}]
flat: {from: t, churned: left}
stoer: here
"""


def test_help_is_fast_because_nothing_heavy_is_imported() -> None:
    heavy = ("mlflow", "prefect", "pandas", "numpy", "duckdb", "sklearn", "pydantic")
    code = f"import flows.cli, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_root_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert [name for name in COMMANDS if not re.search(rf"^│ {name} ", shown, re.MULTILINE)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_teaches_by_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, "--help"]) == 0
    assert f"    journeylift {command}" in capsys.readouterr().out


@pytest.mark.parametrize("given", [["trian"], ["train", "--studdy", "x"], ["company", "--customers", "many"]])
def test_a_mistyped_command_line_is_exit_64(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(given) == cli.USAGE
    assert "Traceback" not in capsys.readouterr().err


def test_faults_of_a_study_are_told_at_once_with_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    assert cli.main(["features", "--study", str(tmp_path / "study.yaml")]) == 2
    told = capsys.readouterr().err
    assert re.search(r"study\.yaml:5: measures\[0\]\.kind.*'tme'", told)
    assert re.search(r"study\.yaml:7: .*stoer.*Did you mean 'store'", told)
    assert "Traceback" not in told


def test_a_missing_study_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--study", str(tmp_path / "study.yaml")]) == 2
    assert "journeylift init" in capsys.readouterr().err


def test_an_unwritable_output_folder_is_exit_6(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert cli.main(["company", "--customers", "10", "--out", str(tmp_path / "file" / "out")]) == 6
    told = capsys.readouterr().err
    assert "cannot be written" in told
    assert "Traceback" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_unexpected_error_is_one_line_and_a_file_with_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    def boom() -> None:
        raise ZeroDivisionError("by hand")

    cli.app.command(boom)
    try:
        assert cli.main(["boom"]) == cli.UNEXPECTED
    finally:
        del cli.app["boom"]
    told = capsys.readouterr().err
    assert "ZeroDivisionError: by hand" in told
    assert "Traceback" not in told
    log = Path(told.strip().rsplit(" ", 1)[-1])
    assert "Traceback" in log.read_text(encoding="utf-8")
    log.unlink()


def test_an_interrupt_is_exit_130_with_one_line_and_no_half_written_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows.cli", "company", "--customers", "200000", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "out").is_dir() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == cli.INTERRUPTED
    assert told.startswith("journeylift: interrupted.")
    assert "Traceback" not in told
    assert list((tmp_path / "out").iterdir()) == []


def test_init_writes_a_study_to_start_from_and_never_overwrites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["init", str(tmp_path / "new")]) == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"study.yaml", "initiatives.yaml"}
    assert cli.main(["init", str(tmp_path / "new")]) == 6
    assert "study.yaml" in capsys.readouterr().err


def test_a_store_that_cannot_be_written_is_exit_6_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = STUDY.replace("tme", "duration").replace("stoer: here", "").replace("measures", "# measures")
    (tmp_path / "study.yaml").write_text(sound, encoding="utf-8")
    (tmp_path / "store").touch()
    assert cli.main(["features", "--study", str(tmp_path / "study.yaml")]) == 6
    told = capsys.readouterr().err
    assert "cannot be written" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("command", "plan", "options", "match"),
    [
        ("simulate", "initiatives: [{name: a, changes: [{journey: suport, measure: wait, scale: 0.5}]}]", [], "suport"),
        ("portfolio", "initiatives: [{name: a}]", [], "changes"),
        ("portfolio", None, ["--budget", "-1"], "--budget -1 is out of range"),
    ],
)
def test_mistakes_in_initiatives_are_told_before_the_engine_is_even_imported(
    tmp_path: Path, command: str, plan: str | None, options: list[str], match: str
) -> None:
    assert cli.main(["init", str(tmp_path)]) == 0
    if plan is not None:
        (tmp_path / "initiatives.yaml").write_text(f"{plan}\n", encoding="utf-8")
    given = [command, "--study", str(tmp_path / "study.yaml"), *options]
    code = f"import sys; from flows import cli; code = cli.main({given}); print(code, 'prefect' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
    assert match in done.stderr


@pytest.mark.parametrize(("extra", "lines"), [([], 1), (["--verbose"], 3)])
def test_nothing_follows_the_message_of_a_command_that_failed(tmp_path: Path, extra: list[str], lines: int) -> None:
    # What Prefect's EventsWorker and asyncio log while the interpreter ends, if it ends while they connect.
    script = f"""
import atexit, logging, sys
from flows import cli
def late():
    logging.getLogger("prefect._internal.concurrency").error("Service 'EventsWorker' failed with 12 pending items.")
    logging.getLogger("asyncio").error("Future exception was never retrieved")
run = cli._run
def run_and_leave_a_worker(given):
    atexit.register(late)
    return run(given)
cli._run = run_and_leave_a_worker
sys.argv = ["journeylift", "train", "--study", {str(tmp_path / "none.yaml")!r}, *{extra}]
sys.exit(cli.main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "journeylift init" in done.stderr
    assert len(done.stderr.splitlines()) == lines
