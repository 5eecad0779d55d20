import atexit
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from flows.storage import open_store

# Before anything imports Prefect: one home and database for the whole run, instead of one for every store.
_HOME = tempfile.TemporaryDirectory(prefix="journeylift prefect ", ignore_cleanup_errors=True)
_CODES: list[int] = []
os.environ.setdefault("PREFECT_HOME", _HOME.name)
os.environ.setdefault("PREFECT_LOGGING_TO_API_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("JOURNEYLIFT_TRAINING_ROWS", "3000")  # what is tested here does not depend on how many
os.environ.pop("MLFLOW_TRACKING_URI", None)

# A run in the background of a shell starts with SIGINT ignored, and commands that tests interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes depends on what else the machine does; a test that hangs is stopped by its timeout.
# `make test` draws the same examples every time: a change is judged by what it changed. `make test-explore`: new ones.
_unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same examples", _unhurried, derandomize=True)
settings.register_profile("new examples", _unhurried)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same examples"))

CUSTOMERS = 1_500
SEED = 7

# Files of more than ten seconds, the longest first, so that no worker begins one when the others end. The first one
# makes the company that others wait for; those after it do without.
LONGEST = (
    "test_train", "test_examples", "test_policy", "test_flat_study", "test_churn", "test_effects", "test_premium",
    "test_serve", "test_notebooks", "test_score", "test_premium_flow", "test_build_features", "test_confidential",
    "test_point_in_time", "test_charts", "test_compared_plans", "test_retrain", "test_kills", "test_planner_browser",
    "test_succession", "test_bad_input", "test_databases", "test_benchmark_information", "test_portfolio_flow",
    "test_registry", "test_panel", "test_health_codes",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; ``make test`` hands files out in this order."""
    place = {name: at for at, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


def pytest_sessionfinish(exitstatus: int) -> None:
    """Keep the exit status for the end of the process."""
    _CODES.append(int(exitstatus))


@atexit.register
def _leave() -> None:
    """End before DuckDB complains of leaked objects, as it does whenever a process has run a Prefect flow."""
    if _CODES and "prefect" in sys.modules:
        _HOME.cleanup()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_CODES[0])


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store whose MLflow database exists: creating one takes seconds."""
    from flows.tracking import Tracker  # noqa: PLC0415 (seconds of imports that most tests do without)

    store = open_store(tmp_path_factory.mktemp("tracked") / "the store")
    store.mlflow.mkdir()
    Tracker(f"sqlite:///{store.mlflow / 'mlflow.db'}", "any", None).experiment("train")
    return store.root


@pytest.fixture(scope="session")
def demo_dir(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A small company on which ``journeylift demo`` has run, once for all workers; read it, do not change it.

    ``said.txt`` holds what a person saw.
    """
    import contextlib  # noqa: PLC0415
    import io  # noqa: PLC0415

    from flows import cli  # noqa: PLC0415

    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent
    out = shared / "demo run" / "demo"
    with FileLock(shared / "demo.lock"):
        if not (out / "said.txt").exists():
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                code = cli.main(["demo", "--customers", str(CUSTOMERS), "--seed", str(SEED), "--out", str(out)])
            assert code == 0, said.getvalue()
            (out / "said.txt").write_text(said.getvalue(), encoding="utf-8")
    return out


@pytest.fixture
def copied(demo_dir: Path, tmp_path: Path) -> Callable[[bool], Path]:
    """Copy the company into a folder of the test's own, with or without its store, and name its study."""

    def copy(with_store: bool) -> Path:
        ignored = shutil.ignore_patterns(*(() if with_store else ("store",)), "said.txt", "report.html")
        shutil.copytree(demo_dir, tmp_path / "a company", ignore=ignored)
        return tmp_path / "a company" / "study.yaml"

    return copy
