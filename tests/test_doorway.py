"""What a browser is started with names a file that only its owner can read, and never the token."""

import re
import shutil
import socket
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import pytest

from flows.doorway import led_in

TOKEN = "t0k3n-for-tests"  # noqa: S105


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_the_browser_is_led_to_the_page_by_a_file_of_its_owner(port: int) -> None:
    opened, url = threading.Event(), f"http://127.0.0.1:{port}/?access_token={TOKEN}&a=1"
    told: list[str] = []
    with led_in(url, "127.0.0.1", port, lambda one: (told.append(one), opened.set())):
        assert opened.wait(30)
        page = Path(unquote(urlsplit(told[0]).path))
        assert TOKEN not in told[0]
        assert told[0].startswith("file:///")
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
        assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
        (target,) = re.findall(r'"refresh" content="0; url=([^"]*)"', page.read_text(encoding="utf-8"))
        assert target == url.replace("&", "&amp;")
    assert not page.parent.exists()


def test_nothing_is_opened_where_nothing_is_served() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        told: list[str] = []
        with led_in("http://127.0.0.1/", "127.0.0.1", closed.getsockname()[1], told.append):
            pass
    assert told == []


def test_a_browser_that_cannot_be_started_does_not_end_the_page(port: int) -> None:
    tried = threading.Event()

    def broken(_: str) -> None:
        tried.set()
        raise OSError("no browser")

    with led_in(f"http://127.0.0.1:{port}/", "127.0.0.1", port, broken):
        assert tried.wait(30)


class Page(BaseHTTPRequestHandler):
    """Notes what is asked for."""

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Referer"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<title>here</title>")

    def log_message(self, *_: object) -> None:  # type: ignore[override]
        """Say nothing."""


@pytest.mark.browser
def test_a_browser_follows_the_file() -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (only where it is needed)

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    opened, port = threading.Event(), server.server_port
    told: list[str] = []
    url = f"http://127.0.0.1:{port}/?access_token={TOKEN}"
    try:
        with led_in(url, "127.0.0.1", port, lambda one: (told.append(one), opened.set())), sync_playwright() as driver:
            assert opened.wait(30)
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(told[0])
            page.wait_for_function("document.title === 'here'")
            browser.close()
    finally:
        server.shutdown()
        server.server_close()
    assert Page.asked[0] == (f"/?access_token={TOKEN}", None)
