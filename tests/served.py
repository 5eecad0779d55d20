"""The planner's page served from a process of its own, for tests that look at it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import HTTPCookieProcessor, build_opener

from flows.quick_page import FIRST_PATH

ROOT = Path(__file__).parents[1]


@dataclass(slots=True)
class Served:
    """A server with the address that it printed, and what it had said when it ended."""

    origin: str
    process: subprocess.Popen[str]
    heard: Path
    url: str = ""
    said: str = ""
    complained: str = ""
    code: int | None = None

    def interrupt(self) -> None:
        """Press Ctrl-C and wait."""
        if self.code is None:
            self.process.send_signal(signal.SIGINT)
            _, self.complained = self.process.communicate(timeout=60)
            self.said = self.heard.read_text(encoding="utf-8")
            self.code = self.process.returncode


def a_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Ask for a page: status and body; redirections are not followed."""
    asked = urlsplit(url)
    connection = HTTPConnection(asked.netloc, timeout=60)
    try:
        connection.request("GET", f"{asked.path}?{asked.query}", headers=dict(headers or {}))
        found = connection.getresponse()
        return found.status, found.read().decode()
    finally:
        connection.close()


def visit(url: str) -> tuple[str, str]:
    """Open an address as a browser does, with cookies and redirections: where it ends, and the body."""
    with build_opener(HTTPCookieProcessor()).open(url, timeout=60) as found:
        return str(found.url), found.read().decode()


def first_answer(server: Served) -> str:
    """Ask for what stands on the page before its programme runs, as one who was let in."""
    opener = build_opener(HTTPCookieProcessor())
    opener.open(server.url, timeout=60).close()
    with opener.open(f"{server.origin[:-1]}{FIRST_PATH}", timeout=60) as found:
        return str(found.read().decode())


@contextmanager
def served(study: Path, home: Path, options: Sequence[str] = ()) -> Iterator[Served]:
    """Run `journeylift app` on a free port until it answers; Ctrl-C in the end."""
    port = a_port()
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_CONFIG_HOME": str(home / "config"), "XDG_STATE_HOME": str(home / "state"),
    }  # fmt: skip
    command = [sys.executable, "-m", "flows.cli", "app", "--study", str(study), "--port", str(port), "--no-browser"]
    heard = home / f"said-{port}.txt"
    with heard.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            [*command, *options], cwd=home, env=environment, stdout=out, stderr=subprocess.PIPE, text=True
        )
    server = Served(f"http://127.0.0.1:{port}/", process, heard)
    try:
        _await(server)
        yield server
    finally:
        server.interrupt()


def _await(server: Served, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.process.poll() is None:
        try:
            ask(f"{server.origin}health")
        except OSError:
            time.sleep(0.1)
        else:
            (token,) = re.findall(r"\?access_token=([\w-]+) ", server.heard.read_text(encoding="utf-8"))
            server.url = f"{server.origin}?access_token={token}"
            return
    server.process.kill()
    raise AssertionError(f"it never answered: {server.process.communicate()}")
