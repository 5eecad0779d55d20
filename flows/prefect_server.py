"""A Prefect server of our own: a child process on this machine that ends when we do.

Prefect's own command starts such a server too, but leaves it behind when its parent is killed, unpacks its pages into
the installed package, and lets the pages of any site that stands open in a browser read it.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from features.errors import StoreError
from flows.ports import PortTaken, is_loopback, obstacle

__all__ = ["AUTH", "Server", "running"]

AUTH: Final = "PREFECT_SERVER_API_AUTH_STRING"
"""Environment variable with user and password, ``user:password``, that the server asks for."""

_PATIENCE_S: Final = 420.0
"""The database of the first start takes twenty seconds on two idle cores, minutes on busy ones."""
_GRACE_S: Final = 10.0
_POLICY: Final = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Parameters
    ----------
    ui : str
        Address of its pages.
    process : Popen
        What runs it.
    """

    ui: str
    process: "subprocess.Popen[bytes]"

    @property
    def api(self) -> str:
        """The address for ``PREFECT_API_URL``."""
        return f"{self.ui}/api"

    def has_ended(self) -> bool:
        """Tell whether the process is gone."""
        return self.process.poll() is not None


@contextmanager
def running(home: Path, *, host: str = "127.0.0.1", port: int = 4200) -> Iterator[Server]:
    """Run a server as long as the block lasts.

    Parameters
    ----------
    home : Path
        Folder of its database and of its unpacked pages; what ran before is shown again.
    host : str
        Address to listen on.
    port : int
        Port to listen on.

    Yields
    ------
    Server
        It answers.

    Raises
    ------
    PortTaken
        Something else listens there.
    StoreError
        It ended before it answered, such as for a database that cannot be written.

    Notes
    -----
    The child sees the end of its standard input when this process is gone, however it went, and ends too. It has a
    session of its own: a Ctrl-C in the terminal reaches us and not the server, so that runs can be wound up with it.
    """
    if why := obstacle(host, port):
        raise PortTaken(f"Port {port} at {host} cannot be listened at: {why}. Name another with --port.")
    shown = f"[{host}]" if ":" in host else host
    log = home / "server.log"
    home.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as heard:
        process = subprocess.Popen(  # noqa: S603 (this interpreter and this module)
            [sys.executable, "-m", "flows.prefect_server", host, str(port)],
            stdin=subprocess.PIPE,
            stdout=heard,
            stderr=heard,
            env={**os.environ, **_environment(home, host, shown, port)},
            start_new_session=True,
        )
    server = Server(f"http://{shown}:{port}", process)
    try:
        _await(server, log)
        yield server
    finally:
        _stop(process)


def _environment(home: Path, host: str, shown: str, port: int) -> Mapping[str, str]:
    origins = f"http://{shown}:{port}"
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_UI_API_URL": f"{origins}/api" if is_loopback(host) else "/api",
        "PREFECT_UI_STATIC_DIRECTORY": str(home / "ui"),
        # By default pages of every site may read the answers.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins,
    }


def _await(server: Server, log: Path) -> None:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        if server.has_ended():
            break
        try:
            with urlopen(f"{server.api}/health", timeout=5):  # noqa: S310 (http, our own address)
                return
        except HTTPError as error:
            if error.code in {401, 403}:  # it answers, and asks who we are
                return
            time.sleep(0.1)
        except (URLError, OSError):
            time.sleep(0.1)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = said[-1] if said else "it said nothing"
    raise StoreError(f"Prefect's server did not start: {last}. All that it said is in {log}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    process.terminate()
    try:
        process.wait(timeout=_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_with_parent() -> None:
    """Wait for the end of standard input, which our parent holds open as long as it lives."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)


def _closed(app: Any) -> Any:
    """Forbid the pages to ask anybody but this server: they call a company that watches visitors, settings or not."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def send_closed(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"content-security-policy", _POLICY)]}
            await send(message)

        await app(scope, receive, send_closed)

    return answer


def main(host: str, port: int) -> None:
    """Serve in this process until it is told to end."""
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    import uvicorn  # noqa: PLC0415 (seconds)
    from prefect.server.api.server import create_app  # noqa: PLC0415
    from starlette.middleware.trustedhost import TrustedHostMiddleware  # noqa: PLC0415

    app: Any = _closed(create_app(final=True))
    if is_loopback(host):
        # A name that somebody else's server of names points here is not ours.
        app = TrustedHostMiddleware(app, allowed_hosts=["127.0.0.1", "localhost", "[::1]", host])
    uvicorn.run(app, host=host, port=port, log_level="error", lifespan="on", timeout_graceful_shutdown=3)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
