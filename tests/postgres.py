"""A Postgres that is started for some tests and thrown away."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__ = ["SECRET", "postgres_server"]

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
INITDB = shutil.which("initdb") or (str(POSTGRES[0]) if POSTGRES else None)
SECRET = "p4ss-w0rd"  # noqa: S105 - of a throw-away database


def _as_postgres(command: list[str]) -> list[str]:
    """Postgres refuses to run as root."""
    return (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command] if os.getuid() == 0 else command
    )


def _has_postgres_user() -> bool:
    return subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode == 0


def postgres_server() -> Iterator[str]:
    """Give the URL of a server; skip where it cannot be.

    Its folder is its own: the folders of pytest are closed to the user postgres.
    """
    if INITDB is None:
        pytest.skip("no Postgres here: initdb is neither on the PATH nor in /usr/lib/postgresql")
    if os.getuid() == 0 and (shutil.which("setpriv") is None or not _has_postgres_user()):
        pytest.skip("Postgres does not run as root, and there is no user postgres to run as")
    with tempfile.TemporaryDirectory(prefix="journeylift-postgres-") as folder:
        (Path(folder) / "password").write_text(SECRET)
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
            shutil.chown(Path(folder) / "password", "postgres")
        yield from _serve(Path(folder), str(INITDB))


def _serve(folder: Path, initdb: str) -> Iterator[str]:
    data, password = str(folder / "data"), f"--pwfile={folder / 'password'}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    create = [initdb, "-D", data, "-U", "app", "--auth=scram-sha-256", password, "-E", "UTF8", "--locale=C"]
    subprocess.run(_as_postgres(create), check=True, capture_output=True, cwd=folder)
    control = str(Path(initdb).with_name("pg_ctl"))
    options = f"-p {port} -h 127.0.0.1 -k {folder}"
    start = [control, "-D", data, "-l", str(folder / "log"), "-w", "-o", options, "start"]
    subprocess.run(_as_postgres(start), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        yield f"postgresql://app:{SECRET}@127.0.0.1:{port}/postgres"
    finally:
        stop = [control, "-D", data, "-m", "immediate", "stop"]
        subprocess.run(_as_postgres(stop), check=True, capture_output=True, cwd=folder)
