"""What Prefect's pages show of a run: Markdown, a table, progress. Kept where a flow runs; it never fails the run."""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from flows.storage import Workspace, read_json
from flows.stories import as_markdown, told

__all__ = ["Advance", "key_of", "leave", "leave_summary", "steps_shown"]

_LOGGER: Final = logging.getLogger("journeylift.artefacts")


class Advance(Protocol):
    """Called when a part of a run is done."""

    def __call__(self, share: float, what: str, /) -> None:
        """Take the share that is done, in [0, 1], and what comes next."""


def key_of(*parts: str) -> str:
    """Make a key that Prefect takes: small letters, digits and dashes.

    Examples
    --------
    >>> key_of("northline_2", "build features")
    'northline-2-build-features'
    """
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def leave(workspace: Workspace, flow: str) -> None:
    """Leave what a flow has found with its run, for Prefect's pages.

    Parameters
    ----------
    workspace : Workspace
        The study, whose name is part of the keys.
    flow : str
        Name of the result, such as ``score``.

    Notes
    -----
    Told is what stands in ``results/<flow>.json``. Called from within a flow; elsewhere nothing happens. Two requests
    to the server over one connection. What goes wrong is told in the log and nowhere else: the result is safe in the
    store.
    """
    run_id = _run_id()
    if run_id is None:
        return
    try:
        result = read_json(workspace.store.result(flow)) or {}
        story = told(flow, result)
        if story is None:
            return
        links = [("result", str(workspace.store.result(flow)))]
        if result.get("path"):
            links.append(("written to", str(result["path"])))
        if result.get("run_id"):
            links.append((f"MLflow, experiment {workspace.study.name}/{flow}, run", str(result["run_id"])))
        if workspace.store.report.exists():
            links.append(("report", str(workspace.store.report)))
        key = key_of(workspace.study.name, flow)
        kept = [("markdown", key, as_markdown(story, links), story.sentences[0])]
        if story.table:
            kept.append(("table", f"{key}-table", json.dumps(list(story.table)), f"**{story.title}**"))
        _post(run_id, kept)
    except Exception as error:  # noqa: BLE001 (a page that is not written must not fail what it tells of)
        _LOGGER.warning("What Prefect was to show of '%s' could not be kept: %s", flow, error)


def leave_summary(workspace: Workspace, flow: str, parts: Sequence[str]) -> None:
    """Leave the first sentence of each of several results with the run that made them.

    Parameters
    ----------
    workspace : Workspace
        The study.
    flow : str
        The run's flow.
    parts : sequence of str
        Names of results, in the order in which they are to be read.
    """
    run_id = _run_id()
    if run_id is None:
        return
    try:
        found = {part: read_json(workspace.store.result(part)) for part in parts}
        stories = {part: told(part, result) for part, result in found.items() if result}
        lines = [f"**{part}**: {story.sentences[0]}" for part, story in stories.items() if story]
        _post(
            run_id, [("markdown", key_of(workspace.study.name, flow), "\n\n".join(lines), "What the night has found")]
        )
    except Exception as error:  # noqa: BLE001 (as above)
        _LOGGER.warning("What Prefect was to show of '%s' could not be kept: %s", flow, error)


@contextmanager
def steps_shown(workspace: Workspace, flow: str) -> Iterator[Advance]:
    """Show the progress of a run of several flows on Prefect's pages.

    Parameters
    ----------
    workspace : Workspace
        The study.
    flow : str
        The run's flow.

    Yields
    ------
    Advance
        To be called between the parts.
    """
    run_id = _run_id()
    key = key_of(workspace.study.name, flow, "progress")
    made: list[Any] = []

    def advance(share: float, what: str, /) -> None:
        if run_id is None:
            return
        try:
            if made:
                _update(made[0], 100 * share, what)
            else:
                made.extend(_post(run_id, [("progress", key, 100 * share, what)]))
        except Exception as error:  # noqa: BLE001 (as above)
            _LOGGER.warning("Progress of '%s' could not be shown: %s", flow, error)

    yield advance


def _run_id() -> Any:
    """Name the flow run that this is part of; None outside of one."""
    from prefect.context import FlowRunContext  # noqa: PLC0415 (seconds, and flows have it imported)

    context = FlowRunContext.get()
    return None if context is None or context.flow_run is None else context.flow_run.id


def _post(run_id: Any, kept: list[tuple[str, str, Any, str]]) -> list[Any]:
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.client.schemas.actions import ArtifactCreate  # noqa: PLC0415

    with get_client(sync_client=True) as client:
        return [
            client.create_artifact(
                ArtifactCreate(type=kind, key=key, data=data, description=about, flow_run_id=run_id)
            ).id
            for kind, key, data, about in kept
        ]


def _update(artifact_id: Any, percentage: float, what: str) -> None:
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.client.schemas.actions import ArtifactUpdate  # noqa: PLC0415

    with get_client(sync_client=True) as client:
        client.update_artifact(artifact_id, ArtifactUpdate(data=percentage, description=what))
