"""The page's files from memory and the first answer before the page's programme runs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import pytest
from marimo._server.registry import MIDDLEWARE_REGISTRY

from features.errors import StoreError
from flows.planner_first import show_first
from flows.quick_page import FIRST_PATH, QuickPage, page_folder, quickened
from tests.benches import forecasts, write_simulation

PAGE = b"<html><head><title>x</title></head><body><div id='root'></div></body></html>"
READER = {"auth": SimpleNamespace(scopes=["read"])}


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


def ask(page: QuickPage, path: str, **scope: object) -> Answer:
    """Ask as a server would."""
    answer = Answer()

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], dict(message["headers"])
        else:
            answer.body += message["body"]

    asyncio.run(page({"type": "http", "method": "GET", "path": path, **scope}, None, send))
    return answer


def a_page(folder: Path, first: Callable[[], str] = lambda: "", body: bytes = PAGE, status: int = 200) -> QuickPage:
    """Stand before a server that gives one answer to everything."""

    async def app(scope, receive, send):
        headers = [(b"content-length", str(len(body)).encode()), (b"etag", b'"a"'), (b"x-from", b"server")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return QuickPage(app, first, folder)


def test_a_file_of_the_page_is_kept_by_the_browser_and_in_memory(tmp_path: Path) -> None:
    (tmp_path / "a-1f.js").write_bytes(b"1")
    page = a_page(tmp_path)
    found = ask(page, "/assets/a-1f.js")
    assert (found.status, found.body, found.headers[b"content-type"]) == (200, b"1", b"text/javascript")
    assert found.headers[b"cache-control"] == b"public, max-age=31536000, immutable"
    (tmp_path / "a-1f.js").unlink()
    assert ask(page, "/assets/a-1f.js").body == b"1"


@pytest.mark.parametrize("name", ["../secret.js", "sub/inner.js", "gone.js", "notes.txt", "", ".."])
def test_no_other_file_is_given(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "assets"
    (folder / "sub").mkdir(parents=True)
    for path in (tmp_path / "secret.js", folder / "sub" / "inner.js", folder / "notes.txt"):
        path.write_text("secret", encoding="utf-8")
    assert ask(a_page(folder), f"/assets/{name}").headers[b"x-from"] == b"server"


def test_the_loader_stands_first_in_the_head_and_the_length_is_that_of_the_whole(tmp_path: Path) -> None:
    found = ask(a_page(tmp_path), "/")
    assert found.body.startswith(b'<html><head>\n<script>\nfetch(".' + FIRST_PATH.encode())
    assert found.body.endswith(PAGE.removeprefix(b"<html><head>"))
    assert int(found.headers[b"content-length"]) == len(found.body)
    assert b"etag" not in found.headers, "its mark was of another page"


@pytest.mark.parametrize(("body", "status"), [(b"", 303), (b"<p>no head</p>", 200), (PAGE, 500)])
def test_any_other_answer_passes_as_it_is(body: bytes, status: int, tmp_path: Path) -> None:
    found = ask(a_page(tmp_path, body=body, status=status), "/")
    assert (found.status, found.body, found.headers[b"etag"]) == (status, body, b'"a"')


def test_the_first_answer_is_for_those_who_may_read(tmp_path: Path) -> None:
    page = a_page(tmp_path, first=lambda: "<p>29k €</p>")
    assert (ask(page, FIRST_PATH).status, ask(page, FIRST_PATH).body) == (401, b"")
    assert ask(page, FIRST_PATH, auth=SimpleNamespace(scopes=[])).status == 401
    found = ask(page, FIRST_PATH, **READER)
    assert (found.status, found.body.decode()) == (200, "<p>29k €</p>")
    assert found.headers[b"cache-control"] == b"no-store"


def test_what_fails_is_left_to_the_page_to_tell(tmp_path: Path) -> None:
    def first() -> str:
        raise StoreError("Nothing has been simulated.")

    found = ask(a_page(tmp_path, first=first), FIRST_PATH, **READER)
    assert (found.status, found.body) == (204, b"")


def test_marimo_takes_it_and_has_its_files_where_they_are_looked_for() -> None:
    """Fails when a new version of marimo keeps its page elsewhere: it would be served, but slowly."""
    slow_again = quickened(lambda: "")
    assert "journeylift" in MIDDLEWARE_REGISTRY.names()
    slow_again()
    assert "journeylift" not in MIDDLEWARE_REGISTRY.names()
    index = (files("marimo") / "_static" / "index.html").read_text(encoding="utf-8")
    assert index.count("<head>") == 1
    assert '<div id="root"></div>' in index
    named = re.findall(r"\./assets/([\w.-]+)", index)
    page = a_page(page_folder())
    assert len(named) > 50
    assert {ask(page, f"/assets/{one}").status for one in named} == {200}


def test_the_first_answer_says_what_the_page_will_and_executes_no_name(tmp_path: Path) -> None:
    good, *_ = forecasts()
    attack = "<img src=x onerror=alert(1)>"
    titled = good.initiative.model_copy(update={"title": attack})
    path = write_simulation(tmp_path, [replace(good, initiative=titled)])
    html = show_first(str(path))
    assert "1,000 customers at risk" in html
    assert re.search(r'<dd class="good wide">€[\d.]+k', html)
    assert attack not in html
    assert "&lt;img src=x" in html
