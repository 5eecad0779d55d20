import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from flows import settings

PROBE = """
from flows.settings import use_store
from pathlib import Path
use_store(Path({store!r}))
import prefect, prefect.settings
from mlflow.telemetry.utils import is_telemetry_disabled
from prefect._internal.analytics.enabled import is_telemetry_enabled
print(prefect.settings.get_current_settings().server.analytics_enabled)
print(is_telemetry_disabled(), is_telemetry_enabled())
print(prefect.settings.get_current_settings().home)
"""


def _environment(**extra: str) -> dict[str, str]:
    quiet = {"CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST", *settings.TELEMETRY_OFF}
    kept = {k: v for k, v in os.environ.items() if k not in quiet and not k.startswith(("PREFECT", "MLFLOW"))}
    return kept | extra


def test_no_library_phones_home_and_prefect_lives_in_the_store(tmp_path: Path) -> None:
    environment = _environment(HOME=str(tmp_path / "home"))
    code = PROBE.format(store=str(tmp_path / "my store"))
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", "True False", str(tmp_path / "my store" / "prefect")]


def test_a_user_who_wants_telemetry_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.TELEMETRY_OFF:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    settings.turn_telemetry_off()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    for name in settings.TELEMETRY_OFF:
        monkeypatch.setenv(name, os.environ[name])  # so that the patch takes back what was set here


@pytest.mark.parametrize("name", ["PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE"])
def test_a_prefect_of_the_users_own_is_left_alone(name: str, tmp_path: Path) -> None:
    code = f"from flows.settings import use_store; from pathlib import Path; use_store(Path({str(tmp_path)!r}))"
    show = "import os; print(os.environ.get('PREFECT_HOME'), os.environ.get('PREFECT_LOGGING_TO_API_ENABLED'))"
    environment = _environment(HOME=str(tmp_path), **{name: "mine"})
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {show}"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["mine" if name == "PREFECT_HOME" else "None", "None"]


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEYLIFT_TRAINING_ROWS", "2000")
    monkeypatch.setenv("JOURNEYLIFT_TRACKING_URI", "http://localhost:5000")
    assert settings.Settings().training_rows == 2000
    assert settings.Settings().tracking_uri == "http://localhost:5000"


def test_a_setting_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEYLIFT_TRAINING_ROWS", "3")
    with pytest.raises(ValidationError, match="greater than or equal to 1000"):
        settings.Settings()
