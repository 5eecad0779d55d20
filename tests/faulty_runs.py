"""Commands run in forked children of one warmed process, with a fault at a chosen step of what they write.

A step is anything by which a store changes: a file opened for writing, renamed, linked or removed, a folder made or
exchanged, a Parquet file begun, a file forced to the disk, a transaction of MLflow's database. Steps are counted from 1
in the order in which they happen; a fault happens just before its step, so all between two steps are tried.

As a program it reads jobs as lines of JSON and answers each with a line; `Runs` is the other end.
"""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

FAULTS = {"full disk": errno.ENOSPC, "failing disk": errno.EIO, "stale mount": errno.ESTALE, "gone mount": errno.ENOENT}
_CHANGES = {"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Job:
    """A command on a study, and what goes wrong.

    ``fault`` is ``kill``, a name in `FAULTS` or empty; it happens at ``step``, or a kill ``seconds`` after the start,
    and all faults but a kill last from their step to the end of the process. ``clock`` moves the clock by seconds,
    ``memory`` bounds the address space in bytes beyond what the process has.
    """

    arguments: tuple[str, ...]
    root: str
    fault: str = ""
    step: int = 0
    seconds: float = 0.0
    clock: float = 0.0
    memory: int = 0


@dataclass(frozen=True)
class Ended:
    """How it ended: exit code (negative for a signal), what was said, steps taken, seconds."""

    code: int
    said: str
    steps: tuple[str, ...]
    seconds: float


class Runs:
    """A warmed process that runs jobs one at a time."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        root = Path(__file__).parents[1]
        settled = {
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_LOGGING_LEVEL": "CRITICAL",
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
            "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
            "JOURNEYLIFT_TRAINING_ROWS": "1000",
            "MLFLOW_LOGGING_LEVEL": "ERROR",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(root),
            **(environment or {}),
        }
        cleared = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.faulty_runs", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, env=cleared | settled,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def run(self, job: Job) -> Ended:
        """Run a job to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that runs jobs has died"
        found = json.loads(answer)
        return Ended(found["code"], found["said"], tuple(found["steps"]), found["seconds"])


class _Steps:
    """Counts what changes below a folder, and lets a fault happen."""

    def __init__(self, job: Job, record: Path) -> None:
        self._root = job.root.rstrip("/") + "/"
        self._job = job
        self._count = 0
        self._turn = threading.RLock()
        self._record = record.open("w", encoding="utf-8", buffering=1)
        self._is_busy = False

    def happen(self, what: str) -> None:
        with self._turn:
            self._count += 1
            self._record.write(what.replace("\n", " ") + "\n")
            is_due = self._job.step and self._count >= self._job.step
            if is_due and self._job.fault == "kill":
                os.killpg(0, signal.SIGKILL)
        if is_due and self._job.fault:
            number = FAULTS[self._job.fault]
            raise OSError(number, os.strerror(number))

    def audit(self, event: str, arguments: Sequence[Any]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES:
                self._at("open", path)
        elif event in _CHANGES:
            self._at(event, arguments[0])
        elif event == "ctypes.dlsym" and arguments[1] == "renameat2":
            self.happen("exchange")

    def _at(self, what: str, path: object) -> None:
        if isinstance(path, str | os.PathLike) and str(path).startswith(self._root):
            self.happen(f"{what} {str(path)[len(self._root) :]}")

    def arm(self) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415
        from sqlalchemy import event  # noqa: PLC0415
        from sqlalchemy.engine import Engine  # noqa: PLC0415

        write_table, fsync = pq.write_table, os.fsync

        def written(table: Any, where: Any, *rest: Any, **more: Any) -> Any:
            self._at("parquet", where)
            return write_table(table, where, *rest, **more)

        def forced(descriptor: Any) -> None:
            self.happen("fsync")
            fsync(descriptor)

        pq.write_table, os.fsync = written, forced
        if self._job.fault in {"kill", ""}:
            event.listen(Engine, "commit", lambda _: self.happen("commit"))
        sys.addaudithook(self.audit)


def _warm(folder: Path) -> str:
    """Import all that commands import, start one Prefect server for all, and give its address."""
    from importlib import import_module  # noqa: PLC0415

    for name in ("cli", "steps", "train", "explain", "simulate", "portfolio", "registry", "monitor", "nightly"):
        import_module(f"flows.{name}")
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415

    server = SubprocessASGIServer()
    server.start()
    return server.api_url


def _child(job: Job, api: str, record: Path) -> int:
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415

    from flows import cli  # noqa: PLC0415

    if job.clock:
        now, now_ns = time.time, time.time_ns
        time.time = lambda: now() + job.clock
        time.time_ns = lambda: now_ns() + int(job.clock * 1e9)
    if job.memory:
        import resource  # noqa: PLC0415

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + job.memory, used + job.memory))
    with temporary_settings({PREFECT_API_URL: api}):
        _Steps(job, record).arm()
        if job.arguments[0] != "nightly":
            return cli.main(list(job.arguments))
        from flows.nightly import nightly  # noqa: PLC0415 (it has no command: `journeylift serve` runs it)

        nightly(job.arguments[-1])
        return 0


def _run(job: Job, api: str, folder: Path) -> Ended:
    said, record = folder / "said.txt", folder / "steps.txt"
    said.unlink(missing_ok=True)
    record.unlink(missing_ok=True)
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.setsid()
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        code = 99
        try:
            code = _child(job, api, record)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    timer = threading.Timer(job.seconds, _kill, (child,)) if job.seconds else None
    if timer is not None:
        timer.start()
    _, status = os.waitpid(child, 0)
    if timer is not None:
        timer.cancel()
        timer.join()
    _kill(child)  # what it has left running
    steps = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    told = said.read_text(encoding="utf-8", errors="replace") if said.exists() else ""
    return Ended(os.waitstatus_to_exitcode(status), told, tuple(steps), time.monotonic() - started)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _serve(folder: Path) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    api = _warm(folder)
    for line in sys.stdin:
        given = json.loads(line)
        job = Job(**{**given, "arguments": tuple(given["arguments"])})
        answers.write(json.dumps(asdict(_run(job, api, folder))) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
    # Prefect's server ends with this process, which DuckDB would otherwise complain at the end of.
    import atexit

    atexit._run_exitfuncs()
    os._exit(0)
