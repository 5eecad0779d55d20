"""What a Prefect server has planned for a study, and what has become of it: late, abandoned and failed runs."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from features.errors import JourneyliftError, ModelError, StoreError, UnsupportedError
from flows.deployments import Deployment, deployments, prepared
from flows.storage import Workspace

__all__ = [
    "Kept",
    "Planned",
    "ask_for",
    "close_abandoned",
    "drop_late",
    "fault_from",
    "fault_of",
    "next_planned",
    "register",
]

_LOOK_S: Final = 0.5
_LOOKS: Final = 60


@dataclass(slots=True)
class Kept:
    """A deployment as the server knows it."""

    one: Deployment
    id: Any


@dataclass(frozen=True, slots=True)
class Planned:
    """The next run.

    Parameters
    ----------
    flow : str
        Of which flow.
    at : datetime
        When, in UTC.
    """

    flow: str
    at: datetime


async def register(workspace: Workspace, runner: Any, only: str | None) -> list[Kept]:
    """Tell the server what can run, and the runner to look for it; what is not registered with it, it leaves alone."""
    from prefect.exceptions import PrefectHTTPStatusError  # noqa: PLC0415

    try:
        wanted = [one for one in deployments(workspace.study) if only in {None, one.flow}]
        known = [(one, await prepared(workspace, one)) for one in wanted]
        return [Kept(one, await runner.aadd_deployment(form)) for one, form in known]
    except PrefectHTTPStatusError as error:
        status = error.response.status_code
        raise StoreError(
            f"Prefect's server answers {status}. Expected that it takes deployments. "
            + ("Set PREFECT_API_AUTH_STRING=user:password." if status in {401, 403} else "Look at its log.")
        ) from error


async def close_abandoned(kept: Sequence[Kept]) -> int:
    """Close runs that were on when the process that ran them was killed: nobody else would, and pages show them as on.

    Only on a server of our own, whose runs are all ours, and as the only process that serves the study.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.client.schemas.objects import StateType  # noqa: PLC0415
    from prefect.states import Crashed  # noqa: PLC0415

    closed = 0
    async with get_client() as client:
        for run in await _in_states(client, [one.id for one in kept], [StateType.RUNNING, StateType.PENDING]):
            state = Crashed(message="The process that ran it ended without a word. The next run goes on from there.")
            await client.set_flow_run_state(run.id, state, force=True)
            closed += 1
    return closed


async def drop_late(kept: Sequence[Kept], *, keep: bool) -> int:
    """Delete runs that were due while nobody ran them, but the latest of each flow; give the number of these."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    now, left = datetime.now(UTC), 0
    async with get_client() as client:
        for one in kept:
            late = [run for run in await _waiting(client, [one.id]) if run.expected_start_time <= now]
            late.sort(key=lambda run: run.expected_start_time)
            for run in late[:-1] if keep else late:
                await client.delete_flow_run(run.id)
            left += bool(late) and keep
    return left


async def ask_for(kept: Sequence[Kept], flow: str) -> Any:
    """Ask for a run of a flow, now, and give its id."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    one = next((one for one in kept if one.one.flow == flow), None)
    if one is None:
        raise UnsupportedError(
            "A flat table is held once: nothing of it runs by itself. Run: journeylift train, then journeylift score"
        )
    async with get_client() as client:
        return (await client.create_flow_run_from_deployment(one.id)).id


async def next_planned(workspace: Workspace, kept: Sequence[Kept], ending: asyncio.Event) -> Planned | None:
    """Give what runs next, as soon as the server has planned it; None if it does not within half a minute."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    names = {one.id: one.one.flow for one in kept if one.one.cron(workspace.study) is not None}
    now = datetime.now(UTC)
    async with get_client() as client:
        for _ in range(_LOOKS if names else 0):
            waiting = [run for run in await _waiting(client, list(names)) if run.expected_start_time > now]
            if waiting:
                first = min(waiting, key=lambda run: run.expected_start_time)
                return Planned(names[first.deployment_id], first.expected_start_time)
            if ending.is_set():
                break
            await asyncio.sleep(_LOOK_S)
    return None


async def fault_of(run_id: Any) -> Exception | None:
    """Give the fault of a run that has ended; None if it went well."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    async with get_client() as client:
        state = (await client.read_flow_run(run_id)).state
    return None if state is None or state.is_completed() else fault_from(str(state.name), str(state.message or ""))


def fault_from(state: str, message: str) -> Exception:
    """Read the fault of a run off its state, as one of our own where it is one: exit codes tell them apart.

    Examples
    --------
    >>> fault_from("Failed", "Flow run encountered an exception: DataError: 'x.parquet' holds no rows.")
    DataError("'x.parquet' holds no rows.")
    """
    for kind in JourneyliftError.__subclasses__():
        _, found, said = message.partition(f" {kind.__name__}: ")
        if found:
            return kind(said)
    return ModelError(f"The run ended as {state}: {message or 'it said nothing'}. Its page on the server shows more.")


async def _waiting(client: Any, ids: Sequence[Any]) -> list[Any]:
    """Read the runs of deployments that have not begun."""
    from prefect.client.schemas.objects import StateType  # noqa: PLC0415

    found = await _in_states(client, ids, [StateType.SCHEDULED])
    return [run for run in found if run.expected_start_time is not None]


async def _in_states(client: Any, ids: Sequence[Any], states: Sequence[Any]) -> list[Any]:
    from prefect.client.schemas import filters  # noqa: PLC0415

    state = filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=list(states)))
    return list(
        await client.read_flow_runs(
            flow_run_filter=filters.FlowRunFilter(state=state),
            deployment_filter=filters.DeploymentFilter(id=filters.DeploymentFilterId(any_=list(ids))),
        )
    )
