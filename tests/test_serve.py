"""`journeylift serve` with a real server, real runs in processes of their own, and real signals."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from features.errors import StoreError
from flows import cli
from flows.ports import PortTaken
from flows.prefect_server import Server, require_answer, running
from flows.serve import Unguarded, serve
from flows.storage import Workspace, read_json
from tests.nights import small_company, with_champions
from tests.served import a_port

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends children by signals of Unix")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefect home")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with running(home, port=a_port()) as found:
        yield found


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    found = small_company(tmp_path_factory.mktemp("served") / "a company")
    with_champions(found)
    return found


def _ask(api: str, path: str, content: Mapping[str, Any] | None = None, **headers: str) -> Any:
    """Ask Prefect's server; a POST where there is content."""
    data = None if content is None else json.dumps(content).encode()
    asked = Request(f"{api}{path}", data, {"Content-Type": "application/json"} | headers)  # noqa: S310
    with urlopen(asked, timeout=60) as found:  # noqa: S310
        return json.loads(found.read() or "null")


def _deployment(api: str, flow: str) -> dict[str, Any]:
    (found,) = [one for one in _ask(api, "/deployments/filter", {}) if one["entrypoint"] == f"flows.{flow}.{flow}"]
    return dict(found)


def _runs(api: str, deployment: str) -> list[dict[str, Any]]:
    return list(_ask(api, "/flow_runs/filter", {"deployments": {"id": {"any_": [deployment]}}}))


def _until(found: Callable[[], object], seconds: float = 240) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := found():
            return value
        time.sleep(0.3)
    raise AssertionError("it never came")


