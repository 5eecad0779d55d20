import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _lint(folder: Path) -> tuple[int, str]:
    """Check the contracts of a copy of the packages, as ``make layers`` does."""
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in ("features", "models", "flows"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "planted", "broken"),
    [
        ("features/errors.py", "import models.metrics", "flows use models use features BROKEN"),
        ("features/errors.py", "import flows.wording", "flows use models use features BROKEN"),
        ("models/metrics.py", "import flows.wording", "flows use models use features BROKEN"),
        ("models/metrics.py", "import prefect", "tracking or the command line BROKEN"),
        ("features/errors.py", "import mlflow", "tracking or the command line BROKEN"),
        ("models/metrics.py", "import duckdb", "models touch no files and no databases BROKEN"),
        ("flows/train.py", "import mlflow", "only flows.tracking imports mlflow BROKEN"),
        ("features/definitions.py", "import time", "knows no clock and no chance BROKEN"),
        ("features/folds.py", "from datetime import date", "knows no clock and no chance BROKEN"),
    ],
)
def test_a_planted_import_against_the_layers_is_caught(copy: Path, module: str, planted: str, broken: str) -> None:
    path = copy / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{planted}\n", encoding="utf-8")
    code, told = _lint(copy)
    assert code == 1
    assert broken in told


def test_the_packages_as_they_are_keep_the_layers(copy: Path) -> None:
    code, told = _lint(copy)
    assert code == 0, told
    assert "0 broken" in told
