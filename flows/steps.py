"""Prefect's decorators as we use them: retries where I/O may fail for a moment, no hashing or storing of frames.

The only module that imports Prefect, after the environment has been settled.
"""

import logging
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any, Final, ParamSpec, Protocol, TypeVar, cast

from features.errors import JourneyliftError
from flows.machine_faults import may_have_passed
from flows.runs import settle_run
from flows.settings import turn_telemetry_off

turn_telemetry_off()

from prefect import Flow, Task, task  # noqa: E402 (Prefect reads the environment on import)
from prefect.cache_policies import NO_CACHE  # noqa: E402
from prefect.client.schemas.objects import State, TaskRun  # noqa: E402
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: E402

# A heartbeat that finds its process at the end fails with a page of traceback, and nothing is lost by it.
logging.getLogger("prefect.events.utilities").addFilter(lambda said: not said.getMessage().endswith(".heartbeat"))

if "PREFECT__FLOW_RUN_ID" in os.environ:  # this process is a run that a server has asked for
    settle_run()

__all__ = ["flow", "io_step", "may_pass", "start_server", "step"]

P = ParamSpec("P")
R = TypeVar("R")


class Decorator(Protocol):
    """Makes a task of a function and keeps its signature."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Decorate it."""


_LASTING: Final = (JourneyliftError, TypeError, ValueError, LookupError, AttributeError, NameError, AssertionError)


class _Flow(Flow[..., Any]):
    """A flow that sends no heartbeats to a server that ends with this process: stopping them takes up to a second."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if PREFECT_API_URL.value():
            return super().__call__(*args, **kwargs)
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            return super().__call__(*args, **kwargs)


def flow(name: str) -> Decorator:
    """Make a function a flow.

    Parameters
    ----------
    name : str
        What Prefect shows it as.

    Returns
    -------
    callable
        The decorator.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        return cast("Callable[P, R]", _Flow(function, name=name))

    return decorate


def step(name: str) -> Decorator:
    """Make a function a task of a flow.

    Parameters
    ----------
    name : str
        What it does, as Prefect shows it.

    Returns
    -------
    callable
        The decorator. Frames and models are handed from step to step in one process: nothing is hashed or stored.
    """
    return _decorator(name, {})


def io_step(name: str, waits: Sequence[float] = (1, 5)) -> Decorator:
    """Make a function that reads or writes a task of a flow, tried again when what failed may have passed.

    Parameters
    ----------
    name : str
        What it does, as Prefect shows it.
    waits : sequence of float
        Seconds before each further try.

    Returns
    -------
    callable
        The decorator.
    """
    return _decorator(name, {"retries": len(waits), "retry_delay_seconds": list(waits), "retry_condition_fn": may_pass})


def start_server() -> Thread:
    """Start Prefect's embedded server in the background, unless the user has a server.

    Returns
    -------
    Thread
        Join it before the first flow. It takes some eight seconds, in which other modules can be imported.

    Notes
    -----
    The server is deaf to Ctrl-C, which a terminal sends to it too: a flow that is interrupted still reports to it, and
    would wait a minute for a dead one. It is stopped when this process ends, however it does.
    """
    if PREFECT_API_URL.value():
        thread = Thread(target=lambda: None)
    else:
        from flows.embedded_server import EmbeddedServer  # noqa: PLC0415 (seconds)

        thread = Thread(target=_serve, args=(EmbeddedServer(),), daemon=True)
    thread.start()
    return thread


def _serve(server: Any) -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    with suppress(Exception):  # the first flow starts it again, and tells what is wrong
        server.start()


def may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether trying again can help: not against bad data, nor against mistakes in a program.

    Parameters
    ----------
    state : State
        The failed state of a task.

    Returns
    -------
    bool
        True when the failure may have passed by the next try.
    """
    failure = state.result(raise_on_failure=False)
    return not isinstance(failure, _LASTING) or may_have_passed(failure)


def _decorator(name: str, options: dict[str, Any]) -> Decorator:
    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        return cast("Callable[P, R]", task(name=name, cache_policy=NO_CACHE, persist_result=False, **options)(function))

    return decorate
