"""Prefect's decorators as we use them: retries where I/O may fail for a moment, no hashing or storing of frames.

The only module that imports Prefect, after the environment has been settled.
"""

from typing import Any, Final, ParamSpec, TypeVar

from features.errors import JourneyliftError
from flows.settings import turn_telemetry_off

turn_telemetry_off()

from prefect import Task, flow, task  # noqa: E402 (Prefect reads the environment on import)
from prefect.cache_policies import NO_CACHE  # noqa: E402
from prefect.client.schemas.objects import State, TaskRun  # noqa: E402

__all__ = ["flow", "io_step", "step"]

P = ParamSpec("P")
R = TypeVar("R")

_LASTING: Final = (JourneyliftError, TypeError, ValueError, LookupError, AttributeError, NameError, AssertionError)


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
    fault = state.result(raise_on_failure=False)
    return not isinstance(fault, _LASTING)


# Frames and models are handed from step to step in one process: caching would hash and pickle every one of them.
step = task(cache_policy=NO_CACHE, persist_result=False)
io_step = task(
    cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=[1, 5], retry_condition_fn=may_pass
)
