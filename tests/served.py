"""The planner's page served from a process of its own, for tests that look at it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]


@dataclass(slots=True)
class Served:
    """A server, and what it had said when it ended."""

    url: str
    process: subprocess.Popen[str]
    said: str = ""
    complained: str = ""
    code: int | None = None

    def interrupt(self) -> None:
        """Press Ctrl-C and wait."""
        if self.code is None:
            self.process.send_signal(signal.SIGINT)
            self.said, self.complained = self.process.communicate(timeout=60)
            self.code = self.process.returncode


def a_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, path: str = "/") -> tuple[int, str]:
    """Ask for a page: status and body; redirections are not followed."""
    connection = HTTPConnection(str(urlsplit(url).netloc), timeout=60)
    try:
        connection.request("GET", path)
        found = connection.getresponse()
        return found.status, found.read().decode()
    finally:
        connection.close()


@contextmanager
def served(study: Path, home: Path, options: Sequence[str] = ()) -> Iterator[Served]:
    """Run `journeylift app` on a free port until it answers; Ctrl-C in the end."""
    port = a_port()
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_CONFIG_HOME": str(home / "config"), "XDG_STATE_HOME": str(home / "state"),
    }  # fmt: skip
    command = [sys.executable, "-m", "flows.cli", "app", "--study", str(study), "--port", str(port), "--no-browser"]
    process = subprocess.Popen(
        [*command, *options], cwd=home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    server = Served(f"http://127.0.0.1:{port}/", process)
    try:
        _await(server)
        yield server
    finally:
        server.interrupt()


def _await(server: Served, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.process.poll() is None:
        try:
            ask(server.url, "/health")
        except OSError:
            time.sleep(0.1)
        else:
            return
    server.process.kill()
    raise AssertionError(f"it never answered: {server.process.communicate()}")
