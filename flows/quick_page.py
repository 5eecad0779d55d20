"""The planner's page before its programme runs: files of the page from memory, and the first answer as plain HTML.

The programme of the page is 250 files and takes a browser seconds to read. What a planner came for is one number, which
the server knows long before: a few lines in the head of the page fetch it and take it away when the page itself has
come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from features.errors import JourneyliftError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["FIRST_PATH", "QuickPage", "page_folder", "quickened"]

FIRST_PATH: Final = "/journeylift/first"

_NAME: Final = "journeylift"
_FILES: Final = "/assets/"
_KEPT: Final = b"public, max-age=31536000, immutable"
"""Names of these files change with what they say, so that a browser never has to ask again."""

_TYPES: Final = {
    ".js": b"text/javascript", ".css": b"text/css", ".woff2": b"font/woff2", ".png": b"image/png",
    ".svg": b"image/svg+xml", ".json": b"application/json", ".wasm": b"application/wasm",
}  # fmt: skip

_LOADER: Final = b"""<head>
<script>
fetch(".%s").then(found => found.status === 200 ? found.text() : "").then(html => {
  const live = "#root dd.wide";
  const root = document.getElementById("root");
  if (!html || !root || document.querySelector(live)) return;
  const first = document.createElement("main");
  first.id = "journeylift-first";
  first.className = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "";
  first.innerHTML = html;
  document.body.prepend(first);
  const watch = new MutationObserver(() => document.querySelector(live) && leave());
  const leave = () => { watch.disconnect(); first.remove(); };
  watch.observe(root, {childList: true, subtree: true});
  setTimeout(leave, 15000);
}).catch(() => {});
</script>""" % FIRST_PATH.encode()


class QuickPage:
    """What stands before the page's own server and answers the two things that it is slow at.

    Parameters
    ----------
    app : ASGI application
        The page's server; answers everything else.
    first : callable
        Makes the first answer, as HTML; a `JourneyliftError` is told by the page itself.
    folder : Path
        The page's files. Those that are asked for stay in memory, a few megabytes.
    """

    def __init__(self, app: ASGIApp, first: Callable[[], str], folder: Path) -> None:
        self._app = app
        self._first = first
        self._folder = folder
        self._read: dict[str, bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        path = scope["path"] if scope["type"] == "http" and scope["method"] == "GET" else ""
        if path == FIRST_PATH:
            await self._answer_first(scope, send)
        elif path.startswith(_FILES) and (content := self._file(path.removeprefix(_FILES))) is not None:
            kind = _TYPES[Path(path).suffix]
            await _answer(send, 200, content, [(b"content-type", kind), (b"cache-control", _KEPT)])
        elif path == "/":
            await self._app(scope, receive, _with_loader(send))
        else:
            await self._app(scope, receive, send)

    def _file(self, name: str) -> bytes | None:
        if name not in self._read:
            path = self._folder / name
            # One folder without folders in it: nothing else of the machine can be named.
            if Path(name).name != name or path.suffix not in _TYPES or not path.is_file():
                return None
            self._read[name] = path.read_bytes()
        return self._read[name]

    async def _answer_first(self, scope: Scope, send: Send) -> None:
        # The page's server has looked at the token before us.
        if "auth" not in scope or "read" not in scope["auth"].scopes:
            await _answer(send, 401, b"", [])
            return
        try:
            html = await asyncio.to_thread(self._first)
        except JourneyliftError:
            html = ""
        about = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
        await _answer(send, 200 if html else 204, html.encode(), about)


async def _answer(send: Send, status: int, content: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = [] if status == 204 else [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": content})


def _with_loader(send: Send) -> Send:
    """Put the loader into the head of an HTML page that is answered in one piece; anything else passes as it is."""
    begun: list[Message] = []

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            begun.append(message)
            return
        if begun and message["type"] == "http.response.body":
            start, content = begun.pop(), message.get("body", b"")
            if not message.get("more_body") and content.count(b"<head>") == 1:
                content = content.replace(b"<head>", _LOADER)
                # Its own mark says nothing of what was put in.
                kept = [pair for pair in start["headers"] if pair[0].lower() not in {b"content-length", b"etag"}]
                start = {**start, "headers": [*kept, (b"content-length", str(len(content)).encode())]}
                message = {**message, "body": content}
            await send(start)
        await send(message)

    return sent


def page_folder() -> Path:
    """Name the folder of the page's files, part of marimo."""
    return Path(str(files("marimo"))) / "_static" / "assets"


def quickened(first: Callable[[], str]) -> Callable[[], None]:
    """Put `QuickPage` before every server that marimo starts in this process; gives what takes it away again.

    Parameters
    ----------
    first : callable
        As for `QuickPage`.

    Notes
    -----
    By marimo's registry for the entry points ``marimo.server.asgi.middleware``. A version without it serves the page as
    before, some seconds slower; a test tells.
    """
    try:
        from marimo._server.registry import MIDDLEWARE_REGISTRY  # noqa: PLC0415 (seconds, and needed only here)
        from starlette.middleware import Middleware  # noqa: PLC0415 (the same)
    except ImportError:
        logging.getLogger(__name__).info("This version of marimo takes no middleware; the page opens more slowly.")
        return lambda: None
    MIDDLEWARE_REGISTRY.register(_NAME, Middleware(QuickPage, first=first, folder=page_folder()))
    return lambda: MIDDLEWARE_REGISTRY.unregister(_NAME) and None
