"""What the environment may say, and what we tell the libraries before they are imported.

Prefect and MLflow read their settings while they are imported, so everything here runs before them. Nothing that a
user has set is ever overwritten.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["TELEMETRY_OFF", "Settings", "turn_telemetry_off", "use_server", "use_store"]

TELEMETRY_OFF: Final[Mapping[str, str]] = {
    # "true", not "1": MLflow compares with the word, Prefect takes both.
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
    "MARIMO_SKIP_UPDATE_CHECK": "1",
}


class Settings(BaseSettings):
    """Settings of the process, from environment variables ``JOURNEYLIFT_*``.

    Parameters
    ----------
    tracking_uri : str, optional
        MLflow server or database (``JOURNEYLIFT_TRACKING_URI``). Left out: ``MLFLOW_TRACKING_URI`` when set, else a
        SQLite file in the study's store.
    verbose : bool
        Show the messages of Prefect and MLflow too (``JOURNEYLIFT_VERBOSE``).
    training_rows : int
        Most panel rows a model is fitted on; above it rows are drawn within customers (``JOURNEYLIFT_TRAINING_ROWS``).

    Examples
    --------
    >>> Settings(training_rows=5000).training_rows
    5000
    """

    model_config = SettingsConfigDict(env_prefix="JOURNEYLIFT_", frozen=True, extra="ignore")

    tracking_uri: str | None = None
    verbose: bool = False
    training_rows: int = Field(default=60_000, ge=1_000)


def turn_telemetry_off() -> None:
    """Ask every dependency not to phone home, unless the user has decided otherwise.

    Examples
    --------
    >>> turn_telemetry_off()
    >>> os.environ["MLFLOW_DISABLE_TELEMETRY"]
    'true'
    """
    _set_defaults(TELEMETRY_OFF)


def use_store(root: Path, *, verbose: bool = False) -> None:
    """Keep Prefect's home under a store and its messages low; call it before Prefect or scikit-learn is imported.

    Parameters
    ----------
    root : Path
        Folder of the store.
    verbose : bool
        Let Prefect tell what it does.

    Notes
    -----
    A user's own Prefect wins: a server in ``PREFECT_API_URL``, a home in ``PREFECT_HOME``, or profiles under
    ``~/.prefect``. Without a server the log records stay in this process, which saves a second a flow.
    """
    turn_telemetry_off()
    _set_defaults(
        {
            "PREFECT_LOGGING_LEVEL": "INFO" if verbose else "WARNING",
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING" if verbose else "CRITICAL",
            "MLFLOW_LOGGING_LEVEL": "INFO" if verbose else "WARNING",
            # Threads of scikit-learn that spin while they wait make boosting 3 times slower on a busy machine.
            "OMP_WAIT_POLICY": "passive",
            # The embedded server creates its database on the first run: 22 s on two idle cores, more on busy ones.
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        }
    )
    if not _has_own_prefect():
        _set_defaults({"PREFECT_HOME": str(root / "prefect"), "PREFECT_LOGGING_TO_API_ENABLED": "false"})


def use_server(root: Path) -> None:
    """As :func:`use_store`, for ``journeylift serve`` and the runs it starts, which tell a server what they do.

    Parameters
    ----------
    root : Path
        Folder of the store.
    """
    _set_defaults(
        {
            "PREFECT_LOGGING_TO_API_ENABLED": "true",
            "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
            "PREFECT_LOGGING_EXTRA_LOGGERS": "journeylift",
            "PREFECT_LOGGING_LEVEL": "INFO",
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        }
    )
    use_store(root)


def _has_own_prefect() -> bool:
    configured = any(name in os.environ for name in ("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE"))
    return configured or (Path.home() / ".prefect" / "profiles.toml").is_file()


def _set_defaults(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        os.environ.setdefault(name, value)
