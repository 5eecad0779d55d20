"""Prefect's server for one process: it ends with that process, also where nobody can tell it to."""

import os
import subprocess
from typing import Any, Final

from prefect.server.api.server import SubprocessASGIServer

__all__ = ["EmbeddedServer", "end_with_us"]

_WATCHERS: Final[list["subprocess.Popen[bytes]"]] = []
"""Held as long as this process lives: what they wait for is the end of the pipes in them."""


class EmbeddedServer(SubprocessASGIServer):  # type: ignore[misc] # of no type that mypy knows
    """As Prefect's own, which a process that is killed leaves behind for good, with a database that grows.

    Prefect keeps one instance for all, so flows find this one.
    """

    def _run_uvicorn_command(self) -> "subprocess.Popen[Any]":
        process: subprocess.Popen[Any] = super()._run_uvicorn_command()
        end_with_us(process.pid)
        return process


def end_with_us(pid: int) -> None:
    """Let a process be terminated when this one is gone, whatever ends it.

    Parameters
    ----------
    pid : int
        The process.

    Notes
    -----
    A shell waits for the end of a pipe that nobody but this process holds open. On Windows nothing is watched.
    """
    if os.name == "nt":
        return
    watcher = subprocess.Popen(  # noqa: S603 (a number is all that varies)
        ["/bin/sh", "-c", 'read -r _; kill "$0" 2>/dev/null', str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _WATCHERS.append(watcher)
