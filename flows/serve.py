"""``journeylift serve``: scores, monitors and retrains by itself, by the study's schedule, until it is told to end.

A Prefect server holds schedules and what ran; a runner in this process asks it every few seconds what is due, and runs
that in a child process. Runs of a study go one after the other.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final
from zoneinfo import ZoneInfo

from features.errors import StoreError
from flows import console
from flows.ports import is_loopback
from flows.prefect_server import AUTH, Server, running
from flows.run_lock import only_run
from flows.run_queue import Kept, ask_for, close_abandoned, drop_late, fault_of, next_planned, register
from flows.settings import turn_telemetry_off
from flows.storage import Workspace, open_workspace

__all__ = ["Unguarded", "serve"]

_POLL_S: Final = 5.0
"""Seconds between two looks for what is due."""
_LOOK_S: Final = 0.5


class Unguarded(Exception):  # noqa: N818 (what was asked for, not what is wrong with the study)
    """Other machines were to reach the server without a password."""


def serve(study_file: str, *, host: str = "127.0.0.1", port: int = 4200, once: bool = False) -> None:
    """Run a study by its schedule until interrupted.

    Parameters
    ----------
    study_file : str
        The study.
    host : str
        Address that Prefect's server listens on; unused where ``PREFECT_API_URL`` names one.
    port : int
        Its port.
    once : bool
        Run ``nightly`` once, now, and end.

    Raises
    ------
    Unguarded
        The address can be reached from elsewhere, and ``PREFECT_SERVER_API_AUTH_STRING`` names no password.
    PortTaken
        Something else listens there.
    StoreError
        Another process serves this study, or the server cannot be started or reached.
    JourneyliftError
        With ``once``: what the run ended with.

    Notes
    -----
    Ctrl-C and SIGTERM end it: a run that is on is stopped, which leaves what is complete and nothing half-written,
    then the server. What would have run while it was down is made up for once, not once for each time.
    """
    workspace = open_workspace(study_file)
    _require_guard(host)
    turn_telemetry_off()
    with ExitStack() as stack:
        stack.enter_context(only_run(workspace.store.root / "serve.lock", "serve"))
        from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415 (reads what was settled)

        given = PREFECT_API_URL.value()
        server = None if given else stack.enter_context(_own_server(host, port))
        api = given or (server.api if server else "")
        os.environ["PREFECT_API_URL"] = api  # for the runs, which are processes of their own
        stack.enter_context(temporary_settings({PREFECT_API_URL: api}))
        with _deaf_children():
            asyncio.run(_serve(workspace, server, api, once=once))


def _require_guard(host: str) -> None:
    if not is_loopback(host) and not os.environ.get(AUTH):
        raise Unguarded(
            f"At --host {host} other machines could start runs without a password. Set {AUTH}=user:password in the "
            "environment, or listen on 127.0.0.1."
        )
    if AUTH in os.environ:
        os.environ.setdefault("PREFECT_API_AUTH_STRING", os.environ[AUTH])


@contextmanager
def _own_server(host: str, port: int) -> Iterator[Server]:
    console.say("serve: starting Prefect's server (the first time takes up to a minute)")
    from prefect.settings import PREFECT_HOME  # noqa: PLC0415

    with running(PREFECT_HOME.value(), host=host, port=port) as server:
        yield server


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Let Ctrl-C reach this process and not its runs, which the terminal sends it to as well.

    Children inherit which signals are blocked in the thread that starts them. A signal that is blocked in the main
    thread is taken by another one, and Python handles it here all the same. Runs are ended by SIGTERM.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    over = threading.Event()
    listener = threading.Thread(target=over.wait, name="takes-signals", daemon=True)
    listener.start()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        over.set()


async def _serve(workspace: Workspace, server: Server | None, api: str, *, once: bool) -> None:
    from prefect.runner import Runner  # noqa: PLC0415 (seconds)

    runner = Runner(
        name=f"journeylift-{workspace.study.name}",
        limit=1,
        pause_on_shutdown=False,
        query_seconds=1.0 if once else _POLL_S,
    )
    kept = await register(workspace, runner, only="nightly" if once else None)
    if server is not None:
        await close_abandoned(kept)
    late = await drop_late(kept, keep=not once)
    asked = await ask_for(kept, "nightly") if once else None
    _tell(workspace, server, api, late, once=once)
    ending, work = asyncio.Event(), asyncio.create_task(runner.start(run_once=once))
    await _listen(runner, work, ending)
    if not once:
        await _tell_next(workspace, kept, ending)
    fault = await _watch(work, ending, server, once=once)
    await _wind_up(runner, work)
    if asked is not None and fault is None and not ending.is_set():
        fault = await fault_of(asked)
    if fault is not None:
        raise fault


def _tell(workspace: Workspace, server: Server | None, api: str, late: int, *, once: bool) -> None:
    """Say where the pages are, what runs when, and how it ends."""
    schedule = workspace.study.schedule
    ui = server.ui if server else api.removesuffix("/api")
    console.say(f"serve: study {workspace.study.name}; what runs and ran is shown at {ui}")
    if once:
        console.say("serve: runs nightly once, now, and ends.")
        return
    for flow, key in (("nightly", "score"), ("retrain", "train")):
        console.say(f"  {flow:<8} {schedule.told(key)}")
    if late:
        console.say(f"serve: {console.count(late, 'run')} fell due while nobody served: made up for now, once each.")


async def _tell_next(workspace: Workspace, kept: Sequence[Kept], ending: asyncio.Event) -> None:
    if all(one.one.cron(workspace.study) is None for one in kept):
        console.say("serve: nothing runs by itself; start runs on the page. Ctrl-C ends it.")
        return
    found = await next_planned(workspace, kept, ending)
    if found is None:
        console.say("serve: the server has not planned the next run yet. Ctrl-C ends it.")
        return
    zone = workspace.study.schedule.timezone
    shown = found.at.astimezone(ZoneInfo(zone)).strftime("%A %Y-%m-%d %H:%M")
    console.say(f"serve: next is {found.flow} on {shown} ({zone}). Ctrl-C ends it.")


async def _listen(runner: Any, work: "asyncio.Task[None]", ending: asyncio.Event) -> None:
    """Take signals once the runner has set its own handler, which would exit without winding up."""
    while not runner.started and not work.done():
        await asyncio.sleep(0.05)
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(one, ending.set)


async def _watch(
    work: "asyncio.Task[None]", ending: asyncio.Event, server: Server | None, *, once: bool
) -> Exception | None:
    """Wait until something ends it, and give the fault if it is one."""
    while not ending.is_set():
        if work.done():
            if once and work.exception() is None:
                return None
            return StoreError(f"The runner has ended: {work.exception() or 'it gave no reason'}. Start it again.")
        if server is not None and server.has_ended():
            return StoreError("Prefect's server has ended. Its last words are in server.log. Start it again.")
        with suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), _LOOK_S)
    return None


async def _wind_up(runner: Any, work: "asyncio.Task[None]") -> None:
    """Stop what runs, and the runner."""
    if not work.done():
        await runner.astop()
    with suppress(asyncio.CancelledError, Exception):
        await work
    console.say("serve: ended. What was complete is kept.")