class _Serving:
    """`journeylift serve` in a process group of its own."""

    def __init__(self, workspace: Workspace, home: Path, options: Sequence[str], more: Mapping[str, str]) -> None:
        self.heard = workspace.base / f"said-{time.monotonic_ns()}.txt"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
        environment |= {
            "PYTHONPATH": str(ROOT), "PREFECT_HOME": str(home), "JOURNEYLIFT_TRAINING_ROWS": "1000",
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "flows.cli", "serve", "--study", str(workspace.study_file), *options]
        with self.heard.open("w", encoding="utf-8") as out:
            self.process = subprocess.Popen(
                command, env=environment | dict(more), stdout=out, stderr=out, start_new_session=True
            )

    def said(self) -> str:
        return self.heard.read_text(encoding="utf-8")

    def hears(self, words: str) -> None:
        _until(lambda: words in self.said() or self.process.poll() is not None)
        assert words in self.said(), self.said()

    def family(self) -> set[int]:
        """Processes that descend from it."""
        parents = {}
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = status.read_text(encoding="utf-8")
            except OSError:
                continue
            parents[int(status.parent.name)] = int(text.rpartition(")")[2].split()[1])
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        """Press Ctrl-C, which reaches the whole group, or send another signal, and wait."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, how)
        return self.process.wait(timeout=120)


@contextmanager
def _serving(
    workspace: Workspace, home: Path, options: Sequence[str] = (), more: Mapping[str, str] | None = None
) -> Iterator[_Serving]:
    found = _Serving(workspace, home, options, more or {})
    try:
        yield found
    finally:
        if found.process.poll() is None:
            os.killpg(found.process.pid, signal.SIGKILL)
            found.process.wait()


def _alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


def test_the_server_is_for_this_machine_and_for_no_page_of_another_site(server: Server) -> None:
    assert _ask(server.api, "/health") is True
    with pytest.raises(HTTPError, match="400"):
        _ask(server.api, "/health", Host="rebound.example")
    with urlopen(Request(f"{server.api}/health", headers={"Origin": "https://elsewhere.example"})) as found:  # noqa: S310
        assert found.headers.get("Access-Control-Allow-Origin") != "*"
        assert "elsewhere" not in str(found.headers.get("Access-Control-Allow-Origin"))
        assert "default-src 'self'" in str(found.headers["Content-Security-Policy"])
    settings = _ask(server.ui, "/ui-settings")
    assert settings["api_url"] == server.api


def test_it_runs_what_was_missed_once_shows_what_it_found_and_ends_at_ctrl_c(
    server: Server, home: Path, company: Workspace
) -> None:
    given = {"PREFECT_API_URL": server.api}
    with _serving(company, home, more=given) as first:
        first.hears("serve: next is ")
        assert "nightly  every Monday at 05:00 (UTC; the study names no time)" in first.said()
        assert f"is shown at {server.ui}" in first.said()
        with _serving(company, home, more=given) as second:
            assert second.process.wait(timeout=120) == 6
            assert f"journeylift serve, process {first.process.pid} on" in second.said()
        family = first.family()
        assert first.end() == 0
        assert first.said().rstrip().endswith("serve: ended. What was complete is kept.")
        assert _alive(family) == set()

    nightly = _deployment(server.api, "nightly")
    assert nightly["parameters"] == {"study_file": str(company.study_file)}
    assert nightly["concurrency_limit"] == 1 or nightly["global_concurrency_limit"]["limit"] == 1
    assert [one["schedule"]["cron"] for one in nightly["schedules"]] == ["0 5 * * 1"]
    assert _deployment(server.api, "retrain")["schedules"][0]["schedule"]["cron"] == "0 3 1 * *"
    assert _deployment(server.api, "score")["schedules"] == []
    for days in (21, 14, 7):
        due = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
        _ask(server.api, f"/deployments/{nightly['id']}/create_flow_run", {"state": state})

    shutil.rmtree(company.store.scores, ignore_errors=True)
    with _serving(company, home, more=given) as third:
        third.hears("1 run fell due while nobody served: made up for now")
        _until(lambda: [run for run in _runs(server.api, nightly["id"]) if run["state_type"] == "COMPLETED"])
        done = [run for run in _runs(server.api, nightly["id"]) if run["state_type"] != "SCHEDULED"]
        assert len(done) == 1, "three were missed, one is made up for"
        assert (company.store.scores).is_dir()
        third.hears("score: ")
        asked = _ask(server.api, f"/deployments/{nightly['id']}/create_flow_run", {})
        _until(lambda: _ask(server.api, f"/flow_runs/{asked['id']}")["state_type"] == "RUNNING")
        family = third.family()
        assert len(family) >= 2
        assert third.end() == 0
        assert _alive(family) == set()
        assert "leaked" not in third.said()
        assert "Traceback" not in third.said()
    _until(lambda: _ask(server.api, f"/flow_runs/{asked['id']}")["state_type"] in {"CANCELLED", "COMPLETED"})
    assert _ask(server.api, f"/flow_runs/{asked['id']}")["state_type"] == "CANCELLED"

    kept = {one["key"]: one for one in _ask(server.api, "/artifacts/filter", {})}
    scored = read_json(company.store.result("score")) or {}
    assert f"**{scored['customers']} customers** scored" in kept["northline-score"]["data"]
    assert str(company.store.result("score")) in kept["northline-score"]["data"]
    assert {"what": "customers at risk", "value": str(scored["customers"])} in json.loads(
        kept["northline-score-table"]["data"]
    )
    assert kept["northline-nightly-progress"]["data"] is not None
    assert f"**score**: **{scored['customers']} customers** scored" in kept["northline-nightly"]["data"]
    assert "rows** of 300 customers" in kept["northline-features"]["data"]
    lines = [one["message"] for one in _ask(server.api, "/logs/filter", {"limit": 200})]
    assert any(line.startswith("score: ") for line in lines), "our own lines are on the page of the run"


@pytest.mark.browser
def test_the_pages_show_what_was_found_and_ask_nobody_else(server: Server) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    answered: set[str] = set()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("response", lambda response: answered.add(urlsplit(response.url).netloc))
        page.goto(f"{server.ui}/artifacts", timeout=120_000)
        page.get_by_text("northline-score", exact=True).wait_for(timeout=120_000)
        assert page.get_by_text(re.compile(r"\d+ customers")).count() >= 1
        browser.close()
    assert answered - {""} == {urlsplit(server.ui).netloc}  # without what pages hold themselves: data and blobs


def test_its_own_server_ends_with_it_however_it_ends(home: Path, company: Workspace) -> None:
    port = a_port()
    with _serving(company, home, ["--port", str(port)]) as found:
        found.hears("serve: next is ")
        assert f"is shown at http://127.0.0.1:{port}" in found.said()
        assert _ask(f"http://127.0.0.1:{port}/api", "/health") is True
        api = f"http://127.0.0.1:{port}/api"
        later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}
        explain = _deployment(api, "explain")
        run = _ask(api, f"/deployments/{explain['id']}/create_flow_run", {"state": later})["id"]
        _ask(api, f"/flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}, "force": True})
        family = found.family()
        assert len(family) >= 2
        found.process.kill()
        found.process.wait()
        _until(lambda: not _alive(family), seconds=40)
    with _serving(company, home, ["--port", str(port)]) as again:
        again.hears("serve: next is ")
        assert _ask(api, f"/flow_runs/{run}")["state_type"] == "CRASHED", "nobody runs it any more"
        family = again.family()
        again.process.send_signal(signal.SIGTERM)
        assert again.process.wait(timeout=120) == 0
        assert _alive(family) == set()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end_while_it_starts_it_ends_as_at_any_other_moment(
    home: Path, company: Workspace, how: signal.Signals
) -> None:
    with _serving(company, home, ["--port", str(a_port())]) as found:
        found.hears("serve: starting Prefect's server")
        _until(lambda: len(found.family()) > 1)
        family = found.family()
        assert found.end(how) == 0, found.said()
        assert found.said().rstrip().endswith("serve: ended. What was complete is kept.")
        assert "Traceback" not in found.said()
        assert "interrupted" not in found.said()
        _until(lambda: not _alive(family), seconds=40)


def test_the_file_for_work_pools_is_taken_as_it_stands(server: Server, home: Path, company: Workspace) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    environment |= {
        "PREFECT_API_URL": server.api, "PREFECT_HOME": str(home), "PYTHONPATH": str(ROOT), "DO_NOT_TRACK": "true",
        "JOURNEYLIFT_STUDY": str(company.study_file), "JOURNEYLIFT_POOL": "night pool",
    }  # fmt: skip
    _ask(server.api, "/work_pools/", {"name": "night pool", "type": "process", "base_job_template": {}})
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pooled = [one for one in _ask(server.api, "/deployments/filter", {}) if one["work_pool_name"] == "night pool"]
    assert {one["entrypoint"] for one in pooled} == {
        "flows.nightly.nightly", "flows.retrain.retrain", "flows.score.score",
    }  # fmt: skip
    assert {one["parameters"]["study_file"] for one in pooled} == {str(company.study_file)}
    assert {json.dumps(one["pull_steps"]) for one in pooled} <= {"[]", "null"}, "nothing is cloned or copied"


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        with pytest.raises(PortTaken, match=rf"Port {port} at 127.0.0.1 cannot be listened at: .*--port"):
            running(tmp_path, port=port).__enter__()


@pytest.mark.parametrize("secret", ["", "me:secret@"])
def test_a_server_that_does_not_answer_is_told_without_its_password(secret: str) -> None:
    port = a_port()
    with pytest.raises(StoreError, match=rf"http://127\.0\.0\.1:{port}/api does not answer: .*unset PREFECT") as told:
        require_answer(f"http://{secret}127.0.0.1:{port}/api")
    assert "secret" not in told.value.message


def test_a_server_that_does_not_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "nonsense")
    with (
        pytest.raises(StoreError, match=r"Prefect's server did not start: .*server\.log"),
        running(tmp_path, port=a_port()),
    ):
        pass


def test_others_are_let_in_with_a_password_only(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING", raising=False)
    with pytest.raises(Unguarded, match=r"At --host 0\.0\.0\.0 other machines could start runs.*AUTH_STRING=user:pass"):
        serve(str(company.study_file), host="0.0.0.0")  # noqa: S104
    assert "PREFECT_API_URL" not in os.environ, "nothing was started"


def test_an_open_door_is_a_fault_of_the_command_line(
    company: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING", raising=False)
    for name in ("PREFECT_LOGGING_EXTRA_LOGGERS", "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # put back afterwards
    assert cli.main(["serve", "--study", str(company.study_file), "--host", "0.0.0.0"]) == cli.USAGE  # noqa: S104
    assert "journeylift: At --host 0.0.0.0 other machines" in capsys.readouterr().err
