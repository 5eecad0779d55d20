"""Prefect's server for one process: it ends with that process, also where nobody can tell it to."""

import os
import subprocess
from typing import Any

from prefect.server.api.server import SubprocessASGIServer

__all__ = ["EmbeddedServer", "end_with_us"]


class EmbeddedServer(SubprocessASGIServer):  # type: ignore[misc] # of no type that mypy knows
    """As Prefect's own, which a process that is killed leaves behind for good, with a database that grows.

    Prefect keeps one instance for all, so flows find this one.
    """

    watcher: "subprocess.Popen[bytes] | None" = None
    """Ends the server when this process is gone."""

    def _run_uvicorn_command(self) -> "subprocess.Popen[Any]":
        _let_go(self.watcher)  # of a server whose port was taken
        process: subprocess.Popen[Any] = super()._run_uvicorn_command()
        self.watcher = end_with_us(process.pid)
        return process

    def stop(self) -> None:
        """Stop the server; its watcher first, as another process may get the number of one that is gone."""
        _let_go(self.watcher)
        self.watcher = None
        super().stop()


def _let_go(watcher: "subprocess.Popen[bytes] | None") -> None:
    if watcher is None:
        return
    watcher.kill()  # before its pipe is closed, which it would take for our end
    watcher.wait()
    if watcher.stdin is not None:
        watcher.stdin.close()


def end_with_us(pid: int) -> "subprocess.Popen[bytes] | None":
    """Let a process be terminated when this one is gone, whatever ends it.

    Parameters
    ----------
    pid : int
        The process.

    Returns
    -------
    Popen or None
        What watches; hold it, and kill it before the process is reaped. On Windows nothing watches.

    Notes
    -----
    A shell waits for the end of a pipe that nobody but this process holds open: that of its standard input.
    """
    if os.name == "nt":
        return None
    return subprocess.Popen(  # noqa: S603 (a number is all that varies)
        ["/bin/sh", "-c", 'read -r _; kill "$0" 2>/dev/null', str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
