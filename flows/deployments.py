"""What a Prefect server knows of a study: which flows it can run, by module path, and when they run by themselves."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from features.schedule import cron_of
from features.study import Study
from flows.storage import Workspace

__all__ = ["Deployment", "deployments", "prepared"]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A flow that a server can run on a study.

    Parameters
    ----------
    flow : str
        Its name; module ``flows.<flow>`` holds the function of the same name.
    does : str
        What it does, for the server's pages.
    scheduled : str
        Key of the study's schedule, ``score`` or ``train``; empty for what runs only when asked to.
    """

    flow: str
    does: str
    scheduled: str = ""

    @property
    def entrypoint(self) -> str:
        """The module path by which any process that has our packages finds it."""
        return f"flows.{self.flow}.{self.flow}"

    def cron(self, study: Study) -> str | None:
        """Give the cron line of the study's schedule; None for what runs only when asked to."""
        return cron_of(getattr(study.schedule, self.scheduled)) if self.scheduled else None


_ALL = (
    Deployment("nightly", "Features, scores, monitoring, and a retraining where monitoring calls for one.", "score"),
    Deployment("retrain", "Train on what has come true since, promote what is better.", "train"),
    Deployment("build_features", "Build what is missing of the panel."),
    Deployment("score", "Score the customers at risk at a cutoff."),
    Deployment("monitor", "Look at the latest batch, and at outcomes that have come true."),
    Deployment("train", "Fit and check the models, and register the better ones."),
    Deployment("explain", "What goes along with churn and revenue, and what would change them."),
)
_OF_FLAT = ("build_features", "score", "train", "explain")


def deployments(study: Study) -> tuple[Deployment, ...]:
    """List what can run on a study.

    Parameters
    ----------
    study : Study
        The study. A flat table is a survey that was held once: nothing of it runs by itself.

    Returns
    -------
    tuple of Deployment
        Those with a schedule first.
    """
    return tuple(one for one in _ALL if not study.is_flat or one.flow in _OF_FLAT)


async def prepared(workspace: Workspace, one: Deployment) -> Any:
    """Make Prefect's form of a deployment, named by its study, with one run at a time.

    Parameters
    ----------
    workspace : Workspace
        The study.
    one : Deployment
        What is to be run.

    Returns
    -------
    prefect.deployments.runner.RunnerDeployment
        To be added to a runner, or applied to a server.
    """
    from prefect.schedules import Cron  # noqa: PLC0415 (seconds)
    from prefect.types.entrypoint import EntrypointType  # noqa: PLC0415

    study, line = workspace.study, one.cron(workspace.study)
    function: Any = getattr(import_module(f"flows.{one.flow}"), one.flow)
    return await function.ato_deployment(
        name=study.name,
        schedule=None if line is None else Cron(line, timezone=study.schedule.timezone),
        parameters={"study_file": str(workspace.study_file)},
        description=one.does,
        tags=["journeylift", study.name],
        concurrency_limit=1,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
