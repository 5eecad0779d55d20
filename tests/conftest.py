import os
import tempfile
from pathlib import Path

import pytest

from flows.storage import open_store

# Before anything imports Prefect: one home and database for the whole run, instead of one for every store.
_HOME = tempfile.TemporaryDirectory(prefix="journeylift prefect ")
os.environ.setdefault("PREFECT_HOME", _HOME.name)
os.environ.setdefault("PREFECT_LOGGING_TO_API_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.pop("MLFLOW_TRACKING_URI", None)

CUSTOMERS = 1_500
SEED = 7


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store whose MLflow database exists: creating one takes seconds."""
    from flows.tracking import Tracker  # noqa: PLC0415 (seconds of imports that most tests do without)

    store = open_store(tmp_path_factory.mktemp("tracked") / "the store")
    store.mlflow.mkdir()
    Tracker(f"sqlite:///{store.mlflow / 'mlflow.db'}", "any", None).experiment("train")
    return store.root
