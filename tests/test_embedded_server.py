import os
import signal
import subprocess
import sys

import pytest
from prefect.server.api.server import SubprocessASGIServer

from flows.embedded_server import EmbeddedServer


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_is_watched_ends_with_the_process_that_watches(how: signal.Signals) -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    waits = "print(1, flush=True); time.sleep(60)"
    code = f"import time; from flows.embedded_server import end_with_us; kept = end_with_us({sleeper.pid}); {waits}"
    watching = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE)
    assert watching.stdout is not None
    try:
        assert watching.stdout.readline() == b"1\n"
        assert sleeper.poll() is None
        os.kill(watching.pid, how)
        watching.wait(20)
        assert sleeper.wait(20) == -signal.SIGTERM
    finally:
        for one in (sleeper, watching):
            one.kill()
            one.wait()
        watching.stdout.close()


def test_flows_find_the_server_that_ends_with_us() -> None:
    before = dict(SubprocessASGIServer._instances)
    try:
        SubprocessASGIServer._instances.clear()
        assert EmbeddedServer() is SubprocessASGIServer()
    finally:
        SubprocessASGIServer._instances.clear()
        SubprocessASGIServer._instances.update(before)


def test_what_watched_a_server_is_gone_when_it_is_stopped_and_kills_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(SubprocessASGIServer._instances)
    started: list[subprocess.Popen[bytes]] = []

    def run(_: SubprocessASGIServer) -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen(["sleep", "60"]))
        return started[-1]

    monkeypatch.setattr(SubprocessASGIServer, "_run_uvicorn_command", run)
    SubprocessASGIServer._instances.clear()
    try:
        server = EmbeddedServer()
        server.server_process = server._run_uvicorn_command()
        first = server.watcher
        server.server_process = server._run_uvicorn_command()  # as when the port was taken
        second = server.watcher
        assert first is not None
        assert second is not None
        assert first.poll() == -signal.SIGKILL
        assert second.poll() is None
        assert started[0].poll() is None, "what has lost its watcher is not ended by it"
        server.stop()
        assert second.poll() == -signal.SIGKILL
        assert started[1].poll() == -signal.SIGTERM
        assert server.watcher is None
    finally:
        SubprocessASGIServer._instances.clear()
        SubprocessASGIServer._instances.update(before)
        for one in started:
            one.kill()
            one.wait()
