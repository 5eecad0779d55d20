"""The planner's page served on this machine: ``journeylift app``."""

from __future__ import annotations

import gc
import logging
import runpy
import secrets
import socket
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from features.errors import JourneyliftError, UnsupportedError
from flows import console
from flows.doorway import led_in
from flows.plannable import simulated_workspace
from flows.ports import PortTaken, first_free
from flows.quick_page import quickened

__all__ = ["FIRST_PORT", "PortTaken", "free_port", "serve"]

FIRST_PORT: Final = 2718
_PORTS: Final = 50

_NOTEBOOK: Final = Path(__file__).parents[1] / "notebooks" / "04_plan_initiatives.py"

_POLL_S: Final = 0.02
_LATER_S: Final = 5.0
"""A first visitor reads for as long; what comes then would delay what is to be read."""
_SWITCH_S: Final = 0.0005
"""So that a browser is answered while the rest is imported: a tenth of Python's own interval between threads."""


# Where a page that is served at all addresses is opened on this machine.
_NEAR: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104


def serve(studies: Sequence[str], *, host: str, port: int | None, browser: bool) -> None:
    """Serve the page until it is interrupted.

    Parameters
    ----------
    studies : sequence of str
        Study files to choose from; each must have been simulated.
    host : str
        Address to listen on.
    port : int, optional
        Left out: the first free one from `FIRST_PORT`.
    browser : bool
        Open it.

    Raises
    ------
    JourneyliftError
        As `flows.plannable.simulated_workspace`, before anything is served.
    UnsupportedError
        The notebooks are not installed.
    PortTaken
        Nothing can listen at this address and port.

    Notes
    -----
    A token is made, printed with the address, and asked for. On the machine's own address too: other accounts can
    reach it, and so can any page that stands open in the planner's browser, as browsers let pages open websockets to
    any address.
    """
    for study in studies:
        simulated_workspace(study)
    if not _NOTEBOOK.is_file():
        raise UnsupportedError(
            f"'{_NOTEBOOK}' is missing: the page is one of the notebooks, which come with the repository and not with "
            "a wheel. Install from the repository: pip install -e ."
        )
    chosen = free_port(host, port)
    token = secrets.token_urlsafe(24)
    console.say(f"The planner's page is at {_address(host, chosen, token)} Ctrl-C ends it.")
    gc.disable()  # until the first view is made: nothing that is imported is garbage, and looking takes time
    # While the browser loads: the first visitor would wait for it otherwise, and for the server if it came before.
    threading.Thread(target=_get_ready, args=(studies[0], host, chosen), daemon=True).start()
    arguments = _arguments(studies, host, chosen, token)
    if not browser:
        _run(arguments, studies[0])
        return
    near = _NEAR.get(host, host)
    with led_in(_address(near, chosen, token), near, chosen):
        _run(arguments, studies[0])


def _address(host: str, port: int, token: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/?access_token={token}"


def _get_ready(study: str, host: str, port: int) -> None:
    """Import what the page needs once it is served, and compute what it shows first; what fails there is told there."""
    while not _answers(host, port):
        time.sleep(_POLL_S)
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        from flows.planner_first import import_rest  # noqa: PLC0415 (seconds, which is why it is here)

        _first_view(study)
        gc.enable()
        time.sleep(_LATER_S)
        import_rest()
    except JourneyliftError:
        return
    finally:
        gc.enable()
        sys.setswitchinterval(before)


def _first_view(study: str) -> str:
    from flows.planner_first import show_first  # noqa: PLC0415 (seconds, which the server does not wait for)

    return show_first(study)


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port(host: str, port: int | None) -> int:
    """Give the port, or the first free one from `FIRST_PORT`.

    Raises
    ------
    PortTaken
        With what to do.
    """
    tried = range(FIRST_PORT, FIRST_PORT + _PORTS) if port is None else (port,)
    found, why = first_free(host, tried)
    if found is not None:
        return found
    if port is None:
        raise PortTaken(
            f"No port from {FIRST_PORT} to {FIRST_PORT + _PORTS - 1} is free at {host}: {why}. Name one: --port"
        )
    raise PortTaken(f"Port {port} at {host} cannot be listened at: {why}. Name another with --port, or leave it out.")


def _arguments(studies: Sequence[str], host: str, port: int, token: str) -> list[str]:
    # Without marimo's own browser, which is started with the token as its argument: see flows/doorway.py.
    named = [part for one in studies for part in ("--study", str(Path(one).expanduser().resolve()))]
    return [
        "marimo", "-q", "run", str(_NOTEBOOK), "--headless", "--host", host, "--port", str(port), "--token",
        "--token-password", token, "--no-check", "--", "--only", "these", *named,
    ]  # fmt: skip


def _run(arguments: list[str], study: str) -> None:
    """Run marimo in this process, where everything is imported already; it returns when it is interrupted."""
    # Of visitors that are still there when it ends; a traceback would tell nobody anything.
    logging.getLogger("uvicorn.error").addFilter(lambda said: "CancelledError" not in said.getMessage())
    slow_again = quickened(partial(_first_view, study))
    before, sys.argv = sys.argv, arguments
    try:
        runpy.run_module("marimo", run_name="__main__", alter_sys=False)
    except SystemExit as left:
        if left.code:
            raise
    finally:
        sys.argv = before
        slow_again()
