"""What people see of a simulation in MLflow's own pages; the pictures of docs/how-to/mlflow.md are taken here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from flows.storage import open_workspace
from flows.tracking import open_tracker

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_MS = 180_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


@dataclass(frozen=True, slots=True)
class Served:
    """A running server, and where in it the simulation is."""

    address: str
    experiment: str
    parent: str
    runs: tuple[str, ...]

    def compared(self) -> str:
        """Address of MLflow's comparison of the first four initiatives."""
        return (
            f"{self.address}/#/compare-runs?runs={quote(json.dumps(self.runs[:4]))}"
            f"&experiments={quote(json.dumps([self.experiment]))}"
        )


@pytest.fixture(scope="module")
def served(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    workspace = open_workspace(demo_dir / "study.yaml", reads_only=True)
    tracker = open_tracker(workspace.study, workspace.store)
    parent = json.loads(workspace.store.result("simulate").read_text("utf-8"))["run_id"]
    experiment = tracker.experiment("simulate")
    query = f"tags.`mlflow.parentRunId` = '{parent}' and metrics.npv_eur_mean > -1e12"
    runs = tuple(run.info.run_id for run in tracker.client.search_runs([experiment], query))
    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    shutil.copy(workspace.store.mlflow / "mlflow.db", database)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = (
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{database}", "--default-artifact-root", str(database.parent),
    )  # fmt: skip
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    silent = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with subprocess.Popen(command, env=silent, cwd=database.parent, **quiet) as server:
        try:
            _await(f"http://127.0.0.1:{port}/health")
            yield Served(f"http://127.0.0.1:{port}", experiment, parent, runs)
        finally:
            os.killpg(server.pid, signal.SIGTERM)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.set_default_timeout(PATIENCE_MS)
        yield tab
        browser.close()


def test_runs_are_titles_below_their_simulation(served: Served, page: Any, tmp_path: Path) -> None:
    page.goto(f"{served.address}/#/experiments/{served.experiment}/runs")
    page.get_by_text("10 initiatives at").first.wait_for()
    _close_assistant(page)
    page.locator("[class*=ag-row] button").first.click()
    page.get_by_text("Check bills").first.wait_for()
    page.screenshot(path=tmp_path / "mlflow-runs.png", clip={"x": 0, "y": 0, "width": 1280, "height": 560})
    assert page.get_by_text("Answer the pho").count() == 1


def test_a_run_says_in_a_sentence_what_it_found(served: Served, page: Any, tmp_path: Path) -> None:
    page.goto(f"{served.address}/#/experiments/{served.experiment}/runs/{served.runs[0]}")
    page.get_by_text("likely to pay").first.wait_for()
    _close_assistant(page)
    page.screenshot(path=tmp_path / "mlflow-run.png")
    assert page.get_by_text("npv_eur_mean").count() >= 1


def test_initiatives_stand_side_by_side_with_the_same_rows(served: Served, page: Any, tmp_path: Path) -> None:
    page.goto(served.compared())
    page.get_by_text("npv_eur_mean").first.wait_for()
    _close_assistant(page)
    for name in ("reach_share", "delivery_likely_share", "start_month", "cost_monthly_eur", "p_npv_above_0"):
        assert page.get_by_text(name).count() >= 1, name
    page.get_by_text("Visualizations", exact=True).click()
    page.wait_for_timeout(1_000)
    page.screenshot(path=tmp_path / "mlflow-compare.png")


def _await(address: str) -> None:
    for _ in range(180):
        try:
            with urlopen(address, timeout=5):  # noqa: S310 (our own server)
                return
        except OSError:
            time.sleep(1)
    pytest.fail(f"MLflow's server does not answer at {address}")


def _close_assistant(page: Any) -> None:
    """Put away what MLflow opens beside its pages."""
    page.wait_for_timeout(2_000)
    close = page.get_by_role("button", name="Close", exact=True)
    if close.count():
        close.first.click()
        page.wait_for_timeout(500)
