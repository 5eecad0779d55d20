import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.errors import StoreError
from flows.run_lock import only_run

_HOLD = """
import sys, time
from pathlib import Path
from flows.run_lock import only_run
with only_run(Path(sys.argv[1]), "score"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "score.lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", _HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_run_is_told_who_holds_the_store_and_since_when(path: Path, holder: subprocess.Popen[str]) -> None:
    who = rf"journeylift score, process {holder.pid} on {socket.gethostname()}, since 20\d\d-\d\d-\d\d \d\d:\d\d"
    with pytest.raises(StoreError, match=who) as caught, only_run(path, "score"):
        pytest.fail("two runs at once")
    assert caught.value.exit_code == 6


def test_a_killed_run_leaves_nothing_locked(path: Path, holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with only_run(path, "score"):
        assert f'"pid": {os.getpid()}' in path.read_text("utf-8")


def test_runs_one_after_the_other_are_no_matter_even_if_one_fails(path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="zero"), only_run(path, "score"):
        _ = 1 / 0
    with only_run(path, "score"):
        pass


def test_a_lock_whose_text_is_lost_is_held_all_the_same(path: Path, holder: subprocess.Popen[str]) -> None:
    path.write_text("not json", "utf-8")
    with pytest.raises(StoreError, match="being written by another run"), only_run(path, "score"):
        pytest.fail("two runs at once")


def test_a_lock_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written"), only_run(tmp_path / "file" / "lock", "score"):
        pytest.fail("no lock")
