"""Each notebook runs as a script on a small study, tells what is missing in one sentence, and can be exported."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
NAMES = [notebook.stem for notebook in NOTEBOOKS]

# Any attempt to reach another machine ends the process.
_NO_NETWORK = """\
import os, socket
def refused(self, address, *_):
    if self.family != socket.AF_UNIX and str(address[0]) not in {"127.0.0.1", "::1", "localhost"}:
        os.write(2, f"reached for {address}".encode())
        os._exit(99)
    return connect(self, address)
connect, socket.socket.connect, socket.socket.connect_ex = socket.socket.connect, refused, refused
"""


def _run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    guard = folder / "guard"
    guard.mkdir(exist_ok=True)
    (guard / "sitecustomize.py").write_text(_NO_NETWORK, encoding="utf-8")
    home = {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}
    paths = {"PYTHONPATH": f"{guard}{os.pathsep}{ROOT}"}
    environment = os.environ | home | paths
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def _script(name: str, study: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return _run([str(ROOT / "notebooks" / f"{name}.py"), "--study", str(study)], folder)


def _sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Return the only line that was said, but for what matplotlib says of its font cache on a fresh machine."""
    (said,) = [line for line in done.stderr.splitlines() if not line.startswith("Matplotlib is building")]
    return said


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time; SQLite's own helpers come and go while a database is read."""
    # Other tests record runs of the same demo meanwhile.
    found = {path: path.stat() for path in folder.rglob("*") if path.is_file() and "mlflow" not in str(path)}
    return {str(path.relative_to(folder)): (stat.st_size, stat.st_mtime_ns) for path, stat in found.items()}


def test_notebooks_are_named_like_no_package_and_no_standard_module() -> None:
    taken = set(sys.stdlib_module_names) | set(packages_distributions())
    assert NAMES == ["01_explore_journeys", "02_read_drivers", "03_validate_model", "04_plan_initiatives"]
    assert set(NAMES) & taken == set()
    assert not (ROOT / "notebooks" / "__init__.py").exists()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=NAMES)
def test_a_notebook_holds_prose_and_calls_of_public_functions(notebook: Path) -> None:
    text = notebook.read_text(encoding="utf-8")
    imported = re.findall(r"^ +(?:from|import) ([\w.]+)(?: import (.+))?", text, re.MULTILINE)
    assert {module.split(".")[0] for module, _ in imported} == {"marimo"} | (
        {"flows", "features", "models"} & {module.split(".")[0] for module, _ in imported}
    )
    assert not re.search(r"import _|\._\w", text)
    assert "def " not in re.sub(r"^def _\(", "", text, flags=re.MULTILINE)
    first = text.split('mo.md("""', 1)[1]
    assert re.match(r"\s*# .*\n[\s\S]*?1\. \*\*.*\?", first), "it opens with the questions that it answers"


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_as_a_script_without_network_and_writes_nothing(
    name: str, demo_dir: Path, tmp_path: Path
) -> None:
    before, own = _files(demo_dir), _files(ROOT / "notebooks")
    done = _script(name, demo_dir / "study.yaml", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert _files(demo_dir) == before
    assert _files(ROOT / "notebooks") == own


def test_a_cell_that_fails_fails_the_run(demo_dir: Path, tmp_path: Path) -> None:
    text = (ROOT / "notebooks" / "02_read_drivers.py").read_text(encoding="utf-8")
    broken = tmp_path / "broken.py"
    broken.write_text(text.replace("show(association)", "show(association.nothing)"), encoding="utf-8")
    done = _run([str(broken), "--study", str(demo_dir / "study.yaml")], tmp_path)
    assert done.returncode != 0
    assert "nothing" in done.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("01_explore_journeys", "has no panel yet. Run: journeylift features --study"),
        ("02_read_drivers", "has no panel yet. Run: journeylift features --study"),
        ("04_plan_initiatives", "has been simulated for"),
    ],
)
def test_a_study_that_is_not_ready_is_one_sentence_with_the_command(
    name: str, told: str, copied: Callable[[bool], Path], tmp_path: Path
) -> None:
    done = _script(name, copied(False), tmp_path)
    assert done.returncode == 6
    assert told in _sentence(done)


def test_a_study_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    done = _script("03_validate_model", tmp_path / "nowhere.yaml", tmp_path)
    assert done.returncode == 2
    assert _sentence(done).startswith("There is no study at")


def _outputs(notebook: Path) -> list[str]:
    """What the cells of a Jupyter notebook show."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(one.get("data", {}).get("text/html", "")) for cell in cells for one in cell.get("outputs", [])]


@pytest.mark.slow
def test_every_chart_of_drivers_exported_to_jupyter_says_association(demo_dir: Path, tmp_path: Path) -> None:
    copy, jupyter = _copied_notebook("02_read_drivers", tmp_path), tmp_path / "drivers.ipynb"
    options = ["--include-outputs", "-o", str(jupyter), "--", "--study", str(demo_dir / "study.yaml")]
    done = _run(["-m", "marimo", "export", "ipynb", str(copy), *options], tmp_path)
    assert done.returncode == 0, done.stderr
    (shown,) = [text for text in _outputs(jupyter) if "An association is not an effect" in text]
    titles = re.findall(r">(Association (?:with|of) [^<]+)</text>", shown)
    assert len(titles) == shown.count("<svg") >= 4
    assert shown.index("together explain") < shown.index("<svg")  # R2 first


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_exported_as_a_page(name: str, demo_dir: Path, tmp_path: Path) -> None:
    copy, page = _copied_notebook(name, tmp_path), tmp_path / "page.html"
    options = ["--no-include-code", "-o", str(page), "--", "--study", str(demo_dir / "study.yaml")]
    done = _run(["-m", "marimo", "export", "html", str(copy), *options], tmp_path)
    assert done.returncode == 0, done.stderr
    assert page.read_text(encoding="utf-8").count("journeylift") > 10


def _copied_notebook(name: str, folder: Path) -> Path:
    """Copy a notebook: an export leaves its session beside it."""
    copy = folder / f"{name}.py"
    copy.write_text((ROOT / "notebooks" / f"{name}.py").read_text(encoding="utf-8"), encoding="utf-8")
    return copy
