"""Open a page that asks for a token in the browser, without telling the token to every account of this machine.

A browser is started with the address as its argument, and arguments stand in the list of processes that everybody may
read. So it is started with the address of a small file, which only its owner may read and which leads on.
"""

import html
import os
import shutil
import socket
import tempfile
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

__all__ = ["led_in"]

_PATIENCE_S: Final = 120.0
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={url}"><title>Journeylift</title></head>
<body><p><a href="{url}">Open the page</a></p></body></html>
"""


@contextmanager
def led_in(url: str, host: str, port: int, opener: Callable[[str], object] = webbrowser.open) -> Iterator[None]:
    """Open a page in the browser as soon as it is served; the file that leads to it is gone at the end of the block.

    Parameters
    ----------
    url : str
        The page, with its token.
    host : str
        Address at which it will be served; the block has to serve it.
    port : int
        The same.
    opener : callable, optional
        Opens an address.

    Notes
    -----
    A browser that is not allowed to read temporary files (some are packed that way) shows an error; the address that
    was printed leads to the page as well.
    """
    folder = Path(tempfile.mkdtemp(prefix="journeylift-page-"))  # of its owner alone
    over = threading.Event()
    thread = threading.Thread(target=_open, args=(folder, url, host, port, opener, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)
        shutil.rmtree(folder, ignore_errors=True)


def _open(folder: Path, url: str, host: str, port: int, opener: Callable[[str], object], over: threading.Event) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not _answers(host, port):
        if over.wait(0.1) or time.monotonic() > until:
            return
    page = folder / "page.html"
    handle = os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(_PAGE.format(url=html.escape(url)))
    with suppress(OSError, webbrowser.Error):  # the address was printed
        opener(page.as_uri())


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
